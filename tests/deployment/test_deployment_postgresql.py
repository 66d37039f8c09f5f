"""A deployment whose control database is PostgreSQL does all that one with SQLite does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import worlds
from passersby.gate import gate


@pytest.mark.slow
def test_the_small_story(
    tmp_path: Path, new_postgresql: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "TICK_S", 0.001)
    database = new_postgresql()
    world = worlds.build(tmp_path, suppliers=("veraset", "sovrn"), devices=100, database=database)
    assert not (world.root / "control.db").exists()
    with world.open() as d:
        assert not d.database.is_sqlite
        asker = worlds.Asker(d)
        first = asker.ask(every="week")
        assert first.new
        assert asker.refused(measure="devices").code == "device-level-request"
        spent = asker.spent()
    with world.open() as d:
        asker = worlds.Asker(d)
        again = asker.ask(every="week")
        assert not again.new
        assert again.release.rows.equals(first.release.rows)
        assert asker.spent() == spent == {"2026-W20": first.release.micro_rho}
        checks = d.doctor(deep=True)
        assert all(check.ok for check in checks), checks
        assert d.verify_log().unpublished == 0
