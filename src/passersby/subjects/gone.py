"""Which rows an erasure takes out: all of some devices, or one supplier's of some devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.lake import purge
from passersby.lake.manifest import FileRef
from passersby.subjects.checking import Ints, holds, marked


@dataclass(frozen=True, eq=False)
class Gone:
    """What is to leave the lake.

    Derived rows do not say whose pings they come of: where one supplier's pings of a device go, its derived
    rows that could come of them go too, and are derived anew from what is left.

    Args:
        everywhere: sorted devices whose rows go, whoever delivered them.
        of: number of a supplier -> sorted devices whose rows of that supplier go.
        delivered: number of a supplier -> its deliveries.
        by_erasure: the erasures that are of one supplier.
    """

    everywhere: Ints
    of: Mapping[int, Ints] = field(default_factory=dict)
    delivered: Mapping[int, frozenset[int]] = field(default_factory=dict)
    by_erasure: frozenset[int] = frozenset()

    def by_bucket(self, bucket_of: Callable[[Ints], npt.NDArray[np.integer]]) -> Iterator[tuple[int, Gone]]:
        """Yield each bucket that holds some of the devices, and what goes of it."""
        sides = [self.everywhere, *self.of.values()]
        buckets = [bucket_of(devices) for devices in sides]
        for bucket in np.unique(np.concatenate(buckets)).tolist():
            here, *own = (each[b == bucket] for each, b in zip(sides, buckets, strict=True))
            yield bucket, Gone(here, dict(zip(self.of, own, strict=True)), self.delivered, self.by_erasure)

    def columns(self, file: FileRef) -> list[str]:
        """Return the columns that `rows` needs of a file."""
        return ["device", "supplier"] if file.table == "pings" and self.of else ["device"]

    def rows(self, file: FileRef, rows: pa.Table) -> npt.NDArray[np.bool_]:
        """Return which rows of a file go; they are sorted by device."""
        device = rows["device"].to_numpy()
        out = marked(device, self.everywhere)
        for supplier, devices in self._concerned(file):
            its = marked(device, devices)
            out |= its & (rows["supplier"].to_numpy() == supplier) if file.table == "pings" else its
        return out

    def still_in(self, file: FileRef) -> bool:
        """Tell whether a file still holds rows that were taken out, by decoding all of it that could.

        What was derived anew from other suppliers' pings may be there.

        Raises:
            IntegrityError: the file cannot be read, or its footer says more about devices than it may.
        """
        if holds(file, self.everywhere):
            return True
        if file.table != "pings" or not any(True for _ in self._concerned(file)):
            return False
        return any(bool(self.rows(file, rows).any()) for rows in purge.tables(file, self.columns(file)))

    def _concerned(self, file: FileRef) -> Iterator[tuple[int, Ints]]:
        """Yield the suppliers whose deliveries a file has rows of, with what goes of them."""
        for supplier, devices in self.of.items():
            if len(devices) and not self.delivered.get(supplier, frozenset()).isdisjoint(file.sources):
                yield supplier, devices
