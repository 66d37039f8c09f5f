"""What `status` finds due and what `doctor` finds broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

import worlds
from passersby.custody import health
from passersby.deployment.create import create
from passersby.deployment.opened import Deployment
from passersby.model.period import DAY
from passersby.store.tables import Budget, LogEntry, Spend

pytestmark = pytest.mark.slow


def _status(asker: worlds.Asker, days: float = 0) -> health.Status:
    return health.status(asker.d.database, asker.d.config, now=worlds.now() + int(days * DAY))


def _bad(asker: worlds.Asker, *, deep: bool = False) -> list[health.Check]:
    return [check for check in asker.d.doctor(deep=deep) if not check.ok]


def _some_file(asker: worlds.Asker, table: str = "pings") -> Path:
    return min((asker.d.layout.lake / table).glob("*.parquet"))


def test_what_is_held(asker: worlds.Asker, world: worlds.World) -> None:
    tables = {held.table: held for held in _status(asker).tables}
    assert set(tables) == {"pings", "presence", "stays", "trips"}
    files = list((asker.d.layout.lake / "pings").glob("*.parquet"))
    pings = tables["pings"]
    assert (pings.files, pings.bytes, pings.days) == (len(files), sum(f.stat().st_size for f in files), 7)
    assert 0 < tables["presence"].rows < pings.rows <= world.files.rows


def test_nothing_is_due_in_a_new_week_but_the_sources(asker: worlds.Asker, world: worlds.World) -> None:
    found = _status(asker)
    never, left = found.notes
    assert "no question is ever reviewed" in never
    assert left.startswith(f"{len(world.files.of('veraset'))} delivered source file(s) still lie")
    assert (found.overdue, found.soon, found.locked, found.alerts, found.frozen) == ((), (), (), (), None)
    assert [duty.due for duty in found.duties] == sorted(duty.due for duty in found.duties)


@pytest.mark.parametrize(
    ("days", "what", "command", "locks"),
    [
        (30, "deletion: files reach their date", "passersby expire", ""),
        (91, "list health: review it", "passersby sensitive review health", ""),
        (91, "sensitive places: test their suppression", "passersby sensitive test", ""),
        (180, "supplier veraset: assess it", "passersby supplier assess veraset", "deliveries of veraset"),
        (
            360,
            "impact assessment: review it",
            "passersby impact draft",
            "deliveries, licences, questions",
        ),
        (365, "programme: review it as a whole", "passersby programme review", ""),
    ],
)
def test_what_comes_due(asker: worlds.Asker, days: int, what: str, command: str, locks: str) -> None:
    later, soon, late = (_status(asker, days + shift) for shift in (-16, -2, 1))
    assert what not in {duty.what for duty in (*later.overdue, *later.soon)}
    assert what in {duty.what for duty in soon.soon}
    assert what not in {duty.what for duty in soon.overdue}
    (duty,) = (duty for duty in late.overdue if duty.what == what)
    assert (duty.command, duty.locks) == (command, locks)
    assert not locks or (locks in late.locked and locks not in soon.locked)


def test_a_deployment_without_records_needs_them(tmp_path: Path) -> None:
    with Deployment.open(create(tmp_path / "d", now=worlds.now()).root) as d:
        found = health.status(d.database, d.config, now=worlds.now())
    assert (found.tables, found.notes) == ((), ())
    assert [duty.what for duty in found.overdue] == ["impact assessment: none is approved"]
    assert found.locked == ("deliveries, licences, questions",)


def test_an_unassessed_supplier_is_due(asker: worlds.Asker) -> None:
    with asker.d.database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM assessment WHERE kind = 'supplier'")
    (duty,) = _status(asker).overdue
    assert (duty.what, duty.due) == ("supplier veraset: assess it", 0)


def test_a_healthy_deployment(asker: worlds.Asker) -> None:
    checks = asker.d.doctor(deep=True)
    assert [check.ok for check in checks] == [True] * 5
    assert all(check.next_step == "" for check in checks)


def test_a_file_that_is_gone(asker: worlds.Asker) -> None:
    _some_file(asker).unlink()
    (check,) = _bad(asker)
    assert check.what == "1 file of the lake is missing or of another size"
    assert "backup" in check.next_step


def test_a_file_that_is_cut_off(asker: worlds.Asker) -> None:
    path = _some_file(asker, "presence")
    path.write_bytes(path.read_bytes()[:-1])
    assert len(_bad(asker)) == 1


def test_a_changed_byte_is_found_by_the_deep_look_alone(asker: worlds.Asker) -> None:
    path = _some_file(asker)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert _bad(asker) == []
    (check,) = _bad(asker, deep=True)
    assert "another hash" in check.what


@pytest.mark.parametrize(
    "name",
    [".", "keys", "keys/kek", "people", "people/custodian.key", "people/anna.key", "lake", "spill"],
)
@pytest.mark.parametrize("mode", [0o004, 0o040, 0o001])
def test_what_others_can_reach(asker: worlds.Asker, name: str, mode: int) -> None:
    path = asker.d.layout.root / name
    path.chmod(path.stat().st_mode | mode)
    (check,) = _bad(asker)
    assert check.next_step.startswith("chmod -R go= ")
    assert str(path) in check.next_step
    path.chmod(path.stat().st_mode & 0o700)
    assert _bad(asker) == []


def _more_spent(asker: worlds.Asker) -> None:
    with asker.d.database.write() as session:
        session.execute(update(Budget).values(spent=Budget.spent - 1))


def _other_event(asker: worlds.Asker) -> None:
    with asker.d.database.write() as session:
        session.execute(update(Spend).values(micro_rho=Spend.micro_rho - 1))


def _other_entry(asker: worlds.Asker) -> None:
    with asker.d.database.write() as session:
        session.execute(update(LogEntry).where(LogEntry.index == 1).values(body=b"{}"))


def _other_tile(asker: worlds.Asker) -> None:
    path = next(path for path in (asker.d.layout.log / "tile").rglob("*") if path.is_file())
    path.write_bytes(bytes(len(path.read_bytes())))


@pytest.mark.parametrize(
    ("spoil", "word"),
    [(_more_spent, "ledger"), (_other_event, "ledger"), (_other_entry, "entry"), (_other_tile, "tile")],
)
def test_a_ledger_or_log_that_was_changed(
    asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[worlds.Asker], None], word: str
) -> None:
    monkeypatch.setattr("passersby.gate.gate.TICK_S", 0.001)
    asker.ask()
    assert _bad(asker) == []
    spoil(asker)
    bad = _bad(asker)
    assert len(bad) == 1
    assert word in bad[0].what.lower()
    assert bad[0].next_step


def test_all_that_is_wrong_is_told_at_once(asker: worlds.Asker) -> None:
    _some_file(asker).unlink()
    asker.d.layout.root.chmod(0o755)
    _other_tile(asker)
    assert len(_bad(asker)) == 3
