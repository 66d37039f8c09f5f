"""Tables of the control database about what wraps its keys: key-encryption keys and recovery."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from passersby.store.tables import Base


class Kek(Base):
    """A key-encryption key, by name; the key itself is with its keeper. Exactly one row is `active`."""

    __tablename__ = "kek"
    id: Mapped[str] = mapped_column(primary_key=True)
    keeper: Mapped[str]  # file | pkcs11 | vault
    state: Mapped[str]  # draft | active | retired | destroyed
    created: Mapped[int]


class Recovery(Base):
    """The public key that all keys are sealed to as well: one row, `id` = 1, or none."""

    __tablename__ = "recovery"
    id: Mapped[int] = mapped_column(primary_key=True)
    public_key: Mapped[str]  # X25519, hexadecimal
    needed: Mapped[int]  # shares that open it
    holders: Mapped[str]  # JSON list of accounts, in the order of their shares
    created: Mapped[int]


class RecoverySeal(Base):
    """One key, sealed to the recovery key. It goes when the key goes."""

    __tablename__ = "recovery_seal"
    name: Mapped[str] = mapped_column(primary_key=True)  # purpose:NAME | epoch:NUMBER:ID
    sealed: Mapped[bytes]
