"""Derives stays and trips from pings, in memory: where a device was for a while, and its moves between.

Definitions, for the fixes of one device within one privacy period, in order of time:

1. **Fix.** All rows of one device and second are one fix; the row of the lowest delivery counts, of those
   the one of the lowest cell, as for presence. Then fixes whose accuracy is worse than the roaming
   distance are left out: they can tell neither that a device stayed nor that it left. An unknown accuracy
   (-1) is taken as good.
2. **Teleport.** A fix is left out if it lies at more than the maximum speed from the last fix that was kept
   *and* from the next accurate fix, whether or not that one is kept. Both ways need a fix: the first and
   the last of a device are never teleports. A real jump stays, as the fix after a flight is left slowly;
   fixes on board an aircraft go, and the trip's two ends stay.
3. **Stay.** The anchor is the first fix. A fix farther than the roaming distance from the anchor ends the
   stay and is the next anchor. The stay counts if it lasted at least the minimum from its arrival, the
   anchor's time, to its departure.
4. **Gap.** More than the maximum gap between two fixes ends the stay at the last fix before it. "close"
   keeps the stay if it was long enough until then; "drop" drops it, as trackintel does. What is left out
   in 1 and 2 bridges no gap.
5. **End.** At the last fix the stay is closed as by "close" (trackintel's `include_last=True`);
   `include_last=False` drops it.
6. **Place.** The cell of a stay is the hierarchically dominant cell of its fixes (see `presence`), and its
   position their mean: mean latitude, and the anchor's longitude plus the mean difference to it the
   shorter way round. Nearer to a pole than the roaming distance, that is off by a few of these.
7. **Merging.** Consecutive stays in one cell, with at most the maximum gap from departure to arrival, are
   one stay: a single bad fix does not make two of one. Its pings and mean are of both; a way round without
   a stay, and back within the gap, is thus part of the stay. No cell has to be found anew: a cell that
   dominates both parts dominates the whole, with the same ties.
8. **Trip.** From a stay to the device's next one, if that is in another cell; from departure to arrival,
   however long, as nothing tells where in a gap the move was. `distance_m` is the great circle between the
   two positions (sphere of 6,371,008.8 m), to the nearest metre.

Departure is the last fix within the roaming distance, as in Hariharan and Toyama (2004), and not the fix
that left, as in trackintel (`finished_at`, after Li et al. 2008). Pings come minutes apart, and trackintel's
choice counts the time on the way as part of the stay, makes a stay of a single ping and leaves trips no
duration; here each second of a stay lies between two fixes of it. `departure="next"` gives trackintel's.

What differs from the sources: Hariharan and Toyama bound the diameter of all fixes of a stay, which costs
more than one pass, and after a failed start move on by one fix; trackintel ends a stay at a distance of
exactly the threshold too, on a sphere of 6,371,000 m. `TRACKINTEL` is all its choices together.

Sources: R. Hariharan, K. Toyama, "Project Lachesis: Parsing and Modeling Location Histories", GIScience
2004, doi:10.1007/978-3-540-30231-5_8; Q. Li et al., "Mining User Similarity Based on Location History", ACM
GIS 2008, doi:10.1145/1463434.1463477; trackintel 1.4, `generate_staypoints(method="sliding")`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from passersby.derive import stays_kernel
from passersby.derive.kernel import Ints, Small
from passersby.derive.stays_kernel import Limits
from passersby.errors import UsageError
from passersby.model.motion import TELEPORT_M_S, earth_centred
from passersby.model.period import WEEK

Columns: TypeAlias = tuple[npt.NDArray[Any], ...]
"""device, t, lat_e5, lon_e5, accuracy_m, cell, delivery: see `derive`."""

_COLUMNS = 7
_STAYS = (np.int64, np.int64, np.int32, np.int32, np.int32, np.float64, np.float64)
_TRIPS = (np.int64, np.int64, np.int64, np.int32, np.int32, np.int32)

_FARTHEST_M = 10_000
"""Beyond this, "place" means nothing, and the mean of longitudes is no position."""


def _check(name: str, value: int, most: int, unit: str) -> None:
    if not 1 <= value <= most:
        raise UsageError(f"The {name} is outside 1 to {most} {unit}.", "Give a value in this range.")


@dataclass(frozen=True)
class Rules:
    """What counts as a stay; the module has the definitions.

    Args:
        roaming_m: the roaming distance, 1 to 10,000 m; also the worst accuracy of a fix that counts.
        least_s: the minimum duration, 1 s to a week.
        gap_s: the maximum gap, 1 s to a week.
        speed_m_s: the maximum speed; infinite: no fix is a teleport.
        gap: what a gap does to the stay before it.
        departure: the time of the last fix within, or of the next fix, which left.
        include_last: whether the stay at a device's last fix counts.
        merge: whether consecutive stays in one cell are merged.

    Raises:
        UsageError: a value is outside its range.
    """

    roaming_m: int = 200
    least_s: int = 600
    gap_s: int = 3600
    speed_m_s: float = TELEPORT_M_S
    gap: Literal["close", "drop"] = "close"
    departure: Literal["last", "next"] = "last"
    include_last: bool = True
    merge: bool = True

    def __post_init__(self) -> None:
        _check("roaming distance", self.roaming_m, _FARTHEST_M, "metres")
        _check("minimum stay", self.least_s, WEEK, "seconds")
        _check("maximum gap", self.gap_s, WEEK, "seconds")
        if not self.speed_m_s > 0:
            raise UsageError("The maximum speed is not above 0.", "Give metres a second, for example 70.")
        if self.gap not in {"close", "drop"}:
            raise UsageError("The rule for gaps is unknown.", "Write close or drop.")
        if self.departure not in {"last", "next"}:
            raise UsageError("The rule for departures is unknown.", "Write last or next.")

    @property
    def limits(self) -> Limits:
        """The rules as the compiled loops read them."""
        return Limits(
            roaming_m=self.roaming_m,
            least_s=self.least_s,
            gap_s=self.gap_s,
            speed_m_s=float(self.speed_m_s),
            drop=self.gap == "drop",
            until_next=self.departure == "next",
            include_last=self.include_last,
            merge=self.merge,
        )


TRACKINTEL = Rules(speed_m_s=math.inf, gap="drop", departure="next", include_last=False, merge=False)
"""The choices of trackintel's sliding method, with the default distances and times of this package."""


class Stays(NamedTuple):
    """Stays as columns of one length, sorted by (device, arrival)."""

    device: Ints
    cell: Ints  # H3, resolution 10
    arrival: Small  # epoch s
    departure: Small  # epoch s
    pings: Small  # fixes of the stay
    x_m: Small  # mean position, earth-centred (`model.motion.earth_centred`)
    y_m: Small
    z_m: Small


class Trips(NamedTuple):
    """Trips as columns of one length, sorted by (device, departure)."""

    device: Ints
    origin: Ints  # H3, resolution 10
    destination: Ints
    departure: Small  # epoch s
    arrival: Small  # epoch s
    distance_m: Small


def derive(columns: Columns, excluded: Ints | None = None, rules: Rules | None = None) -> tuple[Stays, Trips]:
    """Return the stays and the trips of whole devices within one privacy period.

    Nothing looks for the period's boundary: the caller cuts there. Runs without the interpreter lock, with
    memory for at most one row of output for each row of input.

    Args:
        columns: device int64, t int32 (epoch s), lat_e5 int32 and lon_e5 int32 (1e-5 degrees), accuracy_m
            int32 (-1: unknown), cell int64 (H3, resolution 10) and delivery int32, each of shape (rows,),
            sorted by (device, t).
        excluded: sorted int64 devices that give no rows.
        rules: what counts as a stay; `Rules()` if none are given.

    Raises:
        ValueError: there are not seven columns of one length.
    """
    if len({len(column) for column in columns}) != 1 or len(columns) != _COLUMNS:
        raise ValueError("stays are derived from seven columns of one length")
    read = tuple(_read_only(column) for column in columns)
    skipped = _read_only(np.empty(0, np.int64) if excluded is None else excluded)
    room: Columns = tuple(np.empty(len(columns[0]), kind) for kind in _STAYS)
    count = stays_kernel.stays(read, skipped, (rules or Rules()).limits, room)
    found = tuple(column[:count].copy() for column in room)
    moved: Columns = tuple(np.empty(count, kind) for kind in _TRIPS)
    count = stays_kernel.trips(found, moved)
    position = earth_centred(*found[-2:])
    return Stays._make([*found[:-2], *position]), Trips(*(column[:count].copy() for column in moved))


def _read_only(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view as Arrow's are: Numba compiles a loop for each kind of array it meets."""
    view = column.view()
    view.setflags(write=False)
    return view
