"""An open deployment: what its commands do, each whole with its log entry published."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from passersby import config as settings
from passersby.config import Config
from passersby.consent import withdrawals
from passersby.custody import health, retention
from passersby.custody.retention import Gone
from passersby.deployment import handing, subjects
from passersby.deployment.layout import (
    DEMO,
    LEAVING_LOG_KEY,
    LOG_KEY,
    ORIGIN,
    Layout,
    check_fixed,
    readable_by_others,
    setting,
)
from passersby.deployment.uses import Uses
from passersby.disclosure import holds
from passersby.disclosure.parts import Parts as OrderParts
from passersby.engines.duckdb import DuckDB
from passersby.errors import PassersbyError
from passersby.gate.gate import Answer, Gate
from passersby.gate.parts import Parts
from passersby.gate.planning import Planned
from passersby.gate.request import Request
from passersby.ingest import purging, tainting
from passersby.ingest.pipeline import Ingest
from passersby.ingest.report import Report
from passersby.keys.keepers import keepers
from passersby.keys.kept import Held, Kept
from passersby.keys.ring import KeyRing
from passersby.keys.signed import Actor
from passersby.lake.lake import Lake
from passersby.model.release import Release
from passersby.people.actor import actor_from
from passersby.policy.decision import Decider
from passersby.policy.watch import watch
from passersby.privacy.accounting import micro_rho_for
from passersby.privacy.answers import ReleaseEntry
from passersby.privacy.budget import Balance, LicenceBalance
from passersby.privacy.ledger import Ledger
from passersby.privacy.noise import OpenDPSampler
from passersby.sensitive.lists import SensitiveLists
from passersby.store import durable
from passersby.store.database import Database
from passersby.store.tables import File
from passersby.trustlog.cosigning import Cosigning, Outside
from passersby.trustlog.disclosure import disclose
from passersby.trustlog.entries import JSON, append
from passersby.trustlog.export import Exported, export
from passersby.trustlog.heads import Quorum
from passersby.trustlog.publish import Publisher
from passersby.trustlog.verify import Report as LogReport
from passersby.trustlog.verify import verify_database


class Deployment:
    """One installation, open. Use it as a context manager, or call `close`.

    `repaired` says in plain words what an interrupted command had left and opening put right.
    """

    def __init__(self, root: Path, config: Config, database: Database, *, now: int) -> None:
        self.layout = Layout(root.absolute())
        self.config = config
        self.database = database
        self.repaired: list[str] = []
        self.uses = Uses(self.layout.root / "in-use")
        with database.read() as session:
            check_fixed(session, config)
            origin, self.is_demo = setting(session, ORIGIN), setting(session, DEMO) == "1"
        self.kept = Kept(database, keepers(config, self.layout.root), self.layout.keys)
        self.kept.prepare()
        self.ring = KeyRing(database, self.kept, epoch_weeks=config.epoch_weeks)
        outside = [Outside.parse(line) for line in config.witnesses]
        quorum = Quorum(tuple(witness.key for witness in outside), config.witness_quorum)
        self.publisher = Publisher(self.layout.log, origin, *self.log_keys(), quorum=quorum)
        self.cosigning = Cosigning(database, self.publisher, outside, demo=self.is_demo)
        self.lake = Lake(
            self.layout.lake,
            database,
            buckets=config.buckets,
            offset=config.offset,
            keep=self._keep,
            hidden=lambda session: withdrawals.hidden(session, self.ring),
        )
        cap = micro_rho_for(config.epsilon_cap, config.delta)
        self.ledger = Ledger(database, cap=cap, revision_percent=config.revision_percent)
        self.repaired = self.sweep(now)

    @classmethod
    def open(cls, root: Path | str, *, now: int | None = None) -> Self:
        """Open the deployment in a folder, and repair what an interrupted command left.

        Raises:
            NotADeployment: the folder holds none.
            IntegrityError: settings, keys, database and published log do not belong together.
        """
        root = Path(root)
        config = settings.read(root)
        database = Database(Layout(root.absolute()).url(config))
        try:
            database.migrate()
            return cls(root, config, database, now=_instant(now))
        except BaseException:
            database.dispose()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None or isinstance(error, PassersbyError):
                self.ask_witnesses()
        finally:
            self.close()

    def ask_witnesses(self, *, now: int | None = None, force: bool = False) -> None:
        """Ask outside witnesses to sign what was published; see `Cosigning.ask`.

        Leaving the context does so too, once for all that was done in it, and with little patience.
        """
        self.cosigning.ask(now=_instant(now), force=force)

    def close(self) -> None:
        """Close the engine and the database."""
        if "engine" in self.__dict__:
            self.engine.close()
        self.uses.end(self.database)
        self.database.dispose()

    @property
    def vkey(self) -> str:
        """The log's verifier key: publish it where the log's folder is not."""
        return self.publisher.vkey

    @cached_property
    def engine(self) -> DuckDB:
        """The query engine, opened when a question needs it."""
        config = self.config
        return DuckDB(self.layout.spill, threads=config.threads, memory_mb=config.memory_mb)

    @cached_property
    def gate(self) -> Gate:
        """The only way numbers leave."""
        return Gate(
            Parts(
                config=self.config,
                database=self.database,
                lake=self.lake,
                engine=self.engine,
                ring=self.ring,
                ledger=self.ledger,
                decider=Decider(),
                sampler=OpenDPSampler(self.config.threads),
                publisher=self.publisher,
            )
        )

    def log_keys(self) -> tuple[Ed25519PrivateKey, Ed25519PrivateKey | None]:
        """Return the log's key, and the one that it just replaced."""
        with self.database.write() as session:
            key = self.ring.purpose(session, LOG_KEY)
            leaving = self.ring.find_purpose(session, LEAVING_LOG_KEY)
        of = Ed25519PrivateKey.from_private_bytes
        return of(key), of(leaving) if leaving else None

    @cached_property
    def orders(self) -> OrderParts:
        """What court orders are verified and carried out with."""
        return OrderParts(
            config=self.config,
            database=self.database,
            lake=self.lake,
            ring=self.ring,
            publisher=self.publisher,
            cosigning=self.cosigning,
            sensitive=self.sensitive,
        )

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Run one transaction of records; the log is published after it committed."""
        with self.database.write() as session:
            yield session
        self.publisher.publish(self.database)

    def announce(self, *, now: int) -> None:
        """Write the log's first entry: origin, verifier key, and whether this is a demo for ever."""
        public: dict[str, JSON] = {"origin": self.publisher.origin, "demo": self.is_demo}
        with self.writing() as session:
            append(session, "deployment.created", {**public, "verifier_key": self.vkey}, now=now)
        durable.write(self.layout.verifier_key, f"{self.vkey}\n".encode())

    def sweep(self, now: int) -> list[str]:
        """Repair lake, ledger and published log; return what was done, in plain words."""
        self.publisher.check_not_behind(self.database)
        repaired = [*self.tidy_keys(now), *subjects.parts(self).settle(now), *self.lake.sweep(now)]
        with self.database.write() as session:
            repaired += self.ledger.sweep(session, now)
        repaired += subjects.settle(self, now)
        self.cosigning.declare(now=now)
        watch(self.database, self.config, now=now)
        self.publisher.publish(self.database)
        return repaired + self.leave_log_key()

    def tidy_keys(self, now: int) -> list[str]:
        """Destroy key-encryption keys that are not in use; return what was done, in plain words."""

        def record(session: Session, kek: Held) -> None:
            append(session, "keys.destroyed", {"keeper": kek.keeper}, {"kek": kek.id}, now=now)

        return self.kept.tidy(record)

    def leave_log_key(self) -> list[str]:
        """Forget the key of the log that was replaced, once a checkpoint that both signed is published."""
        if not self.publisher.is_leaving:
            return []
        durable.write(self.layout.verifier_key, f"{self.vkey}\n".encode())
        with self.database.write() as session:
            self.ring.drop_purpose(session, LEAVING_LOG_KEY)
        self.publisher.sign_with(*self.log_keys())
        return ["completed a change of the log's key"]

    def actor(self, key_file: Path | str | None = None) -> Actor:
        """Return the person who holds a private key; by default the only key in the people folder.

        Raises:
            UsageError: no key file is named and there is not exactly one in the folder.
        """
        with self.database.read() as session:
            actor = actor_from(Path(key_file or self.layout.only_key()), session)
        self.uses.begin(actor.id, _instant(None))
        return actor

    @cached_property
    def sensitive(self) -> SensitiveLists:
        """Lists of sensitive places."""
        return SensitiveLists(
            self.layout.root,
            self.database,
            buffer_m=self.config.sensitive_buffer_m,
            offset=self.config.offset,
        )

    def finish_purges(self, now: int) -> list[str]:
        """Take out of the lake what lists in force forbid, and what came of bad deliveries."""
        threads = self.config.threads or os.cpu_count() or 1
        done = tainting.finish(self.lake, now=now, threads=threads)
        return done + purging.finish(self.lake, self.sensitive.cover, now=now, threads=threads)

    def ingest(
        self,
        files: Sequence[Path],
        supplier: str,
        *,
        now: int | None = None,
        consent: Path | None = None,
        progress: Callable[[int, int, int], None] | None = None,
        remove_source: bool = False,
    ) -> Report:
        """Take a delivery in, derive what it touches, publish the log. See `ingest.pipeline`."""
        taking = Ingest(self.layout.root, self.config, self.database, self.lake, self.ring, sweep=self.sweep)
        try:
            return taking.run(
                files,
                supplier,
                now=_instant(now),
                consent=consent,
                progress=progress,
                remove_source=remove_source,
            )
        finally:
            self.publisher.publish(self.database)

    def ask(
        self,
        request: Request,
        actor: Actor,
        *,
        now: int | None = None,
        step: Callable[[str], None] = lambda _: None,
    ) -> Answer:
        """Answer a question through the gate. See `Gate.ask`."""
        return self.gate.ask(request, actor, now=_instant(now), step=step)

    def plan(self, request: Request, actor: Actor, *, now: int | None = None) -> Planned:
        """Say what a question would cost and be worth; nothing is spent. See `Gate.plan`."""
        return self.gate.plan(request, actor, now=_instant(now))

    def plan_forms(self, forms: Sequence[Request], actor: Actor, *, now: int | None = None) -> list[Planned]:
        """Do the same for one question in several resolutions and grains. See `Gate.plan_forms`."""
        return self.gate.plan_forms(forms, actor, now=_instant(now))

    def plan_together(
        self, requests: Sequence[Request], actor: Actor, *, now: int | None = None
    ) -> list[Planned]:
        """Say what a bundle of questions would cost; nothing is spent. See `Gate.plan_together`."""
        return self.gate.plan_together(requests, actor, now=_instant(now))

    def ask_together(
        self,
        requests: Sequence[Request],
        actor: Actor,
        *,
        now: int | None = None,
        step: Callable[[str], None] = lambda _: None,
    ) -> list[Answer]:
        """Answer a bundle of questions, or none of them. See `Gate.ask_together`."""
        return self.gate.ask_together(requests, actor, now=_instant(now), step=step)

    def release(self, name: str) -> Release:
        """Return a stored answer by its short name. See `deployment.handing.release`."""
        return handing.release(self.database, self.ledger, self.publisher, name, now=_instant(None))

    def releases(self) -> Sequence[ReleaseEntry]:
        """Return all stored answers without their rows, oldest first."""
        with self.database.read() as session:
            return self.ledger.list(session)

    def balances(self) -> Sequence[Balance]:
        """Return the budget of every period."""
        with self.database.read() as session:
            return self.ledger.balance(session)

    def licence_balances(self, licence: str) -> Sequence[LicenceBalance]:
        """Return what one licence spent."""
        with self.database.read() as session:
            return self.ledger.licence_balance(session, licence)

    def verify_log(self, *, older: bytes | None = None) -> LogReport:
        """Verify every entry and tile of the published log, and the database against it."""
        report = verify_database(self.database, self.layout.log, self.vkey, older=older)
        return replace(report, witnessed=self.publisher.standing().witnessed)

    def export_log(self, out: Path) -> Exported:
        """Write a copy of the published log for a web server. See `trustlog.export`."""
        return export(self.layout.log, out, self.vkey)

    def disclose(self, index: int, fields: Sequence[str], *, to: str, actor: Actor, now: int) -> bytes:
        """Return a document that shows an auditor hidden fields of a log entry. See `trustlog.disclosure`."""
        return disclose(self.database, self.publisher, index, fields, to=to, actor=actor, now=now)

    def verify_ledger(self) -> None:
        """Compare every balance with the sum of its mechanism events."""
        with self.database.read() as session:
            self.ledger.verify(session)

    def doctor(self, *, deep: bool) -> list[health.Check]:
        """Check folders, files, ledger and log; see `custody.health`."""
        private = readable_by_others(self.layout.root)
        return health.doctor(
            self.lake,
            self.verify_ledger,
            self.verify_log,
            lambda: health.keys_of(self.kept, self.ring),
            private,
            deep=deep,
        )

    def expire(self, *, now: int | None = None) -> Gone:
        """Delete what has reached its deletion date; see `custody.retention`."""
        try:
            return retention.expire(self.lake, self.ring, self.sweep, now=_instant(now))
        finally:
            self.publisher.publish(self.database)

    def _keep(self, session: Session, files: Sequence[File], now: int) -> None:
        """Copy what open orders hold out of files whose rows are being deleted."""
        holds.keep(session, self.ring, self.layout.lake, files, offset=self.config.offset, now=now)


def _instant(now: int | None) -> int:
    """Return epoch s: the given instant, by default the present."""
    return int(time.time()) if now is None else now
