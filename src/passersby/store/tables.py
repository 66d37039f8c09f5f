"""Tables of the control database. Migrations in `migrations/` make and change them.

Times are epoch seconds. JSON is stored as RFC 8785 text, so that it can be hashed again. Rows in
`log_entry`, `spend` and `release` are never updated.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Serial = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit automatic key; SQLite numbers rows only for INTEGER."""


class Base(DeclarativeBase):
    """Metadata of the control database."""

    type_annotation_map = {str: Text, int: BigInteger, bytes: LargeBinary}  # noqa: RUF012 (SQLAlchemy reads it)


class Setting(Base):
    """What must not change once data is in: offset, buckets, demo mark, log origin."""

    __tablename__ = "setting"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class Person(Base):
    """An individual account. `public_key` is a raw Ed25519 key in hexadecimal."""

    __tablename__ = "person"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    roles: Mapped[str]  # JSON list
    public_key: Mapped[str]
    created: Mapped[int]
    active: Mapped[bool]


class Supplier(Base):
    """A supplier and its contract as it was added. `number` is what lake rows carry."""

    __tablename__ = "supplier"
    number: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    contract: Mapped[str]  # JSON
    contract_sha256: Mapped[str]
    created: Mapped[int]
    suspended: Mapped[int | None]


class Assessment(Base):
    """A recorded assessment: of a supplier, or the impact assessment (DPIA) of the deployment."""

    __tablename__ = "assessment"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    kind: Mapped[str]  # supplier | impact
    subject: Mapped[str]  # supplier id, or "deployment"
    record: Mapped[str]  # JSON
    approved_by: Mapped[str] = mapped_column(ForeignKey("person.id"))
    created: Mapped[int]
    next_due: Mapped[int]


class Delivery(Base):
    """One ingested batch: the unit of lineage."""

    __tablename__ = "delivery"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    supplier: Mapped[int] = mapped_column(ForeignKey("supplier.number"))
    sha256: Mapped[str]  # of the files' contents
    files: Mapped[str]  # JSON list of {name, bytes, sha256}
    report: Mapped[str]  # JSON, see ingest.report
    created: Mapped[int]
    raw_until: Mapped[int]
    derived_until: Mapped[int]
    __table_args__ = (UniqueConstraint("supplier", "sha256"),)


class Intent(Base):
    """Something that is being written; void once its lease has lapsed."""

    __tablename__ = "intent"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    kind: Mapped[str]  # ingest | derive | purge | question
    what: Mapped[str]  # JSON
    folder: Mapped[str]  # relative to the lake, "" where nothing is written
    lease_until: Mapped[int]
    created: Mapped[int]


class File(Base):
    """The lake's manifest: a file exists for readers exactly while its row says so.

    Visible at snapshot s where `added` <= s and (`removed` is null or `removed` > s).
    """

    __tablename__ = "file"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    path: Mapped[str] = mapped_column(unique=True)  # relative to the lake
    table_name: Mapped[str]  # pings | presence
    day: Mapped[int]  # local day
    bucket: Mapped[int]
    rows: Mapped[int]
    bytes: Mapped[int]
    sha256: Mapped[str]
    sources: Mapped[str]  # JSON sorted list of delivery ids
    until: Mapped[int]  # deletion date, epoch s
    added: Mapped[int]  # snapshot number
    removed: Mapped[int | None]
    __table_args__ = (Index("file_by_day", "table_name", "day", "bucket"),)


class Snapshot(Base):
    """The lake's clock: one row, `id` = 1; `number` grows with each committed change."""

    __tablename__ = "snapshot"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]


class Reader(Base):
    """A reader's lease on a snapshot: nothing that it can see is unlinked before it lapses."""

    __tablename__ = "reader"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    snapshot: Mapped[int]
    lease_until: Mapped[int]


class Sealed(Base):
    """A (day, bucket) that lost a source to its deletion date: later pings for it are rejected."""

    __tablename__ = "sealed"
    day: Mapped[int] = mapped_column(primary_key=True)
    bucket: Mapped[int] = mapped_column(primary_key=True)
    created: Mapped[int]


class EpochKey(Base):
    """A pseudonym key in its AES-GCM envelope; `wrapped` is null once it was destroyed."""

    __tablename__ = "epoch_key"
    epoch: Mapped[int] = mapped_column(primary_key=True)  # week index // epoch_weeks
    id: Mapped[str] = mapped_column(unique=True)  # public name, the ledger's key
    wrapped: Mapped[bytes | None]
    created: Mapped[int]
    destroyed: Mapped[int | None]


class PurposeKey(Base):
    """A key that is not rotated with the epochs: consent, withdrawals, log salts, log signing."""

    __tablename__ = "purpose_key"
    purpose: Mapped[str] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes]
    created: Mapped[int]


class Consent(Base):
    """State of consent by hashed advertising id (unrotated key) and supplier."""

    __tablename__ = "consent"
    supplier: Mapped[int] = mapped_column(ForeignKey("supplier.number"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str]
    path: Mapped[str]  # relative to the deployment
    rows: Mapped[int]
    created: Mapped[int]
    records: Mapped[int | None]  # of the file, those of one id counted apart; null: older than this column


class SensitiveList(Base):
    """A loaded version of a list of sensitive places."""

    __tablename__ = "sensitive_list"
    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str]
    path: Mapped[str]  # relative to the deployment
    places: Mapped[int]
    owner: Mapped[str]
    created: Mapped[int]


class Licence(Base):
    """Who may ask what for which purpose. `record` is the whole licence."""

    __tablename__ = "licence"
    id: Mapped[str] = mapped_column(primary_key=True)
    record: Mapped[str]  # JSON
    record_sha256: Mapped[str]
    granted_by: Mapped[str] = mapped_column(ForeignKey("person.id"))
    created: Mapped[int]
    revoked: Mapped[int | None]


class Budget(Base):
    """The ledger's balance of one (pseudonym key, period). Integer micro-rho."""

    __tablename__ = "budget"
    key: Mapped[str] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    cap: Mapped[int]
    spent: Mapped[int]
    __table_args__ = (CheckConstraint("spent >= 0 AND spent <= cap", name="no_overspend"),)


class LicenceBudget(Base):
    """What one licence has spent in one period, against its own share."""

    __tablename__ = "licence_budget"
    licence: Mapped[str] = mapped_column(ForeignKey("licence.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    cap: Mapped[int]
    spent: Mapped[int]
    __table_args__ = (CheckConstraint("spent >= 0 AND spent <= cap", name="no_licence_overspend"),)


class Spend(Base):
    """An append-only mechanism event: one noise addition charged to one period."""

    __tablename__ = "spend"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    reservation: Mapped[str] = mapped_column(index=True)  # unique idempotency key of the charge
    key: Mapped[str]
    period: Mapped[str]
    licence: Mapped[str]
    question_sha256: Mapped[str]
    kind: Mapped[str]
    scale: Mapped[float]
    sensitivity: Mapped[float]
    unit: Mapped[str]  # device-week
    micro_rho: Mapped[int]
    what: Mapped[str]
    created: Mapped[int]


class Reservation(Base):
    """T1 of the ledger: a charge that was made. Without a release it stays spent."""

    __tablename__ = "reservation"
    id: Mapped[str] = mapped_column(primary_key=True)  # idempotency key
    question_sha256: Mapped[str]
    micro_rho: Mapped[int]
    periods: Mapped[str]  # JSON list of [key, period]
    created: Mapped[int]
    lease_until: Mapped[int]
    state: Mapped[str]  # reserved | settled | lost


class StoredRelease(Base):
    """T2 of the ledger: the stored answer."""

    __tablename__ = "release"
    question_sha256: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    reservation: Mapped[str] = mapped_column(ForeignKey("reservation.id"), unique=True)
    question: Mapped[str]  # JSON
    label: Mapped[str]  # JSON
    rows: Mapped[bytes]  # Parquet
    rows_sha256: Mapped[str]
    sampler: Mapped[str]
    micro_rho: Mapped[int]
    created: Mapped[int]
    log_index: Mapped[int]
    withdrawn: Mapped[int | None]


class LogState(Base):
    """Size and frontier (right-edge subtree hashes) of the log: one row, `id` = 1."""

    __tablename__ = "log_state"
    id: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[int]
    frontier: Mapped[bytes]


class LogEntry(Base):
    """One entry: its bytes as they were hashed (RFC 8785 JSON) and its leaf hash."""

    __tablename__ = "log_entry"
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    body: Mapped[bytes]
    leaf: Mapped[bytes]


class LogSalt(Base):
    """Salt and value of a committed (non-public) field. Deleting the row erases the value."""

    __tablename__ = "log_salt"
    index: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    salt: Mapped[bytes]
    value: Mapped[str]  # JSON
