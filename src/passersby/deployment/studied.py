"""A release under study: what its quality report looks at, from rows, question, contracts and settings."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.deployment.opened import Deployment
from passersby.measures.base import Measure
from passersby.measures.catalogue import get as get_measure
from passersby.model.cells import parent, resolution_of
from passersby.model.period import HOUR, Period, Span, day_name, day_of
from passersby.model.place import Area
from passersby.model.release import SUPPRESSED, Release
from passersby.model.schema import place_of
from passersby.model.zones import ALL
from passersby.privacy.answers import ReleaseEntry
from passersby.privacy.hierarchy.derived import Z95
from passersby.suppliers import registry
from passersby.suppliers.contract import Contract

_CLASSES = (0.05, 0.1, 0.2, 0.33, 0.5, 1.0)
"""Upper limits of the classes of relative standard errors."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Studied:
    """A release of a deployment, and what follows from it and from public records."""

    d: Deployment
    release: Release

    def day(self, instant: int) -> str:
        """Return the local day of an instant, ISO."""
        return day_name(day_of(instant, self.d.config.offset))

    @property
    def span(self) -> Span:
        """Span of the question."""
        return Span(self.release.question["from"], self.release.question["to"])

    @property
    def measure(self) -> Measure:
        """What is counted."""
        return get_measure(self.release.question["measure"])

    @property
    def weights(self) -> Mapping[str, Any] | None:
        """What its label says of weights; None where devices count for themselves."""
        found: Mapping[str, Any] | None = self.release.label.get("weights")
        return found

    @property
    def periods(self) -> list[Period]:
        """The weeks that were read."""
        return [Period.parse(name) for name in self.release.question["periods"]]

    @property
    def closed(self) -> int:
        """Instant from which the last of its periods can be asked."""
        end = self.periods[-1].span(self.d.config.offset).end
        return end + self.d.config.closing_hours * HOUR

    @cached_property
    def flags(self) -> npt.NDArray[np.object_]:
        """Flag of each row."""
        return np.array(self.release.rows["flag"].to_pylist(), dtype=object)

    @cached_property
    def errors(self) -> Floats:
        """Relative standard errors of shown rows whose estimate is above 0."""
        rows = self.release.rows
        estimate, high = (
            np.array(rows[name].to_pylist(), dtype=np.float64)[self.flags != SUPPRESSED]
            for name in ("estimate", "high")
        )
        positive = estimate > 0
        own = high[positive] * (1 - self.measure.lost)  # without what is allowed for a bound that clips
        found: Floats = (own - estimate[positive]) / Z95 / estimate[positive]
        return found

    @cached_property
    def contracts(self) -> list[Contract]:
        """Contracts that cover a day of the question."""
        first, last = (day_of(t, self.d.config.offset) for t in (self.span.start, self.span.end - 1))
        with self.d.database.read() as session:
            every = [supplier.contract for supplier in registry.list_all(session)]
        return [c for c in every if c.dates_from <= last and c.dates_to >= first]

    @cached_property
    def others(self) -> list[ReleaseEntry]:
        """The other served releases of the same measure, definition and mechanism."""
        same = ("measure", "definition", "mechanism")
        mine = self.release.question
        return [
            entry
            for entry in self.d.releases()
            if entry.id != self.release.id
            and entry.withdrawn is None
            and all(entry.question[name] == mine[name] for name in same)
        ]

    @property
    def cells(self) -> set[int]:
        """The cells that its rows are about; those that zones are held in, where it is about zones."""
        if "zones" in self.release.question:
            return set(Area.from_names(list(self.release.question["area"])).compacted)
        return {cell for place in places_of(self.release.rows) for cell in place}

    def covers_once(self) -> bool:
        """Tell whether each cell of the question's area lies in exactly one cell of the rows.

        Zones partition their area by definition: each has its row, or one row stands for all of them.
        """
        if "zones" in self.release.question:
            return {name for (name,) in places_of(self.release.rows)} in (
                set(self.release.question["zones"]),
                {ALL},
            )
        finest = self.release.question["resolution"]
        area = Area.from_names(list(self.release.question["area"])).at(finest)
        cells = np.unique(self.release.rows["cell"].to_numpy())
        own = resolution_of(cells)
        times = np.zeros(len(area), dtype=np.int64)
        for resolution in np.unique(own):
            times += np.isin(parent(area, int(resolution), of=finest), cells[own == resolution])
        return bool((times == 1).all())


def classes(errors: Floats) -> tuple[tuple[str, float], ...]:
    """Return the share of rows in each class of relative standard errors."""
    limits = (0.0, *_CLASSES, np.inf)
    counts = np.histogram(errors, bins=np.array(limits))[0]
    names = [f"below {_CLASSES[0]:.0%}"]
    names += [f"{low:.0%} to {high:.0%}" for low, high in itertools.pairwise(_CLASSES)]
    names += [f"{_CLASSES[-1]:.0%} and more"]
    return tuple((name, float(count / len(errors))) for name, count in zip(names, counts, strict=True))


def places_of(rows: pa.Table) -> set[tuple[Any, ...]]:
    """Return the cells, pairs of cells or names of zones that rows are about."""
    return set(zip(*(rows[name].to_pylist() for name in place_of(rows)), strict=True))
