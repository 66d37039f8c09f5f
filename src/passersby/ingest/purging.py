"""Takes out of the lake what is at sensitive places, and the fixes beside it that reveal entry (control C3).

    1 want      a row says that the lake is to be searched; it commits with the list that asks for it
    2 search    pings inside the lists in force, then the fixes beside them, over all deliveries
    3 rewrite   files without them, in one commit with the log entry; sealed days lose derived rows too
    4 derive    the touched days anew, from what is left

A row of `sensitive_purge` stays open until step 4 is done. Killed at any point, the next command goes on: a
search of a clean lake finds nothing, and what is derived twice is the same.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from passersby.derive.derivation import derive_days
from passersby.errors import Busy
from passersby.lake import purge
from passersby.lake.lake import Lake
from passersby.lake.manifest import FileRef
from passersby.lake.purge import Rewritten
from passersby.lake.snapshots import Snapshot
from passersby.lake.write import Work
from passersby.model.period import DAY, HOUR
from passersby.sensitive.cover import Cover
from passersby.sensitive.kernels import NEIGHBOUR_S, withheld
from passersby.store.sensitive_tables import SensitivePurge
from passersby.trustlog.entries import append

_POSITION = ("lat_e5", "lon_e5", "cell", "accuracy_m", "t")
_SPANS: dict[str, tuple[tuple[str, ...], str, str, int]] = {
    "presence": (("cell",), "hour", "hour", HOUR),
    "stays": (("cell",), "arrival", "departure", 0),
    "trips": (("origin", "destination"), "departure", "arrival", 0),
}
"""Derived table -> its columns of cells, those of begin and end, and the seconds that follow the end."""

FIXES = {"device": pl.Int64, "t": pl.Int32}
"""Columns of a table of fixes: all rows of one device and second."""


def want(session: Session, cause: str, *, now: int) -> None:
    """Say in the caller's transaction that the lake is to be searched for what the lists in force forbid."""
    session.add(SensitivePurge(cause=cause, state="wanted", days="[]", created=now))


def rewritten(session: Session, cause: str, days: Iterable[int], *, now: int) -> None:
    """Record in the caller's transaction a rewrite that commits with it; its days are still to be derived."""
    row = SensitivePurge(cause=cause, state="rewritten", days=_json(days), created=now)
    session.add(row)
    session.flush()
    append(session, "sensitive.purged", {"purge": row.id}, {"cause": cause}, now=now)


def finish(lake: Lake, cover: Callable[[], Cover], *, now: int, threads: int) -> list[str]:
    """Do what is still to be done of all purges; return it in plain words, without any number of rows.

    Another process that does the same at the same moment wins; this one leaves it to it.

    Args:
        lake: the lake.
        cover: gives the places of all lists in force.
        now: epoch s.
        threads: buckets that are searched at once.

    Raises:
        IntegrityError: a file of the lake cannot be read.
        DiskFull: there is no room; the next command tries again.
    """
    with lake.database.read() as session:
        open_purges = session.scalars(select(SensitivePurge).where(SensitivePurge.state != "done")).all()
    if not open_purges:
        return []
    try:
        wanted = [row.id for row in open_purges if row.state == "wanted"]
        if wanted:
            _search(lake, cover(), wanted, now=now, threads=threads)
        _derive(lake, [row.id for row in open_purges], now=now, threads=threads)
    except Busy:
        return []
    return ["searched the lake for sensitive places: what lay there, or revealed them, is gone"]


def revealing(lake: Lake, work: Work, inside: Sequence[pl.DataFrame], *, now: int) -> Rewritten:
    """Rewrite stored files without the fixes beside those of a new delivery that are at sensitive places.

    The new fixes are never stored; those beside them may be, from earlier deliveries.

    Args:
        lake: the lake.
        work: the delivery's work, which will commit.
        inside: fixes of the delivery that are inside.
        now: epoch s.
    """
    fixes = pl.concat(inside) if inside else pl.DataFrame(schema=FIXES)
    if fixes.is_empty():
        return Rewritten()
    buckets = lake.bucket_of(fixes["device"].to_numpy())
    done = Rewritten()
    with lake.snapshot(now) as snapshot:
        for bucket in np.unique(buckets).tolist():
            mine = fixes.filter(pl.Series(buckets == bucket))
            done += _without(
                work, snapshot.files("pings", _days(mine, lake.offset), bucket), mine, lake.offset
            )
    return done


def _search(lake: Lake, cover: Cover, wanted: Sequence[int], *, now: int, threads: int) -> None:
    with lake.begin("sensitive", {"purges": list(wanted)}, now=now) as work:
        with lake.snapshot(now) as snapshot, ThreadPoolExecutor(max(1, threads)) as pool:
            parts = pool.map(lambda bucket: _bucket(lake, work, snapshot, cover, bucket), range(lake.buckets))
            pings = sum(parts, Rewritten())
            derived = _sealed(lake, work, snapshot, cover)
        with lake.database.write() as session:
            days = _json({part.day for part in pings.parts})
            work.commit(session, replaces=[*pings.replaces, *derived.replaces], now=now)
            for number in wanted:
                row = session.get_one(SensitivePurge, number)
                row.state, row.days = "rewritten", days
                append(session, "sensitive.purged", {"purge": number}, {"cause": row.cause}, now=now)


def _derive(lake: Lake, numbers: Sequence[int], *, now: int, threads: int) -> None:
    with lake.database.read() as session:
        rows = session.scalars(select(SensitivePurge).where(SensitivePurge.id.in_(numbers))).all()
    days = {day for row in rows for day in json.loads(row.days)}
    if days:
        derive_days(lake, days, now=now, threads=threads, force=True)
    with lake.database.write() as session:
        # the days say when somebody was somewhere: they go with the purge
        ended = update(SensitivePurge).where(SensitivePurge.id.in_(numbers))
        session.execute(ended.values(state="done", days="[]", ended=now))


def _bucket(lake: Lake, work: Work, snapshot: Snapshot, cover: Cover, bucket: int) -> Rewritten:
    """Rewrite the pings of one bucket."""
    files = snapshot.files("pings", bucket=bucket)
    inside = pl.concat([pl.DataFrame(schema=FIXES), *(_inside(file, cover) for file in files)])
    return Rewritten() if inside.is_empty() else _without(work, files, inside, lake.offset)


def _inside(file: FileRef, cover: Cover) -> pl.DataFrame:
    """Return the fixes of a file that have a row at a sensitive place."""
    found = [pl.DataFrame(schema=FIXES)]
    for rows in purge.tables(file):
        columns = [rows[name].fill_null(-1).to_numpy() for name in _POSITION]
        hits = cover.hits(*columns)
        if hits.any():
            found.append(_fixes(rows.filter(pa.array(hits))))
    return pl.concat(found).unique()


def _without(work: Work, files: Sequence[FileRef], inside: pl.DataFrame, offset: int) -> Rewritten:
    """Rewrite the files of one bucket without fixes that are inside, and without those beside them."""
    days = _days(inside, offset)
    near = [file for file in files if file.day in days]
    gone = _withheld(near, inside, offset)

    def keep(rows: pa.Table) -> npt.NDArray[np.bool_]:
        marked = _fixes(rows).join(gone, on=list(FIXES), how="left", maintain_order="left")
        return marked["gone"].is_null().to_numpy()

    return purge.rewrite(work, near, keep)


def _withheld(files: Sequence[FileRef], inside: pl.DataFrame, offset: int) -> pl.DataFrame:
    """Return the fixes that must go, marked in a column `gone`: those inside, and their neighbours."""
    devices = inside["device"].unique()
    stored = [
        _fixes(rows).filter(pl.col("device").is_in(devices.implode()))
        for file in files
        for rows in purge.tables(file, list(FIXES))
    ]
    every = pl.concat(
        [
            inside.with_columns(inside=pl.lit(value=True)),
            *(part.with_columns(inside=pl.lit(value=False)) for part in stored),
        ]
    ).sort("device", "t")
    device, t, hits = (np.array(every[name].to_numpy()) for name in ("device", "t", "inside"))
    gone = withheld(device, t, hits, offset)
    return every.filter(pl.Series(gone)).select(*FIXES, gone=pl.lit(value=True)).unique()


def _sealed(lake: Lake, work: Work, snapshot: Snapshot, cover: Cover) -> Rewritten:
    """Take rows at sensitive cells out of derived files of sealed days, which are not derived any more.

    Their pings are gone, so that the cell decides: all rows of a cell that is near a place go.
    """
    done = Rewritten()
    for table in _SPANS:
        files = snapshot.files(table)
        with lake.database.read() as session:
            sealed = lake.sealed(session, {file.day for file in files})
        shut = [file for file in files if (file.day, file.bucket) in sealed]
        done += purge.rewrite(work, shut, functools.partial(_far, table=table, cover=cover))
    return done


def _far(rows: pa.Table, *, table: str, cover: Cover) -> npt.NDArray[np.bool_]:
    cells, begin, end, after = _SPANS[table]
    begins = rows[begin].to_numpy().astype(np.int64)
    ends = rows[end].to_numpy().astype(np.int64) + after
    out = np.ones(rows.num_rows, dtype=np.bool_)
    for window in cover.windows():
        meets = (begins < window.ends) & (ends >= window.begins)
        for cell in cells:
            out &= ~(meets & np.isin(rows[cell].to_numpy(), window.cells))
    return out


def _days(fixes: pl.DataFrame, offset: int) -> set[int]:
    """Return the local days on which fixes and their neighbours can lie."""
    t = fixes["t"].to_numpy().astype(np.int64) + offset
    near = [t - NEIGHBOUR_S, t + NEIGHBOUR_S]
    return set(np.unique(np.concatenate(near) // DAY).tolist())


def _fixes(rows: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(rows.select(list(FIXES)))
    if not isinstance(frame, pl.DataFrame):
        raise TypeError
    return frame


def _json(days: Iterable[int]) -> str:
    return json.dumps(sorted(set(days)))
