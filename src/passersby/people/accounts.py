"""Adds and lists individual accounts; each is tied to one key that no other account has."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import UnknownName, UsageError
from passersby.keys.signed import Actor, digest, require
from passersby.model.record import NAME
from passersby.store import tables
from passersby.store.duty_tables import FormerKey
from passersby.trustlog.entries import append

ROLES = ("custodian", "analyst", "legal", "privacy", "releaser", "overseer")
"""custodian runs the deployment · analyst asks under a licence · legal and privacy approve · releaser
hands out what two others approved · overseer reviews and may stop things."""

_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}")
_KEYGEN = "Use the public half of a key that the person made, or leave it out and hand them a new key file."


@dataclass(frozen=True)
class Account:
    """One person's account. `created` is epoch s; `public_key` a raw Ed25519 key in hexadecimal."""

    id: str
    name: str
    roles: frozenset[str]
    public_key: str
    created: int
    active: bool


def add(
    session: Session,
    *,
    person_id: str,
    name: str,
    roles: Collection[str],
    public_key: str,
    by: Actor | None,
    now: int,
) -> Account:
    """Add a person and log it, in the transaction of `session`.

    Args:
        session: an open session of `Database.write()`.
        person_id: short name of the account, unique for ever.
        name: the person's full name; it stays out of the public log.
        roles: at least one of `ROLES`.
        public_key: the person's raw Ed25519 public key, in hexadecimal.
        by: the custodian who adds them; None for a deployment's first person alone.
        now: epoch s.

    Raises:
        UsageError: an argument is not valid, or the account or the key is there already.
        Refusal: `by` is no custodian, or nobody, although there are accounts.
    """
    first = session.scalars(select(tables.Person.id).limit(1)).first() is None
    _check_author(session, by, roles, first=first)
    account = Account(person_id, name.strip(), frozenset(roles), public_key, now, active=True)
    _check(session, account)
    session.add(
        tables.Person(
            id=account.id,
            name=account.name,
            roles=json.dumps(sorted(account.roles)),
            public_key=public_key,
            created=now,
            active=True,
        )
    )
    session.flush()
    public = {"person": account.id, "roles": sorted(account.roles), "public_key": public_key}
    proof = {"added_by": by.id, "signature": by.sign(digest(public), "person.added")} if by else {}
    append(session, "person.added", public, {"name": account.name, **proof}, now=now)
    return account


def get(session: Session, person_id: str) -> Account:
    """Return one account.

    Raises:
        UnknownName: there is none of that name.
    """
    row = session.get(tables.Person, person_id)
    if row is None:
        msg = "There is no account of that name."
        raise UnknownName(
            msg, "`passersby person list` shows the accounts; `passersby person add` makes one."
        )
    return _account(row)


def list_all(session: Session) -> list[Account]:
    """Return all accounts, oldest first."""
    rows = session.scalars(select(tables.Person).order_by(tables.Person.created, tables.Person.id))
    return [_account(row) for row in rows]


def by_key(session: Session, public_key: str) -> Account | None:
    """Return the account that a public key belongs to, None if it belongs to nobody."""
    row = session.scalars(select(tables.Person).where(tables.Person.public_key == public_key)).one_or_none()
    return _account(row) if row else None


def _account(row: tables.Person) -> Account:
    return Account(
        row.id, row.name, frozenset(json.loads(row.roles)), row.public_key, row.created, row.active
    )


def _check_author(session: Session, by: Actor | None, roles: Collection[str], *, first: bool) -> None:
    if by is not None:
        require(session, by, "custodian")
    elif not first:
        msg = "Only a custodian can add a person, and proves it with a key."
        raise UsageError(msg, "Run the command with `--key FILE`, the key file of a custodian.")
    elif "custodian" not in roles:
        msg = "The first person of a deployment must be a custodian."
        raise UsageError(msg, "Give them the role custodian.")


def _check(session: Session, account: Account) -> None:
    unknown = account.roles - set(ROLES)
    if not account.roles or unknown:
        msg = "A person needs at least one role, of those that exist."
        raise UsageError(msg, f"Roles: {', '.join(ROLES)}.")
    if not NAME.fullmatch(account.id):
        msg = "The account's name must be 1 to 63 letters, digits, dots, hyphens or underscores."
        raise UsageError(msg, "Choose another one, for example the part of an e-mail address before the @.")
    if not account.name:
        msg = "The person's full name is missing: accounts are individual."
        raise UsageError(msg, "Give the name of the one person who will use the account.")
    if session.get(tables.Person, account.id) is not None:
        msg = "There is an account of that name already; names are never used again."
        raise UsageError(msg, "Choose another name.")
    check_new_key(session, account.public_key)


def check_new_key(session: Session, public_key: str) -> None:
    """Do nothing if this is a public key that no account has, or ever had.

    Raises:
        UsageError: it is none, or somebody's.
    """
    if not _PUBLIC_KEY.fullmatch(public_key):
        msg = "The public key is not an Ed25519 key of 64 hexadecimal digits."
        raise UsageError(msg, _KEYGEN)
    if by_key(session, public_key) is not None or session.get(FormerKey, public_key) is not None:
        msg = "This key belongs to another account already: one person, one account, one key."
        raise UsageError(msg, _KEYGEN)
