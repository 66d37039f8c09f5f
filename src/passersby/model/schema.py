"""Arrow schemas of the lake's tables. BIGINT and INTEGER only: every engine reads them alike."""

from __future__ import annotations

import pyarrow as pa

PINGS = pa.schema(
    [
        pa.field("device", pa.int64(), nullable=False),
        pa.field("t", pa.int32(), nullable=False),  # epoch s
        pa.field("lat_e5", pa.int32(), nullable=False),  # 1e-5 degrees, about 1 m
        pa.field("lon_e5", pa.int32(), nullable=False),
        pa.field("cell", pa.int64(), nullable=False),  # H3, resolution 10
        pa.field("accuracy_m", pa.int32(), nullable=True),  # null: the supplier gives none
        pa.field("supplier", pa.int32(), nullable=False),
        pa.field("delivery", pa.int32(), nullable=False),
    ]
)
"""One location fix. Sorted by (device, t) within a file."""

PRESENCE = pa.schema(
    [
        pa.field("device", pa.int64(), nullable=False),
        pa.field("hour", pa.int32(), nullable=False),  # first instant of the hour, epoch s
        pa.field("cell", pa.int64(), nullable=False),  # dominant cell, resolution 10
        pa.field("pings", pa.int32(), nullable=False),
    ]
)
"""One row for a (device, hour): its hierarchically dominant cell. Sorted by (device, hour)."""

STAYS = pa.schema(
    [
        pa.field("device", pa.int64(), nullable=False),
        pa.field("cell", pa.int64(), nullable=False),  # dominant cell of its fixes, resolution 10
        pa.field("arrival", pa.int32(), nullable=False),  # epoch s
        pa.field("departure", pa.int32(), nullable=False),
        pa.field("pings", pa.int32(), nullable=False),
        pa.field("x_m", pa.int32(), nullable=False),  # mean position, earth-centred, on the sphere of
        pa.field("y_m", pa.int32(), nullable=False),  # `model.motion`: distances are sums of squares,
        pa.field("z_m", pa.int32(), nullable=False),  # the same integers on every engine
    ]
)
"""One time that a device spent at one place. Sorted by (device, arrival); filed by the day of arrival."""

TRIPS = pa.schema(
    [
        pa.field("device", pa.int64(), nullable=False),
        pa.field("origin", pa.int64(), nullable=False),  # cells of the stays before and after
        pa.field("destination", pa.int64(), nullable=False),
        pa.field("departure", pa.int32(), nullable=False),  # epoch s
        pa.field("arrival", pa.int32(), nullable=False),
        pa.field("distance_m", pa.int32(), nullable=False),
    ]
)
"""One move between two stays that follow each other. Sorted by (device, departure); filed by its day."""

TABLES = {"pings": PINGS, "presence": PRESENCE, "stays": STAYS, "trips": TRIPS}

PLACE = ("cell",)
"""Columns that say where a row of a release lies."""

PAIR = ("origin", "destination")
"""The same for measures of movements between two cells."""

ZONE = ("zone",)
"""The same where zones were asked for: their names."""

ZONE_PAIR = ("origin_zone", "destination_zone")
"""The same for movements between two zones."""

NAMED = (ZONE, ZONE_PAIR)
"""Places whose columns hold names of zones, and not cells."""

WEIGHTED = (pa.field("coverage", pa.float64()), pa.field("bias", pa.float64()))
"""Last columns where devices are weighted by their homes: of those who live in the row's cell or zone, the
devices for each person, and the relative bias of their weight; null where nobody lives."""


def rows_of(place: tuple[str, ...], *, binned: bool, weighted: bool = False) -> pa.Schema:
    """Return the schema of a release's rows; `bin` has a bin's label.

    `place` is one of `PLACE`, `PAIR`, `ZONE` and `ZONE_PAIR`. `flag` is "", "low_precision", "suppressed" or
    "coarse" (see `model.release`).
    """
    return pa.schema(
        [
            *(
                pa.field(name, pa.string() if place in NAMED else pa.int64(), nullable=False)
                for name in place
            ),
            pa.field("start", pa.int64(), nullable=False),  # first instant of the grain, epoch s
            *([pa.field("bin", pa.string(), nullable=False)] if binned else []),
            pa.field("estimate", pa.float64()),
            pa.field("low", pa.float64()),
            pa.field("high", pa.float64()),
            pa.field("count", pa.int64()),
            pa.field("flag", pa.string(), nullable=False),
            *(WEIGHTED if weighted else ()),
        ]
    )


def place_of(rows: pa.Table) -> tuple[str, ...]:
    """Return the columns of a release's rows that say where they lie."""
    return next(place for place in (PAIR, ZONE, ZONE_PAIR, PLACE) if place[0] in rows.schema.names)


ROWS = rows_of(PLACE, binned=False)
"""Rows of a release of one number for each cell and bucket of time."""

ROW_SCHEMAS = (
    *(rows_of(place, binned=binned) for place in (PLACE, PAIR, *NAMED) for binned in (False, True)),
    *(rows_of(place, binned=False, weighted=True) for place in (PLACE, ZONE)),
)
"""Every schema that rows of a release may have."""
