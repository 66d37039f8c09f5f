"""A report in sections of facts, as Markdown, as one HTML file that needs nothing else, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from passersby.errors import UsageError

NOT_MEASURED = "not measured"

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
class Section:
    """One heading with its facts."""

    title: str
    facts: tuple[Fact, ...]
    bars: Bars | None = None


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


def renderer(path: Path) -> Callable[[Report], str]:
    """Return what makes the text for the ending of `path`.

    Raises:
        UsageError: the ending is none of .md, .html, .json.
    """
    renderers = {".md": markdown, ".html": html, ".json": as_json}
    try:
        return renderers[path.suffix.lower()]
    except KeyError:
        raise UsageError(
            "The name of the report does not say which format it has.", "End it with .md, .html or .json."
        ) from None


def as_json(report: Report) -> str:
    """Return the report as indented JSON."""
    return json.dumps(asdict(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def markdown(report: Report) -> str:
    """Return the report as Markdown: a table for each section."""
    lines = [f"# {report.title}", "", report.subtitle, "", report.note]
    for section in report.sections:
        lines += ["", f"## {section.title}", "", "| | |", "|---|---|"]
        lines += [f"| {_cell(fact.name)} | {_cell(fact.text)} |" for fact in section.facts]
        if section.bars is not None:
            lines += ["", f"| {_cell(section.bars.title)} | |", "|---|---:|"]
            lines += [f"| {_cell(name)} | {share:.0%} |" for name, share in section.bars.shares]
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
    page = environment.get_template("report.html.j2")
    return page.render(report=report)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
