"""A request as somebody wrote it, checked into a question. Every wrong word is a refusal of its own.

Refusals here depend on the request and on public settings alone, never on data: same request, same
text. They are logged by the gate and cost nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from passersby.config import Config
from passersby.errors import PeriodOpen, UsageError
from passersby.measures.base import Measure, Scope
from passersby.measures.catalogue import CATALOGUE
from passersby.measures.weighted import can_be_weighted
from passersby.model.cells import COARSEST
from passersby.model.census import MOST_CAP, Weighting
from passersby.model.period import DAY, HOUR, Period, Span, parse_span
from passersby.model.place import Area
from passersby.model.question import FILTERS, GRAINS
from passersby.model.weights import Weights
from passersby.model.zones import STAND_IN, Zones
from passersby.policy.refusals import refusal

DEVICE_WORDS = frozenset(
    {"device", "devices", "ids", "identifiers", "who", "people", "tracks", "trajectories", "pings", "homes"}
)
"""Words that ask for devices instead of crowds; there is no such function, and asking is counted."""

REVISION_DAYS = (0, 28, 91)
"""Days after closing on which a period's data revisions begin. The last one is final. Published here and
in docs/explanation/ledger.md; never chosen by looking at data."""

MAX_WEEKS = 53
"""Most periods that one question may read."""

LONGEST_CASE = 200
"""Most characters of a case: a reference to a file, not the file."""


@dataclass(frozen=True)
class Request:
    """What a caller wrote.

    `area` is None for the whole area of the licence. With `zones`, no zone may be smaller than a cell of
    `resolution`; the cells that the zones are held in may be finer. With `weighting`, devices count for the
    people of their home zones.
    """

    measure: str
    period: str
    every: str
    resolution: int
    area: Area | None
    epsilon: float
    licence: str
    purpose: str
    case: str
    filters: tuple[str, ...] = ()
    zones: Zones | None = None
    weighting: Weighting | None = None


@dataclass(frozen=True)
class Checked:
    """A request whose words are all valid. `weights` are found later, in the control database."""

    request: Request
    measure: Measure
    span: Span
    filters: tuple[tuple[str, tuple[str, ...]], ...]
    weights: Weights | None = None

    @property
    def read(self) -> Span:
        """All of the time that is read: with weights that in which homes are found, too."""
        return self.weights.window if self.weights else self.span

    @property
    def resolution(self) -> int:
        """Resolution of the cells that are counted: as asked for, or those that zones are held in."""
        return self.request.zones.resolution if self.request.zones else self.request.resolution

    def scope(self, offset: int) -> Scope:
        """Return what the measure's SQL depends on."""
        zoned, homes = self.request.zones is not None, self.weights.window if self.weights else None
        resolution = STAND_IN if zoned else self.resolution
        return Scope(self.span, resolution, self.request.every, self.filters, offset, zoned, homes)


def check(request: Request, config: Config) -> Checked:
    """Return the request with its words understood.

    Raises:
        Refusal: a word is not valid; the code says which.
    """
    if request.measure.lower() in DEVICE_WORDS:
        raise refusal("device-level-request")
    if request.measure not in CATALOGUE:
        raise refusal("unknown-measure")
    measure = CATALOGUE[request.measure]
    if request.every not in GRAINS or request.every not in measure.grains:
        raise refusal("bad-grain")
    if not COARSEST <= request.resolution <= 15:
        raise refusal("bad-resolution")
    if request.resolution > min(config.finest_resolution, measure.finest):
        raise refusal("resolution-too-fine")
    if not math.isfinite(request.epsilon) or request.epsilon <= 0:
        raise refusal("bad-epsilon")
    if request.epsilon > config.epsilon_question:
        raise refusal("epsilon-over-question-cap")
    if len(request.case) > LONGEST_CASE or not request.case.isprintable():
        raise refusal("bad-case")
    if request.weighting is not None:
        _can_be_weighted(measure, request.weighting)
    checked = Checked(request, measure, _span(request.period, config.offset), _filters(request.filters))
    _fits(checked, checked.scope(config.offset))
    return checked


def require_closed(span: Span, config: Config, now: int) -> None:
    """Refuse a question that reads a period which is not closed yet.

    Raises:
        PeriodOpen: the last period ends, or ended less than the closing time ago.
    """
    last = span.periods(config.offset)[-1].span(config.offset).end
    if now < last + config.closing_hours * HOUR:
        raise PeriodOpen


def revision(period: Period, config: Config, now: int) -> int:
    """Return the number of the data revision of a closed period that is served at `now`, from 1."""
    closed = period.span(config.offset).end + config.closing_hours * HOUR
    return sum(now >= closed + days * DAY for days in REVISION_DAYS)


def _can_be_weighted(measure: Measure, wish: Weighting) -> None:
    if not can_be_weighted(measure):
        raise refusal("not-weighted")
    if not 1 <= wish.cap <= MOST_CAP:
        raise refusal("bad-weight-cap")


def _fits(checked: Checked, scope: Scope) -> None:
    """Refuse filters and spans that this measure does not take."""
    measure = checked.measure
    if (checked.filters and not measure.filtered) or not scope.starts:
        raise refusal("bad-filter")
    weeks = len(scope.span.periods(scope.offset))
    if measure.least_weeks > 1 and (weeks < measure.least_weeks or not scope.whole_weeks):
        raise refusal("bad-period")


def _span(text: str, offset: int) -> Span:
    try:
        span = parse_span(text, offset)
    except UsageError:
        raise refusal("bad-period") from None
    if len(span.periods(offset)) > MAX_WEEKS:
        raise refusal("bad-period")
    return span


def _filters(texts: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: dict[str, set[str]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        chosen = {value.strip() for value in values.split(",")}
        if name not in FILTERS or not chosen <= set(FILTERS[name]):
            raise refusal("bad-filter")
        found.setdefault(name, set()).update(chosen)
    return tuple(
        (name, tuple(value for value in FILTERS[name] if value in values))
        for name, values in sorted(found.items())
    )
