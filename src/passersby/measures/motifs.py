"""Mobility motifs: device-days by the network of the day's places, in 17 classes (Schneider et al. 2013).

The network of a day has a node for each place (cell of resolution 10) of the device's visits (`_visits`) and
an edge from a place to each other one that was next, however often: no weights, no lengths, no home. The
class is a function of the network alone. The paper's 17 are the networks that more than 0.5% of its days
have. Its text does not list them; they are those of the program that its authors published, in that order
(`docs/explanation/motifs.md`), named here by what they look like:

- a *tour of n* leaves a place, visits n others one after the other and returns;
- *tours of n+m* begin and end at one place and have no other in common; "1 place" has no tour;
- *tour of 2 + way back*: one of its three moves is made the other way too;
- *row of 4*: four places, each joined with the next one by moves both ways.

Four numbers tell these from each other and from every other network that a day can have: places, moves,
pairs of places with moves both ways, and *junctions*, places that are not entered from exactly one place and
left for exactly one. Tours from one place have at most that one junction: there are moves - places + 1 of
them, and as many of one stop as there are moves both ways. Tests compare the class with isomorphism for all
networks of at most as many places and moves as the 17 have.

Any other network is "other closed" if the day ends at the place where it began, and "other open" if it ends
elsewhere. The paper puts phones home at midnight where they were not seen; here nothing is filled in, so that
a silent night leaves a day open.

A device-day counts once, in one bin, where the device usually is in that week: see `measures._visits`, which
has the bound. Nothing is clipped.
"""

from __future__ import annotations

from typing import NamedTuple

from passersby.measures import _visits
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope, device_days, each_bucket
from passersby.model.bins import Bin, Ratio


class Network(NamedTuple):
    """What tells one of the 17 networks from all others."""

    label: str
    places: int
    moves: int
    both_ways: int
    junctions: int


def _tours(*stops: int) -> Network:
    """Return the network of tours from one place with so many stops each."""
    label = f"tour{'s' * (len(stops) > 1)} of {'+'.join(map(str, stops))}" if stops else "1 place"
    moves = sum(stops) + len(stops)
    return Network(label, 1 + sum(stops), moves, stops.count(1), int(len(stops) > 1))


NETWORKS = (
    _tours(),
    _tours(1),
    _tours(1, 1),
    _tours(2),
    Network("tour of 2 + way back", 3, 4, 1, 2),
    _tours(2, 1),
    _tours(3),
    _tours(1, 1, 1),
    Network("row of 4", 4, 6, 3, 2),
    _tours(3, 1),
    _tours(4),
    _tours(2, 1, 1),
    _tours(2, 2),
    _tours(4, 1),
    _tours(5),
    _tours(3, 2),
    _tours(3, 1, 1),
)
_LABELS = (*(network.label for network in NETWORKS), "other closed", "other open")
_BINS = tuple(map(Bin, _LABELS))

_MEASURED = """
ordered AS (
  SELECT device, start, place,
    LAG(place) OVER (PARTITION BY device, start ORDER BY arrival, departure, place) AS before,
    LEAD(place) OVER (PARTITION BY device, start ORDER BY arrival, departure, place) AS after
  FROM visits
),
days AS (
  SELECT device, start, COUNT(DISTINCT place) AS places,
    MIN(CASE WHEN before IS NULL THEN place END) AS first_place,
    MIN(CASE WHEN after IS NULL THEN place END) AS last_place
  FROM ordered
  GROUP BY device, start
),
moves AS (
  SELECT DISTINCT device, start, before AS origin, place AS destination FROM ordered WHERE before <> place
),
joined_pairs AS (
  SELECT device, start, LEAST(origin, destination) AS one, GREATEST(origin, destination) AS other,
    COUNT(*) AS ways
  FROM moves
  GROUP BY device, start, LEAST(origin, destination), GREATEST(origin, destination)
),
edges AS (
  SELECT device, start, CAST(SUM(ways) AS BIGINT) AS moves, CAST(SUM(ways - 1) AS BIGINT) AS both_ways
  FROM joined_pairs
  GROUP BY device, start
),
degrees AS (
  SELECT device, start, place, SUM(leaves) AS ways_out, SUM(enters) AS ways_in
  FROM (
    SELECT device, start, origin AS place, 1 AS leaves, 0 AS enters FROM moves
    UNION ALL
    SELECT device, start, destination AS place, 0 AS leaves, 1 AS enters FROM moves
  ) AS ends
  GROUP BY device, start, place
),
nodes AS (
  SELECT device, start,
    CAST(SUM(CASE WHEN ways_in = 1 AND ways_out = 1 THEN 0 ELSE 1 END) AS BIGINT) AS junctions
  FROM degrees
  GROUP BY device, start
),
networks AS (
  SELECT days.device AS device, days.start AS start, days.places AS places,
    COALESCE(edges.moves, 0) AS moves, COALESCE(edges.both_ways, 0) AS both_ways,
    COALESCE(nodes.junctions, 0) AS junctions, days.first_place AS first_place, days.last_place AS last_place
  FROM days
  LEFT JOIN edges ON days.device = edges.device AND days.start = edges.start
  LEFT JOIN nodes ON days.device = nodes.device AND days.start = nodes.start
),
measured AS (
  SELECT device, start,
    CASE
      {networks}
      WHEN first_place = last_place THEN {closed}
      ELSE {open}
    END AS quantity
  FROM networks
)
"""


def _one_of_the_17() -> str:
    return "\n      ".join(
        f"WHEN places = {it.places} AND moves = {it.moves} AND both_ways = {it.both_ways} "
        f"AND junctions = {it.junctions} THEN {i}"
        for i, it in enumerate(NETWORKS)
    )


def _rows(scope: Scope, resolution: int) -> str:
    others = len(NETWORKS)
    measured = _MEASURED.format(networks=_one_of_the_17(), closed=others, open=others + 1)
    return _visits.sql(scope, resolution, measured=measured, selected=_visits.numbered(scope), every="day")


MOTIFS = Measure(
    name="motifs",
    unit="device-days",
    definition="Number of device-days with at least one stay, by the class of the day's directed network of "
    "places (cells of resolution 10) and moves from the place of a stay to another one of the next, at the "
    "cell (resolution 6 or coarser) where the device's stays of the week are longest together; with the "
    "share of days in the 17 classes that have a name.",
    source="Schneider, Belik, Couronne, Smoreda & Gonzalez (2013), Unravelling daily human mobility motifs, "
    "and its authors' program (humnetlab/mobilityMotifs, phone_example.cc) for the list of the 17",
    version=1,
    additive=True,
    grains=_visits.GRAINS,
    tables=("stays",),
    rows=_rows,
    bound=device_days,
    floor=each_bucket,
    bins=_BINS,
    derived=(Ratio("share of the 17", _LABELS[: len(NETWORKS)], _LABELS),),
    finest=HOME_RESOLUTION,
    filtered=False,
    whole_periods=True,
)
