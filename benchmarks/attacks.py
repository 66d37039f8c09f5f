"""Times the eight attacks of `risk/attacks.py` and those of scikit-mobility on the same small file.

    python benchmarks/attacks.py [--people 25] [--visits 10] [--points 2] [--python PYTHON]

scikit-mobility runs in the given interpreter, since it is no dependency. The attacker's search is over all
sets of facts in both; risks are compared as sorted lists. Home-work differs: scikit-mobility takes the least
visited places.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from passersby.risk.attacks import KINDS, Track, risks

PEER = Path(__file__).with_name("attacks_peer.py")
INSTALL = (
    "pip install 'pandas<2.1' 'geopandas<1' 'shapely<2.1' 'numpy<2' matplotlib scikit-learn powerlaw "
    "statsmodels folium geojson h3 requests tqdm; pip install --no-deps scikit-mobility"
)
FIRST_HOUR = 494_016  # a Monday
REPEATS = 20


def world(people: int, visits: int) -> list[Track]:
    """Return visits of made-up people: mostly to some places of their own, now and then to any."""
    rng = np.random.default_rng(1)
    tracks: list[Track] = []
    for _ in range(people):
        own = rng.choice(15, 4, replace=False)
        hours = np.sort(rng.choice(24 * 7, visits, replace=False))
        places = np.where(
            rng.random(visits) < 0.8, own[rng.integers(0, 4, visits)], rng.integers(0, 15, visits)
        )
        tracks.append(
            [(int(place), FIRST_HOUR + int(hour)) for place, hour in zip(places, hours, strict=True)]
        )
    return tracks


def main() -> None:
    """Time, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--people", type=int, default=25)
    parser.add_argument("--visits", type=int, default=10)
    parser.add_argument("--points", type=int, default=2)
    parser.add_argument("--python", default="", help=f"interpreter that has scikit-mobility ({INSTALL})")
    given = parser.parse_args()
    tracks = world(given.people, given.visits)
    theirs = _theirs(tracks, given.points, given.python) if given.python else {}
    for kind in KINDS:
        found = risks(kind, tracks, given.points)
        begun = time.perf_counter()
        for _ in range(REPEATS):
            risks(kind, tracks, given.points)
        seconds = (time.perf_counter() - begun) / REPEATS
        line = f"{kind:12} {seconds * 1e3:9.2f} ms"
        if kind in theirs:
            took, theirs_found = theirs[kind]
            same = np.allclose(found, theirs_found)
            line += f"   scikit-mobility {took:8.2f} s   {took / seconds:9,.0f} times"
            line += "   the same risks" if same else "   other risks"
        print(line, flush=True)


def _theirs(tracks: list[Track], points: int, python: str) -> dict[str, tuple[float, list[float]]]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "tracks.json"
        source.write_text(json.dumps({"points": points, "tracks": tracks}))
        done = subprocess.run([python, PEER, source], stdout=subprocess.PIPE, text=True, check=True)
        found: dict[str, tuple[float, list[float]]] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
