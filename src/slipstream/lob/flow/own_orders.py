"""A strategy's orders in a reactive market: they rest in its book among the others', and queue, trade and are passed.

They carry their slot as tag and `OWN` as owner, so the book knows them apart; the run's record keeps what the exchange
knows of them (`book_level` holds the handle). Rules are those of docs/matching.md; what the replay must assume of
queues and impact simply happens here. Reduce-only orders of a side never rest with more lots together than the
position bears: new ones are cut, and when the position shrinks the latest shrink first.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from slipstream.lob.depth import order_left, queue_ahead
from slipstream.lob.flow import hawkes
from slipstream.lob.flow.learning import learn, taken_since
from slipstream.lob.flow.record import BUYS, SELLS
from slipstream.lob.matching import FILLED as NOTHING_LEFT
from slipstream.lob.matching import WOULD_CROSS, extreme_tick
from slipstream.lob.matching import cancel as take_off
from slipstream.lob.matching import place as enter
from slipstream.lob.matching import reduce as shrink
from slipstream.lob.replay.fill import fill
from slipstream.lob.replay.record import (
    ACCEPTED,
    AS_TAKER,
    BAD_REQUEST,
    BY_QUEUE,
    CANCEL,
    CANCELLED,
    EXPIRED,
    FILLED,
    MODIFIED,
    MODIFY,
    NO_LIQUIDITY,
    NOT_REDUCING,
    ORDERS,
    PART_FILLED,
    REDUCE_CANCELLED,
    REQUESTS,
    TOO_LATE,
    WOULD_TRADE,
)
from slipstream.lob.replay.wire import answer, answer_ns, note, request_done

OWN = 1  # owner of a strategy's orders in a book


@njit(cache=True)
def _reducing(sim: Any, m: int, side: int, but: int) -> int:
    """The lots of reduce-only orders of a side that rest in a market, without those of one slot."""
    total = 0
    for slot in range(ORDERS):
        order = sim.orders[slot]
        if order.resting != 0 and order.reduce_only != 0 and order.market == m and order.side == side and slot != but:
            total += order.book_left
    return total


@njit(cache=True)
def _trim(sim: Any, market: Any, book: Any, ns: int) -> None:
    """The position shrank: reduce-only orders that it no longer bears shrink or go, the latest first."""
    m = market.index
    side = -1 if market.position > 0 else 1
    for gone in (-side, side):
        bears = 0 if gone != side else abs(market.position)
        over = _reducing(sim, m, gone, -1) - bears
        while over > 0:
            latest = -1
            for slot in range(ORDERS):
                order = sim.orders[slot]
                if order.resting == 0 or order.reduce_only == 0 or order.market != m or order.side != gone:
                    continue
                if latest < 0 or order.id > sim.orders[latest].id:
                    latest = slot
            order = sim.orders[latest]
            cut = min(over, order.book_left)
            over -= cut
            shrink(book, order.book_level, cut)
            order.book_left -= cut
            if order.book_left == 0:
                order.resting = 0
                tell = answer_ns(sim, market, ns)
                answer(sim, market, latest, tell, REDUCE_CANCELLED, -1, order.book_tick, 0, 0, 0.0, 0.0)


@njit(cache=True)
def settle(sim: Any, market: Any, book: Any, taker: int, taker_local_ns: int, ns: int) -> None:
    """Book what the book's tape says of own orders; ``taker`` is the slot of an own order that took, or -1."""
    held = market.position
    for i in range(book.fill_count):
        row = book.fill_rows[i]
        tick, lots = row[9], row[10]
        if row[4] == OWN:
            slot = row[3]
            order = sim.orders[slot]
            local_ns = answer_ns(sim, market, ns)
            cash = market.cash
            fee = fill(sim, market, slot, tick, lots, BY_QUEUE, ns, local_ns)
            outcome = PART_FILLED
            if order.book_left == 0:
                order.resting = 0
                outcome = FILLED
            answer(sim, market, slot, local_ns, outcome, -1, tick, lots, order.book_left, market.cash - cash, fee)
        elif row[7] == OWN and taker >= 0:
            fill(sim, market, taker, tick, lots, AS_TAKER, ns, taker_local_ns)
    for i in range(book.expired_count):  # an own order that met another of ours
        slot = book.expired_rows[i, 1]
        order = sim.orders[slot]
        order.resting = 0
        order.book_left = 0
        local_ns = answer_ns(sim, market, ns)
        answer(sim, market, slot, local_ns, CANCELLED, -1, order.book_tick, 0, 0, 0.0, 0.0)
    if abs(market.position) < abs(held) or market.position * held < 0:
        _trim(sim, market, book, ns)


@njit(cache=True)
def _enter(sim: Any, market: Any, book: Any, s: Any, slot: int, tick: int, lots: int, local_ns: int) -> int:
    """A new order arrives: what becomes of it."""
    order = sim.orders[slot]
    ns = sim.exch_ns
    if tick < -1 or lots <= 0:
        return BAD_REQUEST
    if order.reduce_only != 0:
        bears = max(0, -market.position * order.side) - _reducing(sim, market.index, order.side, slot)
        lots = min(lots, bears)
        if lots <= 0:
            return NOT_REDUCING
    if tick < 0:
        tick = extreme_tick(book, order.side)
    order.book_left = lots
    handle = enter(book, slot, OWN, order.side, tick, lots, order.tif, ns)
    if handle == WOULD_CROSS:
        return WOULD_TRADE
    if handle < WOULD_CROSS:
        return BAD_REQUEST
    if handle >= 0:
        order.resting = 1
        order.book_tick = tick
        order.book_level = handle
        order.accepted_ns = ns
        order.queue_front = float(queue_ahead(book, handle))
    if book.fill_count > 0:  # takers excite takers, whoever they are
        at = min(max((ns - s.origin) / 1e9, s.arrivals.now_s), s.arrivals.next_s)
        hawkes.excite(s.arrivals, at, BUYS if order.side > 0 else SELLS)
        learn(s, order.side, taken_since(book, 0))
    took = book.fill_count > 0
    settle(sim, market, book, slot, local_ns, ns)
    if handle >= 0:
        return ACCEPTED
    if handle == NOTHING_LEFT:
        return FILLED
    return EXPIRED if took else NO_LIQUIDITY


@njit(cache=True)
def _change(sim: Any, market: Any, book: Any, s: Any, slot: int, tick: int, lots: int, local_ns: int) -> int:
    """Smaller at the same price keeps the place; anything else goes and comes anew."""
    order = sim.orders[slot]
    if order.resting == 0:
        return TOO_LATE
    if tick == order.book_tick and lots <= order.book_left:
        shrink(book, order.book_level, order.book_left - lots)
        order.book_left = lots
        return ACCEPTED
    take_off(book, order.book_level)
    order.resting = 0
    return _enter(sim, market, book, s, slot, tick, lots, local_ns)


@njit(cache=True)
def execute(sim: Any, market: Any, book: Any, s: Any, tradable: bool) -> None:
    """Execute the first request that is due in its market, answer it and log it. The book's tape was empty before."""
    request = sim.requests[sim.requests_head & (REQUESTS - 1)]
    ns = request.due_ns
    sim.exch_ns = max(sim.exch_ns, ns)
    local_ns = answer_ns(sim, market, ns)
    slot = request.slot
    order = sim.orders[slot]
    tick, lots, action = request.tick, request.lots, request.action
    cash, fees, held = market.cash, market.paid_fees, market.position
    if not tradable:
        outcome = BAD_REQUEST
    elif action == CANCEL:
        outcome = CANCELLED if order.resting != 0 else TOO_LATE
        if order.resting != 0:
            take_off(book, order.book_level)
            order.resting = 0
    elif action == MODIFY:
        outcome = _change(sim, market, book, s, slot, tick, lots, local_ns)
    else:
        outcome = _enter(sim, market, book, s, slot, tick, lots, local_ns)
    if outcome == ACCEPTED and action == MODIFY:
        outcome = MODIFIED
    if sim.log_sent != 0:
        note(sim, request, ns, local_ns, outcome)
    done = abs(market.position - held)
    left = order_left(book, order.book_level) if order.resting != 0 else 0
    request_done(sim)
    answer(sim, market, slot, local_ns, outcome, action, tick, done, left, market.cash - cash, market.paid_fees - fees)
