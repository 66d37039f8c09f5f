"""What the order's path works with, and how what it keeps is encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from passersby.config import Config
from passersby.disclosure.authorities import PublishedLog, made_as_demo
from passersby.disclosure.order import Limits
from passersby.errors import Refusal
from passersby.keys.envelope import Envelope
from passersby.keys.ring import KeyRing
from passersby.keys.signed import Actor
from passersby.lake.lake import Lake
from passersby.policy.refusals import refusal
from passersby.sensitive.lists import SensitiveLists
from passersby.store.database import Database
from passersby.trustlog.cosigning import Cosigning
from passersby.trustlog.entries import JSON, append
from passersby.trustlog.heads import Witnessed
from passersby.trustlog.publish import Publisher

_PURPOSE = "orders"


@dataclass(frozen=True)
class Parts:
    """The parts of one deployment that orders need."""

    config: Config
    database: Database
    lake: Lake
    ring: KeyRing
    publisher: Publisher
    cosigning: Cosigning
    sensitive: SensitiveLists

    @property
    def limits(self) -> Limits:
        """Most that an order may ask for here."""
        return Limits(self.config.order_devices, self.config.order_days, self.config.name)

    @property
    def log(self) -> PublishedLog:
        """The published log."""
        return PublishedLog(self.publisher.folder, self.publisher.vkey)

    def require_witnesses(self, index: int = -1, *, now: int) -> Witnessed | None:
        """Return the outside signatures over the log up to an entry; a demo that asks for none gets None.

        That this is a demo is what the log's first entry says, whatever the database's settings say.

        Raises:
            Refusal: no-witness, witnesses-away.
            IntegrityError: the published log is damaged.
        """
        signed = self.cosigning.require_quorum(index, now=now)
        if signed is None:
            with self.database.read() as session:
                if not made_as_demo(session):
                    raise refusal("no-witness")
        return signed

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Run one transaction; the log is published after it committed."""
        with self.database.write() as session:
            yield session
        self.publisher.publish(self.database)

    @contextmanager
    def counted(
        self, stage: str, *, actor: Actor, now: int, order: int | None = None, sha256: str = ""
    ) -> Iterator[None]:
        """Log a refusal that the block raises, in a transaction of its own: the block's has left nothing."""
        try:
            yield
        except Refusal as refused:
            public: dict[str, JSON] = {"code": refused.code, "stage": stage, "order": order}
            with self.writing() as session:
                append(session, "order.refused", public, {"by": actor.id, "document_sha256": sha256}, now=now)
            raise


def envelope(session: Session, ring: KeyRing) -> Envelope:
    """Return what encrypts orders in the database; the key is made on first use."""
    return Envelope(ring.purpose(session, _PURPOSE))
