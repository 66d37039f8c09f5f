"""One generated world, and the making of one batch of it: a day of some devices, for every supplier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from passersby.model.period import day_name, day_start, instant_text
from passersby.synth.country import Country, Places
from passersby.synth.dirt import Soiled, Tally, clean, soiled
from passersby.synth.fixes import Fixes, fixes, select, taken
from passersby.synth.formats import Batch, Format
from passersby.synth.people import People
from passersby.synth.phones import NEVER, Consents, Phones
from passersby.synth.sinks import Block, encode

Part = tuple[Block, Tally]
"""One supplier's part of a batch, ready to be written, and the truth about it."""


@dataclass(frozen=True, eq=False)
class World:
    """All that stays the same from day to day, but for the state in `people`.

    `root` is the source of all draws for devices, `first_day` a day number (`model.period.day_of`),
    `offset` seconds east of UTC.
    """

    country: Country
    places: Places
    people: People
    forms: tuple[Format, ...]
    root: np.uint64
    seed: int
    first_day: int
    days: int
    offset: int
    dirt: bool

    def consents(self, phones: Phones, supplier: int, first: int) -> Consents:
        """Return the records of one supplier about the phones of a batch."""
        start = day_start(self.first_day, self.offset)
        return Consents.of(self.root, phones, supplier, first, start, self.days, dirt=self.dirt)


def make(world: World, number: int, first: int, last: int) -> list[Part]:
    """Walk the devices `first` to before `last` through day `number`; return a part for each supplier."""
    day = world.first_day + number
    weekend = (day + 3) % 7 >= 5  # day 0 was a Thursday
    walked = fixes(world.places, world.people, world.root, first, last, number=number, weekend=weekend)
    phones = Phones.of(world.root, first, last, dirt=world.dirt)
    parts = []
    for supplier, form in enumerate(world.forms):
        own = taken(walked, select(walked.second, walked.to, 1 << supplier))
        rng = np.random.default_rng([world.seed, 3, number, first, supplier])
        written = _written(world, supplier, first, _batch(world, number, phones, own), rng)
        parts.append((encode(written, form), written.tally))
    return parts


def empty(world: World, form: Format) -> pl.DataFrame:
    """Return the columns of a format without rows."""
    nobody = fixes(world.places, world.people, world.root, 0, 0, number=0, weekend=False)
    return form.frame(_batch(world, 0, Phones.of(world.root, 0, 0, dirt=False), nobody))


def _batch(world: World, number: int, phones: Phones, own: Fixes) -> Batch:
    day, zone = world.first_day + number, instant_text(0, world.offset)[19:]
    return Batch(own, phones, day_start(day, world.offset), day_name(day), zone, world.country.code)


def _written(world: World, supplier: int, first: int, batch: Batch, rng: np.random.Generator) -> Soiled:
    """Return a supplier's rows, with dirt if the world has any."""
    form = world.forms[supplier]
    if not world.dirt:
        return clean(batch, form, {})
    device = batch.fixes.device
    opted_out = batch.phones.opted_out[device]
    never: npt.NDArray[np.bool_] = np.zeros(len(device), dtype=bool)
    later = never
    if form.basis == "consent":
        since = world.consents(batch.phones, supplier, first).since[device]
        never = ~opted_out & (since == NEVER)
        later = ~opted_out & ~never & (batch.t < since)
    wrong = {"opt-out": opted_out, "no-consent": never, "consent-later": later}
    refused = {reason: int(rows.sum()) for reason, rows in wrong.items()}
    return soiled(batch, form, ~opted_out & ~never & ~later, refused, rng)
