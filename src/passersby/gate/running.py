"""Steps 3 to 5 of the gate: the bounded query, the noise, the estimates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from passersby.engines.base import Engine
from passersby.gate.planning import Planned
from passersby.lake.lake import Lake
from passersby.lake.snapshots import Snapshot
from passersby.measures.zoned import ZONE_CELLS, in_zones
from passersby.model.question import Question
from passersby.model.schema import WEIGHTED
from passersby.model.weights import Weights
from passersby.model.zones import ALL
from passersby.privacy import bound
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.release import Measured, release_additive, release_levels
from passersby.privacy.noise import Sampler

Counts = Mapping[int, pa.Table]
"""Bounded counts (cell, start, count in thousandths) by level. They never leave this process."""

Tables = Mapping[str, Sequence[Path]]
"""Files of each table that a query reads."""

ROWS_AT_ONCE = 8_000_000
"""Contributions for one run of the query: buckets of devices are run in groups, so that memory is flat
whatever the lake's size. Devices are split by bucket, so the bounded counts of groups add up."""


def sql(planned: Planned) -> dict[int, str]:
    """Return the SQL that will run, by level of the plan. It depends on the question alone."""
    measure, scope = planned.measure, planned.scope
    if measure.additive:
        finest = planned.plan.finest
        rows = _rows(planned, finest)
        return {finest: bound.additive_sql(rows, squared_bound=measure.bound(scope), keys=measure.keys)}
    return {
        level.resolution: bound.level_sql(
            _rows(planned, level.resolution),
            squared_bound=measure.squared_bound(scope, level.resolution),
            keys=measure.keys,
        )
        for level in planned.plan.levels
    }


def _rows(planned: Planned, level: int) -> str:
    """Return the measure's SQL at a level: a resolution of cells, or zones."""
    measure, scope, zones = planned.measure, planned.scope, planned.question.zones
    if zones is None:
        return measure.rows(scope, level)
    rows = measure.rows(scope, scope.resolution)
    if planned.question.weights is not None:
        return rows  # homes in it are cells: what is counted has zones already
    return in_zones(rows, measure.tables, zones.resolution)


def _given(planned: Planned) -> dict[str, pa.Table]:
    """Return the small tables of the SQL: public, and the question's own."""
    question, zones = planned.question, planned.question.zones
    cells = question.area.at(question.resolution) if zones is None else zones.stand_ins
    given = {
        "area": pa.table({"cell": pa.array(cells, pa.int64())}),
        "hours": pa.table({"hour": pa.array(planned.scope.selected, pa.int64())}),
    }
    if question.weights is not None:
        given["weights"] = question.weights.table()
    return given if zones is None else {**given, ZONE_CELLS: zones.table}


def run(
    engine: Engine,
    lake: Lake,
    planned: Planned,
    *,
    now: int,
    renew: Callable[[], int],
    seen: Callable[[Iterable[int]], None] = lambda _: None,
) -> dict[int, pa.Table]:
    """Run the bounded query of each level over a snapshot of the lake.

    `renew` keeps the question's lease and returns the present instant, to which the snapshot's is kept.
    `seen` is told the deliveries that each file comes from.
    """
    given = _given(planned)
    with lake.snapshot(now) as snapshot:
        groups = _groups(snapshot, planned, lake.buckets, seen)
        found = {}
        for level, text in sql(planned).items():
            parts = []
            for files in groups:
                parts.append(engine.query(text, files, given, without=snapshot.withdrawn))
                snapshot.renew(renew())
            found[level] = _total(parts, planned.measure.keys)
    return found


def measure(planned: Planned, counts: Counts, sampler: Sampler, minimum_devices: int) -> Measured:
    """Add noise and post-process: from here on every number is noisy."""
    question = planned.question
    own = planned.measure
    starts = np.array(planned.scope.starts, dtype=np.int64)
    weights = question.weights
    columns = Columns(starts, own.released_bins, own.derived, weights.error if weights else 0.0)
    floor = own.floor(minimum_devices, len(starts))
    if own.additive:
        found = release_additive(
            counts[planned.plan.finest],
            area=question.ground,
            columns=columns,
            plan=planned.plan,
            sampler=sampler,
            minimum=floor,
        )
    else:
        found = release_levels(
            counts, area=question.ground, columns=columns, plan=planned.plan, sampler=sampler, minimum=floor
        )
    return found if weights is None else replace(found, rows=_beside(found.rows, question, weights))


def _beside(rows: pa.Table, question: Question, weights: Weights) -> pa.Table:
    """Return the rows with coverage and bias of those who live in each cell or zone: public numbers."""
    zones = question.zones
    if zones is None:
        ratios = np.stack(weights.beside(rows["cell"].to_numpy()))
    else:
        known = {
            name: weights.beside_all(np.array(own, dtype=np.int64), zones.resolution)
            for name, own in zip(zones.names, zones.cells, strict=True)
        }
        known[ALL] = weights.beside_all(zones.area.at(zones.resolution), zones.resolution)
        ratios = np.array([known[name] for name in rows["zone"].to_pylist()]).T
    for field, values in zip(WEIGHTED, ratios, strict=True):
        rows = rows.append_column(field, pa.array(values, mask=np.isnan(values)))
    return rows


def _groups(
    snapshot: Snapshot,
    planned: Planned,
    buckets: int,
    seen: Callable[[Iterable[int]], None] = lambda _: None,
) -> list[Tables]:
    """Return the files of groups of whole buckets, each of a bounded number of rows; at least one group."""
    measure = planned.measure
    days = measure.days(planned.scope)
    most = ROWS_AT_ONCE // measure.contributions_a_row
    groups: list[dict[str, list[Path]]] = [{name: [] for name in measure.tables}]
    rows = 0
    for bucket in range(buckets):
        files = {name: snapshot.files(name, days, bucket) for name in measure.tables}
        more = sum(file.rows for own in files.values() for file in own)
        if rows and rows + more > most:
            groups.append({name: [] for name in measure.tables})
            rows = 0
        for name, own in files.items():
            groups[-1][name] += [file.path for file in own]
            for file in own:
                seen(file.sources)
        rows += more
    return list(groups)


def _total(parts: list[pa.Table], keys: Sequence[str]) -> pa.Table:
    if len(parts) == 1:
        return parts[0]
    whole = pa.concat_tables(parts).group_by(list(keys)).aggregate([("count", "sum")])
    return whole.rename_columns([*keys, "count"])
