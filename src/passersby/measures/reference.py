"""Writes docs/reference/measures.md from the catalogue: definitions, bounds and SQL as they stand in code."""

from __future__ import annotations

from passersby.measures.base import Measure, Scope
from passersby.measures.catalogue import CATALOGUE
from passersby.model.period import Period
from passersby.model.question import FILTERS

_HEAD = """# Measures

This page is written by `passersby.measures.reference.markdown()` from the catalogue
(`src/passersby/measures/`). `passersby measures` prints it in short.

A measure says what is counted. It cannot leave out the bound on what one device contributes, the noise or
the cost: those are the gate's ([how a number is made](../explanation/mechanism.md)).

*C2* is the most that one device can contribute in one period, as a sum of squares over all cells and
buckets of time. It follows from the definition and not from data; at it nothing is clipped. Noise grows with
its square root. *Floor* is the least estimate of a cell, all buckets together, that is shown.
"""

_WEEK = Period.parse("2026-W20").span(0)
_RESOLUTION = 6
_DEVICES = 20
"""The default minimum of devices (`minimum_devices`)."""


def markdown() -> str:
    """Return the reference page, Markdown."""
    return "\n".join([_HEAD, *map(_measure, CATALOGUE.values()), _filters()])


def _measure(measure: Measure) -> str:
    every = measure.grains[0]
    kind = (
        "Children add up to their parent: all levels are estimated together, and the counts add up."
        if measure.additive
        else "Children do not add up to their parent: each level is counted, bounded and noised by itself."
    )
    lines = [
        f"## `{measure.name}`",
        "",
        measure.definition,
        "",
        f"Unit: {measure.unit}. Version of the definition: {measure.version}. Reads: {_tables(measure)}.",
        kind,
        f"Source: {measure.source}.",
        "",
        f"| `--every` | buckets in a week | C2 of a whole week | floor, {_DEVICES} devices |",
        "|---|---|---|---|",
        *(_grain(measure, grain) for grain in measure.grains),
        "",
        f"Its rows in SQL, for 2026-W20 every {every} at resolution {_RESOLUTION}, not bounded yet:",
        "",
        "```sql",
        measure.rows(_scope(every), _RESOLUTION),
        "```",
        "",
    ]
    return "\n".join(lines)


def _tables(measure: Measure) -> str:
    return ", ".join(f"`{name}`" for name in measure.tables)


def _grain(measure: Measure, every: str) -> str:
    scope = _scope(every)
    buckets = len(scope.starts)
    return f"| {every} | {buckets} | {measure.bound(scope):,} | {measure.floor(_DEVICES, buckets):,} |"


def _filters() -> str:
    rows = [f"| `{name}` | {', '.join(values)} |" for name, values in FILTERS.items()]
    head = [
        "## Filters",
        "",
        "The whole list: all of them choose hours, none chooses devices. Given with `--filter`, several at",
        "once if need be; hours that are left out also leave C2, so that the noise is smaller.",
        "",
        "| filter | values |",
        "|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def _scope(every: str) -> Scope:
    return Scope(_WEEK, _RESOLUTION, every, (), 0)
