"""Stored answers: the one noisy answer to a question, kept as Parquet bytes under its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import rfc8785
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError, Refusal, UnknownName
from passersby.model.release import Release
from passersby.model.schema import ROW_SCHEMAS
from passersby.store.tables import StoredRelease

SAMPLER = "opendp"
"""The only noise sampler whose answers are stored."""


@dataclass(frozen=True)
class ReleaseEntry:
    """A stored answer without its rows.

    Args:
        id: short name.
        question_sha256: key of the stored answer.
        question: canonical question.
        micro_rho: what it cost each of its periods.
        rows_sha256: of the rows' Parquet bytes.
        created: epoch s.
        log_index: index of its entry in the log.
        withdrawn: when it was taken from service, epoch s; None while it is served.
    """

    id: str
    question_sha256: str
    question: Mapping[str, Any]
    micro_rho: int
    rows_sha256: str
    created: int
    log_index: int
    withdrawn: int | None


def rows_parquet(rows: pa.Table) -> bytes:
    """Return the Parquet bytes that are stored for the rows of a release.

    Raises:
        ValueError: the rows do not have the one of the schemas `model.schema.ROW_SCHEMAS`.
    """
    if not any(rows.schema.equals(schema) for schema in ROW_SCHEMAS):
        raise ValueError("the rows of a release have one of the schemas model.schema.ROW_SCHEMAS")
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    return bytes(sink.getvalue())


def rows_sha256(rows: pa.Table) -> str:
    """Return the hexadecimal SHA-256 of `rows_parquet`, as the log's `release.made` carries it."""
    return hashlib.sha256(rows_parquet(rows)).hexdigest()


def check_sampler(name: str) -> None:
    """Refuse every sampler but OpenDP's.

    Raises:
        IntegrityError: the noise is not from OpenDP.
    """
    if name != SAMPLER:
        msg = "An answer whose noise is not from OpenDP was offered to the store or found in it."
        raise IntegrityError(msg, "Nothing of it was served or stored. Find out which code made it.")


def store(session: Session, reservation: str, release: Release) -> None:
    """Insert the answer; the caller has checked the reservation."""
    rows = rows_parquet(release.rows)
    values = {
        "question_sha256": release.question_sha256,
        "id": release.id,
        "reservation": reservation,
        "question": rfc8785.dumps(dict(release.question)).decode(),
        "label": rfc8785.dumps(dict(release.label)).decode(),
        "rows": rows,
        "rows_sha256": hashlib.sha256(rows).hexdigest(),
        "sampler": release.sampler,
        "micro_rho": release.micro_rho,
        "created": release.created,
        "log_index": release.log_index,
    }
    session.execute(insert(StoredRelease).values(values))


def exists(session: Session, question_sha256: str) -> bool:
    """Return whether the question has an answer, served or withdrawn."""
    wanted = select(StoredRelease.id).where(StoredRelease.question_sha256 == question_sha256)
    return session.scalar(wanted) is not None


def by_question(session: Session, question_sha256: str) -> Release | None:
    """Return the stored answer to a question, None if there is none.

    Raises:
        Refusal: it was withdrawn from service (`release-withdrawn`).
        IntegrityError: it is damaged.
    """
    wanted = select(StoredRelease).where(StoredRelease.question_sha256 == question_sha256)
    row = session.scalars(wanted).one_or_none()
    return None if row is None else _release(row)


def by_id(session: Session, name: str) -> Release:
    """Return the stored answer with a short name.

    Raises:
        UnknownName: there is none.
        Refusal: it was withdrawn from service (`release-withdrawn`).
        IntegrityError: it is damaged.
    """
    row = session.scalars(select(StoredRelease).where(StoredRelease.id == name)).one_or_none()
    if row is None:
        raise UnknownName("There is no release of that name.", "Run `passersby release list`.")
    return _release(row)


def entries(session: Session) -> list[ReleaseEntry]:
    """Return all stored answers without their rows, in the order of their log entries: oldest first."""
    table = StoredRelease
    columns = (
        table.id,
        table.question_sha256,
        table.question,
        table.micro_rho,
        table.rows_sha256,
        table.created,
        table.log_index,
        table.withdrawn,
    )
    found = session.execute(select(*columns).order_by(table.log_index))
    return [ReleaseEntry(row[0], row[1], json.loads(row[2]), *row[3:]) for row in found]


def withdraw(session: Session, name: str, *, now: int) -> None:
    """Take a stored answer from service for good; its row and its cost stay."""
    served = update(StoredRelease).where(StoredRelease.id == name, StoredRelease.withdrawn.is_(None))
    session.execute(served.values(withdrawn=now))


def _release(row: StoredRelease) -> Release:
    check_sampler(row.sampler)
    if hashlib.sha256(row.rows).hexdigest() != row.rows_sha256:
        msg = "A stored answer is not the one that was released: its rows do not have their hash."
        raise IntegrityError(
            msg, "Keep a copy as evidence; restore the newest backup of the control database."
        )
    if row.withdrawn is not None:
        raise Refusal(
            "release-withdrawn",
            "The stored answer was withdrawn from service.",
            "A place in its area is sensitive now, or data behind it proved bad: ask for something else.",
        )
    return Release(
        id=row.id,
        question_sha256=row.question_sha256,
        question=json.loads(row.question),
        rows=pq.read_table(pa.BufferReader(row.rows)),
        label=json.loads(row.label),
        micro_rho=row.micro_rho,
        created=row.created,
        log_index=row.log_index,
        sampler=row.sampler,
    )
