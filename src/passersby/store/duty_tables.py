"""Tables of duties: the freeze, cases, reviews of questions, alerts, keys that were replaced."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from passersby.store.tables import Base, Serial


class Freeze(Base):
    """One use of the kill switch; at most one is in force."""

    __tablename__ = "freeze"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    frozen_by: Mapped[str] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str]
    created: Mapped[int]
    state: Mapped[str]  # frozen | ended
    ended: Mapped[int | None]
    proposal: Mapped[int | None] = mapped_column(Serial, ForeignKey("proposal.id"))  # that ended it
    __table_args__ = (
        Index(
            "freeze_one_in_force",
            "state",
            unique=True,
            sqlite_where=text("state = 'frozen'"),
            postgresql_where=text("state = 'frozen'"),
        ),
    )


class Case(Base):
    """What questions are asked for: one matter under one licence, for one of its purposes."""

    __tablename__ = "question_case"
    licence: Mapped[str] = mapped_column(ForeignKey("licence.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    record: Mapped[str]  # JSON, signed by the owner
    owner: Mapped[str] = mapped_column(ForeignKey("person.id"))
    purpose: Mapped[str]
    until: Mapped[int]  # epoch s
    created: Mapped[int]
    closed: Mapped[int | None]


class Review(Base):
    """A question that the sample drew. `entry` is its log entry; `record` what the reviewer signed."""

    __tablename__ = "review"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    entry: Mapped[int] = mapped_column(unique=True)
    licence: Mapped[str] = mapped_column(ForeignKey("licence.id"), index=True)
    asked_by: Mapped[str]
    due: Mapped[int]  # epoch s
    record: Mapped[str | None]
    done: Mapped[int | None]


class Alert(Base):
    """Something that a person should look at. At most one of a kind about the same thing and day."""

    __tablename__ = "alert"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    kind: Mapped[str]
    about: Mapped[str]  # an account or a licence
    day: Mapped[int]
    created: Mapped[int]
    record: Mapped[str | None]  # what the overseer who closed it signed
    closed: Mapped[int | None]
    __table_args__ = (UniqueConstraint("kind", "about", "day"),)


class FormerKey(Base):
    """A key that two people replaced: it signs nothing more, and what it signed stays verifiable."""

    __tablename__ = "former_key"
    public_key: Mapped[str] = mapped_column(primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    ended: Mapped[int]


class RefusalCount(Base):
    """How many times an account was refused on a day (UTC)."""

    __tablename__ = "refusal_count"
    account: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
