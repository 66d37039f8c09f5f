"""Appends entries to the log inside the caller's transaction, and reads them back.

An entry is one JSON object in RFC 8785 form: `kind`, `time` (epoch s), the kind's public fields, and in
`_sd` the sorted commitments to all other fields, in the shape of SD-JWT (RFC 9901 section 4.2): the
SHA-256 of base64url(JSON [salt, name, value]), itself in base64url. Deleting a salt erases the value.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import rfc8785
from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError, UsageError
from passersby.store.tables import LogEntry, LogSalt, LogState
from passersby.trustlog.hashing import grow, leaf_hash, split
from passersby.trustlog.kinds import KINDS

__all__ = [
    "COMMITMENTS",
    "JSON",
    "KINDS",
    "LONGEST",
    "append",
    "b64url",
    "commitment",
    "commitment_of",
    "state",
    "stored",
]

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
"""A JSON value: whole numbers within +-(2^53 - 1), no NaN, text that is valid Unicode."""

LONGEST = 65_535
"""Most bytes of an entry: bundles hold a 16-bit length (C2SP tlog-tiles)."""

COMMITMENTS = "_sd"
"""Field of an entry that holds its commitments (RFC 9901 section 4.2.4.1)."""

_RESERVED = frozenset({"kind", "time", COMMITMENTS, "..."})
_SALT_BYTES = 16
_NOTHING: Mapping[str, JSON] = MappingProxyType({})


def append(
    session: Session,
    kind: str,
    public: Mapping[str, JSON],
    private: Mapping[str, JSON] = _NOTHING,
    *,
    now: int,
) -> int:
    """Add an entry to the log, in the transaction of `session`, and return its index.

    The entry exists exactly if the caller's transaction commits. Writers wait for each other here.

    Args:
        session: an open session of `Database.write()`.
        kind: one of `KINDS`.
        public: fields that everyone may read, for ever; only those on the kind's list.
        private: all other fields; the log holds commitments to them, `log_salt` their salts and values.
        now: time of the entry, epoch s.

    Raises:
        ValueError: the kind is unknown, a public field is not on its list, a name is reserved or stands
            on both sides, or a value is not JSON (RFC 8785).
        UsageError: the entry would be longer than `LONGEST`.
        IntegrityError: the log's state contradicts itself.
    """
    _check_names(kind, public, private)
    salted = {name: (secrets.token_bytes(_SALT_BYTES), _text(kind, private[name])) for name in private}
    fields: dict[str, JSON] = {**public, "kind": kind, "time": now}
    if salted:
        fields[COMMITMENTS] = sorted(
            commitment_of(b64url(salt), name, value) for name, (salt, value) in salted.items()
        )
    body = _text(kind, fields).encode()
    if len(body) > LONGEST:
        msg = f"An entry of kind {kind} would be {len(body):,} bytes long; at most {LONGEST:,} fit."
        raise UsageError(msg, "Shorten what is recorded; log the hash of a document, not the document.")
    index = _add_leaf(session, body)
    if salted:
        rows = [{"index": index, "name": n, "salt": s, "value": v} for n, (s, v) in salted.items()]
        session.connection().execute(insert(LogSalt), rows)
    return index


def commitment(name: str, value: JSON, salt: str) -> str:
    """Return the commitment to a field as entries hold it (base64url, no padding).

    Args:
        name: name of the field.
        value: its value.
        salt: its salt as `reveal` gives it: base64url of 128 bits.

    Raises:
        ValueError: the value is not JSON (RFC 8785).
    """
    return commitment_of(salt, name, _text(name, value))


def commitment_of(salt: str, name: str, value: str) -> str:
    """Return the commitment to a value that is RFC 8785 text already, as `log_salt` holds it."""
    disclosure = f"[{_text(name, salt)},{_text(name, name)},{value}]"
    return b64url(hashlib.sha256(b64url(disclosure.encode()).encode()).digest())


def b64url(data: bytes) -> str:
    """Return base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def state(session: Session) -> tuple[int, list[bytes]]:
    """Return size and frontier of the log in the database; (0, []) before the first entry.

    Raises:
        IntegrityError: frontier and size contradict each other.
    """
    row = session.execute(select(LogState.size, LogState.frontier)).one_or_none()
    return _parsed(row.size, row.frontier) if row else (0, [])


def stored(session: Session, first: int, end: int) -> list[bytes]:
    """Return the bodies of the entries `first` to `end` (exclusive) from the database.

    Raises:
        IntegrityError: an entry is missing, or its body is not the one that was hashed.
    """
    query = select(LogEntry.index, LogEntry.body, LogEntry.leaf)
    span = query.where(LogEntry.index >= first, LogEntry.index < end).order_by(LogEntry.index)
    bodies: list[bytes] = []
    for index, body, leaf in session.execute(span):
        if index != first + len(bodies):
            break
        if not isinstance(body, bytes) or leaf_hash(body) != leaf:  # SQLite stores whatever an editor writes
            raise _damaged(index, "was changed in the database after it was logged")
        bodies.append(body)
    if len(bodies) < end - first:
        raise _damaged(first + len(bodies), "is missing from the database")
    return bodies


def _check_names(kind: str, public: Mapping[str, JSON], private: Mapping[str, JSON]) -> None:
    if kind not in KINDS:
        msg = f"The log knows no entries of kind {kind!r}."
        raise ValueError(msg)
    for name in public:
        if name not in KINDS[kind]:
            msg = f"{name!r} is no public field of {kind}: pass it as private, or decide to list it."
            raise ValueError(msg)
    for name in private:
        if name in _RESERVED or name in public:
            msg = f"{name!r} cannot be a private field of this {kind}: the name is taken."
            raise ValueError(msg)


def _add_leaf(session: Session, body: bytes) -> int:
    size, frontier = _locked_state(session)
    leaf = leaf_hash(body)
    grow(frontier, size, leaf)
    # on the connection: the log's rows are written once and never wanted as objects
    connection = session.connection()
    connection.execute(insert(LogEntry), {"index": size, "body": body, "leaf": leaf})
    connection.execute(
        update(LogState).where(LogState.id == 1), {"size": size + 1, "frontier": b"".join(frontier)}
    )
    return size


def _locked_state(session: Session) -> tuple[int, list[bytes]]:
    """Return size and frontier; no other transaction can append until this one ends.

    SQLite's write lock is held since BEGIN IMMEDIATE and it has no FOR UPDATE; PostgreSQL locks the row.
    """
    locked = select(LogState.size, LogState.frontier).with_for_update()
    connection = session.connection()
    row = connection.execute(locked).one_or_none()
    if row is None:
        new = {"id": 1, "size": 0, "frontier": b""}
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        connection.execute(dialect.insert(LogState).values(new).on_conflict_do_nothing())
        row = connection.execute(locked).one()
    return _parsed(row.size, row.frontier)


def _parsed(size: int, frontier: bytes) -> tuple[int, list[bytes]]:
    hashes = split(frontier)
    if len(hashes) != size.bit_count() or len(b"".join(hashes)) % 32:
        msg = "The log's state in the database contradicts itself: its hashes do not fit its size."
        raise IntegrityError(msg, "Restore the newest backup of the control database.")
    return size, hashes


def _damaged(index: int, what: str) -> IntegrityError:
    msg = f"Log entry {index} {what}."
    return IntegrityError(msg, "Keep a copy as evidence; restore the newest backup of the control database.")


def _text(kind: str, value: JSON) -> str:
    try:
        return rfc8785.dumps(value).decode()
    except rfc8785.CanonicalizationError:
        msg = f"A field of {kind!r} cannot be written as JSON (RFC 8785)."
        raise ValueError(msg) from None
