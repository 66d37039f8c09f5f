"""Tables of lineage: which deliveries a release was made from, and which deliveries proved bad."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from passersby.store.tables import Base


class ReleaseLineage(Base):
    """The deliveries that a release read. A release that is older than this table has no row."""

    __tablename__ = "release_lineage"
    release: Mapped[str] = mapped_column(ForeignKey("release.id"), primary_key=True)
    deliveries: Mapped[str]  # JSON sorted list of delivery ids


class Taint(Base):
    """A delivery that proved bad. While `ended` is null, every command goes on taking its rows out."""

    __tablename__ = "taint"
    delivery: Mapped[int] = mapped_column(ForeignKey("delivery.id"), primary_key=True)
    proposal: Mapped[int] = mapped_column(ForeignKey("proposal.id"))
    created: Mapped[int]
    ended: Mapped[int | None]
