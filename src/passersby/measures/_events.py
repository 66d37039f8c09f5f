"""The public bound of measures that count events: trips and stays, by when they begin.

Between two events lies a stay of at least ten minutes, so that at most six begin in an hour. Days are bounded
by choice, since no definition does: a device counts in full up to `EVENTS_A_DAY` events in one bin on each
day. Trips of a day differ in length and lie in different bins, so that sixteen a day, spread evenly over four
bins, are not clipped either; 90% of people have days of 17 kinds, with few places each (Schneider et al.
2013, Unravelling daily human mobility motifs).
"""

from __future__ import annotations

from passersby.measures.base import Scope

EVENTS_A_DAY = 8
"""Events in one bin that a device may begin on each day before it counts less."""

EVENTS_AN_HOUR = 6
"""Most events that can begin in an hour: a stay lasts at least ten minutes."""

CLIPS = (
    f"a device with more than {EVENTS_A_DAY} trips or stays in one bin on each day (or as large a sum of "
    "squares) counts less"
)


def squared_bound(scope: Scope) -> int:
    """Return the bound on a device-period's sum of squares: all of its events, times the most in one bucket.

    A sum of squares is at most the sum times the largest term; bins can only lower it.
    """
    days = scope.days if scope.every == "week" else 1
    of_a_period = min(EVENTS_A_DAY * scope.days, EVENTS_AN_HOUR * scope.hours)
    of_a_bucket = min(EVENTS_A_DAY * days, EVENTS_AN_HOUR * scope.bucket_hours)
    return of_a_period * of_a_bucket
