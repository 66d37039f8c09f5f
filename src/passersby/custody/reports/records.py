"""All that a licensee asked, in one file whose every entry proves itself: what a records request asks for.

The file holds entries of the log, each with its proof, and of their hidden fields the purpose where it is a
term of the vocabulary. Who asked, in which case and where stays hidden. Handing it out is logged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from passersby.custody.reports.reading import Days, Entry, head, parse, read
from passersby.errors import IntegrityError, UnknownName, UnreadableFile, UsageError
from passersby.keys import signed
from passersby.keys.signed import Actor, digest
from passersby.model.period import instant_text
from passersby.model.purposes import BROADER
from passersby.render.report import Report, Section, Table, known, not_told
from passersby.store.database import Database
from passersby.trustlog import disclosure
from passersby.trustlog.checkpoint import Checkpoint
from passersby.trustlog.entries import JSON, append, stored
from passersby.trustlog.publish import Publisher
from passersby.trustlog.receipts import Revealed, prove, reveal
from passersby.trustlog.rekey import Rekeyed
from passersby.trustlog.sources import Disk

FORMAT = "passersby-records-v1"

OF_QUESTIONS = ("question.refused", "question.reserved", "release.made", "release.repeated")
OF_LICENCE = ("licence.granted", "licence.revoked")

_KIND = "records.disclosed"
_SHOWN = "purpose"
_REDACTED = "(a member of staff)"


@dataclass
class Wanted:
    """Finds the entries of one licence: a visitor of a log's entries.

    Args:
        licence: its name.
        days: of which questions are wanted; entries of the licence itself are all wanted.
    """

    licence: str
    days: Days
    indices: list[int] = field(default_factory=list)

    def __call__(self, entry: Entry) -> None:
        """Take one entry."""
        if self.wants(entry):
            self.indices.append(entry.index)

    def wants(self, entry: Entry) -> bool:
        """Tell whether an entry belongs into the file."""
        if entry.text("licence") != self.licence:
            return False
        return entry.kind in OF_LICENCE or (entry.kind in OF_QUESTIONS and self.days.hold(entry.time))


@dataclass(frozen=True)
class Record:
    """One entry of a file of records, checked.

    Args:
        entry: its public fields.
        purpose: what was asked for; "" where it was not shown.
        head: checkpoint of its proof.
    """

    entry: Entry
    purpose: str
    head: Checkpoint


def make(
    database: Database,
    publisher: Publisher,
    licence: str,
    days: Days,
    *,
    to: str,
    actor: Actor,
    now: int,
) -> dict[str, Any]:
    """Return the file of a licence's records as a JSON object, once handing it out is logged.

    Args:
        database: the control database.
        publisher: of its log, which is published as far as it goes.
        licence: name of the licence.
        days: of the questions.
        to: who is given the file; a hidden field of the act's own entry.
        actor: who hands it out: a custodian or an overseer.
        now: epoch s.

    Raises:
        Refusal: the actor has neither role.
        UnknownName: the log knows no licence of that name.
        UsageError: nobody is named to be given it.
        IntegrityError: the log does not verify.
    """
    wanted = Wanted(licence, days)
    with database.read() as session:
        signed.require(session, actor, "custodian", "overseer")
    if not to.strip():
        raise UsageError("It is not said who is given the records.", "Name them with --for.")
    log = read(Disk(publisher.folder), publisher.vkey, wanted)
    if not wanted.indices:
        raise UnknownName("The log knows no licence of that name.", "`passersby licence list` shows them.")
    with database.write() as session:
        what: dict[str, JSON] = {
            "licence": licence,
            "first_day": days.first,
            "last_day": days.last,
            "entries": len(wanted.indices),
        }
        signature = actor.sign(digest({**what, "to": to, "at": now}), _KIND)
        append(session, _KIND, {**what, "by": actor.id}, {"to": to, "signature": signature}, now=now)
        parts = [
            (stored(session, index, index + 1)[0], _shown(reveal(session, index))) for index in wanted.indices
        ]
    publisher.publish(database)
    return {
        "format": FORMAT,
        "licence": licence,
        **days.to_json(),
        "log": head(log),
        "entries": [
            disclosure.document(entry, fields, prove(publisher.folder, index))
            for index, (entry, fields) in zip(wanted.indices, parts, strict=True)
        ],
    }


def check(made: Mapping[str, Any], vkey: str, changes: tuple[Rekeyed, ...] = ()) -> list[Record]:
    """Check a file of records: every entry is in the log, under this key, and belongs into the file.

    That none was left out takes the log itself: see `checking.check`.

    Raises:
        UnreadableFile: it is no such file.
        IntegrityError: an entry is not in the log, was changed, or does not belong there.
        UsageError: the verifier key is malformed.
    """
    parts, licence = made.get("entries"), made.get("licence")
    if not isinstance(parts, list) or not isinstance(licence, str):
        raise _unreadable()
    wanted = Wanted(licence, days_of(made))
    records: list[Record] = []
    for part in parts:
        if not isinstance(part, dict):
            raise _unreadable()
        shown = disclosure.check_object(part, vkey, changes)
        entry = parse(shown.proven.index, json.dumps(shown.entry).encode())
        if not wanted.wants(entry) or (records and entry.index <= records[-1].entry.index):
            raise IntegrityError(
                f"Entry {entry.index} of the log does not belong into these records, or not there.",
                "Do not rely on the file; ask the custodian for it again.",
            )
        purposes = [str(each.value) for each in shown.fields if each.name == _SHOWN]
        records.append(Record(entry, purposes[0] if purposes else "", shown.proven.checkpoint))
    return records


def days_of(made: Mapping[str, Any]) -> Days:
    """Return the days that a report states.

    Raises:
        UnreadableFile: it states none.
    """
    first, last = made.get("from"), made.get("to")
    try:
        return Days.parse(str(first), str(last))
    except UsageError:
        raise _unreadable() from None


def page(made: Mapping[str, Any], records: list[Record]) -> Report:
    """Return a file of records, for people: staff is redacted."""
    granted = [each.entry for each in records if each.entry.kind == "licence.granted"]
    asked = [each for each in records if each.entry.kind in OF_QUESTIONS]
    number = {kind: sum(each.entry.kind == kind for each in asked) for kind in OF_QUESTIONS}
    return Report(
        f"Records of licence {made['licence']}",
        f"{made['log']['origin']}, {days_of(made).text}",
        "Every question, refusal and release of one licensee, from the log. Each row is an entry that the "
        "file in JSON proves to be in the log (`passersby report verify`). Accounts of staff are redacted "
        "here; who asked, and in which case, is hidden in the log itself.",
        (
            Section("Licence", tuple(f for entry in granted for f in _licence(entry))),
            Section(
                "Questions",
                (
                    known("Answers made", f"{number['release.made']:,}", number["release.made"]),
                    known(
                        "Answers given again", f"{number['release.repeated']:,}", number["release.repeated"]
                    ),
                    known("Questions refused", f"{number['question.refused']:,}", number["question.refused"]),
                    not_told("Area asked about", "it is a hidden field of the release"),
                ),
                tables=(_table(asked),),
            ),
        ),
    )


def _licence(entry: Entry) -> tuple[Any, ...]:
    return (
        known("Licence", entry.text("licence")),
        known("Holder", entry.text("holder")),
        known("Contract", entry.text("contract") or "no number is recorded"),
        known(
            "Public body", {True: "yes", False: "no", None: "not told by the log"}[entry.flag("government")]
        ),
        known("Purposes", ", ".join(entry.texts("purposes")), entry.texts("purposes")),
        known("Measures", ", ".join(entry.texts("measures")), entry.texts("measures")),
        known("Granted", f"{instant_text(entry.time, 0)} by {_REDACTED}, entry {entry.index}"),
        known("Expires", instant_text(entry.whole("expires"), 0)),
        known("Record", f"SHA-256 {entry.text('record_sha256')}"),
    )


def _table(asked: list[Record]) -> Table:
    columns = ("entry", "time (UTC)", "what", "measure", "answer or code", "purpose", "micro-rho")
    rows = tuple(
        (
            str(each.entry.index),
            instant_text(each.entry.time, 0)[:16].replace("T", " "),
            each.entry.kind,
            each.entry.text("measure"),
            each.entry.text("code") or each.entry.text("release"),
            each.purpose,
            f"{each.entry.whole('micro_rho'):,}" if "micro_rho" in each.entry.fields else "",
        )
        for each in asked
    )
    return Table("Entries", columns, rows, "no question in these days")


def _shown(fields: tuple[Revealed, ...]) -> list[Revealed]:
    """Return the hidden fields that are handed out: a purpose in a caller's own words is not."""
    return [each for each in fields if each.name == _SHOWN and each.value in BROADER]


def _unreadable() -> UnreadableFile:
    return UnreadableFile(
        "This is no file that a report was written to.",
        "Name a .json file that `passersby report` wrote.",
    )
