"""Decides whether a supplier may deliver now, and gathers the rules that its rows are judged by."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.config import Config
from passersby.consent import withdrawals
from passersby.consent.fields import Normalise
from passersby.consent.registers import ConsentRegisters, Loaded, Terms
from passersby.consent.withdrawals import Barred
from passersby.errors import Busy, NotReady, Refusal, WrongSchema
from passersby.ingest.passes import Clock
from passersby.ingest.screen import Consents, Rules
from passersby.keys.ring import KeyRing
from passersby.keys.signed import Actor, require
from passersby.model import banned
from passersby.policy import freeze, impact
from passersby.sensitive.cover import Cover
from passersby.sensitive.lists import SensitiveLists
from passersby.sources import ids
from passersby.sources import schema as schemas
from passersby.sources.schema import Schema
from passersby.store.database import Database
from passersby.store.tables import Sealed
from passersby.suppliers import registry, samples
from passersby.suppliers.contract import Contract
from passersby.trustlog.entries import JSON, append

_NO_LIST = "No list of sensitive places is in force: load one with `passersby sensitive load FILE`."


@dataclass(frozen=True)
class Admitted:
    """A supplier that may deliver, and the rules as they stand at this moment."""

    number: int
    contract: Contract
    schema: Schema
    rules: Rules
    cover: Cover
    sealed: frozenset[tuple[int, int]]
    versions: Mapping[str, int]
    epochs: frozenset[int]
    notes: tuple[str, ...]


class Admission:
    """The checks that come before any file is opened.

    Args:
        root: folder of the deployment.
        config: its settings.
        database: its control database.
        ring: its keys.
    """

    def __init__(self, root: Path, config: Config, database: Database, ring: KeyRing) -> None:
        self._root = root
        self._config = config
        self._database = database
        self._ring = ring
        self._consents = ConsentRegisters(root, database, ring)
        self._places = SensitiveLists(root, database, buffer_m=config.sensitive_buffer_m)

    def cover(self) -> Cover:
        """Return the test for all lists of sensitive places in force."""
        return self._places.cover()

    def check(self, supplier: str, consent: Path | None, *, clock: Clock) -> Admitted:
        """Return the rules for a delivery; a refusal is logged.

        Args:
            supplier: id of the supplier.
            consent: its consent register, put into force first.
            clock: the time.

        Raises:
            UnknownName: there is no such supplier.
            NotReady: it is not assessed, suspended, or its consent register is missing; or no impact
                assessment is in force.
            Refusal: the deployment is frozen, or its files are of a kind that is never taken.
            InputError: the consent register is not valid.
        """
        with self.refusals_logged(supplier, clock):
            with self._database.read() as session:
                freeze.require_running(session)
                number, contract = registry.require_ready(session, supplier, now=clock.now)
                if contract.needs_consent:
                    samples.require_current(session, number, supplier, now=clock.now)
                impact.require(session, now=clock.now)
            schema = self._schema(contract)
            if consent is not None:
                self._load(consent, supplier, schema, by={}, now=clock.now)
            # before anything else is read: what changes after this is noticed by `require_unchanged`
            with self._database.write() as session:
                versions = self._versions(session, number)
                barred = withdrawals.barred(session, self._ring)
                epochs = self._ring.epochs(session)
            rules = self._rules(number, contract, schema, barred, clock)
        cover = self.cover()
        return Admitted(
            number=number,
            contract=contract,
            schema=schema,
            rules=rules,
            cover=cover,
            sealed=self._sealed(contract),
            versions=versions,
            epochs=epochs,
            notes=() if len(cover.places) else (_NO_LIST,),
        )

    def load_consent(self, path: Path, supplier: str, *, actor: Actor, now: int) -> Loaded:
        """Put a supplier's consent register into force without a delivery; of a suspended one too.

        Raises:
            UnknownName: there is no such supplier.
            InputError: the file is not a valid register; the one before stays in force.
            Refusal: it is of a source that is never taken, or the actor is neither custodian nor has the role
                legal or privacy (logged).
        """
        with self.refusals_logged(supplier, Clock(now)):
            with self._database.read() as session:
                _, contract = registry.get(session, supplier)
                require(session, actor, "custodian", "legal", "privacy")
            return self._load(path, supplier, self._schema(contract), by={"loaded_by": actor.id}, now=now)

    def _load(self, path: Path, supplier: str, schema: Schema, *, by: Mapping[str, JSON], now: int) -> Loaded:
        return self._consents.load(
            path,
            supplier=supplier,
            normalise=_normaliser(schema),
            now=now,
            by=by,
        )

    def require_unchanged(self, session: Session, admitted: Admitted, *, now: int) -> None:
        """Check in the transaction that commits a delivery that what it was judged by still holds.

        Raises:
            NotReady: the supplier was suspended meanwhile.
            Refusal: the deployment was frozen meanwhile.
            Busy: its consent register or a list of sensitive places was replaced meanwhile.
        """
        freeze.require_running(session)
        registry.require_ready(session, admitted.contract.id, now=now)
        impact.require(session, now=now)
        if self._versions(session, admitted.number) != admitted.versions:
            msg = "The consent register or a list of sensitive places was replaced meanwhile."
            raise Busy(msg, "Run the command again; nothing was stored.")
        self._judge_withdrawals(session, admitted)

    def _judge_withdrawals(self, session: Session, admitted: Admitted) -> None:
        """Let the commit of a delivery take note of devices that withdrew while it was read.

        Nobody reads their rows, since the withdrawal knows their pseudonyms, but for those under a key that
        was made after it.

        Raises:
            Busy: such a key was made.
        """
        seen = admitted.rules.barred.newest
        if withdrawals.newest(session) == seen:
            return
        if self._ring.epochs(session) != admitted.epochs:
            msg = "A device withdrew while this delivery, the first of its time, was read."
            raise Busy(msg, "Run the command again; nothing was stored.")
        withdrawals.search_again(session, seen)

    def _versions(self, session: Session, number: int) -> dict[str, int]:
        lists = {f"places:{name}": version for name, version in self._places.versions(session).items()}
        return {**lists, "consent": self._consents.version(session, number)}

    @contextmanager
    def refusals_logged(self, supplier: str, clock: Clock) -> Iterator[None]:
        """Log that the block refused a delivery, in a transaction of its own."""
        try:
            yield
        except (NotReady, Refusal) as error:
            with self._database.write() as session:
                public = {"supplier": supplier, "code": error.code}
                append(session, "delivery.refused", public, now=clock.now)
            raise

    def _schema(self, contract: Contract) -> Schema:
        own = self._root / contract.schema
        schema = schemas.load(own if own.is_file() else contract.schema)
        try:
            schema.require_accepted()
        except WrongSchema:
            raise banned.refusal(banned.BIDSTREAM) from None
        return schema

    def _rules(self, number: int, contract: Contract, schema: Schema, barred: Barred, clock: Clock) -> Rules:
        terms = Terms(contract.notice_version, contract.notice_sha256, contract.purposes)
        register = self._consents.current(number, now=clock.now, terms=terms)
        required = contract.needs_consent
        if required and register is None and "consent" not in schema.columns:
            msg = f"Supplier {contract.id} delivers on consent, and no consent register is loaded."
            step = f"Add it: `passersby ingest FILES... --supplier {contract.id} --consent FILE`."
            raise NotReady(msg, step)
        consents = None
        if required or register is not None:
            consents = Consents(register, self._consents.key(), required)
        return Rules(
            first_day=contract.dates_from,
            last_day=contract.dates_to,
            offset=self._config.offset,
            barred=barred,
            consents=consents,
            epoch_of=self._ring.epoch_of,
            epoch_key=_EpochKeys(self._database, self._ring, clock),
        )

    def _sealed(self, contract: Contract) -> frozenset[tuple[int, int]]:
        query = select(Sealed.day, Sealed.bucket).where(
            Sealed.day.between(contract.dates_from, contract.dates_to)
        )
        with self._database.read() as session:
            return frozenset((row.day, row.bucket) for row in session.execute(query))


class _EpochKeys:
    """Keys of epochs, made and logged on first use; None for one that was destroyed. Thread-safe."""

    def __init__(self, database: Database, ring: KeyRing, clock: Clock) -> None:
        self._database = database
        self._ring = ring
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[int, bytes | None] = {}

    def __call__(self, epoch: int) -> bytes | None:
        with self._lock:
            if epoch not in self._keys:
                self._keys[epoch] = self._opened(epoch)
            return self._keys[epoch]

    def _opened(self, epoch: int) -> bytes | None:
        now = self._clock.now
        try:
            with self._database.write() as session:
                info = self._ring.epoch_key(session, epoch, now=now)
                if info.created:
                    first = self._ring.first_period(epoch).name
                    append(session, "epoch.opened", {"key": info.id, "first_period": first}, now=now)
        except Refusal:
            return None
        return info.key


def _normaliser(schema: Schema) -> Normalise:
    """Return how this supplier's ids are brought to their normal form; null where one is no id."""

    def normalise(values: pl.Series) -> pl.Series:
        normal, state = ids.normalised(values, schema.id_prefix)
        usable = (state == ids.OK) | (state == ids.ZEROED)
        return normal.zip_with(pl.Series(usable), pl.Series([None], dtype=pl.String))

    return normalise
