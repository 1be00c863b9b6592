"""Own orders that rest at the exchange: which they are, where they queue.

They are few, so each side keeps a plain list of slots in the order in which they joined, and says with one number
(`own_best`) and one word of bits (`own_mask`) whether a row could concern any of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from slipstream.lob.replay import queue_position
from slipstream.lob.replay.depth import lots_at

NONE = -(1 << 60)  # own_best of a side without own orders
_ONE = np.uint64(1)


@njit(cache=True)
def rest(sim: Any, market: Any, slot: int, tick: int, lots: int, ns: int) -> None:
    """The order joins its level, behind all that rests there."""
    order = sim.orders[slot]
    side = market.sides[0 if order.side > 0 else 1]
    level = side.origin + side.sign * tick
    order.resting = 1
    order.book_tick = tick
    order.book_level = level
    order.book_left = lots
    order.accepted_ns = ns
    order.own_seq = market.last_seq
    queue_position.joined(order, float(lots_at(side, level)))
    order.queue_front = order.front
    side.own[side.own_count] = slot
    side.own_count += 1
    side.own_mask |= _ONE << np.uint64(level & 63)
    side.own_best = max(side.own_best, level)


@njit(cache=True)
def leave(sim: Any, market: Any, slot: int) -> None:
    """The order rests no longer; the others keep their places."""
    order = sim.orders[slot]
    order.resting = 0
    side = market.sides[0 if order.side > 0 else 1]
    kept = 0
    for i in range(side.own_count):
        if side.own[i] != slot:
            side.own[kept] = side.own[i]
            kept += 1
    side.own_count = kept
    mark_own(sim, side)


@njit(cache=True)
def mark_own(sim: Any, side: Any) -> None:
    """Say anew where own orders rest."""
    mask = np.uint64(0)
    best = NONE
    for i in range(side.own_count):
        level = sim.orders[side.own[i]].book_level
        mask |= _ONE << np.uint64(level & 63)
        best = max(best, level)
    side.own_mask = mask
    side.own_best = best


@njit(cache=True)
def requeue(sim: Any, market: Any, side: Any, level: int, prev: int, new: int, seq: int) -> None:
    """A level went from ``prev`` to ``new`` lots: where that leaves own orders there.

    ``seq`` is the order that joined or left, where the tape names orders, else -1.
    """
    for i in range(side.own_count):
        order = sim.orders[side.own[i]]
        if order.book_level != level:
            continue
        if market.model == queue_position.EXACT and seq >= 0:
            front, cum = queue_position.left(order.front, order.cum, order.own_seq, seq, float(prev), float(new))
        else:
            front, cum = queue_position.changed(
                market.model, market.power, order.front, order.cum, float(prev), float(new)
            )
        order.front = front
        order.cum = cum


@njit(cache=True)
def closable(sim: Any, market: Any, slot: int) -> int:
    """The lots of its market's position that an order of its side can close."""
    held = -market.position * sim.orders[slot].side
    return max(held, 0)
