"""Flows, inflows and outflows of one bundle: three releases that say the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import h3.api.numpy_int as h3i
import numpy as np
import pyarrow as pa
import pytest

import worlds
from passersby.cli import main
from passersby.gate import running
from passersby.gate.planning import Planned
from passersby.measures.catalogue import get
from passersby.model.cells import children, resolution_of
from passersby.model.period import DAY, parse_span
from passersby.model.place import Area
from passersby.model.schema import TRIPS
from passersby.privacy.hierarchy.derived import Z95, Floats

pytestmark = pytest.mark.slow

ROOT = np.array([h3i.latlng_to_cell(46.95, 7.44, 4)], dtype=np.int64)
DEVICES, EACH = 40_000, 20


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[worlds.Asker]:
    built = worlds.build(tmp_path / "built", suppliers=("veraset",), dirt=False, ingest=False)
    with built.open() as d:
        yield worlds.Asker(d)


@pytest.fixture
def trips(asker: worlds.Asker) -> pa.Table:
    """A week of devices that go about among the seven cells of resolution 5."""
    dice = np.random.default_rng(4)
    fine = np.array([int(h3i.cell_to_center_child(int(cell), 10)) for cell in children(ROOT, 5)])
    device = np.repeat(np.arange(DEVICES), EACH)
    ends = fine[dice.choice(7, (2, len(device)), p=np.array([4, 3, 3, 3, 3, 2, 2]) / 20)]
    start = parse_span("2026-W20", asker.d.config.offset).start
    departure = start + dice.integers(0, 7 * DAY, len(device))
    columns = (device, *ends, departure, departure + 600, np.full(len(device), 1000))
    arrays = [pa.array(column, field.type) for column, field in zip(columns, TRIPS, strict=True)]
    return pa.table(arrays, schema=TRIPS)


def _run(trips: pa.Table) -> Callable[..., dict[int, pa.Table]]:
    """Return the gate's run of its own SQL, on a table instead of a lake."""

    def run(_engine: object, _lake: object, planned: Planned, **_: object) -> dict[int, pa.Table]:
        with duckdb.connect() as connection:
            connection.register("trips", trips)
            area = planned.question.area.at(planned.question.resolution)
            connection.register("area", pa.table({"cell": area}))
            return {
                resolution: connection.sql(text).to_arrow_table()
                for resolution, text in running.sql(planned).items()
            }

    return run


def test_flows_agree_with_inflows_and_outflows_of_the_same_bundle(
    asker: worlds.Asker, trips: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "run", _run(trips))
    names = ("flows", "outflows", "inflows")
    requests = [asker.request(measure=name, area=Area.from_cells(ROOT), epsilon=0.3) for name in names]
    pairs, *margins = (each.release.rows for each in asker.d.ask_together(requests, asker.actor()))
    assert set(resolution_of(pairs["origin"].to_numpy())) == {5}
    assert pairs["estimate"].null_count == 0
    pairs = pairs.append_column("variance", pa.array(_error(pairs, lost=get("flows").lost) ** 2))
    for end, cells in zip(("origin", "destination"), margins, strict=True):
        sums = pairs.group_by([end, "start"]).aggregate([("estimate", "sum"), ("variance", "sum")])
        sums = sums.sort_by([(end, "ascending"), ("start", "ascending")])
        assert cells["cell"].to_pylist() == sums[end].to_pylist()
        apart = cells["estimate"].to_numpy() - sums["estimate_sum"].to_numpy()
        score = np.abs(apart) / np.sqrt(_error(cells) ** 2 + sums["variance_sum"].to_numpy())
        assert len(score) == 49
        assert (score < Z95).mean() > 0.7  # 95% of 49: fewer than 36 has a chance below 1e-7
        assert score.max() < 7
    assert pairs["estimate"].to_numpy().sum() == pytest.approx(DEVICES * EACH, rel=0.05)


def _error(rows: pa.Table, lost: float = 0.0) -> Floats:
    """Return the standard error of each row: intervals of flows also allow for what is lost."""
    error: Floats = (rows["high"].to_numpy() * (1 - lost) - rows["estimate"].to_numpy()) / Z95
    return error


def test_flows_are_given_at_resolution_6_where_none_is_asked_for(
    asker: worlds.Asker, capsys: pytest.CaptureFixture[str]
) -> None:
    question = ["ask", "flows", "--period", "2026-W20", "--licence", worlds.LICENCE, "--case", worlds.CASE]
    who = ["--purpose", worlds.PURPOSE, "--key", str(asker.d.layout.people / "anna.key")]
    code = main.call([*question, *who, "--dry-run", "--json", "-d", str(asker.d.layout.root)])
    plan = json.loads(capsys.readouterr().out)
    assert (code, plan["resolution"]) == (0, 6)
