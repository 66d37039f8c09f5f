"""Balances of the ledger: what a (pseudonym key, period) may still spend, in all and for one licence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from sqlalchemy import ColumnElement, CursorResult, func, select, update
from sqlalchemy.orm import Session

from passersby.errors import BudgetSpent, IntegrityError, UsageError
from passersby.model.cost import MicroRho
from passersby.store.database import Database
from passersby.store.tables import Budget, LicenceBudget, Spend

_Table: TypeAlias = type[Budget] | type[LicenceBudget]


@dataclass(frozen=True)
class Balance:
    """What one (pseudonym key, period) may spend and has spent.

    Args:
        key: public name of the pseudonym key.
        period: name of the period.
        cap: over everything and everyone.
        first_answers: the part of the cap that first answers may reach; the rest is for revisions.
        spent: by all questions.
        licences: what each licence has spent, as (licence, spent), sorted.
    """

    key: str
    period: str
    cap: MicroRho
    first_answers: MicroRho
    spent: MicroRho
    licences: tuple[tuple[str, MicroRho], ...]


@dataclass(frozen=True)
class LicenceBalance:
    """What one licence may spend and has spent in one (pseudonym key, period)."""

    licence: str
    key: str
    period: str
    cap: MicroRho
    spent: MicroRho


@dataclass(frozen=True)
class Account:
    """One row to be debited.

    Args:
        table: which balance.
        owner: its primary key, as column name -> value.
        cap: what the settings allow, micro-rho; a lower cap in the row counts.
        percent: part of the cap that this charge may reach.
    """

    table: _Table
    owner: tuple[tuple[str, str], ...]
    cap: int
    percent: int = 100

    @property
    def row(self) -> list[ColumnElement[bool]]:
        """The condition that selects the row."""
        return [getattr(self.table, name) == value for name, value in self.owner]


@dataclass(frozen=True)
class Held:
    """An account whose row is locked until the transaction ends. Integer micro-rho."""

    account: Account
    cap: int
    spent: int

    def fits(self, charge: int) -> bool:
        """Return whether the account can pay `charge`."""
        return self.spent + charge <= first_part(self.cap, self.account.percent)


def accounts(
    periods: Sequence[tuple[str, str]], cap: int, percent: int, licence: str, licence_cap: int
) -> list[Account]:
    """Return the accounts that a question debits, in the one order in which everybody locks them."""
    everyone = [Account(Budget, (("key", k), ("period", p)), cap, percent) for k, p in sorted(periods)]
    own = [
        Account(LicenceBudget, (("licence", licence), ("key", k), ("period", p)), licence_cap)
        for k, p in sorted(periods)
    ]
    return [*everyone, *own]


def hold(database: Database, session: Session, account: Account) -> Held:
    """Lock the account's row, made on first use, and return it.

    SQLite's write lock is held since BEGIN IMMEDIATE and it has no FOR UPDATE; PostgreSQL locks the row.
    """
    table = account.table
    wanted = select(table.cap, table.spent).where(*account.row).with_for_update()
    row = session.execute(wanted).one_or_none()
    if row is None:
        database.insert_if_absent(session, table, {**dict(account.owner), "cap": account.cap, "spent": 0})
        row = session.execute(wanted).one()
    return Held(account, effective_cap(row.cap, row.spent, account.cap), row.spent)


def debit(session: Session, held: Sequence[Held], charge: int) -> None:
    """Debit every account, or none.

    Raises:
        BudgetSpent: one of them cannot pay; nothing was debited.
        IntegrityError: a row changed although it was locked.
    """
    if not all(one.fits(charge) for one in held):
        raise BudgetSpent
    for one in held:
        table = one.account.table
        seen = update(table).where(*one.account.row, table.spent == one.spent)
        done = session.execute(seen.values(cap=one.cap, spent=one.spent + charge))
        if cast("CursorResult[Any]", done).rowcount != 1:
            raise contradiction("a balance changed while it was locked")


def effective_cap(held: int, spent: int, configured: int) -> int:
    """Return the cap that counts: the lowest that was ever set, but never below what is spent."""
    return max(spent, min(held, configured))


def first_part(cap: int, percent: int) -> int:
    """Return that part of a cap, rounded down."""
    return cap * percent // 100


def lower(database: Database, session: Session, key: str, period: str, cap: int, configured: int) -> int:
    """Lower the cap of a (key, period); return the cap that counts from now on, micro-rho.

    Raises:
        UsageError: `cap` is above the cap that counts now.
    """
    account = Account(Budget, (("key", key), ("period", period)), configured)
    # a savepoint: a refusal leaves no balance behind, even if the caller goes on
    with session.begin_nested():
        held = hold(database, session, account)
        if cap > held.cap:
            msg = "A cap can be lowered only; this one is above the cap that holds."
            raise UsageError(msg, "Run `passersby budget` for the caps that hold, and choose a lower one.")
        new = effective_cap(cap, held.spent, configured)
        session.execute(update(Budget).where(*account.row).values(cap=new))
    return new


def balances(session: Session, configured: int, percent: int) -> list[Balance]:
    """Return every balance, sorted by period and key."""
    shares: dict[tuple[str, str], list[tuple[str, MicroRho]]] = {}
    for own in session.scalars(select(LicenceBudget).order_by(LicenceBudget.licence)):
        shares.setdefault((own.key, own.period), []).append((own.licence, MicroRho(own.spent)))
    rows = []
    for row in session.scalars(select(Budget).order_by(Budget.period, Budget.key)):
        cap = effective_cap(row.cap, row.spent, configured)
        part = MicroRho(first_part(cap, percent))
        licences = tuple(shares.get((row.key, row.period), ()))
        rows.append(Balance(row.key, row.period, MicroRho(cap), part, MicroRho(row.spent), licences))
    return rows


def licence_balances(session: Session, licence: str) -> list[LicenceBalance]:
    """Return the balances of one licence, sorted by period and key."""
    own = select(LicenceBudget).where(LicenceBudget.licence == licence)
    return [
        LicenceBalance(licence, row.key, row.period, MicroRho(row.cap), MicroRho(row.spent))
        for row in session.scalars(own.order_by(LicenceBudget.period, LicenceBudget.key))
    ]


def verify(session: Session) -> None:
    """Compare every balance with the sum of its mechanism events.

    Raises:
        IntegrityError: they differ.
    """
    total = func.sum(Spend.micro_rho)
    charged = select(Spend.key, Spend.period, total).group_by(Spend.key, Spend.period)
    held = select(Budget.key, Budget.period, Budget.spent).where(Budget.spent > 0)
    by_licence = select(Spend.licence, Spend.key, Spend.period, total)
    own = select(LicenceBudget.licence, LicenceBudget.key, LicenceBudget.period, LicenceBudget.spent)
    pairs = (
        (charged, held),
        (by_licence.group_by(Spend.licence, Spend.key, Spend.period), own.where(LicenceBudget.spent > 0)),
    )
    for events, rows in pairs:
        # PostgreSQL sums BIGINT to NUMERIC
        sums = {(*row[:-1], int(row[-1])) for row in session.execute(events)}
        if sums != {tuple(row) for row in session.execute(rows)}:
            raise contradiction("a balance is not the sum of its mechanism events")


def contradiction(what: str) -> IntegrityError:
    """Return the error for a ledger that contradicts itself."""
    msg = f"The privacy ledger contradicts itself: {what}."
    return IntegrityError(
        msg, "Stop using the deployment, keep a copy as evidence, and restore the newest backup."
    )
