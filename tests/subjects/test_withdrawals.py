"""Who withdrew is read by nobody any more, at once, and does not come in again."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import func, select

import worlds
from passersby.consent import journal, withdrawals
from passersby.deployment import holders
from passersby.deployment.opened import Deployment
from passersby.derive.derivation import derive_days
from passersby.errors import Busy, IntegrityError, Refusal, UsageError
from passersby.ingest.pipeline import Ingest
from passersby.model.period import DAY
from passersby.store.subject_tables import Tombstone, Withdrawal, WithdrawnDevices
from passersby.trustlog.receipts import reveal
from subjects.conftest import ANA, BEA, SUPPLIERS, Scene

pytestmark = pytest.mark.slow

DAYS = range(20_584, 20_590)


def withdraw(scene: Scene, *names: str) -> Any:
    return holders.withdraw(scene.d, names, actor=scene.actor(), now=scene.now)


def test_nothing_reads_the_rows_any_more_at_once(scene: Scene) -> None:
    before = scene.seen(BEA)
    assert scene.seen(ANA) == 100
    assert scene.rows(ANA)["pings"] == 390
    withdraw(scene, ANA)
    assert scene.seen(ANA) == 0
    assert scene.seen(BEA) == before == 100
    assert scene.rows(ANA)["pings"] == 390  # they are hidden, not gone


def test_a_reader_that_had_begun_before_goes_on_and_the_next_does_not(scene: Scene) -> None:
    with scene.d.lake.snapshot(scene.now) as old:
        withdraw(scene, ANA)
        assert len(old.withdrawn) == 0
    with scene.d.lake.snapshot(scene.now) as new:
        assert new.withdrawn.tolist() == [scene.device(ANA)]


def test_the_gate_counts_without_them(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    real = scene.d.engine.query

    def spy(sql: str, tables: Any, values: Any, *, without: Any) -> Any:
        seen.append(without.tolist())
        return real(sql, tables, values, without=without)

    monkeypatch.setattr(scene.d.engine, "query", spy)
    withdraw(scene, ANA)
    worlds.Asker(scene.d).ask(at=scene.now)
    assert seen
    assert all(without == [scene.device(ANA)] for without in seen)


def test_derived_rows_are_made_without_them(scene: Scene) -> None:
    withdraw(scene, ANA)
    days = {file.day for file in _files(scene)}
    derive_days(scene.d.lake, days, now=scene.now, force=True)
    assert scene.rows(ANA) == {"pings": 390, "presence": 0, "stays": 0, "trips": 0}
    assert scene.rows(BEA)["presence"] == 100


def _files(scene: Scene) -> Any:
    with scene.d.lake.snapshot(scene.now) as snapshot:
        return snapshot.files("pings")


@pytest.mark.parametrize("supplier", SUPPLIERS)
def test_no_delivery_of_any_supplier_brings_them_in_again(scene: Scene, supplier: str) -> None:
    withdraw(scene, ANA)
    report = scene.take(scene.file((ANA.upper().replace("-", ""), BEA), first=101, hours=2), supplier)
    assert (report.stored, report.rejected) == (6, {"withdrawn": 6})
    assert "withdrawn" not in str(report.receipt())
    assert scene.rows(ANA)["pings"] == 390


def test_the_log_says_that_it_happened_and_not_who_or_how_many(scene: Scene) -> None:
    withdraw(scene, ANA, BEA)
    (entry,) = scene.entries("subject.withdrawn")
    assert {k: v for k, v in entry.items() if k not in {"index", "time"}} == {
        "kind": "subject.withdrawn",
        "withdrawal": 1,
        "cause": "holder",
    }
    with scene.d.database.read() as session:
        hidden = {field.name: field.value for field in reveal(session, entry["index"])}
    assert hidden["devices"] == 2
    pseudonym = str(scene.device(ANA))
    assert not [v for v in hidden.values() if ANA in str(v) or pseudonym in str(v)]


def test_no_id_and_no_pseudonym_reaches_the_disk(scene: Scene) -> None:
    withdraw(scene, ANA)
    needles = [
        ANA.encode(),
        scene.device(ANA).to_bytes(8, "little", signed=True),
        str(scene.device(ANA)).encode(),
    ]
    root = scene.d.layout.root
    for path in [p for p in root.rglob("*") if p.is_file() and "lake" not in p.parts]:
        data = path.read_bytes()
        assert not [needle for needle in needles if needle in data], path


def test_withdrawing_twice_is_fine(scene: Scene) -> None:
    withdraw(scene, ANA)
    withdraw(scene, ANA, BEA)
    with scene.d.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Tombstone)) == 2
    assert scene.seen(ANA) == scene.seen(BEA) == 0


def test_pseudonyms_go_with_their_epochs_key_and_tombstones_stay(scene: Scene) -> None:
    withdraw(scene, ANA)
    scene.now += 400 * DAY
    scene.d.expire(now=scene.now)
    with scene.d.database.read() as session:
        assert session.scalars(select(WithdrawnDevices)).all() == []
        assert withdrawals.known(session, scene.d.ring, [ANA, BEA]).tolist() == [True, False]
        assert len(withdrawals.hidden(session, scene.d.ring)) == 0


@pytest.mark.parametrize("given", [[], [""], ["x"], [ANA, "00000000-0000-0000-0000-000000000000"], ["null"]])
def test_what_is_no_id_is_not_taken_and_not_repeated(scene: Scene, given: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        withdraw(scene, *given)
    assert ANA not in str(caught.value.message)
    with scene.d.database.read() as session:
        assert session.scalars(select(Withdrawal)).all() == []


def test_an_analyst_withdraws_nobody(scene: Scene) -> None:
    with pytest.raises(Refusal) as caught:
        holders.withdraw(scene.d, [ANA], actor=scene.actor("anna"), now=scene.now)
    assert caught.value.code == "role-missing"
    assert scene.entries("act.refused")[-1]["act"] == "subject.withdraw"
    assert scene.seen(ANA) == 100


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Do something while a delivery is read, before it commits."""
    real = Ingest._commit

    def commit(self: Any, *arguments: Any) -> None:
        act()
        real(self, *arguments)

    monkeypatch.setattr(Ingest, "_commit", commit)


def test_a_delivery_that_was_on_its_way_is_read_without_them(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, lambda: withdraw(scene, ANA))
    scene.take(scene.file((ANA,), first=101, hours=2))
    assert scene.rows(ANA)["pings"] == 396  # they came in, and nobody reads them
    assert scene.seen(ANA) == 0
    assert scene.rows(ANA)["presence"] < 100  # nor are they derived: the touched day was, without them


def test_a_delivery_that_made_a_key_after_the_withdrawal_is_not_stored(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act() -> None:
        withdraw(scene, ANA)
        with scene.d.database.write() as session:
            scene.d.ring.epoch_key(session, 1, now=scene.now)

    meanwhile(monkeypatch, act)
    with pytest.raises(Busy):
        scene.take(scene.file((ANA,), first=101, hours=2))
    assert scene.rows(ANA)["pings"] == 390


@pytest.mark.slow
def test_a_restored_database_is_told_again(scene: Scene) -> None:
    backup = scene.folder / "backup"
    root = scene.d.layout.root
    scene = scene.reopened()  # makes the journal's key before the backup is made
    shutil.copytree(root, backup)
    holders.erase(scene.d, [ANA], actor=scene.actor(), now=scene.now)
    holders.withdraw(scene.d, [BEA], actor=scene.actor(), now=scene.now)
    scene.d.close()
    kept = scene.folder / "journal"
    shutil.move(root / "withdrawals", kept)
    shutil.rmtree(root)
    shutil.move(backup, root)
    shutil.rmtree(root / "withdrawals")
    shutil.move(kept, root / "withdrawals")
    with Deployment.open(root, now=scene.now) as d:
        again = Scene(d, scene.folder, scene.now)
        assert any("withdrawal(s) again" in line for line in d.repaired)
        assert again.rows(ANA) == dict.fromkeys(("pings", "presence", "stays", "trips"), 0)
        assert again.rows(BEA)["pings"] > 0
        assert again.seen(BEA) == 0
        assert [entry["cause"] for entry in again.entries("subject.withdrawn")] == ["replay", "replay"]
        assert again.take(again.file((ANA,), first=101, hours=2)).rejected == {"withdrawn": 6}
        assert journal.settle(d.layout.withdrawals, d.database, d.ring, now=scene.now) == []


def test_a_journal_of_another_deployment_is_not_taken(scene: Scene) -> None:
    withdraw(scene, ANA)
    folder = scene.d.layout.withdrawals
    (path,) = folder.iterdir()
    (folder / "0123456789abcdef").write_bytes(path.read_bytes())
    with pytest.raises(IntegrityError, match="does not open"):
        journal.settle(folder, scene.d.database, scene.d.ring, now=scene.now)


def test_a_withdrawal_in_a_consent_file_is_recorded_the_same_way(scene: Scene) -> None:
    with scene.d.writing() as session:
        made = withdrawals.record(session, scene.d.ring, [ANA], cause=withdrawals.CONSENT, now=scene.now)
    assert made.fresh == 1
    assert scene.seen(ANA) == 0
    assert scene.entries("subject.withdrawn")[-1]["cause"] == "consent"
    scene = scene.reopened()
    assert len(list(scene.d.layout.withdrawals.iterdir())) == 1
    scene.d.close()


def test_among_many_the_right_ones_are_found(scene: Scene) -> None:
    names = [f"{n:08x}-5b8e-4a06-9d13-7e21c04ab95f" for n in range(25_000)]
    with scene.d.writing() as session:
        withdrawals.record(session, scene.d.ring, names[::2], cause=withdrawals.LIST, now=scene.now)
        barred = withdrawals.barred(session, scene.d.ring)
        found = withdrawals.known(session, scene.d.ring, names)
        hidden = withdrawals.hidden(session, scene.d.ring)
    expected = np.arange(25_000) % 2 == 0
    assert (found == expected).all()
    assert (barred.hits(pa.array(names, pa.large_string())) == expected).all()
    assert len(hidden) == 12_500
