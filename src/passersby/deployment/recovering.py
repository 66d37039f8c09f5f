"""What is done with keys while a deployment does not open: say who keeps them, get them back by shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from passersby import config as settings
from passersby.deployment import keeping
from passersby.deployment.layout import Layout
from passersby.errors import IntegrityError, KeeperAway, PassersbyError, UsageError
from passersby.keys import recovery
from passersby.keys.keeper import probe
from passersby.keys.keepers import keepers
from passersby.keys.kept import Kept
from passersby.keys.ring import KeyRing
from passersby.people.actor import actor_from
from passersby.store.database import Database
from passersby.store.tables import EpochKey


@dataclass(frozen=True)
class KeyStatus:
    """Who keeps the key-encryption key, whether they answer, and what lies under it.

    Args:
        keeper: name of the keeper.
        place: where the key is, in words.
        since: when it was made, epoch s; 0 for the first one of a deployment.
        answers: whether it is there and works.
        problem: what is wrong if not, and what to do.
        keys: number of keys under it.
        unopened: names of epoch keys that it does not open, and of purposes.
        destroyed: epoch keys that were destroyed.
        shares: the recovery shares, None if there are none.
        left_over: key-encryption keys out of use that wait for their keeper to destroy them, in words.
    """

    keeper: str
    place: str
    since: int
    answers: bool
    problem: str
    keys: int
    unopened: tuple[str, ...]
    destroyed: int
    shares: recovery.Shared | None
    left_over: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Recovered:
    """What shares gave back: where the new key-encryption key is, and keys that had no seal."""

    place: str
    keys: int
    lost: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Closed:
    """A deployment of which only settings and control database are open."""

    layout: Layout
    database: Database
    kept: Kept
    ring: KeyRing

    def status(self) -> KeyStatus:
        """Return who keeps the keys. It works while the keeper is away."""
        with self.database.read() as session:
            kek = self.kept.active(session)
            problem, unopened = "", []
            try:
                probe(self.kept.keepers[kek.keeper], kek.id)
                unopened = self._unopened(session)
            except PassersbyError as error:
                problem = str(error)
            destroyed = select(func.count()).where(EpochKey.destroyed.is_not(None))
            return KeyStatus(
                keeper=kek.keeper,
                place=self.kept.place(kek),
                since=kek.created,
                answers=not problem,
                problem=problem,
                keys=len(list(self.ring.all_keys(session))),
                unopened=tuple(unopened),
                destroyed=session.scalar(destroyed) or 0,
                shares=recovery.shared(session),
                left_over=tuple(self.kept.place(other) for other in self.kept.left_over(session)),
            )

    def _unopened(self, session: Session) -> list[str]:
        found = self.ring.unopened(session)
        return [key.row.id if isinstance(key.row, EpochKey) else key.name for key in found]

    def recover(self, texts: Sequence[str], key_file: Path, *, to: str, now: int) -> Recovered:
        """Open every key with shares, and wrap all with a new key-encryption key.

        Args:
            texts: enough shares.
            key_file: private key of a custodian.
            to: keeper of the new key-encryption key, "" for the one that kept the old one.
            now: epoch s.

        Raises:
            Refusal: the person is no custodian.
            NotReady, BadRecord: see `keeping.recovery_key`.
            UsageError: the present key-encryption key works: nothing is lost.
            KeeperAway: the new keeper does not answer.
            IntegrityError: a key that everything needs is not sealed, or a seal does not open.
        """
        with self.database.read() as session:
            actor = actor_from(key_file, session)
            keeping.require_custodian(session, actor)
            private = keeping.recovery_key(session, texts)
            before = self.kept.active(session)
            self._check_lost(session)
        with self.kept.changing():
            new = self.kept.draft(to or before.keeper, now=now)
            with self.database.write() as session:
                wrapper, _ = self.kept.switch(session, new)
                left = self.ring.rewrap(
                    session, wrapper, lambda key: recovery.opened(session, private, key.name)
                )
                lost = [
                    key.row.id
                    for key in self.ring.all_keys(session)
                    if key.name in left and isinstance(key.row, EpochKey)
                ]
                if len(lost) < len(left):
                    raise IntegrityError(
                        "A key that everything needs was not sealed to the recovery key.",
                        "Use the newest backup of the control database; the shares open that of any day.",
                    )
                public = {"keeper": new.keeper}
                keeping.log(session, "keys.recovered", public, actor, now=now, kek=new.id, lost=lost)
                number = len(list(self.ring.all_keys(session))) - len(left)
        return Recovered(self.kept.place(new), number, tuple(lost))

    def _check_lost(self, session: Session) -> None:
        """Refuse to recover what is not lost: `keys move` does the same, and asks for no shares."""
        try:
            if not self.ring.unopened(session):
                raise UsageError(
                    "The keys open: there is nothing to recover.",
                    "`passersby keys test-shares` tries shares, `passersby keys rotate` makes a new key.",
                )
        except (IntegrityError, KeeperAway):
            return


@contextmanager
def closed(root: Path) -> Iterator[Closed]:
    """Open settings and control database of a deployment, and nothing that needs a key.

    Raises:
        NotADeployment: the folder holds none.
    """
    config = settings.read(root)
    layout = Layout(root.absolute())
    database = Database(layout.url(config))
    try:
        database.migrate()
        kept = Kept(database, keepers(config, layout.root), layout.keys)
        yield Closed(layout, database, kept, KeyRing(database, kept, epoch_weeks=config.epoch_weeks))
    finally:
        database.dispose()
