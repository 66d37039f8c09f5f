"""Measures as `passersby measures` shows them: all in a line each, or one in full."""

from __future__ import annotations

from typing import Any

from passersby.cli.common import out, table
from passersby.measures import reference
from passersby.measures.base import Measure
from passersby.measures.catalogue import GROUPS

_FEW_BINS = 3
"""As many bins are named in a list; of more, their number."""


def brief(measure: Measure) -> dict[str, Any]:
    """Return what a list of measures says of one."""
    return {
        "name": measure.name,
        "unit": measure.unit,
        "definition": measure.definition,
        "source": measure.source,
        "every": list(measure.grains),
        "version": measure.version,
        "pairs": measure.pairs,
        "bins": [each.label for each in measure.bins],
        "derived": [each.label for each in measure.derived],
    }


def full(measure: Measure) -> dict[str, Any]:
    """Return all that the reference page says of a measure."""
    _, rows = reference.grains(measure)
    question, sql = reference.example(measure)
    return {
        **brief(measure),
        "rules": list(reference.rules(measure)),
        "bounds": {every: int(bound.replace(",", "")) for every, _, bound, _ in rows},
        "question": question,
        "sql": sql,
    }


def show_all() -> None:
    """Print all measures by group, a line each."""
    rows: list[tuple[str, ...]] = []
    for title, own in GROUPS.items():
        rows += [("", "", "", ""), (f"[bold]{title}[/]", "", "", "")]
        rows += [(m.name, m.unit, " ".join(m.grains), _gives(m)) for m in own]
    out.print(table(("measure", "unit", "--every", "gives"), rows))
    out.print("\n`passersby measures NAME` shows one in full: definition, bins, bound, SQL.")


def show(measure: Measure) -> None:
    """Print one measure in full."""
    columns, rows = reference.grains(measure)
    question, sql = reference.example(measure)
    out.print(f"[bold]{measure.name}[/]")
    out.print(measure.definition, markup=False)
    out.print()
    for line in (*reference.reads(measure), "", *(f"- {rule}" for rule in reference.rules(measure)), ""):
        out.print(line.replace("`", ""), markup=False)
    out.print(table([column.strip("`") for column in columns], rows, right=columns[1:]))
    out.print(f"\nIts rows in SQL, for {question}, not bounded yet:\n", markup=False)
    out.print(sql, markup=False, soft_wrap=True)  # it can be copied


def _gives(measure: Measure) -> str:
    """Return its bins and derived rows, by name where they are few."""
    if not measure.bins:
        return "number by pair of cells" if measure.pairs else "number"
    labels = [each.label for each in measure.bins]
    bins = f"{len(labels)} bins" if len(labels) > _FEW_BINS else ", ".join(labels)
    derived = ", ".join(each.label for each in measure.derived)
    return f"{bins}; {derived}" if derived else bins
