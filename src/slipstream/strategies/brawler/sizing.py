"""Sizes of both sides within the room that is left, and whether what rests may stay. In lots, floats that are whole
unless something was configured between two lots; one pure function, which compiled code calls too.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numba import njit
from numba.extending import register_jitable

from slipstream.model.grid import units_of_tick
from slipstream.model.instrument import MAX_PRICE_DECIMALS, MIN_NOTIONAL
from slipstream.strategies.brawler.plain import edition
from slipstream.strategies.brawler.quote import Decision, Situation, Terms, quote

REDUCE, BOTH = 1, 2
LEAST = int(MIN_NOTIONAL.scaleb(MAX_PRICE_DECIMALS))  # the venue's least notional, in price units times lots
_EPS = 1e-9


class Stock(NamedTuple):
    """What we hold and what rests, in lots. ``mode`` is REDUCE or BOTH; ``order`` and ``most`` are configured.

    ``factor`` scales the order size; ``inventory`` is ``position`` and what is held elsewhere; ``held`` is the one of
    the two that is to be reduced; ``bid_size`` and ``bid_left`` are a resting bid's size and open rest (0: none).
    """

    mode: int
    order: float
    most: float
    factor: float
    inventory: float
    held: float
    position: float
    bid_size: float
    bid_left: float
    ask_size: float
    ask_left: float


class Wish(NamedTuple):
    """What should rest: ticks and whole lots, 0 for nothing on that side."""

    bid_tick: int
    bid_lots: int
    ask_tick: int
    ask_lots: int
    reduce_only: bool


def whole(lots: float) -> int:
    """Whole lots in a size that is not negative."""
    return math.floor(lots + _EPS)


def stays(size: float, left: float, target: int, room: int) -> bool:
    """Whether a resting size is near enough to its target: 0.75 to 1.35 of it, half open, within the room."""
    return left <= room and 3 * target <= 4 * size and 20 * size <= 27 * target and left * 2 >= size


def side_lots(
    tick: int, moves: bool, at: int, size: float, left: float, target: float, room: float, closes: bool, decimals: int
) -> tuple[int, int]:
    """Tick and lots to ask for on one side, or (0, 0). ``at``, ``size`` and ``left`` are of what rests.

    What rests never exceeds ``room``; below the venue's least notional nothing is quoted, unless the order ``closes``
    the position.
    """
    wanted = whole(target)
    limit = whole(room)
    if wanted <= 0:
        return 0, 0
    if at > 0 and not moves:
        tick = at
        held = wanted
        if stays(size, left, wanted, limit):
            held = whole(size) if size <= limit else whole(left)
    elif tick > 0:
        held = wanted
    else:
        return 0, 0
    if units_of_tick(tick, decimals) * held < LEAST and not (closes and held == target):
        return 0, 0
    return tick, held


def wish(terms: Terms, now: Situation, stock: Stock) -> tuple[Decision, Wish]:
    """Where the quotes should be, and what should rest there."""
    decision = quote(terms, now)
    if stock.mode == BOTH:
        target = stock.order * stock.factor
        room = max(stock.most - stock.inventory, 0.0)
        bid_tick, bid_lots = side_lots(
            decision.bid_tick,
            decision.move_bid,
            now.bid_tick,
            stock.bid_size,
            stock.bid_left,
            min(target, room),
            room,
            False,
            terms.decimals,
        )
        room = max(stock.most + stock.inventory, 0.0)
        ask_tick, ask_lots = side_lots(
            decision.ask_tick,
            decision.move_ask,
            now.ask_tick,
            stock.ask_size,
            stock.ask_left,
            min(target, room),
            room,
            False,
            terms.decimals,
        )
        return decision, Wish(bid_tick, bid_lots, ask_tick, ask_lots, False)
    most = min(stock.order, abs(stock.held))
    sells = stock.held > 0.0
    opposed = stock.position > 0.0 if sells else stock.position < 0.0
    reduce_only = opposed and abs(stock.position) >= most
    closes = reduce_only and most == abs(stock.position)
    if sells:
        tick, lots = side_lots(
            decision.ask_tick,
            decision.move_ask,
            now.ask_tick,
            stock.ask_size,
            stock.ask_left,
            most,
            most,
            closes,
            terms.decimals,
        )
        return decision, Wish(0, 0, tick, lots, reduce_only)
    tick, lots = side_lots(
        decision.bid_tick,
        decision.move_bid,
        now.bid_tick,
        stock.bid_size,
        stock.bid_left,
        most,
        most,
        closes,
        terms.decimals,
    )
    return decision, Wish(tick, lots, 0, 0, reduce_only)


for _function in (units_of_tick, whole, stays, side_lots, quote):
    register_jitable(_function)  # stays plain Python, and may be called from compiled code

register_jitable(wish)


def _compiled(number: int) -> Any:
    """`wish` under Numba, compiled anew with every edition."""

    @njit(cache=True)
    def compiled(terms: Terms, now: Situation, stock: Stock) -> tuple[Decision, Wish]:
        _ = number
        return wish(terms, now, stock)

    return compiled


compiled_wish = _compiled(edition())
