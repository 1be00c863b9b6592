"""Worst-case exposure: the lowest and highest position that orders could lead to, unknown ones included.

Every order may fill in full or not at all, reduce-only ones like the rest: the venue holds them to the position it sees
when they fill, and that is not the position we know when fills reach us out of turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from slipstream.model.instrument import Side

ZERO = Decimal(0)
Open = tuple[Side, Decimal]  # side, and the size that may still fill


def worst_case(position: Decimal, orders: Iterable[Open]) -> tuple[Decimal, Decimal]:
    """Lowest and highest reachable position."""
    low = high = position
    for side, size in orders:
        if side is Side.BUY:
            high += size
        else:
            low -= size
    return low, high


def worst_size(position: Decimal, orders: Iterable[Open]) -> Decimal:
    """The larger magnitude of the two."""
    low, high = worst_case(position, orders)
    return max(abs(low), abs(high))
