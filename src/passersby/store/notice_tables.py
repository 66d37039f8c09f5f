"""Tables of notices to the holders of devices."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from passersby.store.tables import Base, Serial


class Notice(Base):
    """One notice to one device's holder. `holder` is a keyed hash of its advertising id."""

    __tablename__ = "notice"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    holder: Mapped[bytes] = mapped_column(index=True)
    what: Mapped[str]  # disclosure
    about: Mapped[int]  # number of the order
    due: Mapped[int]  # epoch s: not before
    delayed: Mapped[bool]  # by a dated order
    created: Mapped[int]
    delivered: Mapped[int | None]
