"""Writes docs/reference/schemas.md from the schema files and the checks."""

from __future__ import annotations

from collections.abc import Iterable

from passersby.sources import forbidden
from passersby.sources.checks import REASONS
from passersby.sources.schema import Schema, builtin_names, load

_HEAD = """# Supplier formats

This page is written by `passersby.sources.reference.reference_markdown()` from
`src/passersby/sources/schemas/`. To read a format that is not here, see
[Add a supplier format](../how-to/add-a-supplier-format.md).

A file is recognised by what it holds, never by its name: CSV, TSV and NDJSON in UTF-8 (plain, gzip,
zstd), or Parquet. One line is one row: a quoted CSV field may not contain a line break.
"""


def reference_markdown() -> str:
    """Return the reference page, Markdown."""
    schemas = [load(name) for name in builtin_names()]
    parts = [_HEAD, *(_schema(schema) for schema in schemas), _reasons(), _barred()]
    return "\n".join(parts)


def _schema(schema: Schema) -> str:
    lines = [f"## `{schema.name}`", "", schema.description, ""]
    if schema.refused:
        return "\n".join([*lines, f"**Refused.** {schema.refused}", ""])
    form = {"any": "CSV, TSV, NDJSON or Parquet"}.get(schema.format, schema.format.upper())
    lines.append(f"Format: {form}{'' if schema.header else ', no header'}. {_time(schema)}{_places(schema)}")
    lines += ["", "| column | is |", "|---|---|"]
    lines += [f"| `{column}` | {_role(schema, role)} |" for role, column in schema.columns.items()]
    if schema.dropped:
        lines += ["", f"Dropped: {_names(schema.dropped)}."]
    return "\n".join([*lines, ""])


def _time(schema: Schema) -> str:
    units = {
        "s": "epoch seconds",
        "ms": "epoch milliseconds",
        "us": "epoch microseconds",
        "ns": "epoch nanoseconds",
    }
    text = units.get(schema.unit, "ISO 8601 or timestamps")
    zones = {"": "", "Z": ", UTC where they carry no offset", "deployment": ", at the deployment's offset"}
    return f"Times: {text}{zones.get(schema.zone, f', {schema.zone} where they carry no offset')}."


def _places(schema: Schema) -> str:
    return " Coordinates: web mercator, metres." if schema.grid.crs == "EPSG:3857" else ""


def _role(schema: Schema, role: str) -> str:
    words = {
        "id": "device id",
        "accuracy": "accuracy (m)",
        "opt_out": "opt-out flag",
        "id_type": "type of the id",
    }
    values = {"opt_out": schema.opt_out_values, "id_type": schema.id_types}.get(role, ())
    text = words.get(role, role.replace("_", " "))
    if values:
        text += f"; {'opted out' if role == 'opt_out' else 'taken'}: {_names(values)}"
    return text + ("; may be missing" if role in schema.optional else "")


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _reasons() -> str:
    rows = [f"| `{reason}` | {meaning} |" for reason, meaning in REASONS.items()]
    head = [
        "## Why a row is rejected",
        "",
        "A row has one reason: the first that applies, in this order.",
        "",
    ]
    return "\n".join([*head, "| reason | meaning |", "|---|---|", *rows, ""])


def _barred() -> str:
    return (
        "## Columns that are always dropped\n\n"
        "Whatever a schema says, columns whose names stand for one of these are dropped before anything is\n"
        f"parsed: {', '.join(forbidden.labels())}. Columns that a schema does not mention are dropped too, "
        "and reported.\n"
    )
