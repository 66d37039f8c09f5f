"""Recognises a release by its columns: a place, a time and a count in each row, and no device."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from passersby.errors import WrongSchema
from passersby.sources import guess
from passersby.sources.sample import Sample, sample

PLACES = (
    "cell",
    "h3",
    "h3_cell",
    "h3_index",
    "hex",
    "hexagon",
    "cell_id",
    "zone",
    "zone_id",
    "area",
    "area_id",
    "region",
    "region_id",
    "district",
    "municipality",
    "place",
    "place_id",
    "location",
    "location_id",
    "geohash",
    "tile",
    "grid",
    "grid_id",
    "antenna",
    "tower",
    "poi",
    "station",
)
PAIRS = (("origin", "destination"), ("origin_zone", "destination_zone"), ("from", "to"))
TIMES = (
    "start",
    "time",
    "hour",
    "date",
    "day",
    "week",
    "datetime",
    "timestamp",
    "period",
    "bucket",
    "interval_start",
    "start_time",
    "time_start",
    "begin",
    "period_start",
    "date_hour",
)
COUNTS = (
    "estimate",
    "count",
    "n",
    "counts",
    "devices",
    "device_count",
    "users",
    "user_count",
    "visitors",
    "visits",
    "people",
    "persons",
    "population",
    "unique_devices",
    "unique_users",
    "unique_visitors",
    "subscribers",
    "presence",
    "trips",
    "total",
    "value",
    "number",
)
_DEVICES = (
    "device",
    "device_id",
    "deviceid",
    "ad_id",
    "adid",
    "advertiser_id",
    "advertising_id",
    "maid",
    "idfa",
    "gaid",
    "aaid",
    "ifa",
    "imei",
    "imsi",
    "msisdn",
    "user",
    "user_id",
    "userid",
    "uid",
    "person",
    "person_id",
    "subscriber",
    "subscriber_id",
    "caller",
    "caller_id",
    "pseudonym",
)
_POSITIONS = ("lat", "lon", "lng", "latitude", "longitude")
_LOW, _HIGH = ("low", "lower", "ci_low", "lower_bound"), ("high", "upper", "ci_high", "upper_bound")


@dataclass(frozen=True)
class Columns:
    """Which columns of a release mean what; `time` and the bounds are "" where it has none.

    `place` are one or two columns. `unit` is that of its times: a unit of `sources.times`, "date" or "".
    `others` are columns that are not read. `delimiter` is "" for Parquet.
    """

    place: tuple[str, ...]
    time: str
    count: str
    low: str
    high: str
    unit: str
    others: tuple[str, ...]
    names: tuple[str, ...]
    delimiter: str

    @property
    def used(self) -> tuple[str, ...]:
        """The columns that are read."""
        named = (*self.place, self.time, self.count, self.low, self.high)
        return tuple(name for name in named if name)


def recognised(path: Path) -> Columns | None:
    """Return the columns of a release; None for a file of another kind.

    Raises:
        UnreadableFile: the file is damaged or of a kind that is not read.
        WrongSchema: it has a place and a count, and also a column that tells devices apart.
    """
    if path.is_dir():
        return None
    found = sample(path)
    if not found.header or found.format == "ndjson":
        return None
    return columns_of(found, path.name)


def columns_of(found: Sample, name: str) -> Columns | None:
    """Return the columns of a release from the first rows of a file; see `recognised`."""
    plain = {_plain(column): column for column in found.values}
    place = _places(plain)
    count = _first(plain, COUNTS)
    if not place or not count or any(position in plain for position in _POSITIONS):
        return None
    if device := _first(plain, _DEVICES):
        raise WrongSchema(
            f"{name} has counts, and in {device!r} also a column that tells devices apart: it is no release.",
            "Leave that column out if it is no device; if it is one, give the fixes that it was made of.",
        )
    time = _first(plain, TIMES)
    low, high = _first(plain, _LOW), _first(plain, _HIGH)
    if not (low and high):
        low = high = ""
    used = {*place, time, count, low, high}
    others = tuple(column for column in found.values if column not in used)
    unit = _unit(found, time) if time else ""
    if time and not unit:
        raise WrongSchema(
            f"The times of {name}, in {time!r}, are not understood.",
            "Write them as ISO 8601 (2026-05-11, 2026-05-11T14:00:00Z) or as epoch seconds.",
        )
    return Columns(place, time, count, low, high, unit, others, tuple(found.values), found.delimiter)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def _places(plain: Mapping[str, str]) -> tuple[str, ...]:
    for origin, destination in PAIRS:
        if origin in plain and destination in plain:
            return plain[origin], plain[destination]
    one = _first(plain, PLACES)
    return (one,) if one else ()


def _first(plain: Mapping[str, str], names: Sequence[str]) -> str:
    return next((plain[name] for name in names if name in plain), "")


def _unit(found: Sample, time: str) -> str:
    if time in (found.stamps or {}):
        return "iso"
    values = [value for value in found.values[time] if value]
    if values and all(re.fullmatch(r"\d{4}-\d\d-\d\d", value) for value in values):
        return "date"
    return guess.time_unit(guess.look(values)) if values else "iso"
