"""The public bounds of trips and moves: how many of a device count, and how often it may go one way.

No definition says how many trips a device can make: stays last ten minutes or more, so that six could depart
in an hour. Surveys find three to four trips a day for a person (McGuckin & Fucci 2018, Summary of Travel
Trends: 2017 National Household Travel Survey). Nearly twice that is counted in full: in some hours of a day
two trips and one more for each four of the hours, so eight on a whole day, and 42 in a week. C2 is the
product of this number for a week and the most trips of one key, since a sum of squares is at most its largest
value times the sum of all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from passersby.measures.base import Scope
from passersby.model.period import Period, day_of

MOST_IN_A_WEEK = 42
"""Trips of a device in a week that are counted in full: six a day."""

CLIPS = (
    f"a device that makes more than about eight trips a day, or {MOST_IN_A_WEEK} in a week, counts in part"
)

_TWICE = 2 * (2**2 - 2)
"""Added to a sum of squares of ones where two of them are gone a second time."""

LOST = 0.02
"""Share of a pair's trips that intervals allow the bound to have cut: in generated weeks and days up to
0.014 of all trips or moves of a level are cut (docs/decisions/0011)."""


def of_ends(scope: Scope) -> int:
    """Return C2 where all trips of a bucket may be in one key."""
    return _in_a_week(scope) * max(_most(hours, scope.offset) for hours in _buckets(scope))


def of_pairs(scope: Scope, doublings: int) -> int:
    """Return C2 where one way a day may be in one key, or four a week, twice as much for each doubling.

    The most trips of one key are half a one for the bucket and half a one for each of its days. Two ways
    that are gone a second time come on top: without them questions about a single day would cut twice as much
    as others.
    """
    days = max(len({day_of(hour, scope.offset) for hour in hours}) for hours in _buckets(scope))
    halves = _in_a_week(scope) * (1 + days) + 2 * _TWICE << doublings
    return min(-(-halves // 2), of_ends(scope))


def _in_a_week(scope: Scope) -> int:
    weeks: defaultdict[Period, list[int]] = defaultdict(list)
    for hour in scope.selected:
        weeks[Period.containing(hour, scope.offset)].append(hour)
    return max(_most(hours, scope.offset) for hours in weeks.values())


def _buckets(scope: Scope) -> list[list[int]]:
    """Return the hours that the question reads, by bucket."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for hour in scope.selected:
        found[scope.bucket_of(hour)].append(hour)
    return list(found.values())


def _most(hours: Iterable[int], offset: int) -> int:
    """Return how many trips that depart in some hours of one week are counted in full."""
    days = Counter(day_of(hour, offset) for hour in hours)
    return min(MOST_IN_A_WEEK, sum(2 + number // 4 for number in days.values()))
