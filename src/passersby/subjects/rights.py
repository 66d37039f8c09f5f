"""Withdraws and erases for a holder.

Neither needs more proof than the device's id: the worst that a stranger who knows it can do is to have
somebody's data deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from passersby.consent import listed, withdrawals
from passersby.keys.signed import Actor, require
from passersby.subjects import erasing, receipts, requests
from passersby.subjects.parts import STAFF, Parts, normal_ids


@dataclass(frozen=True)
class Done:
    """What became of a request.

    Args:
        request: its number.
        erasure: number of the erasure, None for a withdrawal.
        waits_for: what the receipt waits for, "" where there is one.
        receipt: the receipt.
    """

    request: int
    erasure: int | None = None
    waits_for: str = ""
    receipt: bytes = b""


def withdraw(
    parts: Parts, given: Sequence[str], *, actor: Actor, received: int | None = None, now: int
) -> Done:
    """Withdraw devices: from the commit on nothing reads their rows.

    Args:
        parts: the deployment's parts.
        given: advertising ids, as phones show them.
        actor: who acts for the holder.
        received: when the request arrived, epoch s; None: now.
        now: epoch s.

    Raises:
        UsageError: there is no id, or one is none, or the request arrives in the future.
        Refusal: role-missing.
    """
    ids = normal_ids(given)
    with parts.writing() as session:
        require(session, actor, *STAFF)
        made = withdrawals.record(session, parts.ring, ids, cause=withdrawals.HOLDER, now=now)
        request = requests.add(session, requests.WITHDRAW, received=received, now=now, done=True).id
    parts.settle(now)
    return Done(request, receipt=receipts.written(parts, made.log_index, ids))


def load_list(parts: Parts, text: str, *, form: str, actor: Actor, now: int) -> int:
    """Put a deletion list of hashed ids in force. See `consent.listed.load`.

    Raises:
        BadRecord: it is no such list.
        Refusal: role-missing.
    """
    with parts.writing() as session:
        require(session, actor, *STAFF)
        return listed.load(parts.database, session, text.splitlines(), form=form, by=actor.id, now=now)


def erase(parts: Parts, given: Sequence[str], *, actor: Actor, received: int | None = None, now: int) -> Done:
    """Withdraw devices, and remove their rows from the lake and from the disk.

    Killed at any point after the first commit, the next command goes on.

    Raises: as `withdraw`, and as `erasing.finish`.
    """
    ids = normal_ids(given)
    with parts.writing() as session:
        require(session, actor, *STAFF)
        made = withdrawals.record(session, parts.ring, ids, cause=withdrawals.ERASURE, now=now, erase=True)
        request = requests.add(
            session, requests.ERASE, received=received, now=now, done=False, erasure=made.erasure
        ).id
    assert made.erasure is not None  # noqa: S101 (for the type checker)
    parts.settle(now)
    erasing.finish(parts, now=now)
    parts.publisher.publish(parts.database)
    waits = erasing.waits_for(parts, made.erasure)
    receipt = b"" if waits else receipts.of_erasure(parts, made.erasure, ids)
    return Done(request, made.erasure, waits, receipt)
