"""The same path on PostgreSQL: locks, conditions and deletions are the database's own there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

import worlds
from disclosure import scene
from disclosure.opened import unsealed
from disclosure.scene import ANA, Bench
from passersby.deployment.opened import Deployment
from passersby.disclosure.testcourt import Court
from passersby.errors import Refusal
from passersby.model.period import DAY
from passersby.store.order_tables import HeldRows


@pytest.mark.slow
def test_an_order_on_postgresql(new_postgresql: Callable[[], str], court: Court, tmp_path: Path) -> None:
    world = scene.with_pings(tmp_path / "w", court, database=new_postgresql())
    with Deployment.open(world.root, now=worlds.now()) as d:
        bench = Bench(d, court, worlds.now())
        number = bench.submit(bench.document(form="pdf"))
        assert bench.code(bench.document(bench.order(devices=(ANA,)))) == "AlreadyUsed"
        bench.approve(number, "lea")
        later = bench.now + 40 * DAY
        d.expire(now=later)
        with d.database.read() as session:
            assert session.scalar(select(func.count()).select_from(HeldRows)) == 1
        bench.approve(number, "paul", at=later)
        assert len(unsealed(bench.disclose(number, at=later)).pings) == 48
        with pytest.raises(Refusal):
            bench.disclose(number, at=later)
        with d.database.read() as session:
            assert session.scalar(select(func.count()).select_from(HeldRows)) == 0
