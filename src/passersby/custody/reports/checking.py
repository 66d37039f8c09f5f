"""Checks a report that somebody handed out: against the verifier key, and against the published log."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from passersby.custody.reports import licences, records, transparency
from passersby.custody.reports.reading import Entry, read
from passersby.errors import IntegrityError, UnreadableFile, UsageError
from passersby.trustlog.checkpoint import Checkpoint
from passersby.trustlog.sources import Source
from passersby.trustlog.verify import Report as LogReport
from passersby.trustlog.verify import check_continued

LONGEST = 1 << 28
"""Most bytes of a report that are looked at."""


@dataclass(frozen=True)
class Checked:
    """What was checked of a report: its format, its log's name, and in words what holds."""

    format: str
    origin: str
    holds: tuple[str, ...]


def check(document: bytes, vkey: str, source: Source | None = None) -> Checked:
    """Check a report in JSON.

    A file of records proves its entries by itself; that none is left out, and all figures of the other
    reports, are made again from the published log.

    Args:
        document: its bytes, from anybody.
        vkey: the log's verifier key, from another source than report and log.
        source: the published log.

    Raises:
        UnreadableFile: it is no report that can be checked.
        UsageError: the log is needed and not named, or the verifier key is malformed.
        IntegrityError: the report does not say what the log says.
        OperationError: the log cannot be read.
    """
    made = _parse(document)
    if made["format"] == records.FORMAT:
        return _records(made, vkey, source)
    if source is None:
        raise UsageError("The figures of this report are made again from the log.", "Name it with --log.")
    again = _AGAIN[made["format"]](made, vkey, source)
    wrong = [part for part in again if again[part] != made.get(part)]
    if wrong:
        raise IntegrityError(
            f"The report does not say what the log says: {', '.join(map(repr, wrong))}.",
            "Do not rely on it; `passersby report` makes it again from the log.",
        )
    told = [f"{', '.join(map(repr, again))}: made again from the log, and the same"]
    if made.get("operator") is not None:
        told.append(
            "'operator' is the operator's word: hidden fields show an auditor the number of devices alone"
        )
    return Checked(made["format"], made["log"]["origin"], tuple(told))


def _records(made: Mapping[str, Any], vkey: str, source: Source | None) -> Checked:
    wanted = records.Wanted(str(made.get("licence")), records.days_of(made))
    log = _continued(made, source, read(source, vkey, _within(made, wanted))) if source else None
    found = records.check(made, vkey, log.rekeyed if log else ())
    told = [f"{len(found):,} entries: each is in the log, as it was written"]
    if source is not None and log is not None:
        for head in {each.head for each in found}:
            check_continued(source, log, head)
        if [each.entry.index for each in found] != wanted.indices:
            raise _left_out("An entry of this licence and these days is in the log and not in the file")
        told.append(f"none is left out of the log's first {made['log']['size']:,} entries")
    else:
        told.append("whether one was left out is not checked: that takes the log (--log)")
    return Checked(records.FORMAT, str(made["log"]["origin"]), tuple(told))


def _transparency(made: Mapping[str, Any], vkey: str, source: Source) -> dict[str, Any]:
    figures = transparency.Figures(records.days_of(made))
    _continued(made, source, read(source, vkey, _within(made, figures)))
    return {"public": figures.public()}


def _licences(made: Mapping[str, Any], vkey: str, source: Source) -> dict[str, Any]:
    register = licences.Register()
    log = _continued(made, source, read(source, vkey, _within(made, register)))
    again = licences.data(log, register)
    return {part: again[part] for part in ("at", "licences")}


_AGAIN: Mapping[str, Callable[[Mapping[str, Any], str, Source], dict[str, Any]]] = {
    transparency.FORMAT: _transparency,
    licences.FORMAT: _licences,
}


def _within(made: Mapping[str, Any], visitor: Callable[[Entry], None]) -> Callable[[Entry], None]:
    """Return a visitor of those entries alone that the report was made from."""
    size = made["log"]["size"]

    def visit(entry: Entry) -> None:
        if entry.index < size:
            visitor(entry)

    return visit


def _continued(made: Mapping[str, Any], source: Source, log: LogReport) -> LogReport:
    """Return a log that was verified, if it continues the one that the report was made from."""
    told = made["log"]
    if told["origin"] != log.origin:
        raise IntegrityError(
            "The report was made from another log than this one.", "Compare origin and verifier key."
        )
    check_continued(source, log, Checkpoint(told["origin"], told["size"], bytes.fromhex(told["root"])))
    return log


def _parse(document: bytes) -> dict[str, Any]:
    made: dict[str, Any] = {}
    try:
        made = json.loads(document if len(document) <= LONGEST else b"")
        log = made["log"]
        fits = isinstance(log["origin"], str) and len(bytes.fromhex(log["root"])) == 32
        known = made["format"] in {records.FORMAT, *_AGAIN} and type(log["size"]) is int and log["size"] >= 0
    except (ValueError, TypeError, KeyError, RecursionError):
        fits = known = False
    if not fits or not known:
        raise UnreadableFile(
            "This is no report that can be checked.",
            "Name a .json file that `passersby report` wrote: transparency, licences or records.",
        )
    return made


def _left_out(what: str) -> IntegrityError:
    return IntegrityError(f"{what}.", "Do not rely on the file; ask the custodian for it again.")
