"""Versioned lists of sensitive places in a deployment, each with a named owner (controls C1 to C4).

While nothing was ever delivered, one person puts a list into force. After that a change takes two people: it
could be made to learn from a difference who was at one house.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError, NotReady, UnknownName, UsageError
from passersby.keys.signed import Actor, digest, require
from passersby.sensitive import osm
from passersby.sensitive.cover import Cover, pairs
from passersby.sensitive.places import Places, read, stored
from passersby.store import durable
from passersby.store.database import Database
from passersby.store.tables import Delivery, SensitiveList
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


@dataclass(frozen=True, eq=False)
class Draft:
    """A list as it was read from a file, and the version that it would be.

    Args:
        row: what its record would be; not in the database.
        places: its places.
        same: this very file is in force already.
        record: what two people sign: hashes and numbers, no place.
    """

    row: SensitiveList
    places: Places
    same: bool
    record: Mapping[str, JSON]


class SensitiveLists:
    """The lists of one deployment.

    Args:
        root: folder of the deployment.
        database: its control database.
        buffer_m: least distance that pings keep from a place (`Config.sensitive_buffer_m`).
    """

    def __init__(self, root: Path, database: Database, *, buffer_m: int, offset: int = 0) -> None:
        self._root = root
        self._database = database
        self._buffer_m = buffer_m
        self._offset = offset

    def load(
        self, path: Path, *, name: str, actor: Actor, now: int, categories: Sequence[str] = ()
    ) -> Loaded:
        """Put the list in `path` into force as the next version of `name`; it replaces the one before.

        The person who loads it signs it and is its owner.

        Args:
            path: an OpenStreetMap extract (see `osm.read`), a GeoJSON or a CSV file (see `places.read`).
            name: lower-case name of the list.
            actor: a custodian or a privacy officer.
            now: epoch s.
            categories: of an extract: which ones.

        Raises:
            UsageError: the name has other characters than a-z, 0-9, _ and -.
            Refusal: the actor has neither role.
            NotReady: something was delivered already, so that it takes two people.
            InputError: the file is not a valid list.
        """
        draft = self.draft(path, name=name, owner=actor.id, now=now, categories=categories)
        table = pairs(draft.places, self._buffer_m)
        with self._database.write() as session:
            require(session, actor, "custodian", "privacy")
            before = latest(session).get(name)
            if before and before.sha256 == draft.row.sha256 and before.owner == actor.id:
                return _loaded(before, fresh=False)
            if has_deliveries(session):
                raise NotReady(
                    "Something was delivered already: a change of a list takes two people.",
                    "Propose it with `passersby sensitive load`; another person approves it.",
                )
            self.keep(draft)
            durable.write(self._cells(draft.row), _parquet(table))
            signed = {key: draft.record[key] for key in ("list", "version", "owner", "sha256", "places")}
            self.enact(session, draft.row, {"signature": actor.sign(digest(signed), _LOADED)}, now=now)
        return _loaded(draft.row, fresh=True)

    def draft(self, path: Path, *, name: str, owner: str, now: int, categories: Sequence[str] = ()) -> Draft:
        """Read a file as the next version of a list; nothing is stored. See `load` for what it raises."""
        if not _NAME.fullmatch(name):
            msg = "A list's name has lower-case letters, digits, _ and - only."
            raise UsageError(msg, "Give a name such as health or shelters.")
        places = osm.read(path, categories) if osm.is_pbf(path) else read(path, offset=self._offset)
        with self._database.read() as session:
            before = latest(session).get(name)
        version = before.version + 1 if before else 1
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        row = SensitiveList(
            name=name,
            version=version,
            sha256=sha256,
            path=f"{_FOLDER}/{name}-{version}.parquet",
            places=len(places),
            owner=owner,
            created=now,
        )
        old = {place.key for place in stored(self._root / before.path).rows()} if before else set()
        new = {place.key for place in places.rows()}
        record: dict[str, JSON] = {
            "list": name,
            "version": version,
            "owner": owner,
            "sha256": sha256,
            "stored_sha256": hashlib.sha256(_parquet(places.to_table())).hexdigest(),
            "places": len(places),
            "added": len(new - old),
            "removed": len(old - new),
            "categories": sorted(set(places.categories)),
        }
        same = before is not None and before.sha256 == sha256 and old == new
        return Draft(row, places, same, record)

    def keep(self, draft: Draft) -> None:
        """Store the places of a draft, which is in force only once it is enacted."""
        durable.write(self._root / draft.row.path, _parquet(draft.places.to_table()))

    def proposed(
        self, session: Session, record: Mapping[str, Any], *, now: int
    ) -> tuple[SensitiveList, Places]:
        """Return the version that a signed record stands for, and the places that no list has so far.

        Raises:
            UsageError: another version came into force meanwhile.
            IntegrityError: the stored places are not those of the record.
        """
        known = latest(session)
        before = known.get(record["list"])
        if record["version"] != (before.version + 1 if before else 1):
            raise UsageError(
                "Another version of the list came into force meanwhile.",
                "Refuse the proposal and propose the change again.",
            )
        path = f"{_FOLDER}/{record['list']}-{record['version']}.parquet"
        data = (self._root / path).read_bytes() if (self._root / path).is_file() else b""
        if hashlib.sha256(data).hexdigest() != record["stored_sha256"]:
            raise IntegrityError(
                "The stored places are not those that were proposed.",
                "Refuse the proposal and propose the change again.",
            )
        old = {place.key for row in known.values() for place in stored(self._root / row.path).rows()}
        fresh = Places.of(place for place in stored(self._root / path).rows() if place.key not in old)
        fields = {key: record[key] for key in ("version", "sha256", "places", "owner")}
        return SensitiveList(name=record["list"], path=path, created=now, **fields), fresh

    def enact(self, session: Session, row: SensitiveList, private: Mapping[str, JSON], *, now: int) -> None:
        """Put a version into force in the caller's transaction, and log it."""
        session.add(row)
        session.flush()
        public: dict[str, JSON] = {"list": row.name, "version": row.version, "owner": row.owner}
        append(session, _LOADED, public, {"sha256": row.sha256, "places": row.places, **private}, now=now)

    def copy(self, other: SensitiveLists, *, now: int) -> None:
        """Put the lists in force into force in another, empty deployment."""
        with self._database.read() as session:
            rows = list(latest(session).values())
        with other._database.write() as session:
            for row in rows:
                durable.write(other._root / row.path, (self._root / row.path).read_bytes())
                fields = {key: getattr(row, key) for key in ("name", "version", "sha256", "path", "places")}
                other.enact(session, SensitiveList(**fields, owner=row.owner, created=now), {}, now=now)

    def cover_of(self, places: Places) -> Cover:
        """Return the test for places that are in no list."""
        return Cover([(places, pairs(places, self._buffer_m))] if len(places) else [], self._buffer_m)

    def current(self) -> list[Loaded]:
        """Return the version in force of each list, by name."""
        with self._database.read() as session:
            return [_loaded(row, fresh=False) for row in latest(session).values()]

    def versions(self, session: Session) -> dict[str, int]:
        """Return the version in force of each list."""
        return {name: row.version for name, row in latest(session).items()}

    def cover(self, name: str | None = None) -> Cover:
        """Return the test for all lists in force, or for one.

        Raises:
            UnknownName: there is no list of this name.
        """
        with self._database.read() as session:
            rows = latest(session)
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


def has_deliveries(session: Session) -> bool:
    """Tell whether anything was ever delivered."""
    return session.scalar(select(Delivery.id).limit(1)) is not None


def latest(session: Session) -> dict[str, SensitiveList]:
    """Return the version in force of each list, by name."""
    rows = session.scalars(select(SensitiveList).order_by(SensitiveList.name, SensitiveList.version))
    return {row.name: row for row in rows}


def _loaded(row: SensitiveList, *, fresh: bool) -> Loaded:
    return Loaded(row.name, row.version, row.owner, row.places, row.created, fresh)


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
