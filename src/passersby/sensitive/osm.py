"""Sensitive places from an OpenStreetMap extract (PBF), by the table of tags in `osm.toml`.

A node is a point, a closed way a polygon, an open way a line. A relation is what its member ways enclose,
holes included; ways of it that enclose nothing, for example because the extract cuts it, are lines. So more
is suppressed, never less.
"""

from __future__ import annotations

import functools
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import osmium
import shapely
from osmium.osm import Node, Relation, Way

from passersby.errors import BadRecord, UnreadableFile, UsageError
from passersby.sensitive.places import Place, Places, shaped

_MAGIC = b"OSMHeader"
_RING = 4
"""A closed way has at least so many nodes, the first one twice."""

Tags = Mapping[str, str]
Rule = Mapping[str, Sequence[str]]


@functools.cache
def table() -> Mapping[str, Mapping[str, Any]]:
    """Return the table of categories: `any` holds the rules, `optional` says that it must be asked for."""
    return tomllib.loads((files("passersby.sensitive") / "osm.toml").read_text(encoding="utf-8"))


def is_pbf(path: Path) -> bool:
    """Tell by its first bytes whether a file is an OpenStreetMap extract in PBF."""
    try:
        with path.open("rb") as file:
            return _MAGIC in file.read(64)
    except OSError:
        return False


def chosen(categories: Sequence[str]) -> list[str]:
    """Return the categories that were named; all that are not optional if none was.

    Raises:
        UsageError: there is no such category.
    """
    known = table()
    for name in categories:
        if name not in known:
            msg = f"There is no category {name!r} of OpenStreetMap tags."
            raise UsageError(msg, f"Known categories: {', '.join(known)}.")
    return [
        name
        for name, entry in known.items()
        if name in categories or not (categories or entry.get("optional", False))
    ]


def categories_of(tags: Tags, wanted: Sequence[str]) -> list[str]:
    """Return those of the wanted categories that an object of these tags is of."""
    return [name for name in wanted if any(_fits(tags, rule) for rule in table()[name]["any"])]


def _fits(tags: Tags, rule: Rule) -> bool:
    return all(key in tags and _is_one_of(tags[key], values) for key, values in rule.items())


def _is_one_of(value: str, wanted: Sequence[str]) -> bool:
    parts = {part.strip() for part in value.split(";")}
    return bool(parts & set(wanted)) or ("*" in wanted and bool(parts - {"no", ""}))


def read(path: Path, categories: Sequence[str] = ()) -> Places:
    """Return the places of an extract, one for each category that an object is of.

    Args:
        path: a PBF file.
        categories: names of `table`; none: all that are not optional.

    Raises:
        UsageError: there is no such category.
        UnreadableFile: the file is damaged.
        BadRecord: it holds no such place.
    """
    wanted = chosen(categories)
    try:
        found = Places.of(_places(path, wanted))
    except (OSError, RuntimeError, ValueError):
        # osmium has no error of its own for a damaged file
        raise UnreadableFile(
            "The OpenStreetMap extract is damaged.", "Download it again and compare its checksum."
        ) from None
    if not len(found):
        raise BadRecord(
            "The extract holds no place of these categories.", "Give an extract of the area that data is of."
        )
    return found


def _places(path: Path, wanted: Sequence[str]) -> Iterator[Place]:
    relations: dict[int, dict[str, str]] = {}
    owners: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for relation in osmium.FileProcessor(str(path), osmium.osm.RELATION):
        tags = dict(relation.tags)
        if isinstance(relation, Relation) and categories_of(tags, wanted):
            relations[relation.id] = tags
            for member in relation.members:
                owners[member.type, member.ref].append(relation.id)
    keys = sorted({key for name in wanted for rule in table()[name]["any"] for key in rule})
    for tags, shape, _ in _shapes(path, osmium.filter.KeyFilter(*keys)):
        yield from _each(_closed(shape), tags, categories_of(tags, wanted))
    parts: defaultdict[int, list[Any]] = defaultdict(list)
    members = osmium.filter.IdFilter(sorted({number for _, number in owners}))
    for _, shape, found in _shapes(path, members) if owners else ():
        for owner in owners.get(found, ()):
            parts[owner].append(shape)
    for number, pieces in parts.items():
        tags = relations[number]
        yield from _each(_enclosed(pieces), tags, categories_of(tags, wanted))


def _shapes(path: Path, only: osmium.BaseFilter) -> Iterator[tuple[dict[str, str], Any, tuple[str, int]]]:
    """Yield tags, geometry, and type with id of the nodes and ways that pass a filter."""
    every = osmium.FileProcessor(str(path), osmium.osm.NODE | osmium.osm.WAY)
    for item in every.with_locations().with_filter(only):
        if isinstance(item, Node | Way) and (shape := _shape(item)) is not None:
            yield dict(item.tags), shape, (item.type_str(), item.id)


def _each(shape: Any, tags: Tags, categories: Sequence[str]) -> Iterator[Place]:  # noqa: ANN401  (shapely)
    for category in categories:
        yield from shaped(shape, tags.get("name", ""), category)


def _shape(item: Node | Way) -> Any:  # noqa: ANN401  (a shapely geometry; shapely has no types)
    """Return a point or a line; None where the extract holds no position of the object."""
    if isinstance(item, Node):
        return shapely.Point(item.lon, item.lat) if item.location.valid() else None
    points = [(node.lon, node.lat) for node in item.nodes if node.location.valid()]
    if not points:
        return None
    return shapely.LineString(points) if len(set(points)) > 1 else shapely.Point(points[0])


def _closed(shape: Any) -> Any:  # noqa: ANN401
    """Return the polygon of a closed line, and what is something else as it is."""
    if shape.geom_type != "LineString" or not shape.is_closed or len(shape.coords) < _RING:
        return shape
    return _valid(shapely.Polygon(shape.coords))


def _enclosed(pieces: Sequence[Any]) -> Any:  # noqa: ANN401
    """Return what lines enclose together, holes included, and all of them that enclose nothing."""
    lines = [piece for piece in pieces if piece.geom_type == "LineString"]
    merged = shapely.line_merge(shapely.union_all(lines)) if lines else shapely.MultiLineString()
    solid = shapely.union_all([_closed(part) for part in shapely.get_parts(merged)])
    points = [piece for piece in pieces if piece.geom_type == "Point"]
    return shapely.GeometryCollection([*_flat(solid), *points])


def _flat(shape: Any) -> list[Any]:  # noqa: ANN401
    """Return the single parts of a geometry of any kind."""
    if not hasattr(shape, "geoms"):
        return [] if shape.is_empty else [shape]
    return [part for piece in shape.geoms for part in _flat(piece)]


def _valid(shape: Any) -> Any:  # noqa: ANN401
    if shape.is_valid:
        return shape
    whole = shapely.make_valid(shape, method="structure", keep_collapsed=True)
    return shapely.GeometryCollection(_flat(whole))
