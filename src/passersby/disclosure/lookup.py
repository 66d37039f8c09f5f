"""The one query on pings: those of named devices, in a window, optionally within an area.

It goes from devices to pings. There is no function from an area to devices: an area can only take away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely
from sqlalchemy.orm import Session

from passersby.consent import withdrawals
from passersby.disclosure.order import Order, geometry
from passersby.errors import IntegrityError
from passersby.keys.pseudonym import pseudonyms
from passersby.keys.ring import KeyRing
from passersby.lake.lake import Lake
from passersby.model.period import Span
from passersby.model.schema import PINGS

FOUND = pa.schema([pa.field("number", pa.int32(), nullable=False), *(f for f in PINGS if f.name != "device")])
"""Pings of an order: `number` counts its devices from 0 in its own order; the rest as in the lake."""

_COLUMNS = PINGS.names
_BATCH = 131_072


@dataclass(frozen=True)
class Epoch:
    """One stretch of the window in which pseudonyms do not change.

    Args:
        span: the part of the window.
        pseudonyms: one for each device of the order, int64; None: there is no key.
        destroyed: when its key was destroyed, epoch s; None: it was not, or never was there.
        barred: which devices of the order had withdrawn when it was verified: of them nothing is returned.
    """

    span: Span
    pseudonyms: npt.NDArray[np.int64] | None
    destroyed: int | None
    barred: npt.NDArray[np.bool_] | None = None


def epochs(session: Session, ring: KeyRing, order: Order, offset: int, *, verified: int) -> list[Epoch]:
    """Return the stretches of an order's window with the pseudonyms of its devices.

    No key is made: what was never delivered has none. Who withdrew before the order was verified
    (`verified`: index of that log entry) is barred from it; after that the hold wins.
    """
    found = []
    barred = withdrawals.known(session, ring, order.devices, before=verified)
    numbers = dict.fromkeys(ring.epoch_of(period) for period in order.window.periods(offset))
    for number in numbers:
        start, end = (ring.first_period(n).span(offset).start for n in (number, number + 1))
        span = Span(max(start, order.window.start), min(end, order.window.end))
        key, destroyed = ring.existing(session, number)
        hashed = pseudonyms(order.devices, key) if key is not None else None
        found.append(Epoch(span, hashed, destroyed, barred))
    return found


def in_lake(lake: Lake, order: Order, stretches: Sequence[Epoch], *, now: int) -> pa.Table:
    """Return an order's pings in the lake as it is now (`FOUND`), in memory only.

    Raises:
        IntegrityError: a file of the lake cannot be read.
    """
    parts = [FOUND.empty_table()]
    with lake.snapshot(now) as snapshot:
        for each in stretches:
            if each.pseudonyms is None:
                continue
            days = each.span.days(lake.offset)
            for bucket in sorted({int(b) for b in lake.bucket_of(each.pseudonyms)}):
                paths = [file.path for file in snapshot.files("pings", days, bucket)]
                parts.append(in_files(paths, order, [each]))
    return pa.concat_tables(parts)


def in_files(paths: Sequence[Path], order: Order, stretches: Sequence[Epoch]) -> pa.Table:
    """Return an order's pings in some files of pings (`FOUND`)."""
    parts = [FOUND.empty_table()]
    for batch in _batches(paths):
        parts += [_of_devices(batch, each) for each in stretches if each.pseudonyms is not None]
    found = pa.concat_tables(parts)
    return found if order.area is None else found.filter(_within(found, order))


def _batches(paths: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    try:
        for path in paths:
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(_BATCH, columns=_COLUMNS, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(
            "A file of the lake cannot be read: it is missing, damaged or another account's.",
            "Restore the deployment from its backup, then carry the order out again.",
        ) from error


def _of_devices(batch: pa.RecordBatch, epoch: Epoch) -> pa.Table:
    """Return a batch's rows of the order's devices within a stretch."""
    device, t = batch.column("device").to_numpy(), batch.column("t").to_numpy()
    assert epoch.pseudonyms is not None  # noqa: S101 (for the type checker)
    rows = np.flatnonzero(np.isin(device, epoch.pseudonyms) & (t >= epoch.span.start) & (t < epoch.span.end))
    order = np.argsort(epoch.pseudonyms, kind="stable")
    numbers = order[np.searchsorted(epoch.pseudonyms[order], device[rows])]
    if epoch.barred is not None and epoch.barred.any():
        may = ~epoch.barred[numbers]
        rows, numbers = rows[may], numbers[may]
    taken = batch.take(pa.array(rows))
    columns = [pa.array(numbers, pa.int32()), *(taken.column(name) for name in FOUND.names[1:])]
    return pa.table(columns, schema=FOUND)


def _within(found: pa.Table, order: Order) -> pa.Array:
    """Return for each ping whether it lies in the order's area, its edge included."""
    shape = geometry(order.area or {})
    lon, lat = (pc.cast(found[name], pa.float64()).to_numpy() / 1e5 for name in ("lon_e5", "lat_e5"))
    return pa.array(shapely.intersects_xy(shape, lon, lat), pa.bool_())
