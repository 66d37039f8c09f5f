"""What a measure is: a named statistic whose SQL gives one row for each contribution of a device.

Most measures count in cells; `pairs` count in pairs of cells. A measure may have public bins
(`model.bins`): a histogram, or a numerator beside its denominator.

A measure says *what is counted*. Bounding what one device can contribute, noise and the privacy cost
are the gate's: a measure cannot leave them out, because it never sees them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from passersby.model.bins import Bin, Derived
from passersby.model.period import DAY, HOUR, WEEK, Period, Span, day_of, day_start
from passersby.model.question import FILTERS, GRAINS, WHOLE
from passersby.model.schema import PAIR, PLACE

_HOURS_A_DAY = DAY // HOUR
_MONDAY = 4 * DAY
_SHIFTS = {"hour": 0, "daypart": 0, "day": 0, "week": _MONDAY}
"""Weeks start on Mondays and 1970-01-01 was a Thursday; other grains start at local midnight."""

HOME_RESOLUTION = 6
"""Finest resolution of a reference location (home, work, modal cell), in SQL and in answers."""

SPOT = "spot"
"""Column with the cell of resolution 10 where zones stand in `cell` (`measures.zoned`)."""


@dataclass(frozen=True)
class Scope:
    """The part of a question that its SQL depends on.

    The area is not in here: the SQL joins it as the table `area(cell)`, whose cells are at
    `resolution`. It may join the table `hours(hour)` too. Where it is `zoned`, zones stand in the place of
    cells (`measures.zoned`), and `resolution` is that of their stand-ins. `homes` is the span in which homes
    are looked for where devices are weighted by them (`measures.weighted`): it holds `span`.
    """

    span: Span
    resolution: int
    every: str
    filters: tuple[tuple[str, tuple[str, ...]], ...]
    offset: int
    zoned: bool = False
    homes: Span | None = None

    @property
    def spot(self) -> str:
        """Column of presence and stays with the cell of resolution 10, for what is said of places within."""
        return SPOT if self.zoned else "cell"

    @property
    def hours(self) -> int:
        """Most hours of one period that the question reads: what bounds a device's rows."""
        return max(
            sum(1 for hour in self._hours(part) if self._selected(hour))
            for part in (
                Span(max(self.span.start, week.start), min(self.span.end, week.end))
                for week in (period.span(self.offset) for period in self.span.periods(self.offset))
            )
        )

    @property
    def days(self) -> int:
        """Most local days of one period that hold an hour that the question reads."""
        days = {day_of(hour, self.offset) for hour in self.selected}
        periods = Counter(Period.containing(day_start(day, self.offset), self.offset) for day in days)
        return max(periods.values(), default=0)

    @property
    def selected(self) -> tuple[int, ...]:
        """First instants of the hours that the question reads, in order: the SQL's table `hours(hour)`."""
        return tuple(hour for hour in self._hours(self.span) if self._selected(hour))

    @property
    def starts(self) -> tuple[int, ...]:
        """First instants of all buckets of the answer that hold a selected hour, in order."""
        return tuple(sorted({self.bucket_of(hour) for hour in self.selected}))

    @property
    def bucket_hours(self) -> int:
        """Most selected hours that one bucket of the answer can hold."""
        counts: dict[int, int] = {}
        for hour in self.selected:
            start = self.bucket_of(hour)
            counts[start] = counts.get(start, 0) + 1
        return max(counts.values(), default=0)

    def bucket_of(self, hour: int) -> int:
        """Return the first instant of the bucket that holds `hour` (both epoch s)."""
        if self.every == WHOLE:
            return self.span.start
        shift = self.offset - _SHIFTS[self.every]
        local = hour + shift
        return local - local % GRAINS[self.every] - shift

    @property
    def whole_weeks(self) -> bool:
        """Whether the question cuts no week."""
        weeks = [period.span(self.offset) for period in self.span.periods(self.offset)]
        return (weeks[0].start, weeks[-1].end) == (self.span.start, self.span.end)

    @property
    def several(self) -> bool:
        """Whether the question reads more than one period."""
        return len((self.homes or self.span).periods(self.offset)) > 1

    @property
    def sharing(self) -> int:
        """Periods that share one bucket of the answer."""
        return len(self.span.periods(self.offset)) if self.every == WHOLE else 1

    def _hours(self, span: Span) -> range:
        return range(span.start, span.end, HOUR)

    def _selected(self, hour: int) -> bool:
        local = hour + self.offset
        place = {
            "hour": str(local % DAY // HOUR),
            "weekday": FILTERS["weekday"][(local - _MONDAY) % WEEK // DAY],
            "daypart": FILTERS["daypart"][local % DAY // (6 * HOUR)],
        }
        return all(place[name] in values for name, values in self.filters)

    def bucket_sql(self, column: str) -> str:
        """Return SQL for the first instant of the bucket that holds the hour `column`, as BIGINT."""
        if self.every == "hour":
            return f"CAST({column} AS BIGINT)"
        if self.every == WHOLE:
            return self.whole_sql
        return _floor_sql(column, GRAINS[self.every], self.offset - _SHIFTS[self.every])

    def hour_sql(self, column: str) -> str:
        """Return SQL for the first instant of the hour that holds the instant `column`, as BIGINT."""
        return _floor_sql(column, HOUR, self.offset)

    @property
    def whole_sql(self) -> str:
        """SQL for the question's first instant, as BIGINT: its period and bucket where all is one."""
        return f"CAST({self.span.start} AS BIGINT)"

    def day_sql(self, column: str) -> str:
        """Return SQL for the first instant of the local day that holds `column`, as BIGINT."""
        return _floor_sql(column, DAY, self.offset)

    def period_sql(self, column: str) -> str:
        """Return SQL for the first instant of the period that holds `column`, as BIGINT."""
        touched = self.span.periods(self.offset)
        if len(touched) == 1:
            return f"CAST({touched[0].span(self.offset).start} AS BIGINT)"
        return _floor_sql(column, WEEK, self.offset - _MONDAY)

    def where_sql(self, column: str) -> str:
        """Return the SQL condition on an hour: the span and every filter."""
        local = f"(CAST({column} AS BIGINT) + {self.offset + 7 * DAY})"
        terms = [f"{column} >= {self.span.start}", f"{column} < {self.span.end}"]
        for name, values in self.filters:
            order = [FILTERS[name].index(value) for value in values]
            width, cycle, shift = {
                "hour": (HOUR, DAY, 0),
                "weekday": (DAY, WEEK, _MONDAY),
                "daypart": (6 * HOUR, DAY, 0),
            }[name]
            place = f"({local} - {shift}) % {cycle}"
            ranges = (f"({place} >= {i * width} AND {place} < {(i + 1) * width})" for i in order)
            terms.append(f"({' OR '.join(ranges)})")
        return " AND ".join(terms)


def _floor_sql(column: str, width: int, shift: int) -> str:
    local = f"(CAST({column} AS BIGINT) + {shift})"
    return f"({local} - {local} % {width} - {shift})"


def device_days(scope: Scope) -> int:
    """Return the bound on rows of one for each day of a period: all days of a bucket may be in one key."""
    return scope.days * min(scope.days, scope.bucket_hours // _HOURS_A_DAY)


def at_least_one(minimum_devices: int, _buckets: int) -> int:
    """Return the weakest floor: twenty devices leave at least twenty device-hours, trips or others."""
    return minimum_devices


def each_bucket(minimum_devices: int, buckets: int) -> int:
    """Return the floor of what is once in each bucket: twenty devices leave twenty in each."""
    return minimum_devices * buckets


def those_of_a_bucket(scope: Scope) -> int:
    """Return the most periods in one key, where every period of a bucket may be in any of its keys."""
    return scope.sharing


@dataclass(frozen=True)
class Measure:
    """One entry of the catalogue.

    Args:
        name: as in `passersby ask NAME`.
        unit: what one unit of the answer is.
        definition: one sentence, exact.
        source: paper, standard or section that the definition follows.
        version: grows when the definition changes, so that stored answers do not mix.
        additive: children add up to their parent, so that the full hierarchy applies.
        grains: values of `--every` that make sense.
        tables: lake tables that it reads; the first one decides how much is read at once.
        rows: the pure SQL twin: `Scope` and a resolution to SQL that gives (device, period, keys, value), one
            row for each contribution, before bounding. Its keys are `keys` below.
        bound: smallest integer that no device-period's sum of squares exceeds, at the question's resolution
            and, for want of `coarser`, at every level above it.
        floor: minimum that a cell needs to be shown, from the deployment's minimum of devices and the
            number of buckets, in devices or events. Compared with its estimate pooled over the question's
            buckets and counted bins, each times its factor.
        expected: how often it counts a device in the cell where it lives: in each hour of a bucket, or once.
            Public figures then say how large counts may be; of "" they say nothing.
        pairs: keys are (origin, destination) instead of a cell; never additive.
        bins: public bins; SQL gives the index of one as `bin`.
        derived: ratios and quantiles of the bins, released as rows after them.
        joint: it joins what a device did in different periods, so that `period` in its SQL is one for all of
            the question: a device that changes one week may move from one key to another, so that noise is
            made for sqrt(2) times the bound.
        sharing: most periods that one key counts together: those of a bucket, or fewer where bins part them.
        coarser: the bound of a level coarser than the question's resolution. Additive measures have none: one
            weight serves all of their levels. Zones have one level.
        clips: what the bound cuts, in words for the label; "" where no device can exceed it.
        lost: share of a count that intervals allow the bound to have cut: they reach so much higher. Chosen
            on generated data; 0 where nothing is clipped, or where intervals do not allow for it.
        finest: finest resolution at which it may be asked.
        filtered: whether it takes filters; what looks at whole days or weeks does not.
        whole_periods: files of all days of the question's periods are read, and not of its own days only: a
            stay is filed by the day on which it began.
        least_weeks: fewest whole weeks that a question must have. Where it is more than one, weeks are
            compared with each other, and no question may cut one.
        contributions_a_row: about how many rows of SQL a row of the table becomes, for memory only.
        moves: whether a joint measure may move what it counts of a device from key to key. Otherwise no key
            of the device ever holds more than it could with all of its periods, whichever is left out.
        parts: what one counted unit of a measure without bins stands for (`measures.weighted`).
    """

    name: str
    unit: str
    definition: str
    source: str
    version: int
    additive: bool
    grains: tuple[str, ...]
    tables: tuple[str, ...]
    rows: Callable[[Scope, int], str]
    bound: Callable[[Scope], int]
    floor: Callable[[int, int], int] = at_least_one
    expected: Literal["each hour", "once", ""] = ""
    pairs: bool = False
    bins: tuple[Bin, ...] = ()
    derived: tuple[Derived, ...] = ()
    joint: bool = False
    sharing: Callable[[Scope], int] = those_of_a_bucket
    coarser: Callable[[Scope, int], int] | None = None
    clips: str = ""
    lost: float = 0.0
    finest: int = 15
    filtered: bool = True
    whole_periods: bool = False
    least_weeks: int = 1
    contributions_a_row: int = 1
    moves: bool = True
    parts: float = 1.0

    @property
    def kind(self) -> Literal["additive", "levels", "pairs"]:
        """What its keys and levels are, for the mechanism (`privacy.hierarchy.plan`)."""
        if self.pairs:
            return "pairs"
        return "additive" if self.additive else "levels"

    @property
    def keys(self) -> tuple[str, ...]:
        """Key columns of its rows."""
        place = PAIR if self.pairs else PLACE
        return (*place, "start", "bin") if self.bins else (*place, "start")

    @property
    def released_bins(self) -> tuple[Bin, ...]:
        """Its bins, or the one bin of a measure without any."""
        return self.bins or (Bin("", factor=self.parts),)

    @property
    def factor(self) -> float:
        """What one unit of its counted bins stands for: noise is of one size before it."""
        return next(each.factor for each in self.released_bins if each.counted)

    def columns(self, scope: Scope) -> int:
        """Return how many values a cell has: buckets of time, times bins."""
        return len(scope.starts) * len(self.released_bins)

    def squared_bound(self, scope: Scope, resolution: int) -> int:
        """Return C2 of a level, of a resolution or zones: what each device and period is held to there."""
        if self.coarser is None or scope.zoned or resolution == scope.resolution:
            return self.bound(scope)
        return self.coarser(scope, resolution)

    def squared_sensitivity(self, scope: Scope, resolution: int) -> int:
        """Return the most by which one device and period changes the vector of a level, squared.

        That is the level's bound, where a period's contributions depend on that period alone. Otherwise the
        device's vector a becomes b, both within the bound and without negative entries, so that
        |a - b|^2 = |a|^2 + |b|^2 - 2ab <= 2 C2. Where nothing moves, each key of a and of b lies between 0
        and that of one vector within the bound: |a - b|^2 <= C2.

        Where k periods share one key, a device that is there in all of them moves it by k times as much
        as in one. Noise is made for k C2, so that its loss is k times that of one period and not k^2 times:
        costs add up over periods, as the ledger and the label say. It is the noise of a sum of k answers.
        Of a device that is there in m periods, m_1 of which are in some keys, m_2 in others and so on, each
        m_i at most k, the squared distance is at most (m_1^2 + m_2^2 + ..) C2 <= m k C2: m times that of one.
        """
        bound = self.squared_bound(scope, resolution)
        if self.joint:
            return bound * (2 if scope.several and self.moves else 1)
        return bound * self.sharing(scope)

    def days(self, scope: Scope) -> tuple[int, ...]:
        """Return the local days whose files the measure reads."""
        if not self.whole_periods and scope.homes is None:
            return scope.span.days(scope.offset)
        read = scope.homes or scope.span
        spans = (period.span(scope.offset) for period in read.periods(scope.offset))
        return tuple(day for span in spans for day in span.days(scope.offset))
