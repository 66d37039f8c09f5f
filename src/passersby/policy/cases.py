"""Cases: what questions are asked for. One matter under one licence, for one purpose (controls I3, I4).

A question names an open case of its licence and purpose, or it is refused. The name and the title of a case
stay out of the public log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import UnknownName, UsageError
from passersby.keys.signed import Actor, digest, require, seal, unseal
from passersby.model.record import NAME
from passersby.policy import licence as licences
from passersby.policy.refusals import refusal
from passersby.store.duty_tables import Case as Row
from passersby.trustlog.entries import JSON, append

_OPENED, _CLOSED = "case.opened", "case.closed"
_OPENERS = ("analyst", "custodian")
_LONGEST_TITLE = 200
_LIKE_A_DEVICE = re.compile(r"[0-9A-Fa-f-]{16,}")
"""Advertising ids and pseudonyms are such runs: a case is about a matter, never about a device."""


@dataclass(frozen=True)
class Case:
    """A case as it stands. Times are epoch s; it is open until `until`, or until it was closed."""

    licence: str
    name: str
    title: str
    purpose: str
    owner: str
    created: int
    until: int
    closed: int | None

    def is_open(self, now: int) -> bool:
        """Tell whether questions can name it."""
        return self.closed is None and now < self.until


def open_case(
    session: Session,
    *,
    licence: str,
    name: str,
    title: str,
    purpose: str,
    until: int | None,
    actor: Actor,
    now: int,
) -> Case:
    """Open a case, signed by its owner, and log it.

    Args:
        session: an open session of `Database.write()`.
        licence: the licence that its questions are asked under.
        name: short reference, unique for ever under its licence.
        title: what it is about, in a sentence; not public.
        purpose: one of the licence's purposes.
        until: first instant (epoch s) at which it is not open any more; None: when the licence expires.
        actor: the owner, who may ask under the licence.
        now: epoch s.

    Raises:
        UnknownName: there is no such licence.
        UsageError: an argument is not valid, or there is a case of that name.
        Refusal: role-missing, not-on-licence, licence-revoked or purpose-not-licensed.
    """
    require(session, actor, *_OPENERS)
    grant = licences.get(session, licence)
    if grant.revoked is not None:
        raise refusal("licence-revoked")
    if "custodian" not in actor.roles and actor.id not in grant.licence.people:
        raise refusal("not-on-licence")
    if purpose not in grant.licence.purposes:
        raise refusal("purpose-not-licensed")
    end = grant.licence.expires if until is None else until
    _check(name, title.strip(), end, now=now, expires=grant.licence.expires)
    if session.get(Row, (licence, name)) is not None:
        raise UsageError("There is a case of that name under this licence.", "Choose another name.")
    record: dict[str, JSON] = {"title": title.strip(), "purpose": purpose, "until": end}
    sealed = seal({"licence": licence, "case": name, **record}, _OPENED, actor)
    row = Row(
        licence=licence,
        name=name,
        record=sealed.text,
        owner=actor.id,
        purpose=purpose,
        until=end,
        created=now,
        closed=None,
    )
    session.add(row)
    session.flush()
    public: dict[str, JSON] = {"licence": licence, "purpose": purpose, "until": end, "by": actor.id}
    private: dict[str, JSON] = {"case": name, "record_sha256": sealed.sha256, "signature": sealed.signature}
    append(session, _OPENED, public, private, now=now)
    return _case(session, row)


def close(session: Session, *, licence: str, name: str, actor: Actor, now: int) -> None:
    """Close a case at once, signed by its owner, a custodian or an overseer.

    Raises:
        UnknownName: there is no open case of that name under the licence.
        Refusal: role-missing.
    """
    row = session.get(Row, (licence, name))
    if row is None or row.closed is not None:
        raise UnknownName("There is no open case of that name.", "`passersby case list` shows the cases.")
    own = _OPENERS if row.owner == actor.id else ()
    require(session, actor, "custodian", "overseer", *own)
    row.closed = now
    session.flush()
    public: dict[str, JSON] = {"licence": licence, "by": actor.id}
    signature = actor.sign(digest({**public, "case": name, "at": now}), _CLOSED)
    append(session, _CLOSED, public, {"case": name, "signature": signature}, now=now)


def is_open(session: Session, *, licence: str, name: str, purpose: str, now: int) -> bool:
    """Tell whether a question of a licence and purpose may name this case."""
    row = session.get(Row, (licence, name)) if NAME.fullmatch(name) else None
    return row is not None and row.closed is None and now < row.until and row.purpose == purpose


def known(session: Session, licence: str, name: str) -> str:
    """Return `name` if there is, or was, such a case, else "": the log takes no caller's words."""
    usable = NAME.fullmatch(name) and NAME.fullmatch(licence)
    return name if usable and session.get(Row, (licence, name)) is not None else ""


def list_all(session: Session) -> list[Case]:
    """Return all cases, oldest first, their signatures checked.

    Raises:
        IntegrityError: a stored case is not the one that was signed.
    """
    rows = session.scalars(select(Row).order_by(Row.created, Row.licence, Row.name))
    return [_case(session, row) for row in rows]


def _check(name: str, title: str, until: int, *, now: int, expires: int) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(
            "A case's name must be 1 to 63 letters, digits, dots, hyphens or underscores.",
            "Choose a short reference, such as a file number.",
        )
    if not title or len(title) > _LONGEST_TITLE or not title.isprintable():
        raise UsageError(
            f"A case needs a title of at most {_LONGEST_TITLE} characters.", "Say what it is about."
        )
    if _LIKE_A_DEVICE.search(name) or _LIKE_A_DEVICE.search(title):
        raise UsageError(
            "The name or the title of the case holds what could be a device's id.",
            "A case is about a matter, never about a device: choose other words.",
        )
    if not now < until <= expires:
        raise UsageError(
            "A case ends in the future, and no later than its licence.",
            "`passersby licence list` shows when the licence expires.",
        )


def _case(session: Session, row: Row) -> Case:
    """Return a case, after its owner's signature was checked against what the columns say."""
    record = unseal(session, row.record, _OPENED)
    return Case(
        row.licence,
        row.name,
        record["title"],
        record["purpose"],
        row.owner,
        row.created,
        record["until"],
        row.closed,
    )
