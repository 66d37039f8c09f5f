"""Devices and their owners: home, work, habits, phone, suppliers; some 250 bytes a device."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from passersby.compiled import compiled
from passersby.synth import dice
from passersby.synth.country import Country, Places

SLOTS = 32
"""Places that a person remembers; then a new place takes the slot of the least visited one."""

HOME, WORK = 0, 1
"""Slots of home and, for those who work, of the workplace. Both are never forgotten."""

EMPLOYED = 0.62
"""Share of the devices whose owner goes to work; as the employed of all residents in Europe."""

PAST_NIGHTS, PAST_PLACES = 10, 10
"""Visits at home and distinct places that count as past when a device is first seen."""

BUSIEST = 4_000
"""Most fixes of a device and day."""

_TAIL = 1.6  # exponent of the power law of rates
_OVERLAP = 0.3
"""Chance that a device which one supplier knows is known to a given other one as well."""

_POPULARITY = 3.0  # popularity falls with rank^-(2/3): inverse transform u^3


class People(NamedTuple):
    """State of every device, row i for device i. Only a day's walk changes it.

    `slots` holds numbers of places (home: -1), `visits` how often each was visited, `known` how many
    slots are in use, `distinct` how many places were ever visited, `where` the slot at midnight;
    `rate` is the mean number of fixes on a day with any, `members` has bit s set if supplier s knows
    the device.
    """

    home_lat: npt.NDArray[np.float64]
    home_lon: npt.NDArray[np.float64]
    home_city: npt.NDArray[np.int32]
    works: npt.NDArray[np.bool_]
    rate: npt.NDArray[np.float32]
    members: npt.NDArray[np.int16]
    slots: npt.NDArray[np.int32]
    visits: npt.NDArray[np.uint16]
    known: npt.NDArray[np.int8]
    distinct: npt.NDArray[np.uint16]
    where: npt.NDArray[np.int8]


def settle(
    country: Country, places: Places, seed: np.uint64, devices: int, rate: float, weights: tuple[float, ...]
) -> People:
    """Return `devices` people, living where the population lives.

    Args:
        country: cities and their densities.
        places: workplaces are drawn from these, by the gravity law.
        seed: root of all draws.
        devices: how many.
        rate: mean number of fixes for a device and day, over all days.
        weights: share of each supplier among the devices.
    """
    city = _by_chance(country.population, dice.traits(seed, 1, 0, devices))
    lat, lon = country.around(city, 1 - np.stack([dice.traits(seed, k, 0, devices) for k in (2, 3, 4)]))
    works = dice.traits(seed, 5, 0, devices) < EMPLOYED
    slots = np.full((devices, SLOTS), -1, dtype=np.int32)
    office = _towards(places.gravity, city, dice.traits(seed, 6, 0, devices))
    room = places.start[office + 1] - places.start[office]
    desk = places.start[office] + (room * dice.traits(seed, 7, 0, devices) ** _POPULARITY).astype(np.int64)
    slots[works, WORK] = desk[works]
    visits = np.zeros((devices, SLOTS), dtype=np.uint16)
    visits[:, HOME] = PAST_NIGHTS
    known = np.where(works, 2, 1)
    return People(
        home_lat=lat,
        home_lon=lon,
        home_city=city,
        works=works,
        rate=power_law(rate, dice.traits(seed, 8, 0, devices)),
        members=_members(seed, devices, weights),
        slots=slots,
        visits=visits,
        known=known.astype(np.int8),
        distinct=np.full(devices, PAST_PLACES, dtype=np.uint16),
        where=np.zeros(devices, dtype=np.int8),
    )


def power_law(mean: float, draws: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return rates of a Pareto law with exponent 1.6, cut at `BUSIEST / 2`, with the mean given."""
    cut = BUSIEST / 2
    low, high = 0.0, mean
    for _ in range(60):  # bisection: the mean of min(X, cut) grows with the least rate
        least = (low + high) / 2
        got = least * (_TAIL - (least / cut) ** (_TAIL - 1)) / (_TAIL - 1)
        low, high = (least, high) if got < mean else (low, least)
    return np.minimum(high * (1 - draws) ** (-1 / _TAIL), cut).astype(np.float32)


def _by_chance(weights: npt.NDArray[np.float64], draws: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    edges = np.cumsum(weights)
    return np.searchsorted(edges[:-1] / edges[-1], draws, side="right").astype(np.int32)


@compiled
def _towards(
    gravity: npt.NDArray[np.float32], city: npt.NDArray[np.int32], draws: npt.NDArray[np.float64]
) -> npt.NDArray[np.int32]:
    out = np.empty(len(city), dtype=np.int32)
    for i in range(len(city)):
        out[i] = dice.pick(gravity[city[i]], draws[i])
    return out


def _members(seed: np.uint64, devices: int, weights: tuple[float, ...]) -> npt.NDArray[np.int16]:
    first = _by_chance(np.array(weights, dtype=float), dice.traits(seed, 9, 0, devices))
    members = np.left_shift(1, first).astype(np.int16)
    for supplier in range(len(weights)):
        more = dice.traits(seed, 20 + supplier, 0, devices) < _OVERLAP
        members[more] |= 1 << supplier
    return members
