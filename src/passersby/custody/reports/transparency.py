"""The transparency report, from the log alone (control K1): anybody who has the log makes the same figures.

What this version's log does not tell is said to be so; it is never a nought.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from statistics import median
from typing import Any

from sqlalchemy.orm import Session

from passersby.custody.reports.counted import BY_FIELD, NUMBERS
from passersby.custody.reports.licences import Register
from passersby.custody.reports.reading import Days, Entry, head, read
from passersby.errors import IntegrityError
from passersby.model.cost import MicroRho
from passersby.model.period import DAY
from passersby.policy.order_refusals import ORDERS
from passersby.privacy.accounting import epsilon_for
from passersby.subjects import requests
from passersby.trustlog.kinds import KINDS
from passersby.trustlog.receipts import reveal
from passersby.trustlog.sources import Source
from passersby.trustlog.verify import Report as LogReport

FORMAT = "passersby-transparency-v1"

NOT_TOLD: Mapping[str, str] = {
    "orders_narrowed": "an order is fulfilled as it was signed, or refused; no step narrows one",
    "devices_disclosed": "entries hide how many devices an order names, and nothing tells how many of them "
    "were found: who is in the data is nobody's business",
    "request_days": "no entry tells when a request of a holder arrived; the operator adds how long they took",
    "other_incidents": "what happened past this software is in no entry; `passersby report incident` writes "
    "a form for it",
}
"""Figure that a transparency report should have -> why it is not in this one."""

_OF_ORDERS = ("submission", "person")
"""Stages at which an order itself is refused; at the others it is what a person tried to do with it."""

_LARGEST_DELTA = 1e-5


class Figures:
    """Counts what happened in some days; a visitor of a log's entries.

    Args:
        days: the days of the report.
    """

    def __init__(self, days: Days) -> None:
        self.days = days
        self.kinds: Counter[str] = Counter()
        self.counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.spent: Counter[str] = Counter()
        self.delta: float | None = None
        self.quorum: tuple[int, int] | None = None
        self.disclosed: list[int] = []
        self.register = Register(days.end)
        self._special = {
            "order.refused": self._refused_order,
            "order.disclosed": self._disclosed,
            "question.refused": self._asked,
            "question.reserved": self._reserved,
            "sensitive.tested": self._tested,
        }

    def __call__(self, entry: Entry) -> None:
        """Take one entry."""
        self.register(entry)
        if entry.time >= self.days.end:
            return
        if entry.kind == "witnesses.changed":
            self.quorum = (entry.whole("quorum"), len(entry.texts("witnesses")))
        if entry.kind == "release.made":
            self.delta = _delta(entry)
        if not self.days.hold(entry.time):
            return
        self.kinds[entry.kind] += 1
        if entry.kind in _FIELDS:
            self.counted[entry.kind][entry.text(_FIELDS[entry.kind])] += 1
        if entry.kind in self._special:
            self._special[entry.kind](entry)

    def _refused_order(self, entry: Entry) -> None:
        code, stage = entry.text("code"), entry.text("stage")
        refused = stage in _OF_ORDERS and code in ORDERS
        self.counted["orders refused" if refused else "acts on orders refused"][code] += 1
        self.counted["orders refused at"][stage] += refused

    def _disclosed(self, entry: Entry) -> None:
        self.disclosed.append(entry.index)
        self.counted["orders disclosed"]["delayed"] += entry.flag("notice_delayed") is True

    def _asked(self, entry: Entry) -> None:
        self.counted["device level"][""] += entry.text("measure") == "device-level"

    def _reserved(self, entry: Entry) -> None:
        for period in entry.texts("periods"):
            self.spent[period] += entry.whole("micro_rho")

    def _tested(self, entry: Entry) -> None:
        self.counted["suppression"]["passed" if entry.flag("passed") else "failed"] += 1

    def public(self) -> dict[str, Any]:
        """Return all figures that follow from the public fields of the log."""
        found: dict[str, dict[str, Any]] = {}
        for part, numbers in NUMBERS.items():
            found.setdefault(part, {}).update({name: self.kinds[kind] for name, kind in numbers.items()})
        for part, by_field in BY_FIELD.items():
            own = {name: _sorted(self.counted[kind]) for name, (kind, _) in by_field.items()}
            found.setdefault(part, {}).update(own)
        searches = self.counted["orders refused"]["ReverseSearchRefused"]
        found["orders"] |= {
            "received": self.kinds["order.verified"] + self.counted["orders refused at"]["submission"],
            "refused": _sorted(self.counted["orders refused"]),
            "acts_refused": _sorted(self.counted["acts on orders refused"]),
        }
        found["licences"] |= self._licences()
        found["sensitive_places"]["tests"] = _sorted(self.counted["suppression"])
        return found | {
            "reverse_searches": {
                "received": searches,
                "refused": searches,
                "questions_for_devices_refused": self.counted["device level"][""],
            },
            "notices": {"delayed": self.counted["orders disclosed"]["delayed"]},
            "privacy": self._privacy(),
            "acts_refused": _sorted(self.counted["act.refused"]),
            "log": {
                "entries": self.kinds.total(),
                "unknown_kinds": _sorted(Counter({k: n for k, n in self.kinds.items() if k not in KINDS})),
                "witness_quorum": None if self.quorum is None else self.quorum[0],
                "witnesses": None if self.quorum is None else self.quorum[1],
            },
        }

    def _licences(self) -> dict[str, Any]:
        valid = list(self.register.at(self.days.end - 1))
        unsaid = sum(each.government is None for each in valid)
        return {
            "in_force": len(valid),
            "in_force_by_purpose": _sorted(Counter(p for each in valid for p in each.purposes)),
            "in_force_government": sum(each.government is True for each in valid),
            "in_force_of_unknown_kind": unsaid,
        }

    def _privacy(self) -> dict[str, Any]:
        """Return what questions cost by the week that they read; a charge is made before anything is read."""
        delta = self.delta
        weeks = {
            week: {
                "micro_rho": spent,
                "epsilon": None if delta is None else round(epsilon_for(MicroRho(spent), delta), 4),
            }
            for week, spent in sorted(self.spent.items())
        }
        return {"delta": delta, "weeks": weeks}


_FIELDS: Mapping[str, str] = {
    "act.refused": "code",
    **{kind: field for part in BY_FIELD.values() for kind, field in part.values()},
}
"""Kind of entry -> the public field by which it is counted."""


def data(log: LogReport, figures: Figures, operator: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the report as a JSON object.

    Args:
        log: what was verified.
        figures: what its entries said.
        operator: what the operator adds from hidden fields; None for an outsider.
    """
    return {
        "format": FORMAT,
        **figures.days.to_json(),
        "log": head(log),
        "public": figures.public(),
        "not_told": dict(NOT_TOLD),
        "operator": operator,
    }


def hidden(session: Session, figures: Figures) -> dict[str, Any]:
    """Return what the operator adds from hidden fields and the control database.

    How many devices the fulfilled orders named is of the courts' documents: nothing tells how many of these
    were found. How long holders waited counts from the day on which each request arrived (controls F1 to F4).
    """
    fields = (reveal(session, index) for index in figures.disclosed)
    named = [{field.name: field.value for field in found}.get("devices") for found in fields]
    whole = [number for number in named if isinstance(number, int)]
    took = requests.answered(session, figures.days.first * DAY, figures.days.end)
    return {
        "devices_named": sum(whole),
        "entries": figures.disclosed,
        "erased": len(named) - len(whole),
        "requests": {
            what: {
                "answered": len(days),
                "median_days": round(median(days), 1),
                "late": sum(each > requests.DAYS[what] for each in days),
            }
            for what, days in sorted(took.items())
        },
    }


def report(source: Source, vkey: str, days: Days) -> tuple[dict[str, Any], Figures]:
    """Return the report that a published log gives, and the figures it was made from. See `reading.read`."""
    figures = Figures(days)
    return data(read(source, vkey, figures), figures), figures


def _sorted(counted: Counter[str]) -> dict[str, int]:
    return {name: number for name, number in sorted(counted.items()) if number}


def _delta(entry: Entry) -> float:
    try:
        delta = float(entry.text("delta"))
    except ValueError:
        delta = 0.0
    if not 0 < delta <= _LARGEST_DELTA:
        raise IntegrityError(
            f"Entry {entry.index} of the log states no usable delta.",
            "Do not rely on a report from this log; ask its operator which program wrote it.",
        )
    return delta
