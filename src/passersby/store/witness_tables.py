"""Tables about the log's outside witnesses."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from passersby.store.tables import Base


class Witness(Base):
    """What is known of a witness: the log's size that it saw last, and how asking it went."""

    __tablename__ = "witness"
    vkey: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int]  # entries of the last checkpoint that it signed
    tried: Mapped[int]  # when it was asked last
    failures: Mapped[int]  # since it last signed
    problem: Mapped[str]  # why it did not sign, "" if it did; see trustlog.cosigning


class WitnessPolicy(Base):
    """The witnesses and the quorum that the log was last told of: one row, `id` = 1."""

    __tablename__ = "witness_policy"
    id: Mapped[int] = mapped_column(primary_key=True)
    witnesses: Mapped[str]  # JSON list of verifier keys
    quorum: Mapped[int]
