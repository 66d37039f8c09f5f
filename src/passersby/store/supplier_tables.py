"""Table of what is checked of suppliers beside their assessments."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from passersby.store.tables import Base, Serial


class ConsentSample(Base):
    """Records of a register that were drawn by chance, to be followed back to what the person agreed to."""

    __tablename__ = "consent_sample"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    supplier: Mapped[int] = mapped_column(ForeignKey("supplier.number"), index=True)
    version: Mapped[int]  # of the register
    numbers: Mapped[str]  # JSON sorted list, from 1
    drawn_by: Mapped[str] = mapped_column(ForeignKey("person.id"))
    created: Mapped[int]
    result: Mapped[str | None]  # pass | fail | ambiguous
    evidence_sha256: Mapped[str | None]
    checked_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    signature: Mapped[str | None]
    checked: Mapped[int | None]
