"""Hands out a stored answer, unless it was withdrawn or everything is frozen; a refusal is logged."""

from __future__ import annotations

from passersby.errors import Refusal
from passersby.model.release import Release
from passersby.policy import freeze
from passersby.privacy.ledger import Ledger
from passersby.store.database import Database
from passersby.trustlog.entries import append
from passersby.trustlog.publish import Publisher


def release(database: Database, ledger: Ledger, publisher: Publisher, name: str, *, now: int) -> Release:
    """Return the stored answer with a short name.

    Raises:
        UnknownName: there is none.
        Refusal: frozen, release-withdrawn; logged.
        IntegrityError: it is damaged.
    """
    try:
        with database.read() as session:
            freeze.require_running(session)
            return ledger.by_id(session, name)
    except Refusal as refused:
        with database.write() as session:
            append(session, "act.refused", {"act": "release.show", "code": refused.code}, now=now)
        publisher.publish(database)
        raise
