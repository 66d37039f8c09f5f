"""The catalogue of controls, and the page that says in words which of them are whose work.

`python -m passersby.custody.reports.controls` prints docs/reference/controls.md.
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

ENFORCED, RECORDED, CONTRACT = "enforced", "recorded", "contract"

CLASSES = {
    ENFORCED: "The software refuses or does it by itself.",
    RECORDED: "A person acts and records it; the software asks, reminds, and locks what is overdue.",
    CONTRACT: "Terms state it, and the log shows that they do; no software makes it true.",
}
"""Class of a control -> who makes it true."""


@dataclass(frozen=True)
class Check:
    """What makes a control true in the code, and what shows it.

    Args:
        function: as `module:name`.
        line: text in it that makes the control true.
        without: what stands in its place where the control is taken away.
        test: a pytest node id; it fails without the line.
    """

    function: str
    line: str
    without: str
    test: str


@dataclass(frozen=True)
class Control:
    """One control.

    Args:
        id: its group and number.
        kind: one of `CLASSES`.
        text: what must be so.
        source: who asks for it.
        how: who does what, where software alone does not.
        checks: where the code makes it true.
    """

    id: str
    kind: str
    text: str
    source: str
    how: str
    checks: tuple[Check, ...]


@cache
def catalogue() -> tuple[dict[str, str], tuple[Control, ...]]:
    """Return the titles of the groups by their letter, and all controls in order."""
    text = files("passersby").joinpath("controls.toml").read_text(encoding="utf-8")
    found = tomllib.loads(text)
    return found["groups"], tuple(_control(each) for each in found["control"])


def page() -> str:
    """Return docs/reference/controls.md."""
    groups, controls = catalogue()
    lines = [
        "# Controls",
        "",
        "What regulators, courts and standards ask of a holder of phone-location data, and what this",
        "software does about it. It is designed to meet what is listed; whether a deployment does, its",
        "operator must find out. This is not legal advice. Sources marked (2nd) were read in a secondary",
        "source.",
        "",
        "| class | who makes it true | controls |",
        "|---|---|---|",
    ]
    for kind, who in CLASSES.items():
        mine = [each for each in controls if each.kind == kind]
        lines.append(f"| {kind} | {who} | {len(mine)} |")
    lines += [
        "",
        "Where the code is named that makes a control true, a test takes its line out of that code and sees",
        "another test fail. So it is for every control that is enforced.",
    ]
    for letter, title in groups.items():
        lines += ["", f"## {letter}. {title}", ""]
        lines += ["| control | what must be so | class | how | asked for by |", "|---|---|---|---|---|"]
        lines += [_row(each) for each in controls if each.id.startswith(letter)]
    return "\n".join(lines) + "\n"


def _row(each: Control) -> str:
    where = ", ".join(
        dict.fromkeys(f"`{check.function.removeprefix('passersby.')}`" for check in each.checks)
    )
    if each.kind == ENFORCED:
        how = ". ".join(filter(None, (f"The software makes it so: {where}", each.how)))
    else:
        how = " ".join(filter(None, (each.how, where)))
    return f"| {each.id} | {each.text} | {each.kind} | {how} | {each.source} |"


def _control(values: dict[str, Any]) -> Control:
    return Control(
        values["id"],
        values["class"],
        values["text"],
        values["source"],
        values.get("how", ""),
        tuple(
            Check(each["function"], each["line"], each.get("without", "pass"), each["test"])
            for each in values.get("check", ())
        ),
    )


if __name__ == "__main__":
    sys.stdout.write(page())
