"""What the phones of a small world did: hours, stays and trips, by the definitions in plain Python."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import h3.api.numpy_int as h3i

from passersby.model.period import HOUR
from passersby.model.zones import Zones
from proof import plain_stays
from proof.plain.asked import ZONES, CellInZone, above


class World:
    """What a small world's phones did, by the definitions in plain Python."""

    def __init__(self, fixes: Iterable[Any], offset: int, zones: Zones | None = None) -> None:
        self.offset = offset
        self._fixes = _once(fixes)
        self._zones: dict[int, int] = {}
        if zones is not None:
            self._resolution = zones.resolution
            for number, cells in enumerate(zones.cells):
                self._zones |= dict.fromkeys(cells, ZONES + number)

    @cached_property
    def hours(self) -> dict[tuple[int, int], int]:
        """The dominant cell (resolution 10) of each phone and hour."""
        seen = _seen(self._fixes, self.offset)
        return {key: self._within(cell) for key, cell in seen.items()}

    @cached_property
    def stays(self) -> dict[int, list[plain_stays.Whole]]:
        """The stays of each phone, in order."""
        return {
            phone: [stay._replace(cell=self._within(stay.cell)) for stay in own]
            for phone, own in self._stays.items()
        }

    @cached_property
    def trips(self) -> dict[int, list[plain_stays.Trip]]:
        """The trips of each phone, in order: from one stay to the next one within a period."""
        return {
            phone: [
                trip._replace(origin=self._within(trip.origin), destination=self._within(trip.destination))
                for trip in plain_stays.trips(own, self.offset)
            ]
            for phone, own in self._stays.items()
        }

    @cached_property
    def _stays(self) -> dict[int, list[plain_stays.Whole]]:
        kept = [(fix.phone, fix.t, fix.cell) for fix in self._fixes]
        return plain_stays.by_phone(kept, self.offset, _dominant)

    def _within(self, cell: int) -> int:
        """Return a cell with its zone, if a zone holds it."""
        zone = self._zones.get(above(cell, self._resolution)) if self._zones else None
        return cell if zone is None else CellInZone(cell, zone)


def _seen(fixes: Iterable[Any], offset: int) -> dict[tuple[int, int], int]:
    """Return the dominant cell of each phone's hour."""
    hours: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for fix in _once(fixes):
        hours[fix.phone, fix.t - (fix.t + offset) % HOUR].append(fix.cell)
    return {key: _dominant(cells) for key, cells in hours.items()}


def _once(fixes: Iterable[Any]) -> list[Any]:
    """Return one fix for each phone and second: the lowest delivery's."""
    kept: dict[tuple[int, int], Any] = {}
    for fix in sorted(fixes, key=lambda fix: (fix.delivery, fix.cell)):
        kept.setdefault((fix.phone, fix.t), fix)
    return list(kept.values())


def _dominant(cells: list[int]) -> int:
    for resolution in range(4, 11):
        counts = Counter(int(h3i.cell_to_parent(cell, resolution)) for cell in cells)
        best = min(counts, key=lambda cell: (-counts[cell], cell))
        cells = [cell for cell in cells if int(h3i.cell_to_parent(cell, resolution)) == best]
    return cells[0]
