"""A bad delivery: what came of it is withdrawn, its rows are gone, others keep theirs, killed or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import delete, select

import worlds
from passersby.demo import story
from passersby.deployment import acts, lineages
from passersby.deployment.opened import Deployment
from passersby.derive.derivation import derive_days
from passersby.errors import NotReady, OperationError, Refusal, UnknownName, UsageError
from passersby.gate import gate, running
from passersby.ingest import tainting
from passersby.lake.manifest import FileRef
from passersby.model.period import DAY
from passersby.store.lineage_tables import ReleaseLineage, Taint
from passersby.store.tables import Delivery, File
from passersby.suppliers import lineage

pytestmark = pytest.mark.slow

TABLES = ("pings", "presence", "stays", "trips")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    """Two suppliers, one delivery each: 1 is of veraset, 2 of sovrn."""
    return worlds.build(tmp_path_factory.mktemp("full"), devices=120, dirt=False)


@pytest.fixture
def world(full: worlds.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> worlds.World:
    monkeypatch.setattr(gate, "TICK_S", 0.001)
    return full.copied(tmp_path / "d")


@pytest.fixture
def asker(world: worlds.World) -> Iterator[worlds.Asker]:
    with world.open() as d:
        yield worlds.Asker(d)


def taint(asker: worlds.Asker, named: str = "2", *, second: str = "paula") -> int:
    made = lineages.propose(
        asker.d, named, reason="forged consent", actor=asker.actor("custodian"), now=worlds.now()
    )
    acts.approve(asker.d, made.id, actor=asker.actor(second), now=worlds.now())
    return made.id


def rows(d: Deployment, table: str) -> pl.DataFrame:
    with d.lake.snapshot(worlds.now()) as snapshot:
        files = snapshot.files(table)
    return pl.concat([pl.read_parquet(f.path) for f in files]) if files else pl.DataFrame()


def sources(d: Deployment) -> set[int]:
    with d.database.read() as session:
        seen = session.scalars(select(File.sources).where(File.removed.is_(None)))
        return {source for text in seen for source in json.loads(text)}


def _files(d: Deployment) -> list[FileRef]:
    with d.lake.snapshot(worlds.now()) as snapshot:
        return [file for table in TABLES for file in snapshot.files(table)]


def ordered(d: Deployment, table: str) -> pl.DataFrame:
    found = rows(d, table)
    return found.sort(found.columns)


def test_two_people_take_out_all_that_came_of_it(asker: worlds.Asker) -> None:
    d = asker.d
    released = asker.ask().release
    only_mine = set(rows(d, "pings").filter(pl.col("delivery") == 2)["device"].to_list())
    assert only_mine
    assert sources(d) == {1, 2}
    made = lineages.propose(d, "2", reason="forged consent", actor=asker.actor("custodian"), now=worlds.now())
    with pytest.raises(Refusal, match="cannot be approved by the person"):
        acts.approve(d, made.id, actor=asker.actor("custodian"), now=worlds.now())
    assert d.release(released.id).id == released.id
    acts.approve(d, made.id, actor=asker.actor("paula"), now=worlds.now())
    assert sources(d) == {1}
    assert set(rows(d, "pings")["delivery"].to_list()) == {1}
    kept = set(rows(d, "pings")["device"].to_list())
    for table in TABLES[1:]:
        assert set(rows(d, table)["device"].to_list()) <= kept
    with pytest.raises(Refusal) as refused:
        d.release(released.id)
    assert refused.value.code == "release-withdrawn"
    assert set(d.lake.root.rglob("*.parquet")) == {file.path for file in _files(d)}
    kinds = [entry["kind"] for entry in asker.entries()]
    for kind in ("supplier.suspended", "delivery.tainted", "release.withdrawn", "delivery.purged"):
        assert kinds.count(kind) == 1


def test_other_suppliers_keep_all_that_was_theirs(asker: worlds.Asker) -> None:
    """Their pings to the last row; of devices that the bad delivery never had, all that was derived."""
    d = asker.d
    pings, before = ordered(d, "pings"), {table: ordered(d, table) for table in TABLES[1:]}
    bad = pings.filter(pl.col("delivery") == 2)["device"].unique()
    taint(asker)
    assert ordered(d, "pings").equals(pings.filter(pl.col("delivery") == 1))
    for table, was in before.items():
        untouched = was.filter(~pl.col("device").is_in(bad.implode()))
        assert len(untouched) > 10
        is_now = ordered(d, table)
        assert is_now.filter(~pl.col("device").is_in(bad.implode())).equals(untouched)
    after = {table: ordered(d, table) for table in TABLES[1:]}
    days = {file.day for file in _files(d)}
    derive_days(d.lake, days, now=worlds.now(), force=True)
    assert all(ordered(d, table).equals(after[table]) for table in TABLES[1:])


def test_the_list_names_releases_with_the_licences_they_were_given_under(asker: worlds.Asker) -> None:
    d = asker.d
    first = asker.ask().release
    other = asker.licence("other")
    asker.ask(licence=other)
    found = lineages.descent(d, "sovrn")
    assert [(each.id, each.licences) for each in found.releases] == [(first.id, (worlds.LICENCE, "other"))]
    assert (found.deliveries, found.tainted, found.disclosures) == ((2,), (), ())
    with d.database.write() as session:  # a release that is older than lineage: nobody knows
        session.execute(delete(ReleaseLineage))
    assert [each.id for each in lineages.descent(d, "1").releases] == [first.id]
    taint(asker, "sovrn")
    after = lineages.descent(d, "2")
    assert (after.tainted, [each.withdrawn for each in after.releases]) == ((2,), [True])


def test_what_is_asked_afterwards_does_not_descend_from_it(asker: worlds.Asker) -> None:
    d = asker.d
    taint(asker)
    later = asker.ask().release
    assert lineages.descent(d, "2").releases == ()
    assert [each.id for each in lineages.descent(d, "1").releases] == [later.id]
    assert d.release(later.id).id == later.id


def test_the_supplier_is_suspended_and_the_file_is_not_taken_again(
    asker: worlds.Asker, full: worlds.World
) -> None:
    taint(asker, "veraset")
    with pytest.raises(NotReady, match="suspended"):
        asker.d.ingest(full.files.of("veraset"), "veraset", now=worlds.now())
    assert [e["reason"] for e in asker.entries("supplier.suspended")] == ["taint"]


def test_what_cannot_be_proposed(asker: worlds.Asker) -> None:
    d, me = asker.d, asker.actor("custodian")

    def propose(named: str, reason: str = "x", person: Any = me) -> Any:
        return lineages.propose(d, named, reason=reason, actor=person, now=worlds.now())

    for named in ("99", "nobody"):
        with pytest.raises(UnknownName):
            propose(named)
    with pytest.raises(UsageError, match="reason"):
        propose("2", " ")
    with pytest.raises(Refusal) as refused:
        propose("2", person=asker.actor("anna"))
    assert refused.value.code == "role-missing"
    assert asker.entries("act.refused")[-1]["act"] == "supplier.taint"
    made = propose("2")
    taint(asker, "sovrn")
    with pytest.raises(UsageError, match="nothing left"):
        propose("sovrn")
    with pytest.raises(UsageError, match="nothing left"):
        acts.approve(d, made.id, actor=asker.actor("paula"), now=worlds.now())


@pytest.mark.parametrize("step", ["_remove", "derive_days", "_end", "commit"])
def test_killed_at_any_step_the_next_command_goes_on(
    world: worlds.World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    target: Any = "passersby.lake.write.Work" if step == "commit" else "passersby.ingest.tainting"

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, world.open() as d:
        patched.setattr(f"{target}.{step}", killed)
        with pytest.raises(KeyboardInterrupt):
            taint(worlds.Asker(d))
    with world.open() as d:
        assert "took out of the lake what came of delivery 2, which proved bad" in d.repaired
        assert sources(d) == {1}
        with d.database.read() as session:
            assert [row.ended is not None for row in session.scalars(select(Taint))] == [True]
        assert len(worlds.Asker(d).entries("delivery.purged")) == 1
    with world.open() as d:
        assert d.repaired == []


def test_a_question_that_read_it_meanwhile_is_not_stored(
    asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = running.run

    def slow(*given: Any, **named: Any) -> Any:
        counts = whole(*given, **named)
        taint(asker)
        return counts

    monkeypatch.setattr(running, "run", slow)
    with pytest.raises(OperationError, match="found to be bad meanwhile"):
        asker.ask()
    assert asker.d.releases() == []
    assert asker.spent()[story.PERIOD] > 0
    monkeypatch.setattr(running, "run", whole)
    assert asker.ask().new


def test_of_sealed_days_the_derived_files_go(asker: worlds.Asker) -> None:
    d = asker.d
    with d.database.write() as session:  # its pings reach their date, those of delivery 1 do not
        session.get_one(Delivery, 2).raw_until = worlds.now()
        for file in session.scalars(select(File).where(File.table_name == "pings", File.sources == "[2]")):
            file.until = worlds.now()
    d.expire(now=worlds.now() + DAY)
    assert sources(d) == {1, 2}
    taint(asker)
    assert sources(d) == {1}
    assert not rows(d, "pings").is_empty()


def test_lineage_is_what_was_read(asker: worlds.Asker) -> None:
    name = asker.ask().release.id
    with asker.d.database.read() as session:
        assert lineage.of(session, name) == {1, 2}
    assert tainting.finish(asker.d.lake, now=worlds.now(), threads=1) == []


@pytest.mark.slow
def test_on_postgresql(
    new_postgresql: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "TICK_S", 0.001)
    world = worlds.build(tmp_path / "w", devices=40, dirt=False, database=new_postgresql())
    with world.open() as d:
        asker = worlds.Asker(d)
        name = asker.ask().release.id
        taint(asker, "sovrn")
        assert sources(d) == {1}
        assert [(each.id, each.withdrawn) for each in lineages.descent(d, "2").releases] == [(name, True)]
