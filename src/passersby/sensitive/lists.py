"""Versioned lists of sensitive places in a deployment, each with a named owner (controls C1 to C4)."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import UnknownName, UsageError
from passersby.keys.signed import Actor, digest, require
from passersby.sensitive.cover import Cover, pairs
from passersby.sensitive.places import Places, read, stored
from passersby.store import durable
from passersby.store.database import Database
from passersby.store.tables import SensitiveList
from passersby.trustlog.entries import JSON, append

_LOADED = "sensitive.loaded"
_FOLDER = "sensitive"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Loaded:
    """One version of a list. `fresh` is false where this very file was in force already."""

    name: str
    version: int
    owner: str
    places: int
    created: int
    fresh: bool


class SensitiveLists:
    """The lists of one deployment.

    Args:
        root: folder of the deployment.
        database: its control database.
        buffer_m: least distance that pings keep from a place (`Config.sensitive_buffer_m`).
    """

    def __init__(self, root: Path, database: Database, *, buffer_m: int) -> None:
        self._root = root
        self._database = database
        self._buffer_m = buffer_m

    def load(self, path: Path, *, name: str, actor: Actor, now: int) -> Loaded:
        """Put the list in `path` into force as the next version of `name`; it replaces the one before.

        The person who loads it signs it and is its owner.

        Args:
            path: a GeoJSON or CSV file (see `places.read`).
            name: lower-case name of the list.
            actor: a custodian or a privacy officer.
            now: epoch s.

        Raises:
            UsageError: the name has other characters than a-z, 0-9, _ and -.
            Refusal: the actor has neither role.
            InputError: the file is not a valid list.
        """
        if not _NAME.fullmatch(name):
            msg = "A list's name has lower-case letters, digits, _ and - only."
            raise UsageError(msg, "Give a name such as health or shelters.")
        places = read(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        table = pairs(places, self._buffer_m)
        with self._database.write() as session:
            require(session, actor, "custodian", "privacy")
            before = _latest(session).get(name)
            if before and before.sha256 == sha256 and before.owner == actor.id:
                return _loaded(before, fresh=False)
            row = SensitiveList(
                name=name,
                version=before.version + 1 if before else 1,
                sha256=sha256,
                path="",
                places=len(places),
                owner=actor.id,
                created=now,
            )
            row.path = f"{_FOLDER}/{name}-{row.version}.parquet"
            durable.write(self._root / row.path, _parquet(places.to_table()))
            durable.write(self._cells(row), _parquet(table))
            session.add(row)
            public: dict[str, JSON] = {"list": name, "version": row.version, "owner": actor.id}
            private: dict[str, JSON] = {"sha256": sha256, "places": len(places)}
            private["signature"] = actor.sign(digest({**public, **private}), _LOADED)
            append(session, _LOADED, public, private, now=now)
        return _loaded(row, fresh=True)

    def current(self) -> list[Loaded]:
        """Return the version in force of each list, by name."""
        with self._database.read() as session:
            return [_loaded(row, fresh=False) for row in _latest(session).values()]

    def versions(self, session: Session) -> dict[str, int]:
        """Return the version in force of each list."""
        return {name: row.version for name, row in _latest(session).items()}

    def cover(self, name: str | None = None) -> Cover:
        """Return the test for all lists in force, or for one.

        Raises:
            UnknownName: there is no list of this name.
        """
        with self._database.read() as session:
            rows = _latest(session)
        if name is not None and name not in rows:
            msg = f"There is no list {name!r}."
            raise UnknownName(msg, "Run `passersby sensitive list`.")
        chosen = [row for row in rows.values() if name in {None, row.name}]
        return Cover(
            [(places := stored(self._root / row.path), self._pairs(row, places)) for row in chosen],
            self._buffer_m,
        )

    def _pairs(self, row: SensitiveList, places: Places) -> pa.Table:
        """Return a list's cells; made again where the buffer was changed since it was loaded."""
        path = self._cells(row)
        if not path.exists():
            durable.write(path, _parquet(pairs(places, self._buffer_m)))
        return pq.read_table(path)

    def _cells(self, row: SensitiveList) -> Path:
        return self._root / _FOLDER / f"{row.name}-{row.version}-{self._buffer_m}m.parquet"


def _latest(session: Session) -> dict[str, SensitiveList]:
    rows = session.scalars(select(SensitiveList).order_by(SensitiveList.name, SensitiveList.version))
    return {row.name: row for row in rows}


def _loaded(row: SensitiveList, *, fresh: bool) -> Loaded:
    return Loaded(row.name, row.version, row.owner, row.places, row.created, fresh)


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
