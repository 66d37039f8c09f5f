"""Lists of sensitive places as arrays: read from GeoJSON (RFC 7946) or CSV, kept as Parquet.

A place is a point, a line or one polygon. Its outline is a run of edges; a point is one edge without length.
An event is a place with dates: it is sensitive from the first to the last of them only.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from shapely.geometry import shape

from passersby.errors import BadRecord, UnreadableFile, WrongSchema
from passersby.model.period import DAY

BEGINNING, END = -(1 << 62), 1 << 62
"""From and until of a place that has no dates."""

Edges = npt.NDArray[np.float64]

_LATITUDE = ("lat", "latitude")
_LONGITUDE = ("lon", "lng", "longitude")
_CATEGORY = ("category", "type", "facility_type", "amenity")
_NAME = ("name",)
_DATES = ("from", "until")
_KINDS = ("Point", "MultiPoint", "Polygon", "MultiPolygon")
_STORED = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("solid", pa.bool_(), nullable=False),
        pa.field("edges", pa.large_list(pa.float64()), nullable=False),
        pa.field("begins", pa.int64(), nullable=False),
        pa.field("ends", pa.int64(), nullable=False),
    ]
)


class Place(NamedTuple):
    """One place: `edges` is float64 [n, 4]; `begins` and `ends` are epoch s, the end not included."""

    name: str
    category: str
    solid: bool
    edges: Edges
    begins: int = BEGINNING
    ends: int = END

    @property
    def key(self) -> tuple[bytes, bool, int, int]:
        """What makes it the same place in another version of a list."""
        return self.edges.tobytes(), self.solid, self.begins, self.ends


@dataclass(frozen=True, eq=False)
class Places:
    """Places of one or more lists; all arrays are read-only by convention.

    `edges` is float64 [m, 4]: longitude and latitude of both ends, degrees. Place i owns the edges
    `first[i]:first[i + 1]`; `solid[i]` says that they enclose it (a polygon). It is sensitive in the
    instants `begins[i] <= t < ends[i]`, epoch s.
    """

    names: tuple[str, ...]
    categories: tuple[str, ...]
    solid: npt.NDArray[np.bool_]
    first: npt.NDArray[np.int64]
    edges: Edges
    begins: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, rows: Iterable[tuple[Any, ...]]) -> Places:
        """Return the places of rows of the fields of `Place`."""
        kept = [Place(*row) for row in rows]
        sizes = np.array([0, *(len(row.edges) for row in kept)], dtype=np.int64)
        edges = np.concatenate([row.edges for row in kept]) if kept else np.empty((0, 4))
        return cls(
            names=tuple(row.name for row in kept),
            categories=tuple(row.category for row in kept),
            solid=np.array([row.solid for row in kept], dtype=np.bool_),
            first=np.cumsum(sizes),
            edges=np.ascontiguousarray(edges, dtype=np.float64),
            begins=np.array([row.begins for row in kept], dtype=np.int64),
            ends=np.array([row.ends for row in kept], dtype=np.int64),
        )

    def rows(self) -> Iterator[Place]:
        """Yield each place."""
        for i, name in enumerate(self.names):
            part = self.edges[self.first[i] : self.first[i + 1]]
            when = int(self.begins[i]), int(self.ends[i])
            yield Place(name, self.categories[i], bool(self.solid[i]), part, *when)

    def windows(self) -> list[tuple[int, int]]:
        """Return the distinct (begins, ends) of its places, sorted."""
        return sorted({(int(a), int(b)) for a, b in zip(self.begins, self.ends, strict=True)})

    def to_table(self) -> pa.Table:
        """Return the places as an Arrow table, one row a place."""
        rows = [{**place._asdict(), "edges": place.edges.ravel()} for place in self.rows()]
        return pa.Table.from_pylist(rows, schema=_STORED)


def merge(parts: Iterable[Places]) -> Places:
    """Return the places of several lists as one."""
    return Places.of(row for part in parts for row in part.rows())


def stored(path: Path) -> Places:
    """Return the places of a Parquet file written from `Places.to_table`."""
    table = pq.read_table(path, schema=_STORED)
    return Places.of(
        Place(**{**row, "edges": np.array(row["edges"], dtype=np.float64).reshape(-1, 4)})
        for row in table.to_pylist()
    )


def read(path: Path, *, offset: int = 0) -> Places:
    """Return the places of a GeoJSON or CSV file, told apart by content.

    A place with `from` and `until` is an event: ISO 8601 dates, the last one included, or instants.

    Args:
        path: the file.
        offset: seconds east of UTC of dates and of instants that name no offset of their own.

    Raises:
        UnreadableFile: the file cannot be opened or is neither JSON nor UTF-8 text.
        WrongSchema: a CSV lacks coordinates or categories.
        BadRecord: a place is not valid; the message names its number in the file.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        msg = "The list of places cannot be read as text."
        raise UnreadableFile(msg, "Give a GeoJSON or CSV file in UTF-8.") from None
    found = _geojson(text, offset) if text.lstrip().startswith("{") else _csv(text.encode(), offset)
    if not len(found):
        msg = "The list holds no place."
        raise BadRecord(msg, "Give a file with at least one place.")
    return found


def _geojson(text: str, offset: int) -> Places:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        msg = "The list of places is not valid JSON."
        raise BadRecord(msg, "Give a GeoJSON FeatureCollection (RFC 7946).") from None
    features = document.get("features") if document.get("type") == "FeatureCollection" else [document]
    if not isinstance(features, list):
        msg = "The list of places has no features."
        raise BadRecord(msg, "Give a GeoJSON FeatureCollection (RFC 7946).")
    return Places.of(row for number, item in enumerate(features, 1) for row in _feature(item, number, offset))


def _feature(item: Mapping[str, Any], number: int, offset: int) -> Iterator[Place]:
    bad = BadRecord(
        f"Place {number} of the list is not a valid point or polygon.",
        "Write [longitude, latitude] in degrees; split what crosses the antimeridian (RFC 7946).",
    )
    if not isinstance(item, Mapping):
        raise bad
    geometry, properties = (item.get(key) or {} for key in ("geometry", "properties"))
    if not isinstance(properties, Mapping) or not isinstance(geometry, Mapping):
        raise bad
    if geometry.get("type") not in _KINDS:
        raise bad
    name, category = str(properties.get("name") or ""), properties.get("category")
    if not isinstance(category, str) or not category:
        msg = f"Place {number} of the list has no category."
        raise BadRecord(msg, "Give each feature the property `category`.")
    when = _dates([properties.get(key) for key in _DATES], f"Place {number} of the list", offset)
    try:
        parsed = shapely.force_2d(shape(geometry))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, shapely.errors.ShapelyError):
        raise bad from None
    if parsed.is_empty or not _on_globe(shapely.get_coordinates(parsed)):
        raise bad
    # Rings that overlap or touch themselves are read as the union of what they enclose: more is
    # suppressed, never less.
    whole = parsed if parsed.is_valid else shapely.make_valid(parsed, method="structure", keep_collapsed=True)
    yield from shaped(whole, name, category, when)


def shaped(
    whole: Any,  # noqa: ANN401  (a shapely geometry; shapely has no types)
    name: str,
    category: str,
    when: tuple[int, int] = (BEGINNING, END),
) -> Iterator[Place]:
    """Yield a place for each part of a valid geometry in longitude and latitude."""
    for part in shapely.get_parts(whole):
        yield Place(name, category, part.geom_type == "Polygon", _edges(part), *when)


def _dates(values: list[Any], what: str, offset: int) -> tuple[int, int]:
    """Return the instants of an event's first and last date, or those of a place without dates."""
    if not any(values):
        return BEGINNING, END
    try:
        begins, ends = (_instant(value, offset, after=i * DAY) for i, value in enumerate(values))
    except (AttributeError, TypeError, ValueError):
        begins = ends = 0
    if begins >= ends:
        raise BadRecord(
            f"{what} has no valid dates in `from` and `until`.",
            "Give both, as 2026-05-12 or 2026-05-12T14:00, or neither; `until` comes after `from`.",
        )
    return begins, ends


def _instant(value: str, offset: int, *, after: int) -> int:
    """Return epoch s; `after` is added to a date without a time of day, so that `until` is included."""
    text = value.strip()
    found = dt.datetime.fromisoformat(text)
    if found.tzinfo is None:
        found = found.replace(tzinfo=dt.timezone(dt.timedelta(seconds=offset)))
    whole_day = len(text) <= len("2026-05-12")
    return int(found.timestamp()) + (after if whole_day else 0)


def _edges(part: Any) -> Edges:  # noqa: ANN401  (a shapely geometry; shapely has no types)
    if part.geom_type == "Point":
        return np.array([[part.x, part.y, part.x, part.y]])
    lines = shapely.get_rings(part) if part.geom_type == "Polygon" else shapely.get_parts(part)
    pieces = [shapely.get_coordinates(line) for line in lines]
    return np.concatenate([np.hstack([piece[:-1], piece[1:]]) for piece in pieces])


def _on_globe(lonlat: npt.NDArray[np.float64]) -> bool:
    return bool(np.all(np.abs(lonlat[:, 0]) <= 180) and np.all(np.abs(lonlat[:, 1]) <= 90))


def _csv(data: bytes, offset: int) -> Places:
    try:
        frame = pl.read_csv(data, infer_schema=False)
    except pl.exceptions.PolarsError:
        msg = "The list of places is not a valid CSV."
        raise BadRecord(msg, "Give a CSV with a header: lat, lon, name, category.") from None
    frame = frame.rename({c: c.strip().lower() for c in frame.columns})
    columns = [_column(frame, names) for names in (_LONGITUDE, _LATITUDE, _CATEGORY)]
    name = next((c for c in _NAME if c in frame.columns), None)
    lonlat = frame.select(
        pl.col(columns[:2]).str.strip_chars().cast(pl.Float64, strict=False).fill_null(np.nan)
    )
    numbers = lonlat.to_numpy()
    wrong = ~((np.abs(numbers[:, 0]) <= 180) & (np.abs(numbers[:, 1]) <= 90))
    wrong |= (frame[columns[2]].fill_null("") == "").to_numpy()
    if wrong.any():
        msg = f"Line {int(np.flatnonzero(wrong)[0]) + 2} of the list is not a valid place."
        raise BadRecord(msg, "Give each line a latitude and a longitude in degrees and a category.")
    named = frame[name].fill_null("").to_list() if name else [""] * len(frame)
    points = np.hstack([numbers, numbers])[:, None, :]
    dates = [frame[c].to_list() if c in frame.columns else [None] * len(frame) for c in _DATES]
    when = [
        _dates(list(both), f"Line {number} of the list", offset)
        for number, both in enumerate(zip(*dates, strict=True), 2)
    ]
    categories = frame[columns[2]].to_list()
    rows = zip(named, categories, [False] * len(frame), points, *zip(*when, strict=True), strict=True)
    return Places.of(rows if when else ())


def _column(frame: pl.DataFrame, names: tuple[str, ...]) -> str:
    for name in names:
        if name in frame.columns:
            return name
    msg = f"The list of places has no column {' or '.join(names)}."
    raise WrongSchema(msg, "Give a CSV with a header: lat, lon, name, category.")
