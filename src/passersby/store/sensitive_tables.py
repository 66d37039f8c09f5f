"""Tables of sensitive places beside the lists themselves: reviews, tests, and purges that are under way."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from passersby.store.tables import Base, Serial


class SensitiveReview(Base):
    """A person read a version of a list again and found it right."""

    __tablename__ = "sensitive_review"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    name: Mapped[str]
    version: Mapped[int]
    reviewed_by: Mapped[str] = mapped_column(ForeignKey("person.id"))
    signature: Mapped[str]
    created: Mapped[int]
    due: Mapped[int]  # when it is to be reviewed again, epoch s


class SensitiveTest(Base):
    """A run of the test of suppression."""

    __tablename__ = "sensitive_test"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    planted: Mapped[int]
    surviving: Mapped[int]
    created: Mapped[int]
    due: Mapped[int]


class SensitivePurge(Base):
    """What must leave the lake. While `state` is not done, every command goes on with it."""

    __tablename__ = "sensitive_purge"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    cause: Mapped[str]  # list NAME VERSION | delivery ID
    state: Mapped[str]  # wanted | rewritten | done
    days: Mapped[str]  # JSON: local days to derive anew
    created: Mapped[int]
    ended: Mapped[int | None]
