"""Implementation shortfall by its definition (Perold 1988): the parts that every account of an order's cost agrees on.

For an order of side s and size X, decided at price P_d, first worked at P_0 and filled with sizes x_i at p_i, with the
mid P_n at the end and q = sum x_i::

    delay = s q (P_0 - P_d)     execution = s (sum x_i p_i - q P_0)     opportunity = s (X - q) (P_n - P_d)

Their sum and the fees are the profit on paper less the real one. Positive is bad. Exact in Decimal as long as the
context has the digits. `slipstream.execution.shortfall` counts a strategy's own Targets by it, and
`slipstream.federation.shortfall` the parent orders of the whole fund, whose execution it parts into spread and impact.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Parts(msgspec.Struct, frozen=True):
    """USD, positive when bad; without fees."""

    delay: Decimal
    execution: Decimal
    opportunity: Decimal


def parts(
    sign: int, size: Decimal, filled: Decimal, paid: Decimal, *, decision: Decimal, arrival: Decimal, end: Decimal
) -> Parts:
    """Of one order: ``sign`` 1 buys, -1 sells; sizes are positive; ``paid`` is the sum of size times price, USD."""
    return Parts(
        delay=sign * filled * (arrival - decision),
        execution=sign * (paid - arrival * filled),
        opportunity=sign * (size - filled) * (end - decision),
    )
