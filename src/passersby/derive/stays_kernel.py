"""Compiled loops over sorted pings: which fixes count, where a device stayed, and its trips.

`stays.py` has the definitions. The columns are read once, a device at a time; the end of the output that has
no rows yet holds the device's fixes meanwhile, so that no other memory grows with them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from passersby.compiled import compiled
from passersby.derive.kernel import Ints, dominant, sort
from passersby.model.motion import MOST_M_E5, metres

_TURN_E5 = 36_000_000


class Limits(NamedTuple):
    """The rules of `stays.Rules` as numbers and flags."""

    roaming_m: int
    least_s: int
    gap_s: int
    speed_m_s: float
    drop: bool
    until_next: bool
    include_last: bool
    merge: bool


@compiled
def stays(columns: Any, excluded: Ints, limits: Limits, out: Any) -> int:  # noqa: ANN401  (tuples that Numba types)
    """Write one row for each stay into `out`; return their number.

    Args:
        columns: (device, t, lat_e5, lon_e5, accuracy_m, cell, delivery), see `stays.derive`.
        excluded: sorted devices that give no rows.
        limits: the rules.
        out: (device int64, cell int64, arrival int32, departure int32, pings int32, mean latitude
            float64, mean longitude float64; means in 1e-5 degrees), as long as the input.
    """
    device, cell = columns[0], out[1]
    rows = i = skip = 0
    while i < len(device):
        who = device[i]
        while skip < len(excluded) and excluded[skip] < who:
            skip += 1
        if skip < len(excluded) and excluded[skip] == who:
            while i < len(device) and device[i] == who:
                i += 1
            continue
        # a stay takes a fix or more, so that rows never reach fixes that are still to be read
        held, i = _accurate(columns, i, limits.roaming_m, cell[rows:])
        held = _without_teleports(columns, limits.speed_m_s, cell[rows : rows + held])
        rows = _of_device(columns, limits, cell[rows : rows + held], out, rows)
    return rows


@compiled
def _accurate(columns: Any, i: int, roaming_m: int, fixes: Ints) -> tuple[int, int]:  # noqa: ANN401
    """Put the rows that count of the device of row `i` into `fixes`; return their number and the end."""
    device, t, lat_e5, lon_e5, accuracy_m, cell, delivery = columns
    who = device[i]
    held = 0
    while i < len(device) and device[i] == who:
        best = i
        i += 1
        while i < len(device) and device[i] == who and t[i] == t[best]:
            # within a delivery and a cell any total order will do
            one = (delivery[i], cell[i], lat_e5[i], lon_e5[i], accuracy_m[i])
            other = (delivery[best], cell[best], lat_e5[best], lon_e5[best], accuracy_m[best])
            if one < other:
                best = i
            i += 1
        if accuracy_m[best] <= roaming_m:
            fixes[held] = best
            held += 1
    return held, i


@compiled
def _without_teleports(columns: Any, speed_m_s: float, fixes: Ints) -> int:  # noqa: ANN401
    """Move the fixes that are no teleports to the front; return their number."""
    _, t, lat_e5, lon_e5, _, _, _ = columns
    held = 0
    for j in range(len(fixes)):
        fix = fixes[j]
        if held and j + 1 < len(fixes):
            kept, ahead = fixes[held - 1], fixes[j + 1]
            come, go = np.int64(t[fix]) - t[kept], np.int64(t[ahead]) - t[fix]
            if _beyond(lat_e5[kept], lon_e5[kept], lat_e5[fix], lon_e5[fix], speed_m_s * come) and _beyond(
                lat_e5[fix], lon_e5[fix], lat_e5[ahead], lon_e5[ahead], speed_m_s * go
            ):
                continue
        fixes[held] = fix
        held += 1
    return held


@compiled
def _of_device(columns: Any, limits: Limits, fixes: Ints, out: Any, rows: int) -> int:  # noqa: ANN401
    """Write the stays of one device's fixes after `rows` rows; return the number of rows."""
    _, t, lat_e5, lon_e5, _, _, _ = columns
    none, first = rows, 0
    for j in range(1, len(fixes)):
        anchor, before, fix = fixes[first], fixes[j - 1], fixes[j]
        lost = np.int64(t[fix]) - t[before] > limits.gap_s
        if not lost and not _beyond(
            lat_e5[anchor], lon_e5[anchor], lat_e5[fix], lon_e5[fix], limits.roaming_m
        ):
            continue
        left = t[fix] if limits.until_next and not lost else t[before]
        if np.int64(left) - t[anchor] >= limits.least_s and not (lost and limits.drop):
            _write(columns, fixes[first:j], left, out, rows)
            rows += _is_new(limits, none, out, rows)
        first = j
    if limits.include_last and first < len(fixes):
        left = t[fixes[-1]]
        if np.int64(left) - t[fixes[first]] >= limits.least_s:
            _write(columns, fixes[first:], left, out, rows)
            rows += _is_new(limits, none, out, rows)
    return rows


@compiled
def _write(columns: Any, fixes: Ints, left: int, out: Any, row: int) -> None:  # noqa: ANN401
    """Write one stay; its fixes, which lie in the output's cells from `row` on, are overwritten."""
    device, t, lat_e5, lon_e5, _, cell, _ = columns
    out_device, out_cell, arrival, departure, pings, mean_lat, mean_lon = out
    anchor = fixes[0]
    north = east = 0
    for k in range(len(fixes)):
        fix = fixes[k]
        north += lat_e5[fix]
        east += _wrapped(np.int64(lon_e5[fix]) - lon_e5[anchor])
        fixes[k] = cell[fix]
    sort(fixes, len(fixes))
    out_cell[row], _ = dominant(fixes, len(fixes))
    out_device[row], arrival[row], departure[row], pings[row] = device[anchor], t[anchor], left, len(fixes)
    mean_lat[row], mean_lon[row] = north / len(fixes), lon_e5[anchor] + east / len(fixes)


@compiled
def _is_new(limits: Limits, none: int, out: Any, row: int) -> bool:  # noqa: ANN401
    """Tell whether a row stays one of its own, or merge it into the one before.

    `none` is the first row of the device.
    """
    _, cell, arrival, departure, pings, mean_lat, mean_lon = out
    old = row - 1
    if (
        not limits.merge
        or row == none
        or cell[row] != cell[old]
        or np.int64(arrival[row]) - departure[old] > limits.gap_s
    ):
        return True
    departure[old] = departure[row]
    pings[old] += pings[row]
    share = pings[row] / pings[old]
    mean_lat[old] += share * (mean_lat[row] - mean_lat[old])
    mean_lon[old] += share * _wrapped(mean_lon[row] - mean_lon[old])
    return False


@compiled
def trips(columns: Any, out: Any) -> int:  # noqa: ANN401  (see `stays`)
    """Write one row for each change of cell between consecutive stays into `out`; return their number.

    Args:
        columns: the rows that `stays` wrote.
        out: (device int64, origin int64, destination int64, departure int32, arrival int32, distance_m
            int32), as long as `columns`.
    """
    device, cell, arrival, departure, _, mean_lat, mean_lon = columns
    out_device, origin, destination, out_departure, out_arrival, distance_m = out
    rows = 0
    for i in range(1, len(device)):
        if device[i] != device[i - 1] or cell[i] == cell[i - 1]:
            continue
        out_device[rows], origin[rows], destination[rows] = device[i], cell[i - 1], cell[i]
        out_departure[rows], out_arrival[rows] = departure[i - 1], arrival[i]
        distance_m[rows] = round(metres(mean_lat[i - 1], mean_lon[i - 1], mean_lat[i], mean_lon[i]))
        rows += 1
    return rows


@compiled
def _beyond(lat: int, lon: int, other_lat: int, other_lon: int, limit_m: float) -> bool:
    """Tell whether two places are more than `limit_m` apart; trigonometry only where no bound decides.

    Takes numbers, not the columns: counting references to arrays costs more than the distance does.
    """
    north = abs(np.int64(other_lat) - np.int64(lat))
    east = abs(_wrapped(np.int64(other_lon) - np.int64(lon)))
    if (north + east) * MOST_M_E5 <= limit_m:
        return False  # the way along meridian and equator is no shorter
    if north * MOST_M_E5 > limit_m:
        return True  # no way between two parallels is shorter than the meridian
    return metres(np.float64(lat), np.float64(lon), np.float64(other_lat), np.float64(other_lon)) > limit_m


@compiled
def _wrapped(east_e5: Any) -> Any:  # noqa: ANN401  (integers of fixes, floats of means)
    """Return a difference of two longitudes as the shorter way round, in 1e-5 degrees."""
    if east_e5 > _TURN_E5 // 2:
        return east_e5 - _TURN_E5
    if east_e5 < -_TURN_E5 // 2:
        return east_e5 + _TURN_E5
    return east_e5
