"""What a strategy's own Target cost from the decision to the position, as it sees its fills: no mids at them.

The parts are those of `slipstream.core.costs.shortfall`; with the fees they are paper profit less real profit.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from slipstream.core.costs.shortfall import parts

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
    found = parts(sign, abs(size), done, paid, decision=decision_px, arrival=arrival_px, end=end_px)
    return Shortfall(
        wanted=abs(size) * decision_px,
        filled=done * decision_px,
        delay=found.delay,
        execution=found.execution,
        opportunity=found.opportunity,
        fees=fees,
    )
