"""What lies at a place leaves the lake, with the fixes beside it, over all deliveries, killed or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import select

from passersby.ingest import purging
from passersby.model.period import DAY
from passersby.store.sensitive_tables import SensitivePurge

pytestmark = pytest.mark.slow

NOW = 1_780_000_000
NOON = 1_779_710_400  # 2026-05-25 12:00 UTC, a Monday
HOME, CLINIC = (47.5, 8.5), (47.0, 8.0)

Fix = tuple[str, int, tuple[float, float]]


def deliver(deployed: Any, tmp_path: Path, *fixes: Fix, name: str = "") -> Any:
    path = tmp_path / f"pings{name}-{len(list(tmp_path.glob('pings*')))}.csv"
    rows = "".join(f"{who},{NOON + t},{lat},{lon},5\n" for who, t, (lat, lon) in fixes)
    path.write_text(f"id,time,latitude,longitude,accuracy\n{rows}")
    return deployed.take(path)


def clinic(deployed: Any, tmp_path: Path, **dates: str) -> None:
    """Put the clinic into force as a second person's approval does: without looking at the lake."""
    path = tmp_path / "clinic.csv"
    path.write_text(f"lat,lon,category,from,until\n47.0,8.0,clinic,{','.join(dates.values()) or ','}\n")
    lists = deployed.places()
    draft = lists.draft(path, name="health", owner="ada", now=NOW)
    lists.keep(draft)
    with deployed.database.write() as session:
        lists.enact(session, draft.row, {}, now=NOW)
        purging.want(session, "list health 1", now=NOW)


def finish(deployed: Any) -> list[str]:
    return purging.finish(deployed.lake, deployed.places().cover, now=NOW, threads=2)


def times(deployed: Any, table: str = "pings", column: str = "t") -> list[int]:
    rows = deployed._rows(table)
    return [] if rows.is_empty() else sorted(t - NOON for t in rows[column].to_list())


def states(deployed: Any) -> list[tuple[str, str]]:
    with deployed.database.read() as session:
        return [(row.state, row.days) for row in session.scalars(select(SensitivePurge))]


@pytest.fixture
def filled(deployed: Any, tmp_path: Path) -> Any:
    """A device that walks to the clinic and back over two deliveries, and one that stays away."""
    deployed.supplier()
    deliver(
        deployed,
        tmp_path,
        ("a", 0, HOME),
        ("a", 600, HOME),
        ("a", 1200, HOME),
        *(("a", 2400 + k * 300, CLINIC) for k in range(5)),
        ("b", 2400, HOME),
        ("b", 3600, HOME),
    )
    deliver(deployed, tmp_path, ("a", 2000, HOME), ("a", 4000, HOME), ("a", 4300, HOME), ("b", 3000, HOME))
    return deployed


LEFT = [0, 600, 1200, 2400, 3000, 3600, 4300]
"""The fixes of `filled` that may stay: 2000 and 4000 are beside the clinic, from the other delivery."""


def test_an_addition_takes_out_what_is_there_and_what_reveals_it_over_deliveries(
    filled: Any, tmp_path: Path
) -> None:
    assert (len(times(filled)), len(times(filled, "stays", "arrival"))) == (14, 3)
    clinic(filled, tmp_path)
    assert finish(filled)
    assert times(filled) == LEFT
    cells = {row["cell"] for row in filled._rows("pings").iter_rows(named=True)}
    for table, columns in (("presence", ["cell"]), ("stays", ["cell"]), ("trips", ["origin", "destination"])):
        rows = filled._rows(table)
        assert {cell for column in columns for cell in (rows[column] if len(rows) else [])} <= cells
    assert times(filled, "presence", "hour") == [0, 0, 3600, 3600]
    assert states(filled) == [("done", "[]")]
    assert finish(filled) == []
    assert [line for line in filled.log() if '"kind":"sensitive.purged"' in line]


def test_what_was_taken_out_is_gone_from_the_disk(filled: Any, tmp_path: Path) -> None:
    clinic(filled, tmp_path)
    finish(filled)
    filled.lake.sweep(NOW)
    with filled.lake.snapshot(NOW) as snapshot:
        listed = {f.path for table in ("pings", "presence", "stays", "trips") for f in snapshot.files(table)}
    assert set(filled.lake.root.rglob("*.parquet")) == listed
    stored = pl.concat([pl.read_parquet(path) for path in listed if path.parent.name == "pings"])
    assert ((stored["lat_e5"] - 4_700_000).abs() > 1000).all()


def test_an_event_takes_out_its_dates_only(filled: Any, tmp_path: Path) -> None:
    clinic(filled, tmp_path, begins="2026-05-25T12:45Z", ends="2026-05-25T12:54Z")
    finish(filled)
    # a's 2700 and 3000 are inside, 2400 and 3300 beside them; b's 2400 and 3000 stay
    assert times(filled) == [0, 600, 1200, 2000, 2400, 3000, 3600, 3600, 4000, 4300]


@pytest.mark.parametrize("step", ["_search", "_derive", "derive_days", "commit"])
def test_killed_at_any_step_the_next_one_goes_on(
    filled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    clinic(filled, tmp_path)
    target: Any = "passersby.lake.write.Work" if step == "commit" else "passersby.ingest.purging"

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"{target}.{step}", killed)
        with pytest.raises(KeyboardInterrupt):
            finish(filled)
    assert states(filled)[0][0] != "done"
    assert finish(filled)
    assert times(filled) == LEFT
    assert times(filled, "presence", "hour") == [0, 0, 3600, 3600]
    assert times(filled, "trips", "departure") == []


def test_a_delivery_takes_out_what_earlier_ones_stored_beside_its_visits(
    deployed: Any, tmp_path: Path
) -> None:
    deployed.supplier()
    clinic(deployed, tmp_path)
    finish(deployed)
    deliver(deployed, tmp_path, *(("a", t, HOME) for t in (0, 1500, 4000, 6000)), ("b", 1500, HOME))
    assert times(deployed, "presence", "hour") == [0, 0, 3600]
    assert deployed._rows("presence")["pings"].sum() == 5
    report = deliver(deployed, tmp_path, ("a", 2400, CLINIC), ("a", 2700, CLINIC))
    assert (report.stored, report.suppressed) == (0, 2)
    assert times(deployed) == [0, 1500, 6000]  # b's 1500 is not a's
    assert [state for state, _ in states(deployed)] == ["done", "done"]
    assert times(deployed, "presence", "hour") == [0, 0, 3600]
    assert deployed._rows("presence")["pings"].sum() == 3


def test_a_delivery_that_was_killed_before_its_days_were_derived_is_made_up_for(
    deployed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.supplier()
    clinic(deployed, tmp_path)
    finish(deployed)
    deliver(deployed, tmp_path, *(("a", t, HOME) for t in (0, 1500, 3700)))

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("passersby.ingest.pipeline.derive_days", killed)
        with pytest.raises(KeyboardInterrupt):
            deliver(deployed, tmp_path, ("a", 2400, CLINIC))
    assert times(deployed) == [0]
    assert finish(deployed)
    assert times(deployed, "presence", "hour") == [0]


def test_of_sealed_days_the_derived_rows_at_the_place_go(filled: Any, tmp_path: Path) -> None:
    later = NOW + 31 * DAY
    filled.lake.expire(later)
    assert times(filled) == []
    before = filled._rows("presence")
    clinic(filled, tmp_path)
    purging.finish(filled.lake, filled.places().cover, now=later, threads=1)
    after = filled._rows("presence")
    near = set(filled.places().cover().cells().tolist())
    assert set(after["cell"].to_list()).isdisjoint(near)
    assert len(after) == len(before.filter(~pl.col("cell").is_in(near))) < len(before)
    assert set(filled._rows("stays")["cell"].to_list()).isdisjoint(near)
    assert filled._rows("trips").is_empty()
