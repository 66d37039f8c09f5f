"""Describes measures from the catalogue, for docs/reference/measures.md and for `passersby measures NAME`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from passersby.measures.base import Measure, Scope
from passersby.measures.catalogue import GROUPS
from passersby.model.bins import Derived, Quantile
from passersby.model.period import WEEK, Period, Span
from passersby.model.question import FILTERS

_HEAD = """# Measures

This page is written by `passersby.measures.reference.markdown()` from the catalogue
(`src/passersby/measures/`). `passersby measures` prints it in short.

A measure says what is counted. It cannot leave out the bound on what one device contributes, the noise or
the cost: those are the gate's ([how a number is made](../explanation/mechanism.md)).

*C2* is the most that one device can contribute in one period, as a sum of squares over all cells, buckets of
time and bins. It follows from the definition and not from data; at it nothing is clipped, unless the measure
says so. Noise grows with its square root; where weeks are counted together in one number (`--every whole`),
it is made for as many times C2. *Floor* is the least estimate of a cell, all buckets and counted bins
together, that is shown: so many devices or events.

*Bins* are public and the same in every cell: each has a row. *Derived rows* are made from the noisy bins and
cost nothing more; they have a 95% interval, and no count.

Every measure can be asked for zones ([how](../how-to/ask-a-question.md)). Then "cell" means "zone" wherever
this page says of a cell that it is counted, lived in, visited or left, whatever its resolution; C2 is the
same, but for flows: that of resolution 5. Cells that say what a place or a move within is (`unmoving`,
`distinct-places`, `entropy`, `k-radius-ratio`) stay cells.
"""

_FIRST = Period.parse("2026-W20")
_RESOLUTION = 6
_ANY = 15
_DEVICES = 20
"""The default minimum of devices (`minimum_devices`)."""


def markdown() -> str:
    """Return the reference page, Markdown."""
    return "\n".join([_HEAD, _contents(), *(_group(name) for name in GROUPS), _filters()])


def reads(measure: Measure) -> tuple[str, ...]:
    """Return its unit, tables and source, and how its levels hang together: a line each."""
    tables = ", ".join(f"`{name}`" for name in measure.tables)
    return (
        f"Unit: {measure.unit}. Version of the definition: {measure.version}. Reads: {tables}.",
        _levels(measure),
        f"Source: {measure.source}.",
    )


def grains(measure: Measure) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the columns and rows of a table: buckets, bound and floor of each grain."""
    weeks = "a week" if measure.least_weeks == 1 else f"{measure.least_weeks} weeks"
    columns = ("`--every`", f"buckets in {weeks}", "C2 of a whole week", f"floor, {_DEVICES} devices")
    return columns, [_grain(measure, every) for every in measure.grains]


def example(measure: Measure) -> tuple[str, str]:
    """Return a question in words, and the SQL of its rows before any bound."""
    scope = _scope(measure, measure.grains[0])
    return _question(scope), measure.rows(scope, scope.resolution)


def _contents() -> str:
    rows = [
        f"| {name} | {', '.join(f'[{m.name}](#{m.name})' for m in own)} |" for name, own in GROUPS.items()
    ]
    return "\n".join(["| about | measures |", "|---|---|", *rows, ""])


def _group(name: str) -> str:
    return "\n".join([f"## {name}\n", *map(_measure, GROUPS[name])])


def _measure(measure: Measure) -> str:
    columns, rows = grains(measure)
    question, sql = example(measure)
    lines = [
        f"### `{measure.name}`",
        "",
        measure.definition,
        "",
        *reads(measure),
        "",
        *(f"- {line}" for line in rules(measure)),
        "",
        *(f"| {' | '.join(row)} |" for row in (columns, ("---",) * len(columns), *rows)),
        "",
        f"Its rows in SQL, for {question}, not bounded yet:",
        "",
        "```sql",
        sql,
        "```",
        "",
    ]
    return "\n".join(lines)


def _levels(measure: Measure) -> str:
    if measure.pairs:
        return (
            "Its keys are pairs of cells, from an origin to a destination. Each level is counted, bounded "
            "and noised by itself."
        )
    if measure.additive:
        return "Children add up to their parent: all levels are estimated together, and the counts add up."
    return "Children do not add up to their parent: each level is counted, bounded and noised by itself."


def rules(measure: Measure) -> Iterator[str]:
    """Yield what else holds for a measure, one sentence or two each."""
    if measure.bins:
        yield f"Bins: {_names(each.label for each in measure.bins)}."
    parts = [each for each in measure.bins if each.factor != 1]
    if parts:
        factors = " and ".join(sorted({f"{each.factor:g}" for each in parts}))
        names = _names(each.label for each in parts)
        yield f"{names}: counted in whole parts of {factors}, and given in full."
    if unseen := [each.label for each in measure.bins if not each.counted]:
        yield f"{_names(unseen)}: not added up for the floor."
    yield from (_derived(each, measure) for each in measure.derived)
    if measure.coarser is not None:
        yield _coarser(measure)
    if measure.clips:
        yield f"The bound clips: {measure.clips}, so that estimates are biased low."
        if measure.lost:
            yield f"Intervals allow for {measure.lost:.0%} that may be lost: they reach so much higher."
    else:
        yield "No device can exceed the bound: nothing is clipped."
    if measure.joint:
        yield (
            "It joins several weeks: C2 is that of all of them together, noise is made for twice it, each "
            "week is charged in full, and all must have one pseudonym key."
        )
    if measure.least_weeks > 1:
        yield f"It needs {measure.least_weeks} weeks at least, and whole ones."
    if measure.finest < _ANY:
        yield f"Finest resolution: {measure.finest}."
    yield "It takes filters." if measure.filtered else "It takes no filters."


def _coarser(measure: Measure) -> str:
    scope = _scope(measure, measure.grains[-1])
    levels = range(scope.resolution, scope.resolution - 3, -1)
    parts = ", ".join(f"{measure.squared_bound(scope, level):,} at {level}" for level in levels)
    return (
        f"C2 depends on the level: asked for at resolution {scope.resolution} every {scope.every}, {parts}."
    )


def _derived(what: Derived, measure: Measure) -> str:
    if isinstance(what, Quantile):
        return f"Derived row `{what.label}`: the value below which a share of {what.q:g} lies."
    above, below = (_sum(labels, measure) for labels in (what.numerators, what.denominators))
    return f"Derived row `{what.label}`: {above} over {below}."


def _sum(labels: tuple[str, ...], measure: Measure) -> str:
    if len(labels) > 1 and set(labels) == {each.label for each in measure.bins}:
        return "all bins"
    return " + ".join(f"`{label}`" for label in labels)


def _names(labels: Iterable[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


def _grain(measure: Measure, every: str) -> tuple[str, ...]:
    scope = _scope(measure, every)
    buckets = len(scope.starts)
    return every, str(buckets), f"{measure.bound(scope):,}", f"{measure.floor(_DEVICES, buckets):,}"


def _filters() -> str:
    rows = [f"| `{name}` | {', '.join(values)} |" for name, values in FILTERS.items()]
    head = [
        "## Filters",
        "",
        "The whole list: all of them choose hours, none chooses devices. Given with `--filter`, several at",
        "once if need be; hours that are left out also leave C2, so that the noise is smaller. A measure",
        "that looks at whole days or weeks takes none.",
        "",
        "| filter | values |",
        "|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def _scope(measure: Measure, every: str) -> Scope:
    start = _FIRST.span(0).start
    span = Span(start, start + measure.least_weeks * WEEK)
    return Scope(span, min(_RESOLUTION, measure.finest), every, (), 0)


def _question(scope: Scope) -> str:
    weeks = scope.span.periods(scope.offset)
    period = weeks[0].name if len(weeks) == 1 else f"{weeks[0].name}..{weeks[-1].name}"
    return f"{period} every {scope.every} at resolution {scope.resolution}"
