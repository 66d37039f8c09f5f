"""On PostgreSQL a holder withdraws and is erased as on SQLite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from passersby.deployment import holders
from passersby.model.schema import TABLES
from passersby.subjects import receipts
from subjects.conftest import ANA, BEA, Scene, build


@pytest.mark.slow
def test_withdrawn_and_erased(tmp_path: Path, new_postgresql: Callable[[], str]) -> None:
    world = build(tmp_path, database=new_postgresql())
    with world.open() as d:
        scene = Scene(d, tmp_path)
        holders.withdraw(d, [BEA], actor=scene.actor(), now=scene.now)
        assert (scene.seen(ANA), scene.seen(BEA)) == (100, 0)
        done = holders.erase(d, [ANA], actor=scene.actor(), now=scene.now)
        assert scene.rows(ANA) == dict.fromkeys(TABLES, 0)
        assert receipts.check(done.receipt, d.vkey, ids=[ANA]).about_ids
        assert holders.load_list(d, "ab" * 32, form="sha256:lower", actor=scene.actor(), now=scene.now) == 1
        assert scene.take(scene.file((ANA,), first=101, hours=1)).rejected == {"withdrawn": 3}
        assert d.verify_log().unpublished == 0
