"""Phones of a batch of devices: advertising ids, opt-outs, consents, and the details suppliers add."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from passersby.model.period import DAY
from passersby.synth import dice, texts

ZERO_ID = "00000000-0000-0000-0000-000000000000"
"""What both systems hand out as advertising id once the owner has limited ad tracking."""

IOS = 0.4
"""Share of iPhones; their ids are written in capitals."""

OPTED_OUT = 0.03
"""Share of devices whose owner limited ad tracking."""

MISSING, WITHDRAWN, LATE = 0.02, 0.03, 0.02
"""Shares of devices without a record of consent, with one withdrawn, and with one given on the way."""

NEVER = np.int64(1) << 60
"""An instant later than any ping."""

_YEAR = 365 * DAY


@dataclass(frozen=True)
class Phones:
    """Columns for the devices `first`, `first + 1`, ...

    `word` holds 64 random bits a device, from which models, carriers and addresses are taken.
    """

    ids: pl.Series
    ios: npt.NDArray[np.bool_]
    opted_out: npt.NDArray[np.bool_]
    word: dice.State

    @classmethod
    def of(cls, seed: np.uint64, first: int, last: int, *, dirt: bool) -> Phones:
        """Return the phones of the devices `first` to before `last`; nobody opts out without `dirt`."""
        n = last - first
        ios = dice.traits(seed, 40, first, n) < IOS
        ids = texts.uuids(dice.words(seed, 41, first, n), dice.words(seed, 42, first, n), ios)
        opted_out = (dice.traits(seed, 43, first, n) < OPTED_OUT) & dirt
        return cls(ids, ios, opted_out, dice.words(seed, 44, first, n))

    def pick(self, pool: pl.Series, shift: int) -> pl.Series:
        """Return one value of `pool` a device, by its bits from `shift` on."""
        return pool.gather((self.word >> np.uint64(shift)) % np.uint64(len(pool)))

    def sent_ids(self) -> pl.Series:
        """Return the ids that apps see: all zeros where the owner opted out."""
        return self.ids.zip_with(pl.Series(~self.opted_out), pl.Series([ZERO_ID]))


@dataclass(frozen=True)
class Consents:
    """Records of one supplier about a batch of devices: state and instant (epoch s) of each.

    `state` is 0 for no record, 1 for given, 2 for withdrawn. `since` is the instant from which a ping
    may be stored, `NEVER` if there is none.
    """

    state: npt.NDArray[np.int8]
    given_at: npt.NDArray[np.int64]

    @property
    def since(self) -> npt.NDArray[np.int64]:
        """First instant that a consent covers."""
        return np.where(self.state == 1, self.given_at, NEVER)

    @classmethod
    def of(
        cls, seed: np.uint64, phones: Phones, supplier: int, first: int, start: int, days: int, *, dirt: bool
    ) -> Consents:
        """Return the records for `phones`, whose first device is `first`.

        Those who opted out by their system have consented, so that each refused row has one reason. A
        consent given on the way begins at a local midnight, when no fix is taken.

        Args:
            seed: root of all draws.
            phones: the batch.
            supplier: number of the supplier: each asks for consent by itself.
            first: number of the first device.
            start: first instant of the generated days.
            days: how many there are.
            dirt: without it, everybody consented in time.
        """
        n = len(phones.ios)
        chance = dice.traits(seed, 50 + 2 * supplier, first, n)
        when = dice.traits(seed, 51 + 2 * supplier, first, n)
        before = start - DAY - (when * _YEAR).astype(np.int64)
        if not dirt:
            return cls(np.ones(n, dtype=np.int8), before)
        fixed = phones.opted_out
        state = np.where(chance < MISSING, 0, np.where(chance < MISSING + WITHDRAWN, 2, 1))
        late = (chance >= MISSING + WITHDRAWN) & (chance < MISSING + WITHDRAWN + LATE) & (days > 1) & ~fixed
        midnight = start + DAY * (1 + (when * max(days - 1, 1)).astype(np.int64))
        return cls(np.where(fixed, 1, state).astype(np.int8), np.where(late, midnight, before))


@cache
def pools() -> dict[str, pl.Series]:
    """Return the values of forbidden and undeclared columns; none of them belongs to anybody.

    Addresses come from the space for carrier-grade NAT (RFC 6598), Wi-Fi stations have locally
    administered addresses (IEEE 802).
    """
    number = np.arange(4096)
    iphones = [f"iPhone{n // 4 + 12},{n % 4 + 1}" for n in range(24)]
    return {
        "ip": pl.Series([f"100.{64 + n // 64}.{n % 64 * 4}.{n * 37 % 254 + 1}" for n in number]),
        "carrier": pl.Series(["Telora", "Northcell", "Mobira", "Alpha Mobile", "Linkfon"]),
        "iphone": pl.Series(iphones),
        "iphone_quoted": pl.Series([f'"{name}"' for name in iphones]),  # CSV wants it: RFC 4180
        "android": pl.Series(
            [*(f"SM-A{n}36B" for n in range(10, 40)), *(f"Pixel {n}" for n in range(5, 11))]
        ),
        "ios": pl.Series(["17.5.1", "17.7", "18.1", "18.3.2", "18.5", "26.0"]),
        "android_os": pl.Series(["12", "13", "14", "15", "16"]),
        "language": pl.Series(["de", "fr", "it", "en", "es", "pt"]),
        "ssid": pl.Series([f"home-{n:04x}" for n in number]),
        "bssid": pl.Series([f"02:00:5e:{n >> 8:02x}:{n & 255:02x}:{n * 7 & 255:02x}" for n in number]),
    }
