"""A census table: how many people live in each cell or zone. It is public, and so is its hash.

CSV with two columns, `cell` (a name of H3) or `zone`, and `population`, a whole number:

    cell,population
    841f8ddffffffff,182345
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass

import numpy as np
import rfc8785

from passersby.errors import BadRecord
from passersby.model.cells import from_text, resolution_of

FINEST = 6
"""Finest resolution of a table's cells: that of a home."""

MOST_CAP = 10_000
"""Largest cap of weights: a panel with fewer than one device for so many people says nothing of them."""

_MOST_ROWS = 1_000_000
_MOST_PEOPLE = 10**10
_NEXT = "Give CSV with the columns cell,population or zone,population, each cell or zone once."


@dataclass(frozen=True)
class Census:
    """People by place of living. Build it with `parse`.

    Args:
        people: (name of the cell or zone, people), sorted by name, each name once.
        resolution: of the cells, 0 to `FINEST`; None where they are zones.
    """

    people: tuple[tuple[str, int], ...]
    resolution: int | None

    @classmethod
    def parse(cls, text: str) -> Census:
        """Return the census of a table.

        Raises:
            BadRecord: it is no such table; the message names the line.
        """
        lines = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
        try:
            rows = [(lines.line_num, [part.strip() for part in row]) for row in lines if row]
        except csv.Error:
            raise BadRecord("The census table is not valid CSV.", _NEXT) from None
        head = rows[0][1] if rows else []
        if head not in (["cell", "population"], ["zone", "population"]):
            raise BadRecord("The census table has other columns than it should.", _NEXT)
        if not 1 < len(rows) <= _MOST_ROWS:
            raise BadRecord(f"The census table has no row, or more than {_MOST_ROWS:,}.", _NEXT)
        found: dict[str, int] = {}
        for line, row in rows[1:]:
            name = _name(row[0], head[0], line)
            if len(row) != len(head) or name in found:
                raise _wrong(line, "has a name that was there before, or another number of columns")
            found[name] = _population(row[1], line)
        if not any(found.values()):
            raise BadRecord("Nobody lives in the census table.", _NEXT)
        return cls(tuple(sorted(found.items())), _resolution(found) if head[0] == "cell" else None)

    @property
    def total(self) -> int:
        """All people."""
        return sum(people for _, people in self.people)

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the canonical form: the order of a file's rows makes no difference."""
        place = "zone" if self.resolution is None else "cell"
        return hashlib.sha256(rfc8785.dumps({place: dict(self.people)})).hexdigest()


@dataclass(frozen=True)
class Weighting:
    """A wish for weights: the census, the release of residents that says who of it is seen, and the cap.

    `cap` is the most people that a device may stand for; 0 where none was given.
    """

    census: Census
    residents: str
    cap: int


def _name(text: str, kind: str, line: int) -> str:
    if kind == "zone":
        if not text or not text.isprintable():
            raise _wrong(line, "has no proper name of a zone")
        return text
    try:
        cell = from_text(text)
    except ValueError:
        raise _wrong(line, "has no name of an H3 cell") from None
    if resolution_of(np.array([cell]))[0] > FINEST:
        raise _wrong(line, f"has a cell that is finer than resolution {FINEST}")
    return f"{cell:x}"


def _population(text: str, line: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MOST_PEOPLE))):
        raise _wrong(line, "has a population that is no whole number of 0 or more")
    return int(text)


def _resolution(names: dict[str, int]) -> int:
    found = np.unique(resolution_of(np.array([int(name, 16) for name in names], dtype=np.int64)))
    if len(found) > 1:
        raise BadRecord("The census table has cells of several resolutions.", "Give all cells of one.")
    return int(found[0])


def _wrong(line: int, why: str) -> BadRecord:
    return BadRecord(f"Line {line} of the census table {why}.", _NEXT)
