"""Weights for a question, from a census and a released, noisy number of residents. No lake is read.

A stratum must count its devices to within a tenth (one standard error), or its weight would be noise. So
rows of the release that are less exact are joined: those of one parent, then of its parent, and so on; what
is left joins the least exact of the others. Suppressed rows give no number: who lives there weighs nothing,
and the label says how many people that are.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy.orm import Session

from passersby.errors import UnknownName
from passersby.gate.parts import Parts
from passersby.gate.request import Checked
from passersby.measures.base import HOME_RESOLUTION
from passersby.measures.residents import RESIDENTS
from passersby.measures.weighted import weighted
from passersby.model.cells import Cells, centre, parent, resolution_of
from passersby.model.census import Census, Weighting
from passersby.model.period import Span
from passersby.model.place import Area
from passersby.model.release import Release
from passersby.model.weights import PARTS, Weights
from passersby.model.zones import ALL
from passersby.policy.refusals import refusal
from passersby.privacy.hierarchy.derived import Z95

MOST_ERROR = 0.1
"""Largest relative standard error of the number of devices in a stratum."""

_RELEASE = re.compile(r"[0-9a-f]{12}")


def apply(parts: Parts, session: Session, checked: Checked, wish: Weighting) -> Checked:
    """Return a checked request whose measure counts people, with the weights that it takes.

    Raises:
        Refusal: there is no fitting release, or the census does not fit it.
    """
    found = make(_residents(parts, session, wish.residents), checked.span, wish)
    zones = checked.request.zones
    measure = weighted(checked.measure, found, zones.resolution if zones else None)
    return replace(checked, measure=measure, weights=found)


def make(release: Release, span: Span, wish: Weighting) -> Weights:
    """Return the weights that follow from a release of residents.

    Args:
        release: what was named.
        span: of the question: the homes' one must hold it.
        wish: census and cap.

    Raises:
        Refusal: the release is not one of residents, of another time, of other cells, or not exact enough
            (`bad-residents`); the census has cells or zones that it does not cover (`bad-census`).
    """
    question, census = release.question, wish.census
    window = Span(question["from"], question["to"])
    if (question["measure"], question["definition"]) != (RESIDENTS.name, RESIDENTS.version):
        raise refusal("bad-residents")
    zoned = "zones" in question
    finest = HOME_RESOLUTION if zoned else question["resolution"]
    if not window.start <= span.start < span.end <= window.end or zoned != (census.resolution is None):
        raise refusal("bad-residents")
    if census.resolution is not None and finest > census.resolution:
        raise refusal("bad-residents")
    ground = _zones(release, census) if zoned else _cells(release, census)
    groups = _joined(ground)
    if not groups:
        raise refusal("bad-residents")
    full = np.full(len(ground.cells), np.nan)
    for group in groups:
        full[np.isin(ground.row, group.rows)] = group.people / group.devices
    used = np.minimum(np.nan_to_num(full), wish.cap)
    largest = math.ceil(used.max())
    return Weights(
        census=census,
        residents=release.id,
        residents_sha256=release.question_sha256,
        window=window,
        cap=wish.cap,
        resolution=finest,
        cells=ground.cells,
        population=ground.population,
        full=full,
        used=np.rint(used * PARTS / largest).astype(np.int64),
        largest=largest,
        error=max(group.error for group in groups),
        strata=len(groups),
    )


def _residents(parts: Parts, session: Session, name: str) -> Release:
    try:
        return parts.ledger.by_id(session, name if _RELEASE.fullmatch(name) else "")
    except UnknownName:
        raise refusal("bad-residents") from None


@dataclass(frozen=True, eq=False)
class _Ground:
    """What a release and a census say.

    Args:
        cells: all cells of the release, sorted.
        population: people in each.
        row: the row of the release that each lies in, -1 for none.
        rows: of the release.
        nodes: cell of each row; 0 for zones, which have no parents.
        resolution: of the finest node, 0 for zones.
    """

    cells: Cells
    population: npt.NDArray[np.float64]
    row: npt.NDArray[np.intp]
    rows: pa.Table
    nodes: Cells
    resolution: int


@dataclass(frozen=True)
class _Group:
    """Rows of a release that make one stratum: the cell that they lie in, their devices and their people."""

    node: int
    rows: tuple[int, ...]
    devices: float
    variance: float
    people: float

    @property
    def error(self) -> float:
        return math.sqrt(self.variance) / self.devices

    @property
    def exact(self) -> bool:
        return self.error <= MOST_ERROR

    def with_(self, other: _Group) -> _Group:
        """Return both as one. Errors of rows are taken as independent, which is too much for siblings."""
        return _Group(
            self.node,
            self.rows + other.rows,
            self.devices + other.devices,
            self.variance + other.variance,
            self.people + other.people,
        )


def _cells(release: Release, census: Census) -> _Ground:
    """Return the cells of a release with the people that the census has in each."""
    finest = release.question["resolution"]
    cells = Area.from_names(list(release.question["area"])).at(finest)
    named = np.array([int(name, 16) for name, _ in census.people], dtype=np.int64)
    above = parent(named, finest, of=census.resolution or 0)
    place = np.minimum(np.searchsorted(cells, above), len(cells) - 1)
    if (cells[place] != above).any():
        raise refusal("bad-census")
    counted = np.array([people for _, people in census.people], dtype=np.float64)
    people = np.bincount(place, weights=counted, minlength=len(cells)).astype(np.float64)
    nodes = release.rows["cell"].to_numpy()
    own, row = resolution_of(nodes), np.full(len(cells), -1, dtype=np.intp)
    for resolution in np.unique(own):
        of, ancestors = np.flatnonzero(own == resolution), parent(cells, int(resolution), of=finest)
        order = of[np.argsort(nodes[of])]
        at = np.minimum(np.searchsorted(nodes[order], ancestors), len(order) - 1)
        here = nodes[order][at] == ancestors
        row[here] = order[at[here]]
    return _Ground(cells, people, row, release.rows, nodes, finest)


def _zones(release: Release, census: Census) -> _Ground:
    """Return the cells of a release of zones; the people of a zone are spread evenly over its cells.

    Homes are cells of `HOME_RESOLUTION`: each lies in the zone of its centre.
    """
    held = {name: _centred(own) for name, own in release.question["zones"].items()}
    if not {name for name, _ in census.people} <= held.keys():
        raise refusal("bad-census")
    people = dict(census.people)
    places = {name: i for i, name in enumerate(release.rows["zone"].to_pylist())}
    cells = np.concatenate(list(held.values()))
    population = np.concatenate(
        [np.full(len(own), people.get(n, 0) / max(1, len(own))) for n, own in held.items()]
    )
    row = np.concatenate([np.full(len(own), places.get(n, places.get(ALL, -1))) for n, own in held.items()])
    order = np.argsort(cells)
    nodes = np.zeros(release.rows.num_rows, dtype=np.int64)
    return _Ground(cells[order], population[order], row[order].astype(np.intp), release.rows, nodes, 0)


def _centred(names: Sequence[str]) -> Cells:
    """Return the cells of `HOME_RESOLUTION` whose centres lie in a zone of compacted cells."""
    area = Area.from_names(list(names))
    finest = max(HOME_RESOLUTION, area.finest)
    cells = area.at(finest)
    above = np.unique(parent(cells, HOME_RESOLUTION, of=finest))
    return above[np.isin(centre(above, finest, of=HOME_RESOLUTION), cells)]


def _joined(ground: _Ground) -> list[_Group]:
    """Return the strata, each of them exact; none where all of the release together is not."""
    groups = _shown(ground)
    done = [group for group in groups if group.exact]
    rest = [group for group in groups if not group.exact]
    for resolution in range(ground.resolution, 0, -1):
        up = [_lifted(g, resolution - 1) if _resolution(g.node) == resolution else g for g in rest]
        merged: dict[int, _Group] = {}
        for group in up:
            merged[group.node] = merged[group.node].with_(group) if group.node in merged else group
        done += [group for group in merged.values() if group.exact]
        rest = [group for group in merged.values() if not group.exact]
    done.sort(key=lambda group: (group.error, group.rows))
    while rest:
        last = functools.reduce(_Group.with_, rest)
        if last.exact:
            return [*done, last]
        if not done:
            return []
        rest = [last, done.pop()]
    return done


def _shown(ground: _Ground) -> list[_Group]:
    """Return a group for each row that shows a number of devices, where the census has people."""
    people = np.bincount(
        ground.row[ground.row >= 0],
        weights=ground.population[ground.row >= 0],
        minlength=ground.rows.num_rows,
    )
    columns = (ground.rows[name].to_pylist() for name in ("estimate", "high"))
    rows = enumerate(zip(ground.nodes.tolist(), *columns, people.tolist(), strict=True))
    return [
        _Group(node, (i,), devices, ((high - devices) / Z95) ** 2, people)
        for i, (node, devices, high, people) in rows
        if devices is not None and devices > 0 and people > 0
    ]


def _resolution(cell: int) -> int:
    return int(resolution_of(np.array([cell], dtype=np.int64))[0])


def _lifted(group: _Group, resolution: int) -> _Group:
    """Return a group as one of the parent of its cell, which is at `resolution`."""
    node = parent(np.array([group.node], dtype=np.int64), resolution, of=resolution + 1)
    return replace(group, node=int(node[0]))
