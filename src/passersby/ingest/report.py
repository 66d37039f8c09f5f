"""What became of a delivery's rows: the custodian's report, and the receipt that the supplier gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from passersby.model.period import day_name

WITHHELD_REASONS = frozenset(
    {"opt-out", "withdrawn", "no-consent", "consent-later", "epoch-destroyed", "sealed"}
)
"""Reasons that say something about a person, a place or another delivery: one banded total in a receipt."""


def band(count: int) -> str:
    """Return the power of ten that a count lies in, such as "1,000 to 9,999"."""
    if count == 0:
        return "0"
    if count < 100:
        return "fewer than 100"
    low = 10 ** (len(str(count)) - 1)
    return f"{low:,} to {10 * low - 1:,}"


def about(count: int) -> str:
    """Return a count to the nearest hundred, such as "about 264,100"; small ones as their band."""
    return band(count) if count < 100 else f"about {round(count, -2):,}"


@dataclass(frozen=True)
class Source:
    """One delivered file.

    Args:
        name: its name.
        path: absolute, so that `status` can tell whether it still exists.
        bytes: its size.
        sha256: of its contents, in hexadecimal.
        stamp: what a write to it would change, as it was before it was read; not recorded.
    """

    name: str
    path: str
    bytes: int
    sha256: str
    stamp: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {"name": self.name, "path": self.path, "bytes": self.bytes, "sha256": self.sha256}


@dataclass(frozen=True)
class Report:
    """What became of the rows of a delivery; for the custodian alone.

    Every row is exactly one of stored, duplicate, suppressed or rejected for one reason. What is shown of
    it (`to_json`) has rows at sensitive places as a band, and stored ones to the nearest hundred: a list of
    one house and exact numbers would tell who was there.

    Args:
        delivery: id of the delivery; of the earlier one where all files had been delivered before.
        supplier: id of the supplier.
        again: file name -> id of the delivery that already holds its contents; these were not read.
        read: rows read.
        stored: rows in the lake.
        duplicates: rows of a device and second that an earlier row had already.
        suppressed: rows at sensitive places, and their neighbours.
        rejected: reason -> rows.
        examples: reason -> line numbers of some of them (first file with such rows).
        files: the files that were read.
        dropped: columns that were dropped because they are forbidden or not declared.
        first_day: first local day with a stored row, None where nothing was stored.
        last_day: last local day with a stored row.
        devices: band of the number of stored devices.
        teleports: band of the number of moves faster than 70 m/s between stored neighbours.
        repaired: what was repaired before, in plain words.
        notes: what the custodian should know, in plain words.
    """

    delivery: int
    supplier: str
    again: Mapping[str, int] = field(default_factory=dict)
    read: int = 0
    stored: int = 0
    duplicates: int = 0
    suppressed: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    files: tuple[Source, ...] = ()
    dropped: tuple[str, ...] = ()
    first_day: int | None = None
    last_day: int | None = None
    devices: str = "0"
    teleports: str = "0"
    repaired: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether every file had been delivered before, so that nothing was read."""
        return bool(self.again) and not self.files

    def balanced(self) -> bool:
        """Tell whether every row that was read is accounted for exactly once."""
        return self.read == self.stored + self.duplicates + self.suppressed + sum(self.rejected.values())

    def to_json(self) -> dict[str, Any]:
        """Return what may be shown as a JSON object; days as ISO dates."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            **plain,
            "stored": about(self.stored),
            "suppressed": band(self.suppressed),
            "again": dict(self.again),
            "rejected": dict(sorted(self.rejected.items())),
            "examples": {reason: list(lines) for reason, lines in sorted(self.examples.items())},
            "files": [file.to_json() for file in self.files],
            "dropped": list(self.dropped),
            "first_day": None if self.first_day is None else day_name(self.first_day),
            "last_day": None if self.last_day is None else day_name(self.last_day),
            "repaired": list(self.repaired),
            "notes": list(self.notes),
        }

    def receipt(self) -> dict[str, Any]:
        """Return what the supplier may know: facts of its own file, and one banded total of the rest.

        What hangs on other people, places or deliveries is never told apart, and no exact number in the
        receipt gives it away by subtraction: stored rows are left out too.
        """
        own = {reason: n for reason, n in sorted(self.rejected.items()) if reason not in WITHHELD_REASONS}
        withheld = self.read - self.stored - sum(own.values())
        return {
            "supplier": self.supplier,
            "delivery": self.delivery,
            "files": [{"name": f.name, "bytes": f.bytes, "sha256": f.sha256} for f in self.files],
            "delivered_before": sorted(self.again),
            "read": self.read,
            "rejected": own,
            "examples": {reason: list(lines) for reason, lines in self.examples.items() if reason in own},
            "dropped": list(self.dropped),
            "otherwise_not_stored": band(withheld),
        }
