"""What happened in the demo, for its page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from passersby.ingest.report import Report
from passersby.model.release import Release
from passersby.risk.assess import Singled
from passersby.trustlog.verify import Report as LogReport


@dataclass(frozen=True)
class Refused:
    """Something that was asked and not given: what was asked, in plain words, and what was said."""

    asked: str
    code: str
    message: str
    next_step: str


@dataclass(frozen=True)
class Fulfilled:
    """A court's order that was carried out, as its recipient sees it.

    Args:
        title: the court.
        reference: its case reference.
        window: the days that it asked for.
        pings: how many the sealed package held.
        sealed_bytes: size of the package.
        sha256: of the package.
        index: entry of the log that says it was released, which the package proves.
        size: entries under the checkpoint of that proof.
        custody: step and person, from verification to release.
    """

    title: str
    reference: str
    window: tuple[str, str]
    pings: int
    sealed_bytes: int
    sha256: str
    index: int
    size: int
    custody: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Erased:
    """A phone that was erased for its holder.

    Args:
        says: what the receipt says.
        outside: what it says lies outside of it.
        file: name of the receipt, beside the deployment.
        index: entry of the log that it proves.
        seconds: from the request to the checked receipt.
    """

    says: str
    outside: tuple[str, ...]
    file: str
    index: int
    seconds: float


@dataclass
class Seen:
    """What happened, for the page."""

    devices: int
    rows: int = 0
    deliveries: list[Report] = field(default_factory=list)
    planted: dict[str, dict[str, int]] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    release: Release | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    refusals: list[Refused] = field(default_factory=list)
    warrants: list[Refused] = field(default_factory=list)
    fulfilled: Fulfilled | None = None
    erased: Erased | None = None
    budget: list[dict[str, Any]] = field(default_factory=list)
    log: LogReport | None = None
    replayed: int | None = None
    entries: list[dict[str, Any]] = field(default_factory=list)
    vkey: str = ""
    raw: tuple[Singled, ...] = ()
    offset: int = 0
    seconds: float = 0.0
