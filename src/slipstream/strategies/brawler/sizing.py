"""One side of a quote: its size within the room that is left, and whether what rests may stay."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from slipstream.model import instrument as venue
from slipstream.model.instrument import Instrument
from slipstream.model.intents import QuoteSide
from slipstream.model.order import Order

SHRINK = Decimal("0.75")  # a resting size this much below or above the target is worth a request
GROW = Decimal("1.35")


class Side(msgspec.Struct, frozen=True):
    """Where a side should be (``tick``; 0: nowhere), whether moving is worth it, and what rests."""

    side: venue.Side
    tick: int
    move: bool
    resting: Order | None


def plan_side(
    instrument: Instrument, plan: Side, target: Decimal, room: Decimal, *, closes: bool = False
) -> QuoteSide | None:
    """The side to ask for, or None. What rests never exceeds ``room``; below the venue's least notional nothing is
    quoted, unless the order ``closes`` the position."""
    size = instrument.round_size(target)
    if size <= 0:
        return None
    order = plan.resting
    if order is not None and not plan.move:
        px, held = order.px, _held(order, size, room)
    elif plan.tick > 0:
        px, held = instrument.from_tick(plan.tick), size
    else:
        return None
    if px * held < venue.MIN_NOTIONAL and not (closes and held == target):
        return None
    return QuoteSide(px, held)


def _held(order: Order, size: Decimal, room: Decimal) -> Decimal:
    """The size to ask for at a price that stays: the resting one if it is near enough to the target."""
    left = order.remaining
    if left > room or not size * SHRINK <= order.sz <= size * GROW or left * 2 < order.sz:
        return size
    return order.sz if order.sz <= room else left
