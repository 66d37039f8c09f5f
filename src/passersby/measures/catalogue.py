"""Every measure; command line and documentation are made from this list."""

from __future__ import annotations

from passersby.errors import UnknownName
from passersby.measures.base import Measure
from passersby.measures.calendar_activity import CALENDAR_ACTIVITY
from passersby.measures.catchment import CATCHMENT
from passersby.measures.change import CHANGE
from passersby.measures.commuting import COMMUTING
from passersby.measures.consecutive_flows import CONSECUTIVE_FLOWS
from passersby.measures.coverage import COVERAGE
from passersby.measures.displacement import DISPLACEMENT
from passersby.measures.dwell import DWELL, MEAN_DWELL
from passersby.measures.flows import FLOWS, INFLOWS, OUTFLOWS
from passersby.measures.gyration import K_RADIUS_RATIO, RADIUS_OF_GYRATION
from passersby.measures.introversion import INTROVERSION
from passersby.measures.max_distance_from_home import MAX_DISTANCE_FROM_HOME
from passersby.measures.motifs import MOTIFS
from passersby.measures.places import DISTINCT_PLACES, ENTROPY
from passersby.measures.presence import PRESENCE
from passersby.measures.profiles import DAY_NIGHT_RATIO, HOUR_PROFILE, WEEKDAY_PROFILE
from passersby.measures.relocation import RELOCATION
from passersby.measures.residents import RESIDENTS
from passersby.measures.stay_presence import STAY_PRESENCE
from passersby.measures.stay_put import STAY_PUT
from passersby.measures.time_at_home import TIME_AT_HOME
from passersby.measures.tourism import OVERNIGHT_VISITS, SAME_DAY_VISITS
from passersby.measures.trips import TRIP_DISTANCE, TRIP_DURATION
from passersby.measures.trips_per_day import MEAN_TRIPS, TRIPS_PER_DAY
from passersby.measures.unmoving import UNMOVING
from passersby.measures.visitors import VISITORS
from passersby.measures.visitors_not_residents import VISITORS_NOT_RESIDENTS
from passersby.measures.waiting_time import WAITING_TIME

GROUPS: dict[str, tuple[Measure, ...]] = {
    "Where devices are": (PRESENCE, STAY_PRESENCE, VISITORS),
    "When a place is used": (HOUR_PROFILE, WEEKDAY_PROFILE, DAY_NIGHT_RATIO, CHANGE),
    "How devices are seen": (COVERAGE, CALENDAR_ACTIVITY, UNMOVING, INTROVERSION),
    "Homes": (
        RESIDENTS,
        COMMUTING,
        CATCHMENT,
        VISITORS_NOT_RESIDENTS,
        RELOCATION,
        DISPLACEMENT,
        STAY_PUT,
        TIME_AT_HOME,
        MAX_DISTANCE_FROM_HOME,
        OVERNIGHT_VISITS,
        SAME_DAY_VISITS,
    ),
    "Trips and stays": (TRIP_DISTANCE, TRIP_DURATION, DWELL, MEAN_DWELL, WAITING_TIME),
    "Mobility of devices": (
        TRIPS_PER_DAY,
        MEAN_TRIPS,
        RADIUS_OF_GYRATION,
        K_RADIUS_RATIO,
        DISTINCT_PLACES,
        ENTROPY,
        MOTIFS,
    ),
    "Flows": (FLOWS, OUTFLOWS, INFLOWS, CONSECUTIVE_FLOWS),
}
"""All measures by what they are about, in the order in which they are shown."""

CATALOGUE: dict[str, Measure] = {measure.name: measure for group in GROUPS.values() for measure in group}


def get(name: str) -> Measure:
    """Return the measure of a name.

    Raises:
        UnknownName: there is no such measure.
    """
    try:
        return CATALOGUE[name]
    except KeyError:
        raise UnknownName(
            "There is no measure of that name.", "Run `passersby measures` for the catalogue."
        ) from None
