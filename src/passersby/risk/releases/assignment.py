"""The cheapest way to give each row of a square matrix a column of its own."""

from __future__ import annotations

import numpy as np

from passersby.compiled import compiled
from passersby.risk.guessing import Floats, Ints


@compiled
def assigned(cost: Floats) -> Ints:  # noqa: C901 (one loop of compiled code)
    """Return the column of each row for which the sum of costs is least.

    The Hungarian method in its shortest-path form (Kuhn 1955; Jonker, Volgenant 1987): n^3 steps for n rows.
    """
    n = len(cost)
    row_price, column_price = np.zeros(n), np.zeros(n)
    row_of = np.full(n, -1, np.int64)
    for first in range(n):
        nearest = np.full(n, np.inf)
        before = np.full(n, -1, np.int64)
        done = np.zeros(n, np.bool_)
        row, column = first, -1
        while True:
            best, least = -1, np.inf
            for c in range(n):
                if not done[c]:
                    reduced = cost[row, c] - row_price[row] - column_price[c]
                    if reduced < nearest[c]:
                        nearest[c], before[c] = reduced, column
                    if nearest[c] < least:
                        best, least = c, nearest[c]
            row_price[first] += least
            for c in range(n):
                if done[c]:
                    row_price[row_of[c]] += least
                    column_price[c] -= least
                else:
                    nearest[c] -= least
            column = best
            done[column] = True
            if row_of[column] < 0:
                break
            row = row_of[column]
        while column >= 0:
            previous = before[column]
            row_of[column] = row_of[previous] if previous >= 0 else first
            column = previous
    column_of = np.empty(n, np.int64)
    for c in range(n):
        column_of[row_of[c]] = c
    return column_of
