"""The test of suppression: made-up devices visit each sensitive place, and nothing of it may be stored.

The tracks go through a scratch deployment with copies of the lists in force and the same settings: a file,
the ingest, the derivation. Then the lake is read as it lies on the disk. Each device also rests elsewhere,
away from every place: these fixes must be stored, so that the test fails too where nothing comes in at all.
Measures read presence, stays and trips and nothing else: these tables are the exact input of every release.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import shapely

from passersby.deployment import scratch
from passersby.deployment.opened import Deployment
from passersby.errors import NotReady
from passersby.model import cells as h3cells
from passersby.model.motion import EARTH_M
from passersby.model.period import DAY, HOUR, Period, day_name, day_of
from passersby.model.schema import TABLES as LAKE
from passersby.sensitive import duties
from passersby.sensitive.cover import Cover
from passersby.sensitive.places import BEGINNING, END, Place

TABLES = ("pings", "presence", "stays", "trips")
"""Where a visit must not survive."""

_SUPPLIER = "suppression-test"
_VISIT = 7
"""Fixes at the place: enough for a stay."""
_STEP_S = 300
_DOOR_M = (500, 1000, 2000, 4000, 8000)
_HOME_M = (3000, 4500, 6000, 9000, 14_000, 20_000)
_HOME_S = (-6 * HOUR, -6 * HOUR + 600, -6 * HOUR + 1200, 8 * HOUR, 8 * HOUR + 600, 8 * HOUR + 1200)
_FIX = ["t", "lat_e5", "lon_e5"]


@dataclass(frozen=True)
class Category:
    """What became of the tracks of one category; `surviving` has a number for each of `TABLES`."""

    name: str
    places: int
    planted: int
    surviving: tuple[int, ...]


@dataclass(frozen=True)
class Found:
    """The outcome. `controls` are the fixes elsewhere that were stored, `due` the day of the next test."""

    categories: tuple[Category, ...]
    controls: int
    due: str = ""

    @property
    def surviving(self) -> int:
        """Rows of all tables that tell of a visit."""
        return sum(sum(category.surviving) for category in self.categories)

    @property
    def passed(self) -> bool:
        """Whether nothing survived, and the tracks did come in."""
        return not self.surviving and self.controls > 0

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        found = [
            {**dataclasses.asdict(c), "surviving": dict(zip(TABLES, c.surviving, strict=True))}
            for c in self.categories
        ]
        return {"passed": self.passed, "controls": self.controls, "due": self.due, "categories": found}


def run(d: Deployment, *, now: int, progress: Callable[[int, int], None] = lambda _d, _t: None) -> Found:
    """Test the lists in force and record the outcome (`duties.tested`); no data of the deployment is read.

    Raises:
        NotReady: no list is in force.
        DiskFull: there is no room for the scratch deployment.
    """
    cover = d.sensitive.cover()
    places = list(cover.places.rows())
    if not places:
        raise NotReady(
            "No list of sensitive places is in force.", "Load one: `passersby sensitive load FILE`."
        )
    with scratch.folder(d) as folder:
        planted, controls = _tracks(places, cover, d.config.offset, now)
        progress(1, 3)
        later = max([now, *planted["t"].to_list(), *controls["t"].to_list()]) + 2 * DAY
        found = _through(d, folder, places, (planted, controls), later)
        progress(3, 3)
    with d.writing() as session:
        surviving = found.surviving if found.controls else max(found.surviving, 1)
        due = duties.tested(session, planted=len(planted), surviving=surviving, now=now)
    return dataclasses.replace(found, due=day_name(day_of(due, d.config.offset)))


def _tracks(places: list[Place], cover: Cover, offset: int, now: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the fixes of all visits, and those at rest elsewhere: columns place, t, lat_e5, lon_e5."""
    monday = Period(Period.containing(now, offset).index - 2).span(offset).start
    visits: list[tuple[int, int, int, int]] = []
    rests: list[tuple[int, int, int, int]] = []
    for number, place in enumerate(places):
        start, step = _when(place, monday + DAY + 12 * HOUR + number % 900)
        inside = list(_points(place, cover.buffer_m))
        times = [start - 1200, *(start + k * step for k in range(_VISIT)), start + (_VISIT - 1) * step + 1200]
        door = _free(inside[0], _DOOR_M, [times[0], times[-1]], cover) or _e5(*inside[0])
        track = [door, *(_e5(*inside[k % len(inside)]) for k in range(_VISIT)), door]
        visits += [(number, t, *point) for t, point in zip(times, track, strict=True)]
        home = _free(inside[0], _HOME_M, [start + s for s in _HOME_S], cover)
        rests += [(number, start + s, *home) for s in _HOME_S] if home else []
    schema = {"place": pl.Int64, "t": pl.Int64, "lat_e5": pl.Int64, "lon_e5": pl.Int64}
    return (
        pl.DataFrame(visits, schema=schema, orient="row"),
        pl.DataFrame(rests, schema=schema, orient="row"),
    )


def _when(place: Place, usual: int) -> tuple[int, int]:
    """Return the first instant of a visit and the seconds between its fixes: within an event's dates."""
    if (place.begins, place.ends) == (BEGINNING, END):
        return usual, _STEP_S
    step = min(_STEP_S, max(1, (place.ends - place.begins) // (_VISIT + 1)))
    return (place.begins + place.ends - (_VISIT - 1) * step) // 2, step


def _points(place: Place, buffer_m: int) -> Iterator[tuple[float, float]]:
    """Yield points (lon, lat) of a place and around it: corner, inside, next to the buffer's end."""
    lon, lat = (float(v) for v in place.edges[0, :2])
    yield lon, lat
    if place.solid:
        ground = shapely.build_area(shapely.MultiLineString(list(place.edges.reshape(-1, 2, 2))))
        if not ground.is_empty:
            point = ground.representative_point()
            yield point.x, point.y
    for angle in (30.0, 210.0):
        yield _moved(lon, lat, 0.95 * buffer_m, angle)


def _free(
    near: tuple[float, float], away_m: Sequence[int], times: list[int], cover: Cover
) -> tuple[int, int] | None:
    """Return the first position (1e-5 degrees) so far off that no list holds; None if there is none."""
    for metres in away_m:
        for angle in range(15, 375, 45):
            lat_e5, lon_e5 = _e5(*_moved(*near, metres, float(angle)))
            many = len(times)
            cell = h3cells.cells_at(np.full(many, lat_e5 / 1e5), np.full(many, lon_e5 / 1e5), h3cells.FINEST)
            hits = cover.hits(
                np.full(many, lat_e5, dtype=np.int32),
                np.full(many, lon_e5, dtype=np.int32),
                cell,
                np.zeros(many, dtype=np.int32),
                np.array(times, dtype=np.int32),
            )
            if not hits.any():
                return lat_e5, lon_e5
    return None


def _moved(lon: float, lat: float, metres: float, angle: float) -> tuple[float, float]:
    """Return a point so many metres away, by an angle from the east in degrees."""
    degrees, turn = metres / (EARTH_M * np.pi / 180), np.radians(angle)
    east = degrees * np.cos(turn) / max(0.01, np.cos(np.radians(lat)))
    return (lon + east + 540) % 360 - 180, max(-90.0, min(90.0, lat + degrees * np.sin(turn)))


def _e5(lon: float, lat: float) -> tuple[int, int]:
    return round(lat * 1e5), round(lon * 1e5)


def _through(
    d: Deployment, folder: Path, places: list[Place], tracks: tuple[pl.DataFrame, pl.DataFrame], now: int
) -> Found:
    """Take the tracks into a scratch deployment and look what is in its lake."""
    planted, controls = tracks
    file = folder / "tracks.csv"
    pl.concat(tracks).sort("place", "t").select(
        id=pl.format("planted-{}", "place"),
        time="t",
        latitude=pl.col("lat_e5") / 1e5,
        longitude=pl.col("lon_e5") / 1e5,
        accuracy=pl.lit(0),
    ).write_csv(file, float_precision=5)
    days = sorted({day_of(t, d.config.offset) for t in pl.concat(tracks)["t"].to_list()})
    with scratch.opened(d, folder / "deployment", _SUPPLIER, now=now) as made:
        d.sensitive.copy(made.sensitive, now=now)
        scratch.add_supplier(made, _SUPPLIER, (days[0], days[-1]), what="sensitive test", now=now)
        made.ingest([file], _SUPPLIER, now=now)
        return _counted(made, places, planted, controls, now)


def _counted(
    made: Deployment, places: list[Place], planted: pl.DataFrame, controls: pl.DataFrame, now: int
) -> Found:
    held = {table: _held(made, table, now) for table in TABLES}
    pings = held["pings"].select("device", *_FIX)
    survived, stored = (pings.join(fixes, on=_FIX) for fixes in (planted, controls))
    whose = pl.concat([survived, stored]).select("device", "place").unique()
    offset = made.config.offset
    rest = stored.select("device", t="t", hour=pl.col("t") - (pl.col("t") + offset) % HOUR)
    # a stay at rest begins and ends with a fix at rest
    at_rest = held["stays"].join(rest, left_on=["device", "arrival"], right_on=["device", "t"], how="semi")
    at_rest = at_rest.join(rest, left_on=["device", "departure"], right_on=["device", "t"], how="semi")
    told = {
        "pings": survived,
        "presence": held["presence"].join(rest, on=["device", "hour"], how="anti"),
        "stays": held["stays"].join(at_rest, on=["device", "arrival"], how="anti"),
        "trips": held["trips"],
    }
    owned = [told["pings"], *(told[table].join(whose, on="device", how="left") for table in TABLES[1:])]
    categories = pl.Series([place.category for place in places])
    found = []
    for name in sorted(set(categories)):
        mine = pl.Series(np.flatnonzero((categories == name).to_numpy()))
        numbers = tuple(int(part["place"].is_in(mine.implode()).sum()) for part in owned)
        found.append(Category(name, len(mine), int(planted["place"].is_in(mine.implode()).sum()), numbers))
    unknown = tuple(int(part["place"].is_null().sum()) for part in owned)
    if any(unknown):
        found.append(Category("(of no track)", 0, 0, unknown))
    return Found(tuple(found), len(stored))


def _held(made: Deployment, table: str, now: int) -> pl.DataFrame:
    with made.lake.snapshot(now) as snapshot:
        frames = [pl.read_parquet(file.path) for file in snapshot.files(table)]
    empty = pl.DataFrame(LAKE[table].empty_table())
    return pl.concat([empty, *frames]).cast(dict.fromkeys(empty.columns, pl.Int64))
