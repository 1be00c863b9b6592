"""Implementation shortfall of a Target: what it cost to get from the decision to the position.

For an order of signed size Q decided at price P0, first worked at the mid P1 and filled at p_k with sizes q_k while the
mid is P2 at the end (Perold 1988; costs positive when bad, s the sign of Q)::

    delay = s (P1 - P0) sum q_k    execution = s sum q_k (p_k - P1)
    opportunity = s (Q - sum q_k) (P2 - P0)    total = delay + execution + opportunity + fees

The identity ``total = paper profit - real profit`` holds exactly in Decimal.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

ZERO = Decimal(0)


class Shortfall(msgspec.Struct, frozen=True):
    """USD, positive when bad. ``wanted`` and ``filled`` are notionals at the decision price."""

    wanted: Decimal = ZERO
    filled: Decimal = ZERO
    delay: Decimal = ZERO
    execution: Decimal = ZERO
    opportunity: Decimal = ZERO
    fees: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """All of it."""
        return self.delay + self.execution + self.opportunity + self.fees

    @property
    def bps(self) -> float:
        """All of it in bp of what was wanted; 0 for nothing wanted."""
        return float(self.total / self.wanted) * 1e4 if self.wanted else 0.0

    def plus(self, other: Shortfall) -> Shortfall:
        """Both together."""
        return Shortfall(*(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__))


def shortfall(
    size: Decimal,
    decision_px: Decimal,
    arrival_px: Decimal,
    end_px: Decimal,
    fills: Iterable[tuple[Decimal, Decimal, Decimal]],
) -> Shortfall:
    """Of one order; ``size`` is signed, ``fills`` are (size, price, fee), sizes positive."""
    sign = 1 if size >= 0 else -1
    done = paid = fees = ZERO
    for sz, px, fee in fills:
        done, paid, fees = done + sz, paid + sz * px, fees + fee
    return Shortfall(
        wanted=abs(size) * decision_px,
        filled=done * decision_px,
        delay=sign * (arrival_px - decision_px) * done,
        execution=sign * (paid - arrival_px * done),
        opportunity=sign * (abs(size) - done) * (end_px - decision_px),
        fees=fees,
    )
