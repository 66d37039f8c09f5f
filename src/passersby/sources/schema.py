"""What a supplier's file looks like: one TOML file for each format, checked whole when it is read."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from passersby.errors import BadRecord, UnknownName, UsageError, WrongSchema
from passersby.model.period import parse_offset
from passersby.sources import forbidden
from passersby.sources.coordinates import CRS, Grid
from passersby.sources.times import UNITS, Clock

FORMATS = ("csv", "tsv", "ndjson", "parquet", "any")
COLLECTIONS = ("sdk", "visits", "bidstream")
"""How a supplier collects: in its own or partners' apps, as visits to places, or from ad auctions."""

ROLES = (
    "id",
    "time",
    "latitude",
    "longitude",
    "x",
    "y",
    "accuracy",
    "consent",
    "opt_out",
    "id_type",
    "utc_offset",
)
"""What a column can be to us. `utc_offset` holds seconds east of UTC for each row's time."""

_KEYS: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "description": (str,),
    "format": (str,),
    "header": (bool,),
    "delimiter": (str,),
    "quote": (bool,),
    "collection": (str,),
    "refused": (str,),
    "dropped": (list,),
    "optional": (list,),
    "columns": (dict,),
    "time": (dict,),
    "coordinates": (dict,),
    "id": (dict,),
    "opt_out": (dict,),
}
_SECTIONS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "columns": dict.fromkeys(ROLES, (str,)),
    "time": {"unit": (str,), "zone": (str,), "utc_shift_s": (int,)},
    "coordinates": {"crs": (str,), "decimal": (str,), "divide_by": (int, float), "suffix": (bool,)},
    "id": {"prefix": (str,), "types": (list,)},
    "opt_out": {"values": (list,)},
}
_SEE = "See docs/how-to/add-a-supplier-format.md."


@dataclass(frozen=True)
class Schema:
    """A declared file format.

    `columns` maps roles (see `ROLES`) to the file's column names: names of the header, `_c0`, `_c1`, ...
    where there is none, dotted paths in NDJSON and nested Parquet. `zone` is the offset of times
    without one: "+02:00", "Z", "deployment" (the deployment's own), or "" where such times are not
    accepted. `optional` names roles whose column may be missing. `refused` says why files of this kind
    are not taken; it is empty for all others.
    """

    name: str
    description: str
    columns: Mapping[str, str]
    format: str = "any"
    header: bool = True
    delimiter: str = ""
    quote: bool = True
    collection: str = "sdk"
    refused: str = ""
    dropped: tuple[str, ...] = ()
    optional: tuple[str, ...] = ("accuracy",)
    unit: str = "iso"
    zone: str = ""
    utc_shift_s: int = 0
    grid: Grid = field(default_factory=Grid)
    id_prefix: str = ""
    id_types: tuple[str, ...] = ()
    opt_out_values: tuple[str, ...] = ()

    @property
    def positions(self) -> tuple[str, str]:
        """Roles of the two coordinates, the northward one first."""
        return ("latitude", "longitude") if self.grid.crs == "EPSG:4326" else ("y", "x")

    @property
    def declared(self) -> frozenset[str]:
        """Every column name that the schema mentions."""
        return frozenset(self.columns.values()) | frozenset(self.dropped)

    def clock(self, offset: int) -> Clock:
        """Return how times are written, in a deployment at `offset` (s east of UTC)."""
        zones = {"": None, "deployment": offset}
        zone = zones[self.zone] if self.zone in zones else parse_offset(self.zone)
        return Clock(self.unit, zone, self.utc_shift_s)

    def require_accepted(self) -> None:
        """Raise where files of this kind are refused.

        Raises:
            WrongSchema: with the reason.
        """
        if self.refused or self.collection == "bidstream":
            reason = self.refused or "It describes bidstream data, which is never taken."
            msg = f"The schema `{self.name}` is refused. {reason}"
            raise WrongSchema(msg, "Ask the supplier for pings from its own or its partners' apps.")


def builtin_names() -> tuple[str, ...]:
    """Return the names of the schemas that come with Passersby, sorted."""
    return tuple(sorted(path.stem for path in _builtin_files()))


def _builtin_files() -> Iterator[Path]:
    folder = resources.files("passersby.sources") / "schemas"
    with resources.as_file(folder) as path:
        yield from path.glob("*.toml")


def load(name_or_path: str | Path) -> Schema:
    """Return the built-in schema of that name, or the schema in a TOML file.

    Raises:
        UnknownName: there is neither.
        BadRecord: the file is not a valid schema; the message says where.
    """
    for path in _builtin_files():
        if path.stem == str(name_or_path):
            return parse(path.read_text(encoding="utf-8"), path.name)
    path = Path(name_or_path)
    try:
        return parse(path.read_text(encoding="utf-8"), path.name)
    except UnicodeDecodeError:
        msg = f"{path.name} is not a text in UTF-8."
        raise BadRecord(msg, _SEE) from None
    except OSError:
        msg = f"There is no schema {str(name_or_path)!r}, and no file of that name can be read."
        known = ", ".join(builtin_names())
        raise UnknownName(msg, f"Known schemas: {known}; or run `passersby supplier sniff FILE`.") from None


def parse(text: str, source: str) -> Schema:
    """Return the schema in a TOML text; `source` names it in errors.

    Raises:
        BadRecord: the text is not valid TOML, or not a valid schema.
    """
    try:
        values = tomllib.loads(text)
        _check_shape(values, _KEYS, "")
        for section, keys in _SECTIONS.items():
            _check_shape(values.get(section, {}), keys, f"[{section}] ")
        schema = _built(values)
        _check_meaning(schema)
    except (tomllib.TOMLDecodeError, ValueError) as error:
        msg = f"{source} is not a schema: {error}."
        raise BadRecord(msg, _SEE) from None
    return schema


def _check_shape(values: Mapping[str, Any], keys: Mapping[str, tuple[type, ...]], where: str) -> None:
    for key, value in values.items():
        if key not in keys:
            msg = f"there is no key {where}`{key}` (known: {', '.join(keys)})"
            raise ValueError(msg)
        if type(value) not in keys[key]:
            msg = f"{where}`{key}` must be a {keys[key][0].__name__}"
            raise ValueError(msg)
        if isinstance(value, list) and not all(isinstance(item, str) for item in value):
            msg = f"{where}`{key}` must be a list of texts"
            raise ValueError(msg)


def _built(values: Mapping[str, Any]) -> Schema:
    for key in ("name", "description"):
        if not values.get(key):
            msg = f"`{key}` is missing"
            raise ValueError(msg)
    plain = ("name", "description", "format", "header", "delimiter", "quote", "collection", "refused")
    given: dict[str, Any] = {key: values[key] for key in plain if key in values}
    given |= {key: tuple(values[key]) for key in ("dropped", "optional") if key in values}
    given |= values.get("time", {})
    identity = values.get("id", {})
    return Schema(
        **given,
        columns=MappingProxyType(dict(values.get("columns", {}))),
        grid=Grid(**values.get("coordinates", {})),
        id_prefix=identity.get("prefix", ""),
        id_types=tuple(kind.lower() for kind in identity.get("types", ())),
        opt_out_values=tuple(value.lower() for value in values.get("opt_out", {}).get("values", ())),
    )


def _check_meaning(schema: Schema) -> None:
    choices = (
        ("format", schema.format, FORMATS),
        ("collection", schema.collection, COLLECTIONS),
        ("[time] unit", schema.unit, UNITS),
        ("[coordinates] crs", schema.grid.crs, CRS),
        ("[coordinates] decimal", schema.grid.decimal, (".", ",")),
    )
    for key, value, known in choices:
        if value not in known:
            msg = f"`{key}` must be one of {', '.join(known)}"
            raise ValueError(msg)
    if len(schema.delimiter) > 1 or (schema.delimiter and schema.delimiter in '"\r\n.'):
        msg = "`delimiter` must be one character, and not a quote, a dot or a line break"
        raise ValueError(msg)
    if schema.zone not in {"", "deployment"}:
        try:
            parse_offset(schema.zone)
        except UsageError:
            msg = "`[time] zone` must be an offset such as +02:00, Z, or deployment"
            raise ValueError(msg) from None
    if schema.grid.divide_by <= 0:
        msg = "`[coordinates] divide_by` must be above 0"
        raise ValueError(msg)
    if not schema.refused and schema.collection != "bidstream":
        _check_columns(schema)


def _check_columns(schema: Schema) -> None:
    for role in ("id", "time", *schema.positions):
        if role not in schema.columns:
            msg = f"[columns] `{role}` is missing"
            raise ValueError(msg)
    taken = [*schema.columns.values(), *schema.dropped]
    if len(taken) != len(set(taken)):
        msg = "a column has two uses"
        raise ValueError(msg)
    for column in schema.columns.values():
        _check_column(column, header=schema.header)
    for role, values, key in (
        ("opt_out", schema.opt_out_values, "[opt_out] values"),
        ("id_type", schema.id_types, "[id] types"),
    ):
        if (role in schema.columns) != bool(values):
            msg = f"`{key}` and [columns] `{role}` go together"
            raise ValueError(msg)
    if not {"accuracy", "consent", "opt_out"}.issuperset(schema.optional):
        msg = "`optional` can name accuracy, consent and opt_out only"
        raise ValueError(msg)


def _check_column(column: str, *, header: bool) -> None:
    why = forbidden.reason(column)
    if why:
        msg = f"the column `{column}` is forbidden ({why}) and cannot be used"
        raise ValueError(msg)
    if not header and not (column.startswith("_c") and column[2:].isdecimal()):
        msg = f"without a header, columns are named _c0, _c1, ...; `{column}` is not"
        raise ValueError(msg)
