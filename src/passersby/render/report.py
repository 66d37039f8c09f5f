"""A report in sections of facts, as Markdown, as one HTML file that needs nothing else, as CSV or as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from passersby.errors import UsageError

NOT_MEASURED = "not measured"
NOT_TOLD = "not told by the log"
TO_WRITE = "to be written"

_FORMULA = tuple("=+-@\t\r")

Value = str | int | float | bool | list[str] | None


@dataclass(frozen=True)
class Fact:
    """One fact: in words, and for programs. `value` is None where the system does not hold it."""

    name: str
    text: str
    value: Value


@dataclass(frozen=True)
class Bars:
    """Shares of one whole, from 0 to 1, by name."""

    title: str
    shares: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Table:
    """Rows of texts under named columns; `empty` is said where there are none."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    empty: str = "none"


@dataclass(frozen=True)
class Section:
    """One heading with its facts."""

    title: str
    facts: tuple[Fact, ...]
    bars: Bars | None = None
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Report:
    """Sections under a title; `note` says what the report is made from."""

    title: str
    subtitle: str
    note: str
    sections: tuple[Section, ...]


def known(name: str, text: str, value: Value = None) -> Fact:
    """Return a fact that the system holds; its words are its value where it has no other."""
    return Fact(name, text, text if value is None else value)


def unknown(name: str, why: str) -> Fact:
    """Return the fact that something was not measured, and why."""
    return Fact(name, f"{NOT_MEASURED}: {why}", None)


def not_told(name: str, why: str) -> Fact:
    """Return the fact that a log does not tell something, and why; that is never a nought."""
    return Fact(name, f"{NOT_TOLD}: {why}", None)


def to_write(name: str, what: str) -> Fact:
    """Return a place that a person fills in, and with what."""
    return Fact(name, f"{TO_WRITE}: {what}", None)


def renderer(path: Path) -> Callable[[Report], str]:
    """Return what makes the text for the ending of `path`.

    Raises:
        UsageError: the ending is none of .md, .html, .csv, .json.
    """
    renderers = {".md": markdown, ".html": html, ".csv": as_csv, ".json": as_json}
    try:
        return renderers[path.suffix.lower()]
    except KeyError:
        raise UsageError(
            "The name of the report does not say which format it has.",
            "End it with .md, .html, .csv or .json.",
        ) from None


def as_json(report: Report) -> str:
    """Return the report as indented JSON."""
    return json.dumps(asdict(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(report: Report) -> str:
    """Return the report as CSV: section, name, value (empty where it is not held) and words."""
    rows: list[tuple[Value, ...]] = [("section", "name", "value", "text")]
    for section in report.sections:
        rows += [(section.title, fact.name, fact.value, fact.text) for fact in section.facts]
        bars = section.bars.shares if section.bars else ()
        rows += [(section.title, name, f"{share:g}", f"{share:.0%}") for name, share in bars]
        for table in section.tables:
            for first, *cells in table.rows:
                pairs = zip(table.columns[1:], cells, strict=True)
                rows += [
                    (section.title, f"{table.title}: {first}: {name}", cell, cell) for name, cell in pairs
                ]
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([_plain(value) for value in row] for row in rows)
    return sink.getvalue()


def markdown(report: Report) -> str:
    """Return the report as Markdown: a table for each section."""
    lines = [f"# {report.title}", "", report.subtitle, "", report.note]
    for section in report.sections:
        lines += ["", f"## {section.title}", "", "| | |", "|---|---|"]
        lines += [f"| {_cell(fact.name)} | {_cell(fact.text)} |" for fact in section.facts]
        if section.bars is not None:
            lines += ["", f"| {_cell(section.bars.title)} | |", "|---|---:|"]
            lines += [f"| {_cell(name)} | {share:.0%} |" for name, share in section.bars.shares]
        for table in section.tables:
            lines += ["", f"**{table.title}**", ""]
            lines += (
                [_line(table.columns), "|---" * len(table.columns) + "|"] if table.rows else [table.empty]
            )
            lines += [_line(row) for row in table.rows]
    return "\n".join(lines) + "\n"


def html(report: Report) -> str:
    """Return the report as HTML: light or dark as the reader has it, and made to be printed."""
    environment = Environment(
        loader=PackageLoader("passersby.render", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = code
    page = environment.get_template("report.html.j2")
    return page.render(report=report)


def code(text: str) -> Markup:
    """Return text as HTML, with what stands between backticks as code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts)
    )


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _plain(value: Value) -> str:
    """Return a value as a CSV cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    text = "; ".join(value) if isinstance(value, list) else str(value)
    return f"'{text}" if text[:1] in _FORMULA else text


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
