"""What an answer is: its counts, its label, and what can be seen while it is made."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from typing import Any

import h3.api.numpy_int as h3i
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pytest

import worlds
from passersby.gate import gate, record, running
from passersby.gate.planning import Planned
from passersby.lake.lake import Lake
from passersby.measures.catalogue import CATALOGUE
from passersby.model.period import HOUR
from passersby.model.release import COARSE, LOW_PRECISION, SUPPRESSED
from passersby.model.schema import PLACE, ROWS, rows_of
from passersby.privacy import answers, label_fields
from passersby.privacy.accounting import epsilon_for, micro_rho_for
from proof import plain_stays

pytestmark = pytest.mark.slow

STEPS = ["deciding", "reserving", "running", "noise", "estimating", "storing", "publishing"]


def _planned(asker: worlds.Asker, **changed: Any) -> Planned:
    return asker.d.plan(asker.request(**changed), asker.actor())


def _presence(asker: worlds.Asker) -> pl.DataFrame:
    """Read presence straight from the lake's files, as nothing but a test may."""
    return pl.concat([pl.read_parquet(path) for path in (asker.d.layout.lake / "presence").glob("*.parquet")])


def _parents(presence: pl.DataFrame, resolution: int) -> pl.Series:
    """Return the ancestor of each row's cell, by H3's own word."""
    parents = {cell: int(h3i.cell_to_parent(cell, resolution)) for cell in presence["cell"].unique()}
    return presence["cell"].replace_strict(parents, return_dtype=pl.Int64)


def _run(asker: worlds.Asker, planned: Planned) -> dict[int, pl.DataFrame]:
    parts = asker.d.gate._parts
    counts = running.run(parts.engine, parts.lake, planned, now=worlds.now(), renew=worlds.now)
    return {r: pl.DataFrame(pl.from_arrow(table)).sort("cell", "start") for r, table in counts.items()}


def _expected(asker: worlds.Asker, planned: Planned, resolution: int, value: pl.Expr) -> pl.DataFrame:
    question, offset = planned.question, planned.question.offset
    width, shift = {"day": (24 * HOUR, offset), "daypart": (6 * HOUR, offset)}[question.every]
    local = pl.col("hour").cast(pl.Int64) + shift
    presence = _presence(asker)
    parent, asked = (_parents(presence, r) for r in (resolution, question.resolution))
    inside = asked.is_in(question.area.at(question.resolution).tolist())
    span = pl.col("hour").is_between(question.span.start, question.span.end, closed="left")
    return (
        presence.with_columns(parent=parent, inside=inside)
        .filter(span & pl.col("inside"))
        .group_by(cell="parent", start=local - local % width - shift)
        .agg(count=value * 1000)
        .sort("cell", "start")
    )


@pytest.mark.parametrize("resolution", [4, 6, 7])
def test_counts_before_the_noise_are_those_of_the_lake(full: worlds.Asker, resolution: int) -> None:
    planned = _planned(full, resolution=resolution, every="daypart")
    expected = _expected(full, planned, resolution, pl.len().cast(pl.Int64))
    assert expected.height > 100
    assert _run(full, planned)[resolution].equals(expected)


def test_visitors_are_distinct_devices_at_every_level(full: worlds.Asker) -> None:
    planned = _planned(full, measure="visitors", resolution=6)
    counts = _run(full, planned)
    assert sorted(counts) == [level.resolution for level in planned.plan.levels]
    for resolution, table in counts.items():
        expected = _expected(full, planned, resolution, pl.col("device").n_unique().cast(pl.Int64))
        assert table.equals(expected)


def test_stay_presence_counts_hours_of_the_stays_in_the_lake(full: worlds.Asker) -> None:
    planned = _planned(full, measure="stay-presence", resolution=6)
    scope, area = planned.scope, set(planned.question.area.at(6).tolist())
    with full.d.lake.snapshot(worlds.now()) as snapshot:
        stays = pl.concat(pl.read_parquet(file.path) for file in snapshot.files("stays"))
    expected: Counter[tuple[int, int]] = Counter()
    for own in stays.partition_by("device"):
        rows = [
            plain_stays.Whole._make(row)
            for row in own.select("arrival", "departure", "cell", "x_m", "y_m").rows()
        ]
        for hour, cell in plain_stays.hours(rows, scope.offset).items():
            ancestor = int(h3i.cell_to_parent(cell, 6))
            if scope.span.start <= hour < scope.span.end and ancestor in area:
                expected[ancestor, scope.bucket_of(hour)] += 1000
    counts = _run(full, planned)[6].to_dicts()
    assert len(expected) > 100
    assert {(row["cell"], row["start"]): row["count"] for row in counts} == expected


def test_buckets_in_groups_give_the_same_counts(full: worlds.Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = _planned(full)
    (whole,) = _run(full, planned).values()
    queries = []
    query = type(full.d.engine).query

    def counted(self: Any, *args: Any, **more: Any) -> pa.Table:
        queries.append(args)
        return query(self, *args, **more)

    monkeypatch.setattr(type(full.d.engine), "query", counted)
    monkeypatch.setattr(running, "ROWS_AT_ONCE", 1)
    (grouped,) = _run(full, planned).values()
    assert len(queries) == full.d.config.buckets
    assert grouped.equals(whole)


def test_rows_fit_their_schema_and_the_question(full: worlds.Asker) -> None:
    release = full.ask().release
    assert release.rows.schema == ROWS
    keys = list(zip(release.rows["cell"].to_pylist(), release.rows["start"].to_pylist(), strict=True))
    assert keys == sorted(set(keys))
    assert {start for _, start in keys} == set(_planned(full).scope.starts)
    assert set(release.rows["flag"].to_pylist()) <= {"", LOW_PRECISION, COARSE, SUPPRESSED}
    assert release.id == release.question_sha256[:12]


def test_the_label_is_complete_and_true(full: worlds.Asker) -> None:
    release, config = full.ask(every="week", resolution=4).release, full.d.config
    label_fields.validate(release.label)
    loss = release.label["privacy_loss"]["privacy_parameters"]
    assert loss["micro_rho"] == release.micro_rho == micro_rho_for(1.0, config.delta).value
    assert 0.99 < loss["epsilon"] <= 1
    assert sum(m["micro_rho"] for m in release.label["implementation"]["mechanisms"]) == release.micro_rho
    assert release.label["total_spend"]["2026-W20"]["micro_rho"] == release.micro_rho
    assert release.label["log_origin"] == full.d.publisher.origin
    assert release.label["revision"] >= 1
    assert 0 <= release.label["shown_mass"] <= 1


class Silent:
    """Adds no noise: from counts to rows without chance. The store refuses its answers."""

    name = "silent"

    def gaussian(self, values: npt.NDArray[np.int64], _scale: float) -> npt.NDArray[np.int64]:
        return values.copy()


@pytest.mark.parametrize(("times", "low", "high"), [(1, 0.0, 0.1), (100, 0.5, 0.999), (100_000, 0.999, 1.0)])
def test_the_label_says_how_much_of_the_total_is_shown(
    full: worlds.Asker, times: int, low: float, high: float
) -> None:
    """A panel of so many times as many devices."""
    planned = _planned(full, every="week")
    counts = {
        r: table.with_columns(pl.col("count") * times).to_arrow() for r, table in _run(full, planned).items()
    }
    measured = running.measure(planned, counts, Silent(), full.d.config.minimum_devices)
    rows = pl.DataFrame(pl.from_arrow(measured.rows))
    total = int(_run(full, planned)[5]["count"].sum()) * times / 1000
    shown = float(rows.filter(pl.col("flag") != SUPPRESSED)["estimate"].sum()) / total
    said = record.draft(full.d.gate._parts, planned, measured, now=worlds.now()).label["shown_mass"]
    assert low <= said <= high
    assert said == pytest.approx(shown, abs=1e-3)


def test_spend_in_the_label_adds_up(full: worlds.Asker) -> None:
    first, second = full.ask(), full.ask(epsilon=0.5)
    spent = second.release.label["total_spend"]["2026-W20"]["micro_rho"]
    assert spent == first.release.micro_rho + second.release.micro_rho == full.spent()["2026-W20"]


def test_the_log_entry_fits_the_answer(full: worlds.Asker) -> None:
    release = full.ask().release
    (entry,) = full.entries("release.made")
    assert entry["index"] == release.log_index
    assert entry["rows_sha256"] == hashlib.sha256(answers.rows_parquet(release.rows)).hexdigest()
    assert entry["micro_rho"] == release.micro_rho
    assert float(entry["epsilon"]) == pytest.approx(epsilon_for(_cost(release), 1e-7), abs=1e-6)
    assert (entry["measure"], entry["licence"], entry["periods"]) == (
        "presence",
        worlds.LICENCE,
        ["2026-W20"],
    )


def _cost(release: Any) -> Any:
    return micro_rho_for(1.0, release.label["privacy_loss"]["privacy_parameters"]["delta"])


@pytest.mark.slow
def test_a_period_without_data_answers_like_any_other(full: worlds.Asker, empty: worlds.Asker) -> None:
    one, other = full.ask(every="week", resolution=4), empty.ask(every="week", resolution=4)
    assert other.release.question == one.release.question
    assert empty.spent() == full.spent()
    assert other.release.rows.num_rows > 0
    assert other.release.rows["start"].unique().equals(one.release.rows["start"].unique())
    kinds = [entry["kind"] for entry in empty.entries()[-2:]]
    assert kinds == ["question.reserved", "release.made"]


def test_steps_are_told_by_name_alone(full: worlds.Asker) -> None:
    told: list[str] = []
    full.d.ask(full.request(), full.actor(), step=told.append)
    assert [text.split(":")[0] for text in told] == [f"{number} of 7" for number in range(1, 8)]
    assert all(name in text for name, text in zip(STEPS, told, strict=True))
    told.clear()
    full.d.ask(full.request(), full.actor(), step=told.append)
    assert told == ["1 of 7: deciding"]


def test_planning_spends_nothing_and_reads_nothing(
    full: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise AssertionError

    logged = full.entries()
    monkeypatch.setattr(Lake, "snapshot", fail)
    planned = _planned(full)
    assert planned.question.cost == micro_rho_for(1.0, full.d.config.delta)
    assert running.sql(planned)[planned.question.resolution].startswith(("WITH", "SELECT"))
    assert full.spent() == {}
    assert full.entries() == logged


@pytest.mark.parametrize(("took", "waits"), [(0.4, 1.6), (1.9, 0.1), (2.0, 0.0), (3.1, 0.9)])
def test_new_answers_wait_for_the_next_tick(
    monkeypatch: pytest.MonkeyPatch, took: float, waits: float
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(gate, "TICK_S", 2.0)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0 + took)
    monkeypatch.setattr(time, "sleep", slept.append)
    gate._wait_for_tick(100.0)
    assert slept == [pytest.approx(waits)]


@pytest.mark.parametrize("name", ["trip-distance", "radius-of-gyration", "mean-trips"])
def test_histograms_and_means_leave_with_their_bins_and_bounds(full: worlds.Asker, name: str) -> None:
    measure = CATALOGUE[name]
    release = full.ask(measure=name, every="week", resolution=5).release
    labels = [each.label for each in (*measure.bins, *measure.derived)]
    assert release.rows.schema == rows_of(PLACE, binned=True)
    assert release.rows["bin"].to_pylist() == labels * (release.rows.num_rows // len(labels))
    bound = release.label["contribution_bound"]
    assert measure.clips in bound
    assert ("biased low" in bound) == bool(measure.clips)
