"""The table of audits: what attacks on made-up data found of the privacy that is claimed."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from passersby.store.tables import Base, Serial


class Audit(Base):
    """One audit. `record` is JSON, signed by who ran it."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    record: Mapped[str]
    run_by: Mapped[str] = mapped_column(ForeignKey("person.id"))
    created: Mapped[int]
