"""A question in canonical form: what is asked, apart from who asks it and why.

Two people who ask the same thing get the same stored answer, so licence, case, purpose and output
format are left out of the canonical form.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import rfc8785

from passersby.model.cost import MicroRho
from passersby.model.period import DAY, HOUR, WEEK, Period, Span
from passersby.model.place import Area
from passersby.model.weights import Weights
from passersby.model.zones import Zones

WHOLE = "whole"
"""The grain of an answer with one bucket for all of the question's span."""

GRAINS = {"hour": HOUR, "daypart": 6 * HOUR, "day": DAY, "week": WEEK, WHOLE: 0}
"""Grains of time that an answer may have, in seconds; a daypart is a quarter of a local day."""

FILTERS = {
    "hour": tuple(str(h) for h in range(24)),
    "weekday": ("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
    "daypart": ("night", "morning", "afternoon", "evening"),
}
"""The closed list of filters and their values. All of them select hours, none selects devices."""


@dataclass(frozen=True)
class Question:
    """Measure, definition version, span, area, resolution, grain, filters and cost.

    `filters` holds (name, sorted values) pairs sorted by name. `revisions` holds the data revision that
    each of its periods is read from. With `zones`, `area` is all of them together and `resolution` that
    of the cells that they are held in. With `weights`, the periods of the span in which homes were found are
    read and paid for: they hold those of `span`.
    """

    measure: str
    definition: int
    span: Span
    area: Area
    resolution: int
    every: str
    filters: tuple[tuple[str, tuple[str, ...]], ...]
    cost: MicroRho
    mechanism: str
    revisions: tuple[int, ...]
    offset: int
    zones: Zones | None = None
    weights: Weights | None = None

    @property
    def ground(self) -> Area | Zones:
        """What it is answered on: its zones, or the cells of its area."""
        return self.zones or self.area

    @property
    def periods(self) -> tuple[Period, ...]:
        """Every period that the question reads and pays for, in order."""
        read = self.weights.window if self.weights else self.span
        return read.periods(self.offset)

    def canonical(self) -> dict[str, Any]:
        """Return the JSON object whose RFC 8785 form is hashed."""
        zones = {} if self.zones is None else {"zones": self.zones.canonical()}
        weights = {} if self.weights is None else {"weights": self.weights.canonical()}
        return {
            **zones,
            **weights,
            "measure": self.measure,
            "definition": self.definition,
            "from": self.span.start,
            "to": self.span.end,
            "periods": [period.name for period in self.periods],
            "area": self.area.names(),
            "resolution": self.resolution,
            "every": self.every,
            "filters": {name: list(values) for name, values in self.filters},
            "micro_rho": self.cost.value,
            "mechanism": self.mechanism,
            "revisions": list(self.revisions),
            "utc_offset": self.offset,
        }

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the canonical form: the key of the stored answer."""
        return hashlib.sha256(rfc8785.dumps(self.canonical())).hexdigest()
