"""Who withdraws in a supplier's consent register: hidden at once, then that supplier's rows are gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select

from passersby.consent import journal
from passersby.deployment import consents
from passersby.derive.derivation import derive_days
from passersby.store.subject_tables import Erasure, Tombstone, Withdrawal, WithdrawnDevices
from passersby.subjects import erasing
from subjects.conftest import ANA, BEA, MONDAY, Scene

pytestmark = pytest.mark.slow


def register(scene: Scene, *states: str, supplier: str = "simple") -> None:
    """Load a register in which phones have states, such as "ANA=withdrawn"."""
    path = scene.folder / "consent.csv"
    rows = [f"{name},{MONDAY - 86_400},{state}" for name, state in (each.split("=") for each in states)]
    path.write_text("\n".join(["id,given_at,state", *rows]) + "\n")
    consents.load(scene.d, path, supplier, actor=scene.actor(), now=scene.now)


def pings_by_supplier(scene: Scene, name: str) -> dict[int, int]:
    """Return how many pings of a phone there are by the number of who delivered them."""
    with scene.d.lake.snapshot(scene.now) as snapshot:
        paths = [file.path for file in snapshot.files("pings")]
    rows = pa.concat_tables([pq.read_table(path, columns=["device", "supplier"]) for path in paths])
    own = rows.filter(pa.compute.equal(rows["device"], scene.device(name)))
    return {row["values"]: row["counts"] for row in own["supplier"].value_counts().to_pylist()}


def counted(scene: Scene, table: Any) -> int:
    with scene.d.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_nothing_reads_the_rows_from_the_commit_on(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "finish", lambda *_, **__: [])
    before = scene.rows(ANA)
    register(scene, f"{ANA}=withdrawn", f"{BEA}=given")
    assert scene.rows(ANA) == before
    assert (scene.seen(ANA), scene.seen(BEA)) == (0, 100)


def test_that_suppliers_rows_are_erased_and_the_others_are_read_again(scene: Scene) -> None:
    before, others = pings_by_supplier(scene, ANA), scene.rows(BEA)
    assert len(before) == 2
    register(scene, f"{ANA}=withdrawn", f"{BEA}=given")
    (left,) = pings_by_supplier(scene, ANA).items()
    assert left in before.items()
    assert scene.seen(ANA) == scene.rows(ANA)["presence"] == 30
    assert scene.rows(ANA)["stays"] > 0
    assert scene.rows(BEA) == others
    assert (counted(scene, Tombstone), counted(scene, WithdrawnDevices)) == (0, 0)
    assert scene.entries("subject.withdrawn")[-1]["cause"] == "consent"
    assert len(scene.entries("subject.erased")) == 1


def test_a_rival_goes_on_and_the_register_bars_what_comes_again(scene: Scene) -> None:
    """A supplier's register cannot take out what others deliver."""
    register(scene, f"{ANA}=withdrawn", f"{BEA}=given")
    more = scene.file((ANA,), first=120, hours=4)
    assert scene.take(more).rejected == {"no-consent": 12}
    assert scene.take(more, "other").stored == 12
    assert scene.seen(ANA) == 34


def test_consent_that_is_given_anew_counts_from_then_on(scene: Scene) -> None:
    register(scene, f"{ANA}=withdrawn", f"{BEA}=given")
    register(scene, f"{ANA}=given", f"{BEA}=given")
    assert scene.take(scene.file((ANA,), first=120, hours=4)).stored == 12
    assert scene.seen(ANA) == 34


@pytest.mark.parametrize("dies", ["before", "while", "after"])
def test_a_killed_erasure_is_finished_by_the_next_command(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    def died(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    step = {"before": "_rewrite", "while": "_derive", "after": "_prove"}[dies]
    with monkeypatch.context() as patch:
        patch.setattr(erasing, step, died)
        with pytest.raises(KeyboardInterrupt):
            register(scene, f"{ANA}=withdrawn", f"{BEA}=given")
    scene = scene.reopened()
    assert len(pings_by_supplier(scene, ANA)) == 1
    assert scene.seen(ANA) == 30
    with scene.d.database.read() as session:
        assert [(row.state, row.days) for row in session.scalars(select(Erasure))] == [("done", "[]")]
    scene.d.close()


def test_what_is_derived_anew_is_what_would_have_been(scene: Scene) -> None:
    register(scene, f"{ANA}=withdrawn", f"{BEA}=given")
    found = presence(scene)
    days = range(MONDAY // 86_400, MONDAY // 86_400 + 8)
    derive_days(scene.d.lake, days, now=scene.now, force=True)
    assert presence(scene) == found


def presence(scene: Scene) -> list[dict[str, Any]]:
    with scene.d.lake.snapshot(scene.now) as snapshot:
        tables = [pq.read_table(file.path) for file in snapshot.files("presence")]
    whole = pa.concat_tables(tables).sort_by([("device", "ascending"), ("hour", "ascending")])
    return list(whole.to_pylist())


def test_the_journal_knows_from_whom_they_withdrew(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(erasing, "finish", lambda *_, **__: [])
    register(scene, f"{ANA}=withdrawn", f"{BEA}=given")
    journal.settle(tmp_path / "journal", scene.d.database, scene.d.ring, now=scene.now)
    (file,) = (tmp_path / "journal").iterdir()
    with scene.d.database.read() as session:
        content = journal._read(session, scene.d.ring, file.name, file.read_bytes())
        (row,) = session.scalars(select(Withdrawal))
    assert content.supplier == row.supplier is not None
    assert (len(content.hashes), content.erase) == (0, True)
