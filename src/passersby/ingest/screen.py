"""Steps 5 to 7 on one batch: dates and legal basis, pseudonyms, cells. Runs in any thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from passersby.consent.fields import permits
from passersby.consent.registers import NEVER, Register
from passersby.consent.withdrawals import Barred
from passersby.keys.pseudonym import pseudonyms
from passersby.model.cells import FINEST, cells_at
from passersby.model.period import DAY, Period
from passersby.sources.read import Batch

EXAMPLES = 5
"""Line numbers that are kept for each reason."""

_FIRST_MONDAY = 4 * DAY
_WEEK = 7 * DAY


@dataclass(frozen=True)
class Consents:
    """A supplier's consent register and its hash key.

    `required`: consent is the legal basis, so that who is not in the register is not stored; without a
    register, consent comes with the rows. On another basis, only objections count.
    """

    register: Register | None
    key: bytes
    required: bool


@dataclass(frozen=True)
class Rules:
    """What decides whether a row may be stored, for one delivery.

    Args:
        first_day: first local day that the contract accepts.
        last_day: last local day.
        offset: seconds east of UTC of the deployment.
        barred: who withdrew.
        consents: None where another legal basis is recorded and no register is loaded.
        epoch_of: epoch of a period.
        epoch_key: secret key of an epoch, None once it was destroyed; called from any thread.
    """

    first_day: int
    last_day: int
    offset: int
    barred: Barred
    consents: Consents | None
    epoch_of: Callable[[Period], int]
    epoch_key: Callable[[int], bytes | None]


@dataclass(frozen=True)
class Screened:
    """What became of a batch: pings with the columns of `spill.SCHEMA`, and the rejected rows by reason.

    `met` are the ids that are on a deletion list and had not withdrawn yet.
    """

    pings: pl.DataFrame
    read: int
    rejected: dict[str, int]
    examples: dict[str, list[int]]
    position: int
    met: frozenset[str] = frozenset()


def screen(batch: Batch, rules: Rules) -> Screened:
    """Apply steps 5 to 7. The first reason that applies to a row counts.

    `outside-contract`, `withdrawn`, `no-consent`, `consent-later`, `epoch-destroyed`, in this order.
    """
    rejected, examples = dict(batch.rejected), dict(batch.examples)

    def drop(frame: pl.DataFrame, reason: str, wrong: npt.NDArray[np.bool_]) -> pl.DataFrame:
        mask = pl.Series(wrong)
        lines = frame["line"].filter(mask)
        if len(lines) == 0:
            return frame
        rejected[reason] = rejected.get(reason, 0) + len(lines)
        examples.setdefault(reason, lines.head(EXAMPLES).to_list())
        return frame.filter(~mask)

    # 5 legal basis: the contract's dates, then the person's own word
    day = (batch.frame["t"].to_numpy() + rules.offset) // DAY
    frame = drop(batch.frame, "outside-contract", (day < rules.first_day) | (day > rules.last_day))
    # from here on an id is the number of its place among the distinct ids: each is hashed once
    encoded = frame["id"].to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
    ids, codes = encoded.dictionary, pl.Series("id", encoded.indices.to_numpy())
    frame = frame.with_columns(codes)
    gone = rules.barred.hits(ids)
    listed = rules.barred.lists.hits(ids) & ~gone
    frame = drop(frame, "withdrawn", (gone | listed)[codes.to_numpy()])
    given = _given(frame, ids, rules.consents)
    never = given == NEVER
    frame = drop(frame, "no-consent", never)
    frame = drop(frame, "consent-later", given[~never] > frame["t"].to_numpy())
    # 6 pseudonym: by the epoch of the ping's period
    devices, lost = _devices(frame, ids, rules)
    frame = drop(frame.with_columns(pl.Series("device", devices)), "epoch-destroyed", lost)
    # 7 cell, of the position as it is stored
    met = frozenset(ids.filter(pa.array(listed)).to_pylist())
    return Screened(_pings(frame), batch.read, rejected, examples, batch.position, met)


def _given(frame: pl.DataFrame, ids: pa.Array, consents: Consents | None) -> npt.NDArray[np.int64]:
    """Return since when (epoch s) each row's processing is permitted; `NEVER` where it is not.

    Who refused or withdrew is never stored, on whatever basis. Consent that came with the row was given
    before it; a row that says refused or withdrawn outweighs register and contract, and a text that is
    no state (a TCF or GPP string) is evidence only (controls A6, A7).
    """
    codes = frame["id"].to_numpy()
    given = np.full(len(frame), NEVER if consents and consents.required else -NEVER, dtype=np.int64)
    if consents and consents.register:
        hashes = pseudonyms(ids, consents.key)
        if consents.required:
            given = consents.register.given(hashes)[codes]
        else:
            given[consents.register.objects(hashes)[codes]] = NEVER
    if frame["consent"].null_count() < len(frame):
        inline = frame.select(permits(pl.col("consent"))).to_series()
        given[inline.fill_null(value=False).to_numpy()] = -NEVER
        given[(~inline).fill_null(value=False).to_numpy()] = NEVER
    return given


def _devices(
    frame: pl.DataFrame, ids: pa.Array, rules: Rules
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return each row's pseudonym, and whether the key of its epoch is gone."""
    codes = frame["id"].to_numpy()
    week = (frame["t"].to_numpy() + rules.offset - _FIRST_MONDAY) // _WEEK
    first = int(week.min(initial=0 if len(week) == 0 else week[0]))
    weeks = range(first, int(week.max(initial=first)) + 1)
    epochs = np.array([rules.epoch_of(Period(index)) for index in weeks], dtype=np.int64)
    epoch = epochs[week - first]
    devices = np.zeros(len(frame), dtype=np.int64)
    lost = np.zeros(len(frame), dtype=np.bool_)
    for number in np.unique(epochs):
        rows = epoch == number
        if not rows.any():
            continue
        key = rules.epoch_key(int(number))
        if key is None:
            lost |= rows
        else:
            devices[rows] = pseudonyms(ids, key)[codes[rows]]
    return devices, lost


def _pings(frame: pl.DataFrame) -> pl.DataFrame:
    stored = frame.select(
        "device",
        pl.col("t").cast(pl.Int32),
        (pl.col("lat") * 1e5).round().cast(pl.Int32).alias("lat_e5"),
        (pl.col("lon") * 1e5).round().cast(pl.Int32).alias("lon_e5"),
        pl.col("accuracy_m").fill_null(-1),
    )
    lat, lon = (stored[name].to_numpy() / 1e5 for name in ("lat_e5", "lon_e5"))
    return stored.with_columns(cell=cells_at(lat, lon, FINEST)).select(
        "device", "t", "lat_e5", "lon_e5", "cell", "accuracy_m"
    )
