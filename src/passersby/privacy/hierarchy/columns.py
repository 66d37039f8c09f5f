"""The public columns of each node's vector: buckets of time, and in each of them the same bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.model.bins import ONE_BIN, Bin, Derived

Instants = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Columns:
    """Buckets of time times bins; the bins of a bucket stand side by side.

    Args:
        starts: sorted first instants of the buckets, epoch s.
        bins: of each bucket, at least one.
        derived: ratios and quantiles of the bins, released as rows after them.
        spread: relative standard error that all values share, beside the noise: that of weights.
    """

    starts: Instants
    bins: Sequence[Bin] = ONE_BIN
    derived: Sequence[Derived] = ()
    spread: float = 0.0

    def __len__(self) -> int:
        return len(self.starts) * len(self.bins)

    @property
    def binned(self) -> bool:
        """Whether rows name a bin."""
        return any(each.label for each in self.bins)

    @property
    def labels(self) -> list[str]:
        """Names of the rows of each bucket of time."""
        return [each.label for each in (*self.bins, *self.derived)]

    @property
    def counted(self) -> npt.NDArray[np.bool_]:
        """Which columns count devices or events, so that they can be added up."""
        return np.tile([each.counted for each in self.bins], len(self.starts))

    @property
    def factors(self) -> npt.NDArray[np.float64]:
        """What one unit of each column stands for."""
        return np.tile([each.factor for each in self.bins], len(self.starts))

    def find(self, counts: pa.Table) -> tuple[Index, npt.NDArray[np.bool_]]:
        """Return the column of each row of (start, perhaps bin, count), and whether it is a public one."""
        place, inside = find(self.starts, _integers(counts, "start"))
        if "bin" not in counts.schema.names:
            return place * len(self.bins), inside
        number = _integers(counts, "bin")
        inside &= (number >= 0) & (number < len(self.bins))
        return place * len(self.bins) + number, inside


def find(known: npt.NDArray[np.int64], values: npt.NDArray[np.int64]) -> tuple[Index, npt.NDArray[np.bool_]]:
    """Return the place of each value among sorted `known` ones, and whether it is one of them."""
    if len(known) == 0:
        return np.zeros(len(values), dtype=np.intp), np.zeros(len(values), dtype=np.bool_)
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return place, known[place] == values


def _integers(table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = table.column(name).cast(pa.int64()).to_numpy()
    return found
