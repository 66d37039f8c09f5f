"""The register of licences, from the log alone: who may ask what, until when, and what came of it.

Controls H9 (government licences are in a public register) and G5 (an auditable log of types, volumes and end
use).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from passersby.custody.reports.reading import Entry, head, read
from passersby.model.period import instant_text
from passersby.render.report import Report, Section, Table, known
from passersby.trustlog.sources import Source
from passersby.trustlog.verify import Report as LogReport

FORMAT = "passersby-licences-v1"

GOVERNMENT: Mapping[bool | None, str] = {True: "yes", False: "no", None: "not told by the log"}
"""Whether a holder is a public body: entries of early versions do not say."""


@dataclass
class Registered:
    """One licence as the log tells it. Times are epoch s."""

    licence: str
    holder: str
    government: bool | None
    contract: str
    purposes: list[str]
    measures: list[str]
    resolution: int
    record_sha256: str
    granted: int
    expires: int
    entry: int
    revoked: int | None = None
    releases: int = 0
    repeated: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def state(self, now: int) -> str:
        """Return `in force`, `expired` or `revoked`, at an instant (epoch s)."""
        if self.revoked is not None and self.revoked <= now:
            return "revoked"
        return "in force" if now < self.expires else "expired"

    def to_json(self, now: int) -> dict[str, Any]:
        """Return it as a JSON object; times as ISO 8601 in UTC."""
        times = {name: _time(getattr(self, name)) for name in ("granted", "expires", "revoked")}
        return {
            **vars(self),
            **times,
            "refused": dict(sorted(self.refused.items())),
            "state": self.state(now),
        }


class Register:
    """All licences of a log, by name; a visitor of its entries.

    Args:
        until: first instant (epoch s) of entries that are left out; None: none is.
    """

    def __init__(self, until: int | None = None) -> None:
        self.licences: dict[str, Registered] = {}
        self.newest = 0
        self._until = until

    def __call__(self, entry: Entry) -> None:
        """Take one entry."""
        if self._until is not None and entry.time >= self._until:
            return
        self.newest = max(self.newest, entry.time)
        name = entry.text("licence")
        if entry.kind == "licence.granted":
            self.licences[name] = _granted(entry)
        elif name in self.licences:
            _count(self.licences[name], entry)

    def at(self, now: int) -> Iterable[Registered]:
        """Yield the licences in force at an instant (epoch s)."""
        return (each for each in self.licences.values() if each.state(now) == "in force")


def data(log: LogReport, register: Register) -> dict[str, Any]:
    """Return the register as a JSON object; `state` is that of the log's newest entry."""
    rows = [each.to_json(register.newest) for each in register.licences.values()]
    return {"format": FORMAT, "log": head(log), "at": _time(register.newest), "licences": rows}


def page(made: Mapping[str, Any]) -> Report:
    """Return what `data` gave, for people."""
    licences = made["licences"]
    government = [each for each in licences if each["government"] is True]
    sections = [
        Section(
            "In short",
            (
                known("Licences", f"{len(licences):,} were granted", len(licences)),
                known("In force", *_number(sum(each["state"] == "in force" for each in licences))),
                known("Government licences", *_number(len(government))),
                known("State of", made["at"]),
                known("Log", f"{made['log']['origin']}, {made['log']['size']:,} entries"),
            ),
            tables=(
                _table("Licences of public bodies", government, "none is known"),
                _table("All others", [each for each in licences if each["government"] is not True], "none"),
            ),
        )
    ]
    sections += [_section(each) for each in licences]
    return Report(
        "Register of licences",
        f"{made['log']['origin']}: who may ask what, for which purposes",
        "Made from the public fields of the log alone; whoever has the log can make it again. A licence "
        "gives noisy statistics of crowds; none gives rows about devices.",
        tuple(sections),
    )


def report(source: Source, vkey: str) -> dict[str, Any]:
    """Return the register of a published log. See `reading.read`."""
    register = Register()
    return data(read(source, vkey, register), register)


def _granted(entry: Entry) -> Registered:
    return Registered(
        licence=entry.text("licence"),
        holder=entry.text("holder"),
        government=entry.flag("government"),
        contract=entry.text("contract"),
        purposes=entry.texts("purposes"),
        measures=entry.texts("measures"),
        resolution=entry.whole("resolution"),
        record_sha256=entry.text("record_sha256"),
        granted=entry.time,
        expires=entry.whole("expires"),
        entry=entry.index,
    )


def _count(mine: Registered, entry: Entry) -> None:
    if entry.kind == "licence.revoked":
        mine.revoked = entry.time
    elif entry.kind == "release.made":
        mine.releases += 1
    elif entry.kind == "release.repeated":
        mine.repeated += 1
    elif entry.kind == "question.refused":
        mine.refused[entry.text("code")] += 1


def _section(each: Mapping[str, Any]) -> Section:
    refused = tuple((code, f"{number:,}") for code, number in each["refused"].items())
    return Section(
        each["licence"],
        (
            known("Holder", each["holder"]),
            known("Public body", GOVERNMENT[each["government"]]),
            known("Contract", each["contract"] or "no number is recorded"),
            known("State", each["state"]),
            known("Granted", each["granted"]),
            known("Expires", each["expires"]),
            *([known("Revoked", each["revoked"])] if each["revoked"] else []),
            known("Purposes", ", ".join(each["purposes"]), each["purposes"]),
            known("Measures", ", ".join(each["measures"]), each["measures"]),
            known("Finest H3 resolution", *_number(each["resolution"])),
            known("Answers", *_number(each["releases"])),
            known("Answers given again", *_number(each["repeated"])),
            known("Record", f"SHA-256 {each['record_sha256']}, entry {each['entry']} of the log"),
        ),
        tables=(Table("Refused questions", ("code", "questions"), refused),),
    )


def _table(title: str, licences: list[Mapping[str, Any]], empty: str) -> Table:
    rows = tuple((e["licence"], e["holder"], ", ".join(e["purposes"]), e["state"]) for e in licences)
    return Table(title, ("licence", "holder", "purposes", "state"), rows, empty)


def _number(number: int) -> tuple[str, int]:
    return f"{number:,}", number


def _time(instant: int | None) -> str | None:
    return None if instant is None else instant_text(instant, 0)
