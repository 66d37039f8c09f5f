"""Deletion lists of hashed ids, in the manner of California's DROP: who is on one is erased once met.

A list names devices by public hashes of their ids. The system holds no ids, only keyed hashes and pseudonyms,
so a listed device cannot be found among what is stored. It is found when its id arrives: in a delivery, which
then brings nothing of it in and lets all that is stored of it be erased; or in a court's order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import BadRecord
from passersby.store.database import Database
from passersby.store.subject_tables import ListedHash
from passersby.trustlog.entries import append

_WRITTEN: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"lower": str.lower, "upper": str.upper, "compact": lambda text: text.replace("-", "").lower()}
)
_HASHES: Mapping[str, Callable[[bytes], Any]] = MappingProxyType(
    {"sha256": hashlib.sha256, "sha1": hashlib.sha1, "md5": hashlib.md5}
)

FORMS = tuple(f"{name}:{written}" for name in _HASHES for written in _WRITTEN)
"""How the ids of a list are hashed and written: lower or upper case, or without dashes (compact)."""


@dataclass(frozen=True)
class Listed:
    """The hashes of all lists by form, as a delivery is judged by them."""

    digests: Mapping[str, frozenset[bytes]]

    def hits(self, ids: pa.Array | Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return which normalised ids are on a list."""
        found = np.zeros(len(ids), dtype=np.bool_)
        if self.digests:
            names = ids.to_pylist() if isinstance(ids, pa.Array) else list(ids)
            for form, digests in self.digests.items():
                found |= np.array([hashed(name, form) in digests for name in names], dtype=np.bool_)
        return found


def hashed(device: str, form: str) -> bytes:
    """Return the hash of a normalised id in one of `FORMS`."""
    name, _, written = form.partition(":")
    return bytes(_HASHES[name](_WRITTEN[written](device).encode()).digest())


def load(database: Database, session: Session, lines: Iterable[str], *, form: str, by: str, now: int) -> int:
    """Put a list in force, beside those that are; return how many of its hashes are new.

    Args:
        database: the control database of `session`.
        session: a session that may write.
        lines: hashes in hexadecimal; empty lines are skipped.
        form: one of `FORMS`.
        by: the person who loads it.
        now: epoch s.

    Raises:
        BadRecord: the form is unknown, a line is no hash of that form (it names the line), or there is none.
    """
    if form not in FORMS:
        raise BadRecord("There is no such form of hashes.", f"Forms are {', '.join(FORMS)}.")
    digests = _parsed(lines, _HASHES[form.partition(":")[0]](b"").digest_size)
    index = append(session, "subject.listed", {"by": by}, {"form": form, "hashes": len(digests)}, now=now)
    return sum(
        database.insert_if_absent(session, ListedHash, {"form": form, "digest": digest, "log_index": index})
        for digest in sorted(digests)
    )


def current(session: Session) -> Listed:
    """Return the lists as they stand."""
    found: dict[str, set[bytes]] = {}
    for form, digest in session.execute(select(ListedHash.form, ListedHash.digest)):
        found.setdefault(form, set()).add(digest)
    return Listed({form: frozenset(digests) for form, digests in found.items()})


def known(session: Session, ids: Sequence[str], *, before: int | None = None) -> npt.NDArray[np.bool_]:
    """Return which normalised ids are on a list that was loaded before a log entry (None: by now)."""
    forms = session.scalars(select(ListedHash.form).distinct()).all()
    out = np.zeros(len(ids), dtype=np.bool_)
    for form in forms:
        digests = {hashed(name, form): number for number, name in enumerate(ids)}
        query = select(ListedHash.digest).where(ListedHash.form == form, ListedHash.digest.in_(list(digests)))
        if before is not None:
            query = query.where(ListedHash.log_index < before)
        for digest in session.scalars(query):
            out[digests[digest]] = True
    return out


def _parsed(lines: Iterable[str], size: int) -> set[bytes]:
    digests = set()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        try:
            digest = bytes.fromhex(text)
        except ValueError:
            digest = b""
        if len(digest) != size:
            raise BadRecord(
                f"Line {number} of the deletion list is no hash of this form; nothing of it is in force.",
                "Give one hash a line, in hexadecimal, and its form with --form.",
            )
        digests.add(digest)
    if not digests:
        raise BadRecord("The deletion list is empty.", "Give one hash a line, in hexadecimal.")
    return digests
