"""One person's day: where, from when to when, and on which way between; compiled.

New places come by exploration and preferential return: with a chance of rho * S^-gamma, where S is
the number of distinct places so far, the person goes somewhere new; otherwise back to a known place,
in proportion to earlier visits. Waiting times follow a cut power law. Model and figures: Song, Koren,
Wang, Barabasi, "Modelling the scaling properties of human mobility", Nature Physics 6, 2010. A new
place is chosen by the gravity law, as in Pappalardo et al., Nature Communications 6, 2015.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from passersby.compiled import compiled
from passersby.synth.country import METRES_PER_DEGREE, Places
from passersby.synth.dice import State, draw, normal, pick
from passersby.synth.people import HOME, SLOTS, WORK, People

RHO, GAMMA = 0.6, 0.21
"""Song et al. 2010, figure 2."""

WAIT_EXPONENT = 0.8
"""Exponent of waiting times, P(dt) ~ dt^-(1 + 0.8); Song et al. 2010, figure 1."""

HOUR, DAY = 3600.0, 86400.0
LEGS = 64
"""Most rows of a day's plan."""

Legs = npt.NDArray[np.float64]
"""Rows (start s, end s, lat, lon, lat at the end, lon at the end) that cover a day without a hole."""

_LONGEST_WAIT = 17 * HOUR  # the cut-off of Song et al.
_STAY_IN = 0.12  # share of people who leave no place on a day, as travel surveys find
_AT_WORK = 0.92  # share of working days that are worked away from home
_LUNCH_OUT = 0.35
_MOST_VISITS = 60_000  # counts stay within 16 bits
_SLEEP_OUT = 0.03
_NEAR = 2_000.0  # metres; within a city, a place this far is half as likely as one next door


@compiled
def metres(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Return the distance of two points on the plane that touches the globe between them."""
    east = ((other_lon - lon + 540.0) % 360.0 - 180.0) * np.cos(np.radians((lat + other_lat) / 2))
    return float(METRES_PER_DEGREE * np.hypot(other_lat - lat, east))


@compiled
def travel_s(distance: float) -> float:
    """Return the usual seconds for a way: on foot, by tram or bicycle, by car or train, by air."""
    km = distance / 1000.0
    if km < 1.0:
        speed = 4.8
    elif km < 500.0:
        speed = min(8.0 + 10.0 * km**0.55, 110.0)
    else:
        speed = 450.0
    return float(120.0 + HOUR * km / speed)


@compiled
def _wait(state: State, least: float) -> float:
    low, high = least**-WAIT_EXPONENT, _LONGEST_WAIT**-WAIT_EXPONENT
    return float((low - draw(state) * (low - high)) ** (-1.0 / WAIT_EXPONENT))


@compiled
def _explore(places: Places, city: int, lat: float, lon: float, state: State) -> int:
    """Return a place: a city by gravity; within the own city, the near and the popular first."""
    goal = pick(places.gravity[city], draw(state))
    first, room = places.start[goal], places.start[goal + 1] - places.start[goal]
    place = first
    for _ in range(4):  # rejection; the last candidate stands
        place = first + int(room * draw(state) ** 3)
        if goal != city:
            break
        far = metres(lat, lon, places.lat[place], places.lon[place])
        if draw(state) < _NEAR / (_NEAR + far):
            break
    return int(place)


@compiled
def _return(people: People, device: int, at: int, state: State) -> int:
    """Return a known slot in proportion to visits: not `at`, nor the workplace; -1 if there is none."""
    visits, known = people.visits[device], people.known[device]
    shut = WORK if people.works[device] else -1
    total = 0
    for slot in range(known):
        if slot != at and slot != shut:  # noqa: PLR1714 (compiled: a tuple is slow)
            total += visits[slot]
    left = draw(state) * total
    for slot in range(known):
        if slot != at and slot != shut:  # noqa: PLR1714 (compiled: a tuple is slow)
            left -= visits[slot]
            if left < 0:
                return slot
    return -1


@compiled
def _remember(people: People, device: int, at: int, place: int) -> int:
    """Return the slot of a new place; it may push out the least visited one."""
    slots, visits, known = people.slots[device], people.visits[device], people.known[device]
    for slot in range(1, known):
        if slots[slot] == place:
            return slot
    people.distinct[device] = min(people.distinct[device] + 1, _MOST_VISITS)
    if known < SLOTS:
        people.known[device] = known + 1
        slots[known] = place
        visits[known] = 0
        return int(known)
    least = -1
    for slot in range(2, SLOTS):
        if slot != at and (least < 0 or visits[slot] < visits[least]):
            least = slot
    slots[least] = place
    visits[least] = 0
    return least


@compiled
def _point(places: Places, people: People, device: int, slot: int) -> tuple[float, float]:
    if slot == HOME:
        return people.home_lat[device], people.home_lon[device]
    place = people.slots[device, slot]
    return places.lat[place], places.lon[place]


@compiled
def _choose(places: Places, people: People, device: int, at: int, state: State) -> tuple[int, int]:
    """Return (slot, place) of the next stop; slot -1: a new place, which is remembered on arrival."""
    chance = RHO * float(people.distinct[device]) ** -GAMMA
    if draw(state) >= chance:
        slot = _return(people, device, at, state)
        if slot >= 0:
            return slot, -1
    lat, lon = _point(places, people, device, at)
    city = people.home_city[device] if at == HOME else places.city[people.slots[device, at]]
    return -1, _explore(places, city, lat, lon, state)


@compiled
def _row(legs: Legs, n: int, start: float, end: float) -> int:
    """Fill a leg's times; its points are written by the caller. Return the next free row."""
    legs[n, 0], legs[n, 1] = start, end
    return n + 1


@compiled
def _go(
    legs: Legs,
    n: int,
    times: tuple[float, float, float],
    here: tuple[float, float],
    there: tuple[float, float],
) -> int:
    """Add the stay until the departure and the way to `there`; times: since, departure, arrival."""
    legs[n, 2], legs[n, 3] = here
    legs[n, 4], legs[n, 5] = here
    legs[n + 1, 2], legs[n + 1, 3] = here
    legs[n + 1, 4], legs[n + 1, 5] = there[0], here[1] + (there[1] - here[1] + 540.0) % 360.0 - 180.0
    return _row(legs, _row(legs, n, times[0], times[1]), times[1], times[2])


@compiled
def _morning(works: bool, weekend: bool, state: State) -> tuple[float, float, float]:  # noqa: FBT001 (compiled: no keywords)
    """Return when the person leaves, wants to be back, and how long they work today, in seconds."""
    wake = normal(state, 9.0 if weekend else 7.3, 1.1) * HOUR
    bed = normal(state, 22.8 if weekend else 22.0, 1.1) * HOUR
    leave, shift = min(max(wake, 4.5 * HOUR), 12 * HOUR), 0.0
    if works and not weekend and draw(state) < _AT_WORK:
        shift = normal(state, 8.3, 0.8) * HOUR
    elif draw(state) < _STAY_IN:
        leave = DAY
    return leave, min(max(bed, 18 * HOUR), 23.7 * HOUR), shift


@compiled
def _next(
    places: Places, people: People, device: int, at: int, shift: float, state: State
) -> tuple[int, int, float, float]:
    """Return (slot, new place or -1, stay there, work left) of the next stop."""
    if shift > 0 and at != WORK:
        stay = shift
        if shift > 6 * HOUR and draw(state) < _LUNCH_OUT:
            stay = 4.2 * HOUR
        return WORK, -1, stay, shift - stay
    slot, place = _choose(places, people, device, at, state)
    stay = _wait(state, 3.0 * HOUR if slot == HOME else 0.6 * HOUR)
    return slot, place, min(stay, HOUR) if shift > 0 else stay, shift


@compiled
def _count(people: People, device: int, slot: int) -> None:
    people.visits[device, slot] = min(people.visits[device, slot] + 1, _MOST_VISITS)


@compiled
def day(places: Places, people: People, device: int, weekend: bool, state: State, legs: Legs) -> int:  # noqa: FBT001 (compiled: no keywords)
    """Walk one device through a day, midnight to midnight, and return the number of rows in `legs`.

    The device wakes where it slept. It never is on the way at midnight, so days join without a jump.
    """
    at = int(people.where[device])
    here = _point(places, people, device, at)
    leave, bed, shift = _morning(people.works[device], weekend, state)
    n, since = 0, 0.0
    while leave < bed and n < LEGS - 4:
        slot, place, stay, shift = _next(places, people, device, at, shift, state)
        there = (places.lat[place], places.lon[place]) if place >= 0 else _point(places, people, device, slot)
        pace = np.exp(normal(state, 0.0, 0.2))
        arrival = leave + travel_s(metres(here[0], here[1], there[0], there[1])) * pace
        if place >= 0 and arrival <= bed:
            slot = _remember(people, device, at, place)
        if slot == at or arrival > bed:
            leave += stay
            continue
        n = _go(legs, n, (since, leave, arrival), here, there)
        _count(people, device, slot)
        at, here, since, leave = slot, there, arrival, arrival + stay
    if at != HOME and draw(state) >= _SLEEP_OUT:
        home = _point(places, people, device, HOME)
        departure = max(since + 300.0, min(leave, bed))
        arrival = departure + travel_s(metres(here[0], here[1], home[0], home[1]))
        if arrival < DAY:
            n = _go(legs, n, (since, departure, arrival), here, home)
            _count(people, device, HOME)
            at, here, since = HOME, home, arrival
    people.where[device] = at
    legs[n, 2], legs[n, 3] = here
    legs[n, 4], legs[n, 5] = here
    return _row(legs, n, since, DAY)
