"""Requests at the exchange: an order rests, takes or is refused; a cancel or a change finds its order or does not.

The rules, one by one, are in docs/fills.md.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from slipstream.lob.bits import next_down
from slipstream.lob.replay.depth import lots_at, vanish
from slipstream.lob.replay.fill import fill
from slipstream.lob.replay.own import closable, leave, rest
from slipstream.lob.replay.record import (
    ACCEPTED,
    ALO,
    AS_TAKER,
    BAD_REQUEST,
    CANCEL,
    CANCELLED,
    EXPIRED,
    FILLED,
    IOC,
    MODIFIED,
    MODIFY,
    NO_LIQUIDITY,
    NOT_REDUCING,
    TOO_LATE,
    WOULD_TRADE,
)
from slipstream.lob.replay.stride import step
from slipstream.lob.replay.wire import answer, answer_ns, note, request_done


@njit(cache=True)
def execute(sim: Any, first: Any) -> None:
    """Execute the first request that is due, answer it and log it."""
    request = sim.requests[sim.requests_head & (len(sim.requests) - 1)]
    market = step(first, request.market)
    ns = request.due_ns
    sim.exch_ns = max(sim.exch_ns, ns)
    local_ns = answer_ns(sim, market, ns)
    slot = request.slot
    order = sim.orders[slot]
    tick, lots = request.tick, request.lots
    cash, fees, held = market.cash, market.paid_fees, market.position
    if request.action == CANCEL:
        outcome = CANCELLED if order.resting != 0 else TOO_LATE
        if order.resting != 0:
            leave(sim, market, slot)
    elif request.action == MODIFY:
        outcome = _change(sim, market, slot, tick, lots, ns, local_ns)
    else:
        outcome = _enter(sim, market, slot, tick, lots, ns, local_ns)
    done = abs(market.position - held)
    if outcome == ACCEPTED and request.action == MODIFY:
        outcome = MODIFIED
    left = order.book_left if order.resting != 0 else 0
    if sim.log_sent != 0:
        note(sim, request, ns, local_ns, outcome)
    action = request.action
    request_done(sim)
    answer(sim, market, slot, local_ns, outcome, action, tick, done, left, market.cash - cash, market.paid_fees - fees)


@njit(cache=True)
def _change(sim: Any, market: Any, slot: int, tick: int, lots: int, ns: int, local_ns: int) -> int:
    order = sim.orders[slot]
    if order.resting == 0:
        return TOO_LATE
    if tick == order.book_tick and lots <= order.book_left:
        order.book_left = lots
        return ACCEPTED
    leave(sim, market, slot)
    return _enter(sim, market, slot, tick, lots, ns, local_ns)


@njit(cache=True)
def _enter(sim: Any, market: Any, slot: int, tick: int, lots: int, ns: int, local_ns: int) -> int:
    """A new order arrives: what becomes of it."""
    order = sim.orders[slot]
    if tick < -1 or lots <= 0:
        return BAD_REQUEST
    if order.reduce_only != 0:
        lots = min(lots, closable(sim, market, slot))
        if lots == 0:
            return NOT_REDUCING
    order.book_left = lots
    against = market.sides[1 if order.side > 0 else 0]
    best = against.best_tick
    crosses = best >= 0 and (tick < 0 or (tick - best) * order.side >= 0)
    if not crosses:
        if order.tif == IOC:
            return NO_LIQUIDITY
        rest(sim, market, slot, tick, lots, ns)
        return ACCEPTED
    if order.tif == ALO:
        return WOULD_TRADE
    if market.partial == 0:
        _take(sim, market, against, slot, against.best, lots, ns, local_ns)
        return FILLED
    return _sweep(sim, market, against, slot, tick, ns, local_ns)


@njit(cache=True)
def _take(sim: Any, market: Any, against: Any, slot: int, level: int, lots: int, ns: int, local_ns: int) -> None:
    """Take lots at a level of the other side. With own impact they are gone until the level's next row."""
    fill(sim, market, slot, against.sign * (level - against.origin), lots, AS_TAKER, ns, local_ns)
    if market.impact != 0:
        shown = lots_at(against, level)
        taken = min(lots, shown)
        if taken > 0:
            against.lots[level] = shown - taken
            if taken == shown:
                vanish(against, level)


@njit(cache=True)
def _sweep(sim: Any, market: Any, against: Any, slot: int, tick: int, ns: int, local_ns: int) -> int:
    """Take level by level what each shows. A GTC order is filled at its limit with what it could not get before:
    it cannot rest inside a book that does not know of it.
    """
    order = sim.orders[slot]
    limit = against.origin + against.sign * tick if tick >= 0 else 0
    level = against.best
    while level > 0 and level >= limit and order.book_left > 0:
        if level == limit and order.tif != IOC:
            break
        shown = against.lots[level]
        if shown > 0:
            _take(sim, market, against, slot, level, min(shown, order.book_left), ns, local_ns)
        level = _worse(against, level)
    if order.book_left == 0:
        return FILLED
    if order.tif == IOC:
        return EXPIRED
    _take(sim, market, against, slot, limit, order.book_left, ns, local_ns)
    return FILLED


@njit(cache=True)
def _worse(side: Any, level: int) -> int:
    return max(next_down(side, level), 0)
