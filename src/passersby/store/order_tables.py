"""Tables of court orders: who may sign them, what was asked, who approved it, what is held for it.

What an order says, and what is held for it, stand here encrypted under the deployment's own key.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from passersby.store.tables import Base, Serial


class Authority(Base):
    """A registered court or timestamp authority; what it is stands in the proposal that two people signed."""

    __tablename__ = "authority"
    id: Mapped[str] = mapped_column(primary_key=True)
    use: Mapped[str]  # court | timestamp
    proposal: Mapped[int] = mapped_column(ForeignKey("proposal.id"))
    log_index: Mapped[int]  # its entry in the log
    retired: Mapped[int | None]


class CourtOrder(Base):
    """A verified order. `remaining` is how often it may still be carried out."""

    __tablename__ = "court_order"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    sha256: Mapped[str] = mapped_column(unique=True)  # of the document's bytes
    payload_sha256: Mapped[str]  # of the JSON within it
    form: Mapped[str]  # pdf | json
    court: Mapped[str] = mapped_column(ForeignKey("authority.id"))
    reference: Mapped[str]
    reference_key: Mapped[str]  # as it is compared: without case and blanks
    document: Mapped[bytes]  # encrypted
    lists: Mapped[bytes]  # encrypted: lists of revoked certificates that came with it
    expires: Mapped[int]
    submitted_by: Mapped[str] = mapped_column(ForeignKey("person.id"))
    created: Mapped[int]
    log_index: Mapped[int]  # of order.verified
    state: Mapped[str]  # verified | approved | releasing | disclosed | refused | lapsed
    remaining: Mapped[int]
    claim: Mapped[str | None]  # token of the release that is running
    lease_until: Mapped[int]
    released_index: Mapped[int | None]  # of order.released
    ended: Mapped[int | None]
    package: Mapped[bytes | None]  # sealed to the recipient
    package_sha256: Mapped[str | None]
    __table_args__ = (
        UniqueConstraint("court", "reference_key"),
        CheckConstraint("remaining >= 0", name="order_used_once"),
    )


class OrderApproval(Base):
    """One approval: at most one of each role, at most one by each person."""

    __tablename__ = "order_approval"
    order: Mapped[int] = mapped_column(ForeignKey("court_order.id"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)  # legal | privacy
    person: Mapped[str] = mapped_column(ForeignKey("person.id"))
    signature: Mapped[str]  # over the document's SHA-256
    created: Mapped[int]
    log_index: Mapped[int]
    __table_args__ = (UniqueConstraint("order", "person"),)


class HeldRows(Base):
    """Pings that were kept beyond their deletion for one order: one row for each file that went."""

    __tablename__ = "held_rows"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    order: Mapped[int] = mapped_column(ForeignKey("court_order.id"), index=True)
    rows: Mapped[bytes]  # encrypted, padded
