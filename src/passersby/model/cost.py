"""Privacy cost: integer micro-rho, never a float budget.

`rho` is the parameter of zero-concentrated differential privacy (Bun & Steinke 2016). The ledger
adds up integers of 1e-6 rho. The conversion to (epsilon, delta) is in `privacy.accounting`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

MICRO = 1_000_000


@dataclass(frozen=True, order=True)
class MicroRho:
    """A whole number of 1e-6 rho, at least 0."""

    value: int

    def __post_init__(self) -> None:
        if self.value < 0:
            msg = "a cost cannot be negative"
            raise ValueError(msg)

    def __add__(self, other: MicroRho) -> MicroRho:
        return MicroRho(self.value + other.value)

    @property
    def rho(self) -> float:
        """The cost as a float, for display and for scales, never for sums."""
        return self.value / MICRO

    def split(self, shares: tuple[Fraction, ...]) -> tuple[MicroRho, ...]:
        """Return parts in proportion to `shares` that add up to exactly this cost.

        Parts are rounded down; what is left goes to the last part.
        """
        if sum(shares) != 1:
            msg = "shares must add up to 1"
            raise ValueError(msg)
        parts = [int(self.value * share) for share in shares]
        parts[-1] += self.value - sum(parts)
        return tuple(MicroRho(part) for part in parts)


@dataclass(frozen=True)
class MechanismEvent:
    """One noise addition as the ledger keeps it: enough to recompute the charge.

    Args:
        kind: name of the mechanism; an unknown kind is refused by the ledger.
        scale: standard deviation of the noise, in the unit of the noised integers.
        sensitivity: L2 sensitivity that the scale was made for, in the same unit.
        micro_rho: what it costs, rounded up.
        what: which vector it covers, e.g. `presence level 6`.
    """

    kind: str
    scale: float
    sensitivity: float
    micro_rho: int
    what: str
