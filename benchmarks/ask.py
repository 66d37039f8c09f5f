"""Times one question end to end over a lake of generated presence, and prints each step's time.

    python benchmarks/ask.py [--rows 27000000] [--devices 200000] [--every hour] [--resolution 7]

Presence of a made-up country is written straight through the lake, so that making it is not timed. Then
a process of its own opens the deployment and asks: its peak memory is that of the question. Steps are
those of the gate; the last one ends on a tick of two seconds, as for every new answer.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.config import Config
from passersby.demo import records, story
from passersby.deployment.create import create
from passersby.deployment.opened import Deployment
from passersby.model.cells import FINEST, cells_at
from passersby.model.period import DAY, HOUR, WEEK, Period, day_of
from passersby.model.schema import PRESENCE
from passersby.privacy.noise import Integers, OpenDPSampler
from passersby.store.tables import Delivery
from passersby.synth.country import Country

OFFSET = 7200
SUPPLIER = "simple"
_PLACES = 4


def main() -> None:
    """Make a lake and ask it, or ask one that was made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=27_000_000, help="rows of presence")
    parser.add_argument("--devices", type=int, default=200_000)
    parser.add_argument("--every", default="hour")
    parser.add_argument("--resolution", type=int, default=7)
    parser.add_argument("--measure", default="presence")
    parser.add_argument("--folder", type=Path, help="where the lake is made; a temporary folder by default")
    parser.add_argument("--ask", type=Path, help="ask the deployment in this folder; it was made before")
    given = parser.parse_args()
    if given.ask:
        _ask(given.ask, given)
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        root = Path(folder) / "deployment"
        begun = time.perf_counter()
        rows, size = _make(root, given.rows, given.devices)
        print(
            f"made       {rows / 1e6:7.2f} M rows of {given.devices:,} devices in one week, "
            f"{size / rows:.1f} B a row, {time.perf_counter() - begun:.1f} s",
            flush=True,
        )
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--ask", str(root)], check=True)


def _ask(root: Path, given: argparse.Namespace) -> None:
    """Ask once and print what each step took."""
    drawn = _counted()
    times: list[tuple[str, float]] = []
    begun = time.perf_counter()
    with Deployment.open(root, now=_now()) as d:
        opened = time.perf_counter() - begun
        request = story.question(measure=given.measure, every=given.every, resolution=given.resolution)
        who = d.actor(d.layout.people / "anna.key")
        answer = d.ask(request, who, now=_now(), step=lambda name: times.append((name, time.perf_counter())))
    ends = [moment for _, moment in times[1:]] + [time.perf_counter()]
    print(f"open       {opened:7.2f} s")
    for (name, start), end in zip(times, ends, strict=True):
        print(f"{name[:6]}     {end - start:7.2f} s   {name[8:]}")
    print(f"in all     {ends[-1] - times[0][1]:7.2f} s   rows released: {answer.release.rows.num_rows:,}")
    print(f"noise      {sum(drawn):7,} keys measured")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 << 20 if sys.platform == "darwin" else 1024
    )
    print(f"peak       {peak:7.0f} MB")


def _counted() -> list[int]:
    """Return a list that gets the number of values of each draw of noise."""
    drawn: list[int] = []
    whole = OpenDPSampler.gaussian

    def gaussian(self: OpenDPSampler, values: Integers, scale: float) -> Integers:
        drawn.append(values.size)
        return whole(self, values, scale)

    OpenDPSampler.gaussian = gaussian  # type: ignore[method-assign]  # a counter around it; the noise is its own
    return drawn


def _make(root: Path, rows: int, devices: int) -> tuple[int, int]:
    """Make a deployment whose lake holds about `rows` rows; return their number and size in bytes."""
    create(root, now=_now(), name="benchmark", utc_offset="+02:00", demo=True, config=Config())
    with Deployment.open(root, now=_now()) as d:
        people = records.people(d, now=_now())
        records.approve_impact(d, people, now=_now())
        evidence = hashlib.sha256(b"generated").hexdigest()
        records.add_supplier(d, people, SUPPLIER, story.DATES, devices, evidence, now=_now())
        records.grant(
            d,
            people,
            story.LICENCE,
            dates=story.DATES,
            bbox=story.SWITZERLAND,
            seconds=DAY,
            now=_now(),
        )
        records.open_case(d, people.analyst, licence=story.LICENCE, name=story.CASE, now=_now())
        written = _fill(d, rows, devices)
        size = sum(path.stat().st_size for path in (d.layout.lake / "presence").iterdir())
    return written, size


def _fill(d: Deployment, rows: int, devices: int) -> int:
    """Write a week of presence as one delivery."""
    rng = np.random.default_rng(11)
    device = rng.integers(-(2**63), 2**63 - 1, devices)
    places = _places(devices, rng)
    seen = np.minimum(rng.lognormal(0, 0.5, devices) * rows / devices * HOUR / WEEK, 1)
    bucket = d.lake.bucket_of(device)
    until = _now() + 30 * DAY
    with d.database.write() as session:
        session.add(
            Delivery(
                id=1,
                supplier=1,
                sha256="0" * 64,
                files="[]",
                report="{}",
                created=_now(),
                raw_until=until,
                derived_until=until,
            )
        )
    monday = Period.parse(story.PERIOD).span(OFFSET).start
    with d.lake.begin("derive", {}, now=_now()) as work:
        for start in range(monday, monday + WEEK, DAY):
            for number in range(d.lake.buckets):
                own = np.flatnonzero(bucket == number)
                own = own[np.argsort(device[own])]
                table = _day(start, device[own], places[own], seen[own], rng)
                work.write("presence", day_of(start, OFFSET), number, table, sources=[1], until=until)
            work.renew(_now())
        written = work.rows
        with d.database.write() as session:
            work.commit(session, now=_now())
    return written


def _places(devices: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return cells at resolution 10 in which each device spends its hours, shape (devices, places)."""
    country = Country.load("CH")
    share = country.population / country.population.sum()
    home = rng.choice(len(share), devices, p=share)
    away = rng.choice(len(share), (devices, _PLACES), p=share)
    town = np.where(rng.random((devices, _PLACES)) < 0.8, home[:, None], away)
    lat, lon = country.scatter(town.reshape(-1), rng)
    return cells_at(lat, lon, FINEST).reshape(devices, _PLACES)


def _day(
    start: int,
    device: npt.NDArray[np.int64],
    places: npt.NDArray[np.int64],
    seen: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> pa.Table:
    """Return one day's presence of sorted devices: nights at the first place, days at any."""
    who, hour = np.nonzero(rng.random((len(device), 24)) < seen[:, None])
    at_home = (hour < 7) | (hour > 20) | (rng.random(len(who)) < 0.4)
    place = np.where(at_home, 0, rng.integers(0, _PLACES, len(who)))
    columns = (device[who], start + hour * HOUR, places[who, place], 1 + rng.poisson(3, len(who)))
    types = [field.type.to_pandas_dtype() for field in PRESENCE]
    arrays = [pa.array(column.astype(kind)) for column, kind in zip(columns, types, strict=True)]
    return pa.table(arrays, schema=PRESENCE)


def _now() -> int:
    return int(time.time())


if __name__ == "__main__":
    main()
