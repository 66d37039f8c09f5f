"""Proposes a schema for an unknown file, shows its columns masked, and writes the schema as TOML.

A proposal is a guess for a person to confirm: only the supplier knows what its columns mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from passersby.errors import WrongSchema
from passersby.model import banned
from passersby.sources import forbidden, guess
from passersby.sources.guess import Guess, Look
from passersby.sources.layout import layout
from passersby.sources.sample import Sample, sample
from passersby.sources.schema import Schema, builtin_names, load

_POSITIONS = {"latitude", "longitude", "x", "y"}
_EXAMPLES = 2


@dataclass(frozen=True)
class Column:
    """One column of an unknown file: its likely role ("" for none), masked examples, a remark."""

    name: str
    role: str
    confidence: float
    examples: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Proposal:
    """What a file seems to be.

    `builtin` names the built-in schema that fits exactly, or is "". `refused` says why files of this
    kind are not taken, or is "". `missing` names roles for which no column was found. `time_unit`,
    `decimal`, `crs`, `divide_by`, `suffix` are as in a schema.
    """

    source: str
    format: str
    compression: str
    header: bool
    delimiter: str
    columns: tuple[Column, ...]
    time_unit: str
    naive: bool
    decimal: str
    crs: str
    divide_by: float
    suffix: bool
    id_types: tuple[str, ...]
    opt_out_values: tuple[str, ...]
    builtin: str = ""
    refused: str = ""

    @property
    def forbidden(self) -> tuple[str, ...]:
        """Columns that are dropped whatever a schema says."""
        return forbidden.forbidden(column.name for column in self.columns)

    @property
    def missing(self) -> tuple[str, ...]:
        """Roles that a schema needs and no column seems to have."""
        found = {column.role for column in self.columns}
        positions = ("y", "x") if self.crs == "EPSG:3857" else ("latitude", "longitude")
        return tuple(role for role in ("id", "time", *positions) if role not in found)

    def to_toml(self) -> str:
        """Return a commented schema; `schema.load` takes it unless a role is missing."""
        return _toml(self)


def sniff(path: Path) -> Proposal:
    """Look at the first rows of a file and propose how to read it.

    Raises:
        UnreadableFile: it is damaged or of a kind that is not read.
    """
    found = sample(path)
    guesses, looks = guess.roles(found)
    by_role = {guessed.role: name for name, guessed in guesses.items()}
    proposal = _proposed(path, found, guesses, looks, by_role)
    builtin, refused = _builtin(path, proposal)
    return replace(proposal, builtin=builtin, refused=refused)


def _proposed(
    path: Path,
    found: Sample,
    guesses: Mapping[str, Guess],
    looks: Mapping[str, Look],
    by_role: Mapping[str, str],
) -> Proposal:
    stamps = found.stamps or {}
    time = by_role.get("time", "")
    places = [looks[by_role[role]] for role in _POSITIONS if role in by_role]
    largest = max((abs(number) for place in places for number in place.numbers), default=0.0)
    scaled = "latitude" in by_role and all(place.whole for place in places) and largest > 1800
    unit = "iso" if time in stamps else guess.time_unit(looks[time]) if time else ""
    values = {role: sorted(set(looks[name].texts)) for role, name in by_role.items()}
    return Proposal(
        source=path.name,
        format=found.format,
        compression=found.compression,
        header=found.header,
        delimiter=found.delimiter,
        columns=tuple(_column(name, looks[name], guesses.get(name), scaled=scaled) for name in found.values),
        time_unit=unit,
        naive=not stamps[time] if time in stamps else unit == "iso" and guess.is_naive(looks[time]),
        decimal="," if any(place.commas for place in places) else ".",
        crs="EPSG:3857" if "x" in by_role else "EPSG:4326",
        divide_by=1e7 if scaled else 1.0,
        suffix=any(place.suffixed > 0.9 for place in places),
        id_types=tuple(value.lower() for value in values.get("id_type", ())),
        opt_out_values=tuple(
            v for v in values.get("opt_out", ()) if v.lower() not in {"0", "false", "no", "n"}
        ),
    )


def _column(name: str, values: Look, guessed: Guess | None, *, scaled: bool) -> Column:
    barred = forbidden.reason(name)
    role = guessed.role if guessed else ""
    note = f"forbidden ({barred}): dropped, never parsed" if barred else ""
    if role == "utc_offset":
        note, role = "not used: add it as utc_offset only if the times are local", ""
    shown = tuple("***" if barred else mask(text, role, scaled=scaled) for text in values.texts[:_EXAMPLES])
    return Column(name, role, guessed.confidence if guessed and role else 0.0, shown, note)


def mask(text: str, role: str, *, scaled: bool = False) -> str:
    """Return a value's look without its content.

    Ids keep four characters, coordinates whole degrees (projected ones: two digits), times the year;
    other values keep their shape only: each letter becomes x, each digit 9.
    """
    if role == "id":
        return f"{text[:4]}…" if len(text) > 8 else "…"
    if role in {"latitude", "longitude"}:
        whole = re.match(r"[+-]?\d{1,3}", text[:-7] if scaled else text)
        return f"{whole[0] if whole else '0'}.**"
    if role in {"x", "y"}:
        metres = re.split("[.,]", text)[0]
        return metres[: len(metres) - 5] + "*****" if len(metres) > 6 else "*****"
    if role == "time":
        year = re.match(r"\d{4}", text)
        shown = year[0] if year else ""
        return shown + re.sub(r"[^\W_TZ]", "*", text[len(shown) :])[:36]
    return re.sub(r"\d", "9", re.sub(r"[^\W\d_]", "x", text))[:24]


def _builtin(path: Path, proposal: Proposal) -> tuple[str, str]:
    """Return the built-in schema that fits exactly, and the reason where it is refused."""
    names = {column.name for column in proposal.columns} - set(proposal.forbidden)
    if banned.shown_by(column.name for column in proposal.columns) == banned.TOWERS:
        return "", banned.TEXTS[banned.TOWERS][0]
    for name in builtin_names():
        schema = load(name)
        if schema.collection == "bidstream":
            every = [column.name for column in proposal.columns]
            if banned.shown_by(every) == banned.BIDSTREAM or {"lat", "utcoffset", "type"} <= {
                n.lower() for n in names
            }:
                return name, schema.refused
        elif schema.refused:
            if _same_shape(schema, proposal, names) and proposal.missing[-2:] == ("latitude", "longitude"):
                return name, schema.refused
        elif _same_shape(schema, proposal, names) and _reads(path, schema, proposal):
            return name, ""
    return "", ""


def _same_shape(schema: Schema, proposal: Proposal, names: set[str]) -> bool:
    """Tell whether format, header and columns agree: none undeclared, none missing."""
    needed = {column for role, column in schema.columns.items() if role not in schema.optional}
    formats = {proposal.format, "any"}
    return (
        schema.format in formats and schema.header == proposal.header and needed <= names <= schema.declared
    )


def _reads(path: Path, schema: Schema, proposal: Proposal) -> bool:
    """Tell whether the built-in schema reads the file as the proposal would."""
    try:
        layout(path, schema)
    except WrongSchema:
        return False
    roles = {column.role: column.name for column in proposal.columns}
    same = all(roles.get(role) == schema.columns[role] for role in ("id", "time", *schema.positions))
    form = (schema.unit, schema.grid.crs, schema.grid.decimal, schema.grid.divide_by, schema.grid.suffix)
    proposed = (proposal.time_unit, proposal.crs, proposal.decimal, proposal.divide_by, proposal.suffix)
    return same and form == proposed and not (proposal.naive and not schema.zone)


def _toml(proposal: Proposal) -> str:
    text = [
        f"# Proposed from the first rows of {json.dumps(proposal.source)[1:-1]}.",
        "# Confirm each line with the supplier, then give the schema its name.",
        'name = "my-supplier"',
        'description = "Proposed by `passersby supplier sniff`; not confirmed yet."',
        f'format = "{proposal.format}"',
    ]
    if proposal.format in {"csv", "tsv"}:
        text += [f"header = {str(proposal.header).lower()}", f"delimiter = {_quoted(proposal.delimiter)}"]
    roles = {column.role for column in proposal.columns}
    unused = [c.name for c in proposal.columns if not c.role and c.name not in proposal.forbidden]
    if unused:
        text.append(f"dropped = [{', '.join(map(_quoted, unused))}]")
    text += [f"# forbidden, dropped in any case: {', '.join(map(_quoted, proposal.forbidden))}"] * bool(
        proposal.forbidden
    )
    text += ["", "[columns]"]
    text += [f"{c.role} = {_quoted(c.name)}  # confidence {c.confidence}" for c in proposal.columns if c.role]
    text += [f'# {role} = "?"  # no column was found' for role in proposal.missing]
    text += ["", "[time]", f'unit = "{proposal.time_unit or "iso"}"']
    if proposal.naive:
        text.append('zone = "Z"  # times without an offset: "Z", an offset such as "+02:00", or "deployment"')
    text += ["", "[coordinates]", f'crs = "{proposal.crs}"', f'decimal = "{proposal.decimal}"']
    text += [f"divide_by = {proposal.divide_by:.0f}"] * (proposal.divide_by != 1) + [
        "suffix = true"
    ] * proposal.suffix
    if "id_type" in roles:
        text += ["", "[id]", f"types = [{', '.join(map(_quoted, proposal.id_types))}]"]
    if "opt_out" in roles:
        values = proposal.opt_out_values or ("1", "true")
        text += ["", "[opt_out]", f"values = [{', '.join(map(_quoted, values))}]  # what means: opted out"]
    return "\n".join(text) + "\n"


def _quoted(text: str) -> str:
    """Return a TOML basic string (TOML 1.0: JSON's escapes are valid in it)."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
