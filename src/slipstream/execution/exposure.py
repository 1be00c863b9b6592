"""Worst-case exposure: the lowest and highest position that orders could lead to, unknown ones included."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from slipstream.model.instrument import Side

ZERO = Decimal(0)
Open = tuple[Side, Decimal, bool]  # side, size that may still fill, reduce-only


def worst_case(position: Decimal, orders: Iterable[Open]) -> tuple[Decimal, Decimal]:
    """Lowest and highest reachable position.

    A plain order may fill in full or not at all. A reduce-only order shrinks the position towards zero and no
    further, but it may do so before the plain orders of its side fill: with +5, a reduce-only sell of 5 and a plain
    sell of 5, the lowest position is -5.
    """
    plain_buys = plain_sells = reduce_buys = reduce_sells = ZERO
    for side, size, reduce_only in orders:
        if side is Side.BUY:
            if reduce_only:
                reduce_buys += size
            else:
                plain_buys += size
        elif reduce_only:
            reduce_sells += size
        else:
            plain_sells += size
    low = position - min(max(position, ZERO), reduce_sells) - plain_sells
    high = position + min(max(-position, ZERO), reduce_buys) + plain_buys
    return low, high


def worst_size(position: Decimal, orders: Iterable[Open]) -> Decimal:
    """The larger magnitude of the two."""
    low, high = worst_case(position, orders)
    return max(abs(low), abs(high))
