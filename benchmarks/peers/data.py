"""Makes what `run.py` gives to every system: one generated week, and the truth about it.

    python benchmarks/peers/data.py FOLDER DEVICES

The week is that of `accuracy.py`. `presence.parquet` and `trips.parquet` are tables of the lake, for this
package. The others get less to do: in `keyed.parquet` one number names each row's cell of resolution 7 and
hour, and `points.parquet` has the two ends of each trip. A trip is a move to another cell of resolution 7
between two hours that follow each other.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import h3.api.numpy_int as h3i
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from passersby.model import schema
from passersby.model.cells import FINEST, parent, to_text
from passersby.model.period import HOUR
from passersby.privacy.accounting import micro_rho_for

Ints = npt.NDArray[np.int64]

RESOLUTION = 7
EPSILON, DELTA = 1.0, 1e-7

MOST_KEYS, MOST_TRIPS = 40, 10
"""Keys (cell and hour) and trips of a device that the others count: they need such numbers. Of 10, 20, 30 ..
these give the smallest RMSE, which was found by looking at the truth; nobody is charged for it here."""


def main() -> None:
    """Write the files."""
    folder, devices = Path(sys.argv[1]), int(sys.argv[2])
    sys.path.append(str(Path(__file__).parents[1]))
    panel = import_module("accuracy").make_panel(devices)
    cells, starts = panel.area.at(RESOLUTION), panel.starts
    device, hour, fine = (panel.presence[name].to_numpy() for name in ("device", "hour", "cell"))
    cell = np.searchsorted(cells, parent(fine, RESOLUTION, of=FINEST))
    key = cell * len(starts) + (hour - starts[0]) // HOUR
    pq.write_table(panel.presence, folder / "presence.parquet")
    pq.write_table(pa.table({"device": device, "key": key}), folder / "keyed.parquet")

    moves = (device[1:] == device[:-1]) & (hour[1:] - hour[:-1] == HOUR) & (cell[1:] != cell[:-1])
    begins = np.flatnonzero(moves)
    times = [hour[at].astype(np.int64) + HOUR // 2 for at in (begins, begins + 1)]
    ends = [cell[at] for at in (begins, begins + 1)]
    columns = (device[begins], fine[begins], fine[begins + 1], *times, np.zeros(len(begins)))
    types = [field.type.to_pandas_dtype() for field in schema.TRIPS]
    arrays = [pa.array(column.astype(kind)) for column, kind in zip(columns, types, strict=True)]
    pq.write_table(pa.table(arrays, schema=schema.TRIPS), folder / "trips.parquet")
    pq.write_table(_points(cells, device[begins], times, ends), folder / "points.parquet")
    outlines = {to_text(own): [(lng, lat) for lat, lng in h3i.cell_to_boundary(own)] for own in cells}
    (folder / "outlines.json").write_text(json.dumps(outlines))

    keys, pairs = len(cells) * len(starts), len(cells) ** 2
    np.savez(
        folder / "truth.npz",
        cells=cells,
        starts=starts,
        presence=np.bincount(key, minlength=keys),
        flows=np.bincount(ends[0] * len(cells) + ends[1], minlength=pairs),
    )
    setting = {
        "epsilon": EPSILON,
        "delta": DELTA,
        "micro_rho": micro_rho_for(EPSILON, DELTA).value,
        "most_keys": MOST_KEYS,
        "most_trips": MOST_TRIPS,
        "devices": devices,
        "rows": len(key),
        "keys": keys,
        "trips": len(begins),
        "pairs": pairs,
    }
    (folder / "setting.json").write_text(json.dumps(setting))


def _points(cells: Ints, device: Ints, times: list[Ints], ends: list[Ints]) -> pa.Table:
    """Return the first points of all trips, then the last ones, each in the middle of its cell."""
    middle = np.array([h3i.cell_to_latlng(own) for own in cells])[np.concatenate(ends)]
    return pa.table(
        {
            "uid": np.tile(device, 2).astype(str),
            "tid": np.tile(np.arange(len(device)), 2).astype(str),
            "t": np.concatenate(times),
            "lat": middle[:, 0],
            "lng": middle[:, 1],
        }
    )


if __name__ == "__main__":
    main()
