"""A lost epoch key takes every row under it along: no row stays that answers to no subject."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, update

import worlds
from passersby.deployment import keeping
from passersby.errors import Busy
from passersby.model.period import day_name
from passersby.store.tables import EpochKey, File, Sealed
from passersby.synth import write as synth

pytestmark = pytest.mark.slow


def _lose(asker: worlds.Asker) -> str:
    with asker.d.database.write() as session:
        session.execute(update(EpochKey).values(wrapped=b"x" * 60))
        return session.scalars(select(EpochKey.id)).one()


def test_rows_go_with_a_lost_key(
    asker: worlds.Asker, world: worlds.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passersby.gate.gate.TICK_S", 0.001)
    answer = asker.ask()
    name = _lose(asker)
    assert any((world.root / "lake" / "pings").glob("*.parquet"))
    keeping.give_up(asker.d, name, asker.actor("custodian"), now=worlds.now())
    for table in ("pings", "presence", "stays", "trips"):
        assert list((world.root / "lake" / table).glob("*.parquet")) == []
    with asker.d.database.read() as session:
        assert session.scalars(select(File.id)).all() == []
        days = {day_name(day) for day in session.scalars(select(Sealed.day))}
        buckets = set(session.scalars(select(Sealed.bucket)))
        assert session.scalars(select(EpochKey.wrapped)).one() is None
    assert {f"2026-05-{day}" for day in range(11, 18)} <= days
    assert len(days) == 7 * asker.d.config.epoch_weeks
    assert buckets == set(range(asker.d.config.buckets))
    assert asker.d.verify_log().unpublished == 0
    assert all(check.ok for check in asker.d.doctor(deep=True))
    assert asker.ask().release.rows.equals(answer.release.rows)  # a stored answer stays
    late = synth.generate(
        tmp_path / "late", seed=8, devices=40, suppliers=("veraset",), days=7, dirt=False, offset=7200
    )
    report = asker.d.ingest(list(late.of("veraset")), "veraset", now=worlds.now())
    assert report.stored == 0
    assert set(report.rejected) == {"epoch-destroyed"}


def test_not_while_a_delivery_comes_in(asker: worlds.Asker, world: worlds.World) -> None:
    name = _lose(asker)
    with asker.d.lake.begin("ingest", {}, now=worlds.now()), pytest.raises(Busy, match="delivery"):
        keeping.give_up(asker.d, name, asker.actor("custodian"), now=worlds.now())
    assert any((world.root / "lake" / "pings").glob("*.parquet"))
    assert asker.entries("epoch.lost") == []
