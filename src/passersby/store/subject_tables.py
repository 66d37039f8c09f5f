"""Tables of the rights of devices' holders: who withdrew, what is to be erased, what was asked for.

No row holds an advertising id. Ids stand here as hashes under a key that is not rotated; pseudonyms, by which
rows of the lake are found, only encrypted, and only while the key of their epoch lives.
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from passersby.store.tables import Base, Serial


class Withdrawal(Base):
    """One act of withdrawing, of one device or of many."""

    __tablename__ = "withdrawal"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    cause: Mapped[str]  # holder | erasure | consent | list | replay
    supplier: Mapped[int | None] = mapped_column(ForeignKey("supplier.number"))  # null: whoever delivered
    journal: Mapped[str] = mapped_column(unique=True)  # name of its file in the journal
    log_index: Mapped[int]  # of subject.withdrawn
    created: Mapped[int]


class Tombstone(Base):
    """A device that withdrew, by the keyed hash of its id. It stays when everything else about it is gone."""

    __tablename__ = "tombstone"
    hash: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    withdrawal: Mapped[int] = mapped_column(ForeignKey("withdrawal.id"))  # the first one


class WithdrawnDevices(Base):
    """Pseudonyms of one withdrawal under one epoch's key, encrypted; deleted when that key dies."""

    __tablename__ = "withdrawn_devices"
    withdrawal: Mapped[int] = mapped_column(ForeignKey("withdrawal.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    devices: Mapped[bytes]


class ListedHash(Base):
    """An entry of a deletion list: the public hash of an id that nobody here may know yet."""

    __tablename__ = "listed_hash"
    form: Mapped[str] = mapped_column(primary_key=True)  # how the id is written and hashed: sha256:lower
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    log_index: Mapped[int]  # of subject.listed


class Erasure(Base):
    """What is to leave the lake, down to the disk: the devices of one withdrawal."""

    __tablename__ = "erasure"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    withdrawal: Mapped[int] = mapped_column(ForeignKey("withdrawal.id"))
    holder: Mapped[str]  # keyed commitment to the list of ids, "" where no receipt is owed
    state: Mapped[str]  # wanted | rewritten | done
    snapshot: Mapped[int]  # from which on no file holds the rows, 0 before
    days: Mapped[str]  # JSON: days that are still to be derived anew from what other suppliers delivered
    log_index: Mapped[int | None]  # of subject.erased
    created: Mapped[int]
    ended: Mapped[int | None]


class SubjectRequest(Base):
    """What a holder asked for, and by when it must be done."""

    __tablename__ = "subject_request"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    what: Mapped[str]  # withdraw | erase | show | recipients | copy
    received: Mapped[int]
    due: Mapped[int]
    erasure: Mapped[int | None] = mapped_column(ForeignKey("erasure.id"))
    proof: Mapped[str | None] = mapped_column(unique=True)  # SHA-256 of a signed request: it works once
    created: Mapped[int]
    done: Mapped[int | None]


class ProofKey(Base):
    """A public key that proves a holder: of a supplier's app (`holder` empty), or of one device."""

    __tablename__ = "proof_key"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    supplier: Mapped[int] = mapped_column(ForeignKey("supplier.number"))
    holder: Mapped[bytes]  # keyed hash of the id under which the key was enrolled
    public_key: Mapped[str]  # Ed25519, hexadecimal
    created: Mapped[int]
    __table_args__ = (UniqueConstraint("supplier", "holder"),)
