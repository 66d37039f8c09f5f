"""Suppliers' consent registers in a deployment: versions, and who had consented when.

A register file is complete: it replaces the version before. Ids are replaced by a keyed hash as they are
read (HMAC-SHA-256 under the purpose key `consent`, which is not rotated; 8 bytes: among N records an
unknown id is taken for a known one with probability N / 2^64). No id reaches the disk.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from passersby.consent import withdrawals
from passersby.consent.fields import CHECKED, Normalise
from passersby.consent.records import read
from passersby.errors import BadRecord, UnreadableFile
from passersby.keys.pseudonym import pseudonyms
from passersby.keys.ring import KeyRing
from passersby.model.purposes import lineage
from passersby.store import durable
from passersby.store.database import Database
from passersby.store.tables import Consent, Supplier
from passersby.trustlog.entries import JSON, append

PURPOSE = "consent"
"""Name of the purpose key."""

NEVER = 2**62
"""`given_at` of an id without a consent in force: later than any ping."""

_FOLDER = "consent"
_ROWS_AT_ONCE = 500_000


@dataclass(frozen=True)
class Terms:
    """What a consent must have been given to, from a contract; "" and no purpose ask for nothing.

    A record that says nothing about notice or purposes was given to those of the contract.
    """

    notice_version: str = ""
    notice_sha256: str = ""
    purposes: tuple[str, ...] = ()


ANY = Terms()


@dataclass(frozen=True)
class Loaded:
    """One version of a supplier's register. `fresh` is false where this very file was in force already."""

    version: int
    rows: int
    fresh: bool


@dataclass(frozen=True, eq=False)
class Register:
    """What one supplier's register says.

    Args:
        hashes: of the ids with a consent in force, sorted.
        given_at: when each of them was given, epoch s.
        objections: hashes of the ids whose latest record refuses or withdraws, sorted.
    """

    hashes: npt.NDArray[np.int64]
    given_at: npt.NDArray[np.int64]
    objections: npt.NDArray[np.int64]

    def given(self, hashes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return since when each hashed id has a consent in force, epoch s; `NEVER` for none."""
        out = np.full(len(hashes), NEVER, dtype=np.int64)
        at, found = _looked_up(self.hashes, hashes)
        out[found] = self.given_at[at[found]]
        return out

    def objects(self, hashes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which hashed ids refused or withdrew: they bar processing on any legal basis."""
        return _looked_up(self.objections, hashes)[1]


class ConsentRegisters:
    """The registers of one deployment.

    Args:
        root: folder of the deployment.
        database: its control database.
        ring: its keys.
    """

    def __init__(self, root: Path, database: Database, ring: KeyRing) -> None:
        self._root = root
        self._database = database
        self._ring = ring

    def load(
        self,
        path: Path,
        *,
        supplier: str,
        normalise: Normalise,
        now: int,
        by: Mapping[str, JSON] = MappingProxyType({}),
    ) -> Loaded:
        """Put the register in `path` into force for a supplier; it replaces the one before.

        Who withdrew or opted out since the version before withdraws from this supplier's data, at once.

        Args:
            path: see `records.read`.
            supplier: id of a supplier that is recorded.
            normalise: brings ids to the form that the supplier's pings carry.
            now: epoch s.
            by: hidden fields for the log, such as who loads it.

        Raises:
            InputError: the file is not a valid register; nothing of it is in force.
            Refusal: it says that it is of a source that is never taken.
        """
        digest = _sha256(path)
        key = self.key()
        frames: list[pl.DataFrame] = []
        leaving: list[pl.DataFrame] = []
        for frame in read(path, normalise, now=now):
            hashed = frame.with_columns(pl.Series("id_hash", pseudonyms(frame["id"].to_arrow(), key)))
            leaving.append(hashed.filter("withdraws").select("id", "id_hash"))
            frames.append(hashed.drop("id"))
        if sum(len(frame) for frame in frames) == 0:
            msg = "The consent file holds no record."
            raise BadRecord(msg, "Give the supplier's complete register.")
        if _sha256(path) != digest:
            msg = "The consent file changed while it was read."
            raise UnreadableFile(msg, "Run the command again when the file is complete.")
        register = _latest_events(pl.concat(frames))
        with self._database.write() as session:
            number = session.execute(
                select(Supplier.number).where(Supplier.id == supplier).with_for_update()
            ).scalar_one()
            before = _current(session, number)
            if before and before.sha256 == digest:
                return Loaded(before.version, before.rows, fresh=False)
            version = before.version + 1 if before else 1
            name = f"{_FOLDER}/{number}-{version}.parquet"
            durable.write(self._root / name, _parquet(register))
            left = _left(register, pl.concat(leaving), self._gone(before))
            if left:
                withdrawals.record(
                    session, self._ring, left, cause=withdrawals.CONSENT, supplier=number, now=now
                )
            row = {"supplier": number, "version": version, "sha256": digest}
            records = sum(len(frame) for frame in frames)
            session.add(Consent(**row, path=name, rows=len(register), records=records, created=now))
            private: dict[str, JSON] = {"sha256": digest, "rows": len(register), **by}
            append(session, "consent.loaded", {"supplier": supplier, "version": version}, private, now=now)
        return Loaded(version, len(register), fresh=True)

    def key(self) -> bytes:
        """Return the key that consent hashes are made with."""
        with self._database.write() as session:
            return self._ring.purpose(session, PURPOSE)

    def version(self, session: Session, number: int) -> int:
        """Return the version in force for supplier `number`, 0 for none."""
        row = _current(session, number)
        return row.version if row else 0

    def current(self, number: int, *, now: int, terms: Terms = ANY) -> Register | None:
        """Return what the register of supplier `number` says at `now`; None without a register.

        A consent is in force when its latest record permits processing, names no withdrawal, has not
        expired, and was given to the terms: it names no other notice, and no purposes that leave out one
        of theirs.
        """
        with self._database.read() as session:
            row = _current(session, number)
        if row is None:
            return None
        frame = self._stored(row)
        objects = _objects()
        expired = (pl.col("expires_at") <= now).fill_null(value=False)
        standing = frame.filter(~objects & ~expired & pl.col("consent") & _meets(frame, terms))
        return Register(
            standing["id_hash"].to_numpy(),
            standing["given_at"].to_numpy(),
            frame.filter(objects)["id_hash"].to_numpy(),
        )

    def _stored(self, row: Consent) -> pl.DataFrame:
        """Return a version as it was stored; older ones lack columns, which then say nothing."""
        frame = pl.read_parquet(self._root / row.path)
        missing = [pl.lit(None, kind).alias(name) for name, kind in CHECKED.items() if name not in frame]
        return frame.with_columns(missing).with_columns(pl.col("consent").fill_null(value=True))

    def _gone(self, row: Consent | None) -> pl.Series:
        """Return the hashes of those who had withdrawn in a version already."""
        if row is None:
            return pl.Series(dtype=pl.Int64)
        return self._stored(row).filter(pl.col("withdraws").fill_null(value=False))["id_hash"]


def _objects() -> pl.Expr:
    return ~pl.col("permits") | pl.col("withdrawn_at").is_not_null()


def _left(register: pl.DataFrame, leaving: pl.DataFrame, before: pl.Series) -> list[str]:
    """Return the ids of those whose latest record withdraws and who had not withdrawn before, sorted."""
    now_out = register.filter("withdraws")["id_hash"]
    fresh = pl.col("id_hash").is_in(now_out.implode()) & ~pl.col("id_hash").is_in(before.implode())
    return sorted(leaving.filter(fresh)["id"].unique().to_list())


def _meets(frame: pl.DataFrame, terms: Terms) -> pl.Expr:
    """Return which records were given to the terms (controls A2, A3)."""
    meets = pl.lit(value=True)
    for name, wanted in (("notice_version", terms.notice_version), ("notice_hash", terms.notice_sha256)):
        if wanted:
            meets &= (pl.col(name) == wanted).fill_null(value=True)
    if terms.purposes:
        said = {text: _covers(text, terms.purposes) for text in frame["purpose"].unique().drop_nulls()}
        covered = pl.col("purpose").replace_strict(said, default=True, return_dtype=pl.Boolean)
        meets &= covered.fill_null(value=True)
    return meets


def _covers(text: str, wanted: Sequence[str]) -> bool:
    """Tell whether the purposes of a record hold all of `wanted`, or a broader one of each."""
    given = {f"dpv:{word}" if ":" not in word else word for word in re.split(r"[\s,;|]+", text.strip())}
    given = {word.replace("https://w3id.org/dpv#", "dpv:") for word in given}
    return all(not lineage(purpose).isdisjoint(given) for purpose in wanted)


def _looked_up(
    known: npt.NDArray[np.int64], hashes: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return the place of each hash among the sorted `known`, and whether it is there."""
    if len(known) == 0:
        return np.zeros(len(hashes), dtype=np.intp), np.zeros(len(hashes), dtype=np.bool_)
    at = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    return at, known[at] == hashes


def _current(session: Session, number: int) -> Consent | None:
    newest = select(func.max(Consent.version)).where(Consent.supplier == number).scalar_subquery()
    return session.scalar(select(Consent).where(Consent.supplier == number, Consent.version == newest))


def _latest_events(frame: pl.DataFrame) -> pl.DataFrame:
    """Keep one record of each id: the latest event, and at the same moment the one that forbids."""
    event = pl.max_horizontal("given_at", "withdrawn_at")
    forbids = ~pl.col("permits") | pl.col("withdrawn_at").is_not_null()
    ordered = frame.with_columns(event=event, forbids=forbids).sort("id_hash", "event", "forbids", "given_at")
    return ordered.unique("id_hash", keep="last", maintain_order=True).drop("event", "forbids")


def _parquet(register: pl.DataFrame) -> bytes:
    sink = io.BytesIO()
    table: pa.Table = register.to_arrow()
    pq.write_table(table, sink, compression="zstd", row_group_size=_ROWS_AT_ONCE)
    return sink.getvalue()


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        msg = "The consent file cannot be read."
        raise UnreadableFile(msg, "Check the path and the permissions of the file.") from None
