"""Deletion dates: files go, their days are sealed, and keys are destroyed with their last row."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

import worlds
from passersby.errors import Refusal
from passersby.lake.lake import Lake
from passersby.model.period import DAY, WEEK, Period
from passersby.store.tables import EpochKey
from passersby.synth import write as synth

pytestmark = pytest.mark.slow

PERIOD = Period.parse("2026-W20")


def _files(asker: worlds.Asker) -> dict[str, int]:
    lake = asker.d.layout.lake
    return {table: len(list((lake / table).glob("*.parquet"))) for table in ("pings", "presence")}


def _keys(asker: worlds.Asker) -> list[bool]:
    """Return for each pseudonym key whether it still exists."""
    with asker.d.database.read() as session:
        return [row is not None for row in session.scalars(select(EpochKey.wrapped))]


def _late(folder: Path) -> list[Path]:
    """Return a delivery of the same days that comes later."""
    late = synth.generate(
        folder / "late", seed=8, devices=40, suppliers=("veraset",), days=7, dirt=False, offset=7200
    )
    return list(late.of("veraset"))


def test_before_the_date_nothing_goes(asker: worlds.Asker) -> None:
    before = _files(asker)
    gone = asker.d.expire(now=worlds.now() + 29 * DAY)
    assert (gone.files, gone.days, gone.done) == (0, (), ())
    assert _files(asker) == before


def test_raw_pings_go_first(asker: worlds.Asker) -> None:
    before = _files(asker)
    gone = asker.d.expire(now=worlds.now() + 30 * DAY)
    assert gone.files == before["pings"]
    assert gone.to_json()["sealed_days"] == [f"2026-05-{day}" for day in range(11, 18)]
    assert _files(asker) == {"pings": 0, "presence": before["presence"]}
    assert [line for line in gone.done if "deleted" in line]
    (entry,) = asker.entries("files.expired")
    assert entry["tables"] == ["pings"]
    assert asker.entries("period.sealed")
    assert asker.d.verify_log().unpublished == 0


def test_unit_level_rows_go_next_and_answers_stay(
    asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passersby.gate.gate.TICK_S", 0.001)
    answer = asker.ask()
    asker.d.expire(now=worlds.now() + 90 * DAY)
    assert _files(asker) == {"pings": 0, "presence": 0}
    again = asker.ask()
    assert not again.new
    assert again.release.rows.equals(answer.release.rows)


def test_a_second_run_finds_nothing(asker: worlds.Asker) -> None:
    asker.d.expire(now=worlds.now() + 30 * DAY)
    logged = asker.entries()
    gone = asker.d.expire(now=worlds.now() + 30 * DAY)
    assert (gone.files, gone.done) == (0, ())
    assert asker.entries() == logged


def test_a_sealed_day_takes_no_more_pings(asker: worlds.Asker, tmp_path: Path) -> None:
    asker.d.expire(now=worlds.now() + 30 * DAY)
    report = asker.d.ingest(_late(tmp_path), "veraset", now=worlds.now() + 30 * DAY)
    assert report.stored == 0
    assert report.rejected == {"sealed": report.read - report.duplicates - report.suppressed}
    assert report.balanced()
    assert report.receipt()["rejected"] == {}


def test_a_key_lives_as_long_as_its_last_row(asker: worlds.Asker) -> None:
    assert _keys(asker) == [True]
    asker.d.expire(now=worlds.now() + 89 * DAY)
    assert _keys(asker) == [True]
    gone = asker.d.expire(now=worlds.now() + 90 * DAY)
    assert _keys(asker) == [False]
    assert "destroyed the pseudonym key of the weeks from 2026-W18 on: its last row is gone" in gone.done
    (opened,), (destroyed,) = asker.entries("epoch.opened"), asker.entries("epoch.destroyed")
    assert destroyed["key"] == opened["key"]
    assert asker.d.verify_log().unpublished == 0


def test_rows_of_a_destroyed_key_are_rejected(asker: worlds.Asker, tmp_path: Path) -> None:
    later = worlds.now() + 90 * DAY
    asker.d.expire(now=later)
    report = asker.d.ingest(_late(tmp_path), "veraset", now=later)
    assert report.stored == 0
    assert report.rejected == {"epoch-destroyed": report.read}


def test_a_question_about_a_destroyed_time_is_answered_like_any_other(
    asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passersby.gate.gate.TICK_S", 0.001)
    asker.ask()
    asker.d.expire(now=worlds.now() + 90 * DAY)
    spent = asker.spent()["2026-W20"]
    answer = asker.ask(resolution=4)
    assert answer.new
    assert asker.spent() == {"2026-W20": spent + answer.release.micro_rho}
    assert len(asker.d.balances()) == 1


def test_the_key_of_an_epoch_that_still_runs_stays(
    asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deliveries of its later weeks need it."""
    in_epoch = asker.d.ring.first_period(asker.d.ring.epoch_of(PERIOD) + 1).span(7200).start - 1
    expire = Lake.expire
    monkeypatch.setattr(Lake, "expire", lambda lake, _now: expire(lake, worlds.now() + 90 * DAY))
    asker.d.expire(now=in_epoch)
    assert _files(asker)["presence"] == 0
    assert _keys(asker) == [True]
    asker.d.expire(now=in_epoch + 1)
    assert _keys(asker) == [False]


def test_no_key_is_destroyed_while_a_delivery_comes_in(asker: worlds.Asker) -> None:
    later = worlds.now() + 90 * DAY
    with asker.d.lake.begin("ingest", {}, now=later):
        asker.d.expire(now=later)
        assert _keys(asker) == [True]
    asker.d.expire(now=later)
    assert _keys(asker) == [False]


def test_no_key_is_destroyed_while_somebody_reads_its_rows(asker: worlds.Asker) -> None:
    later = worlds.now() + 90 * DAY
    with asker.d.lake.snapshot(later):
        asker.d.expire(now=later)
        assert _files(asker)["presence"] > 0
        assert _keys(asker) == [True]
    asker.d.expire(now=later)
    assert _keys(asker) == [False]


def test_a_key_without_rows_was_never_needed(asker: worlds.Asker) -> None:
    """A question about a week without data makes one, and no row ever bears it."""
    with asker.d.database.write() as session:
        asker.d.ring.epoch_key(session, 5, now=worlds.now())
    asker.d.expire(now=worlds.now() + WEEK)
    assert _keys(asker) == [True, True]


def test_a_destroyed_key_is_gone_for_good(asker: worlds.Asker) -> None:
    asker.d.expire(now=worlds.now() + 90 * DAY)
    epoch = asker.d.ring.epoch_of(PERIOD)
    with asker.d.database.write() as session, pytest.raises(Refusal):
        asker.d.ring.epoch_key(session, epoch, now=worlds.now())
