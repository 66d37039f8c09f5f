"""Finds stays with another library, for `stays.py`: it needs NumPy and that library, not this package.

    python benchmarks/stays_peers.py trackintel|scikit-mobility|infostop IN.npz OUT.npz

Prints a JSON object with the version and the seconds; ends with 3 where the library is not installed.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

MISSING = 3
ROAMING_M, LEAST_S, GAP_S = 200, 600, 3600

Fixes = dict[str, Any]  # device, t, lat_e5, lon_e5: arrays
Work = Callable[[], Any]


def trackintel(fixes: Fixes) -> tuple[Work, Callable[[Any], Any]]:
    """Return what is timed, and what makes (device, arrival, departure) of its result."""
    ti, pd, gpd = (import_module(name) for name in ("trackintel", "pandas", "geopandas"))
    frame = gpd.GeoDataFrame(
        {"user_id": fixes["device"], "tracked_at": pd.to_datetime(fixes["t"], unit="s", utc=True)},
        geometry=gpd.points_from_xy(fixes["lon_e5"] / 1e5, fixes["lat_e5"] / 1e5, crs="EPSG:4326"),
    )
    positions = ti.Positionfixes(frame)

    def work() -> Any:  # noqa: ANN401
        return positions.generate_staypoints(
            method="sliding",
            dist_threshold=ROAMING_M,
            time_threshold=LEAST_S / 60,
            gap_threshold=GAP_S / 60,
            exclude_duplicate_pfs=False,
        )[1]

    def read(found: Any) -> Any:  # noqa: ANN401
        epoch, second = pd.Timestamp(0, tz="UTC"), pd.Timedelta(seconds=1)
        times = [(found[name] - epoch) // second for name in ("started_at", "finished_at")]
        return np.stack([found["user_id"], *times], axis=1).astype(np.int64)

    return work, read


def scikit_mobility(fixes: Fixes) -> tuple[Work, Callable[[Any], Any]]:
    """See `trackintel`."""
    skmob, pd = import_module("skmob"), import_module("pandas")
    detection = import_module("skmob.preprocessing.detection")
    times = pd.to_datetime(fixes["t"], unit="s")
    frame = pd.DataFrame(
        {
            "lat": fixes["lat_e5"] / 1e5,
            "lng": fixes["lon_e5"] / 1e5,
            "datetime": times,
            "uid": fixes["device"],
        }
    )
    track = skmob.TrajDataFrame(frame)

    def work() -> Any:  # noqa: ANN401
        return detection.stay_locations(
            track,
            minutes_for_a_stop=LEAST_S / 60,
            spatial_radius_km=ROAMING_M / 1000,
            no_data_for_minutes=GAP_S / 60,
        )

    return work, lambda found: np.zeros((len(found), 3), np.int64)


def infostop(fixes: Fixes) -> tuple[Work, Callable[[Any], Any]]:
    """See `trackintel`; it finds places that devices share too, which is more work."""
    module = import_module("infostop")
    cuts = np.flatnonzero(np.diff(fixes["device"])) + 1
    columns = (fixes["lat_e5"] / 1e5, fixes["lon_e5"] / 1e5, fixes["t"].astype(float))
    tracks = np.split(np.stack(columns, axis=1), cuts)
    model = module.Infostop(r1=ROAMING_M, r2=ROAMING_M, min_staying_time=LEAST_S, max_time_between=GAP_S)

    def read(labels: Any) -> Any:  # noqa: ANN401
        runs = sum(int(np.sum((own[1:] != own[:-1]) & (own[1:] >= 0)) + (own[0] >= 0)) for own in labels)
        return np.zeros((runs, 3), np.int64)

    return lambda: model.fit_predict(tracks), read


PEERS = {"trackintel": trackintel, "scikit-mobility": scikit_mobility, "infostop": infostop}


def main() -> int:
    """Run one library on a file."""
    name, source, target = sys.argv[1:]
    warnings.simplefilter("ignore")  # theirs
    with np.load(source) as file:
        fixes = dict(file)
    try:
        found_version = version(name)
        work, read = PEERS[name](fixes)
    except (ImportError, PackageNotFoundError):
        return MISSING
    begun = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - begun
    np.savez(target, stays=read(found))
    print(json.dumps({"version": found_version, "seconds": seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
