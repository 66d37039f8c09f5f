"""Tables of proposals: what takes effect only when a second person has signed it."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from passersby.store.tables import Base, Serial


class Proposal(Base):
    """An act that waits for a second person. At most one of a kind and subject is open."""

    __tablename__ = "proposal"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    kind: Mapped[str]
    subject: Mapped[str]  # what it is about: a court, a list
    record: Mapped[str]  # JSON, signed by the proposer
    record_sha256: Mapped[str]
    proposed_by: Mapped[str] = mapped_column(ForeignKey("person.id"))
    created: Mapped[int]
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    signature: Mapped[str | None]  # of who decided, over the record and the decision
    decided: Mapped[int | None]
    acts_from: Mapped[int | None]  # epoch s
    state: Mapped[str]  # open | approved | refused
    __table_args__ = (
        Index(
            "proposal_one_open",
            "kind",
            "subject",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )
