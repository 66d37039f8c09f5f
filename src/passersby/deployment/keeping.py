"""What is done with the keys of an open deployment: moved, shared, tried, given up, the log's key replaced.

Each is whole or not at all: the keys, what says how they are wrapped, and the log's entry change in one
transaction. Only a custodian acts, with a signature over the entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.custody import retention
from passersby.deployment.layout import LEAVING_LOG_KEY, LOG_KEY
from passersby.deployment.opened import Deployment
from passersby.errors import BadRecord, IntegrityError, NotReady, UnknownName, UsageError
from passersby.keys import recovery, shares
from passersby.keys.signed import Actor, digest, require
from passersby.model.period import instant_text
from passersby.people import accounts
from passersby.store.tables import EpochKey
from passersby.trustlog import rekey
from passersby.trustlog.entries import JSON, append


@dataclass(frozen=True)
class Moved:
    """The keys lie under a new key-encryption key: where it and the one before are, in words."""

    keeper: str
    place: str
    before: str
    before_destroyed: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def require_custodian(session: Session, actor: Actor) -> None:
    """Do nothing if the actor is a custodian; nobody else does anything with keys.

    Raises:
        Refusal: they are not.
    """
    require(session, actor, "custodian")


def log(
    session: Session, kind: str, public: Mapping[str, JSON], actor: Actor, *, now: int, **private: JSON
) -> None:
    """Log what a custodian did, with their name and, hidden, their signature over the public fields."""
    require_custodian(session, actor)
    told = {**public, "by": actor.id}
    append(session, kind, told, {"signature": actor.sign(digest(told), kind), **private}, now=now)


def move(d: Deployment, to: str, actor: Actor, *, now: int) -> Moved:
    """Wrap all keys with a new key-encryption key that the keeper `to` makes; the old one is destroyed.

    Raises:
        Refusal: the actor is no custodian.
        UsageError: there is no such keeper.
        KeeperAway: the new or the present keeper does not answer; nothing was changed.
        IntegrityError: a key does not open; nothing was changed.
    """
    with d.database.read() as session:
        require_custodian(session, actor)
        before = d.kept.active(session)
    with d.kept.changing():
        new = d.kept.draft(to, now=now)
        with d.database.write() as session:
            old = d.kept.current(session)
            wrapper, before = d.kept.switch(session, new)
            d.ring.rewrap(session, wrapper, lambda key: old.unwrap(key.blob, key.name))
            log(session, "keys.moved", {"keeper": to, "before": before.keeper}, actor, now=now, kek=new.id)
    d.publisher.publish(d.database)
    d.tidy_keys(now)
    d.publisher.publish(d.database)
    with d.database.read() as session:
        destroyed = before not in d.kept.left_over(session)
    return Moved(to, d.kept.place(new), d.kept.place(before), destroyed)


def rotate(d: Deployment, actor: Actor, *, now: int) -> Moved:
    """Do the same within the present keeper. See `move`."""
    with d.database.read() as session:
        keeper = d.kept.active(session).keeper
    return move(d, keeper, actor, now=now)


def share(d: Deployment, to: Mapping[str, Path], actor: Actor, *, needed: int, now: int) -> recovery.Shared:
    """Make a new recovery key, seal every key to it, and write one share for each holder.

    Args:
        d: the deployment.
        to: account -> new file for its share.
        actor: a custodian.
        needed: shares that open the keys.
        now: epoch s.

    Raises:
        Refusal: the actor is no custodian.
        UnknownName: a holder has no account.
        UsageError: a holder is not active, the numbers do not fit, or there is a file already.
    """
    with d.database.read() as session:
        require_custodian(session, actor)
        for holder in to:
            if not accounts.get(session, holder).active:
                raise UsageError("A holder of a share is not active any more.", "Name another person.")
    private = X25519PrivateKey.generate()
    secret = private.private_bytes_raw()
    made = recovery.Shared(recovery.public_half(private), needed, tuple(to), now)
    written: list[Path] = []
    try:
        for number, (words, (holder, path)) in enumerate(
            zip(shares.split(secret, needed, len(to)), to.items(), strict=True), 1
        ):
            shares.write(path, words, _about(d, made, number, holder))
            written.append(path)
        shares.check_files(written, needed, secret)
        with d.database.write() as session:
            d.kept.active(session, writing=True)
            recovery.begin(session, made.public_key, needed, made.holders, now)
            for key in d.ring.all_keys(session, writing=True):
                recovery.seal(session, key.name, d.kept.current(session).unwrap(key.blob, key.name))
            public = {"shares": len(to), "needed": needed}
            log(session, "keys.shared", public, actor, now=now, holders=list(to), public_key=made.public_key)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    d.publisher.publish(d.database)
    return made


def _about(d: Deployment, made: recovery.Shared, number: int, holder: str) -> list[str]:
    made_at = instant_text(made.created, d.config.offset)
    return [
        f"Recovery share {number} of {len(made.holders)} of the Passersby deployment {d.publisher.origin}.",
        f"Any {made.needed} of them open its keys: keep this one apart from the others and from its backups.",
        f"Handed to {holder}; made {made_at}; recovery key {made.public_key[:16]}.",
        "The words are SLIP-0039, without a passphrase.",
    ]


def recovery_key(session: Session, texts: Sequence[str]) -> X25519PrivateKey:
    """Return the recovery key in force from enough of its shares.

    Raises:
        NotReady: shares were never made.
        BadRecord: they are mistyped, too few, or of a set that is not in force any more.
    """
    shared = recovery.shared(session)
    if shared is None:
        raise NotReady(
            "There are no recovery shares.", "passersby keys share --to PERSON=FILE --to PERSON=FILE"
        )
    private = X25519PrivateKey.from_private_bytes(shares.combine(texts))
    if recovery.public_half(private) != shared.public_key:
        raise BadRecord(
            "These shares belong to another recovery key than the one in force.",
            f"Take shares that say `recovery key {shared.public_key[:16]}`.",
        )
    return private


def try_shares(d: Deployment, texts: Sequence[str], actor: Actor, *, now: int) -> int:
    """Show that shares open every key, as a restore would; return how many. Nothing is changed.

    Raises:
        Refusal: the actor is no custodian.
        NotReady, BadRecord: see `recovery_key`.
        IntegrityError: a key is not sealed, or its seal holds another key.
    """
    with d.writing() as session:
        private = recovery_key(session, texts)
        wrapper = d.kept.current(session)
        keys = list(d.ring.all_keys(session))
        for key in keys:
            if recovery.opened(session, private, key.name) != wrapper.unwrap(key.blob, key.name):
                raise IntegrityError(
                    "A key is not what the recovery shares would restore.",
                    "Make new shares: `passersby keys share`.",
                )
        log(session, "keys.tested", {}, actor, now=now)
    return len(keys)


def give_up(d: Deployment, name: str, actor: Actor, *, now: int) -> list[str]:
    """Give up an epoch key that does not open any more: every row under it goes, at once and for ever.

    Returns:
        What was deleted, in plain words.

    Raises:
        Refusal: the actor is no custodian.
        UnknownName: there is no epoch key of that name.
        UsageError: the key opens, or was destroyed already.
        KeeperAway: the keeper does not answer, so that it cannot be known.
    """
    with d.writing() as session:
        row = session.scalar(select(EpochKey).where(EpochKey.id == name).with_for_update())
        if row is None:
            raise UnknownName(
                "There is no pseudonym key of that name.", "`passersby keys status` names them."
            )
        if row.wrapped is None:
            raise UsageError("This key was destroyed already.", "There is nothing left to give up.")
        if name not in {key.row.id for key in d.ring.unopened(session) if isinstance(key.row, EpochKey)}:
            raise UsageError(
                "This key opens: nothing is lost.", "It goes with its last row: `passersby expire`."
            )
        retention.purge_epoch(session, d.lake, d.ring, row.epoch, now=now)
        log(session, "epoch.lost", {"key": name}, actor, now=now)
    return [*d.sweep(now), f"gave up the pseudonym key {name} and every row under it"]


def replace_log_key(d: Deployment, actor: Actor, *, now: int) -> tuple[str, str]:
    """Replace the key that signs the log; return the old and the new verifier key.

    The entry that announces it, and the checkpoint that covers it, are signed with both.
    """
    old, _ = d.log_keys()
    new = Ed25519PrivateKey.generate()
    before = d.vkey
    with d.database.write() as session:
        d.ring.put_purpose(session, LEAVING_LOG_KEY, old.private_bytes_raw())
        d.ring.put_purpose(session, LOG_KEY, new.private_bytes_raw())
        log(session, rekey.KIND, rekey.fields(d.publisher.origin, old, new), actor, now=now)
    d.publisher.sign_with(*d.log_keys())
    d.publisher.publish(d.database)
    d.leave_log_key()
    return before, d.vkey
