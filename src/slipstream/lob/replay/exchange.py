"""The exchange's side of a replay: rows move the book and fill what they reach; everything is pushed on towards us."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from slipstream.lob.replay import queue_position
from slipstream.lob.replay.delay import delay
from slipstream.lob.replay.depth import appear, forget, matters, vanish
from slipstream.lob.replay.fill import fill
from slipstream.lob.replay.hook import price
from slipstream.lob.replay.own import closable, leave, requeue
from slipstream.lob.replay.record import (
    BY_CROSS,
    BY_PRICE,
    BY_QUEUE,
    FILLED,
    LEVELS,
    NEWS,
    PART_FILLED,
    REDUCE_CANCELLED,
)
from slipstream.lob.replay.rows import BEST, CLEAR, DEPTH, FUNDING, KIND, MORE, RATE_UNIT, TRADE
from slipstream.lob.replay.stride import copy, step
from slipstream.lob.replay.wire import answer, answer_ns

OK, RECENTRE, RING_FULL, BAD_ROW, BACKWARDS = 0, 5, 4, 6, 7
_ONE = np.uint64(1)


def seq_of(row: Any) -> int:
    """The priority number of a row's order, -1 where the tape has none."""
    return int(row["seq"]) if "seq" in row.dtype.names else -1


@overload(seq_of, strict=False)  # not inline: Numba would then drop stores to records it did not see arrive
def _seq_of(row: Any) -> Any:
    if isinstance(row, types.Record) and "seq" in row.fields:
        return lambda row: row.seq
    return lambda row: -1


@njit(cache=True)
def hit(sim: Any, market: Any, side: Any, limit: int, traded: int, ns: int) -> None:
    """A trade at the level ``limit`` of a side: own orders beyond it are filled, those at it move up or are reached."""
    at = 0
    while at < side.own_count:
        slot = side.own[at]
        order = sim.orders[slot]
        lots = 0
        why = BY_PRICE
        if order.book_level > limit:
            lots = order.book_left
        elif order.book_level == limit:
            why = BY_QUEUE
            queue_position.traded(order, float(traded))
            passed = queue_position.executed(order.front, 1.0)
            if passed > 0:
                order.front = 0.0
                lots = order.book_left
                if market.partial != 0:
                    lots = min(lots, min(passed, traded) if market.capped != 0 else passed)
        if lots == 0 or not reach(sim, market, slot, lots, why, ns):
            at += 1


@njit(cache=True)
def meet(sim: Any, market: Any, side: Any, limit: int, ns: int) -> None:
    """The other side's best came to the level ``limit`` of this side: own orders at it or beyond are filled."""
    at = 0
    while at < side.own_count:
        slot = side.own[at]
        order = sim.orders[slot]
        if order.book_level < limit or not reach(sim, market, slot, order.book_left, BY_CROSS, ns):
            at += 1


@njit(cache=True)
def reach(sim: Any, market: Any, slot: int, lots: int, why: int, ns: int) -> bool:
    """Fill a resting order: whether it is gone. A reduce-only one takes no more than the position bears."""
    order = sim.orders[slot]
    local_ns = answer_ns(sim, market, ns)
    if order.reduce_only != 0:
        order.book_left = min(order.book_left, closable(sim, market, slot))
        lots = min(lots, order.book_left)
        if lots == 0:
            leave(sim, market, slot)
            answer(sim, market, slot, local_ns, REDUCE_CANCELLED, -1, order.book_tick, 0, 0, 0.0, 0.0)
            return True
    cash = market.cash
    fee = fill(sim, market, slot, order.book_tick, lots, why, ns, local_ns)
    gone = order.book_left == 0
    if gone:
        leave(sim, market, slot)
    outcome = FILLED if gone else PART_FILLED
    answer(sim, market, slot, local_ns, outcome, -1, order.book_tick, lots, order.book_left, market.cash - cash, fee)
    return bool(gone)


@njit(cache=True, forceinline=True)
def turn(sim: Any, market: Any, side: Any, other: Any, level: int, prev: int, lots: int, ns: int) -> None:
    """A level appeared, went, or lies beyond the best."""
    if lots > 0:
        if appear(side, other, level):
            limit = other.origin + other.sign * side.best_tick
            if other.own_best >= limit:
                meet(sim, market, other, limit, ns)
    elif prev > 0:
        vanish(side, level)


@njit(cache=True)
def best_row(sim: Any, market: Any, side: Any, other: Any, tick: int, lots: int, ns: int) -> bool:
    """The best of a side is said: what was better is gone. False if the tick is outside the window."""
    if lots == 0:
        forget(side, 0, LEVELS)
        return True
    level = side.origin + side.sign * tick
    if level < 1 or level >= LEVELS:
        return False
    if side.best > level:
        forget(side, level, side.best + 1)
    prev = side.lots[level]
    side.lots[level] = lots
    if (side.own_mask >> np.uint64(level & 63)) & _ONE:
        requeue(sim, market, side, level, prev, lots, -1)
    turn(sim, market, side, other, level, prev, lots, ns)
    return True


@njit(cache=True)
def clear_row(market: Any, sign: int, tick: int) -> None:
    """Levels of a side (0: of both) from the best to a tick (-1: all of them) are forgotten."""
    for i in range(2):
        side = market.sides[i]
        if sign == 0 or side.sign == sign:
            level = side.origin + side.sign * tick - 1 if tick >= 0 else 0
            forget(side, max(level, 0), LEVELS)


@njit(cache=True)
def rare_row(sim: Any, market: Any, row: Any) -> int:
    """A row that is neither a change of depth nor a trade. What a position pays or gets is in `market.funding`."""
    kind = row.kind & KIND
    if kind == BEST:
        k = 0 if row.side > 0 else 1
        if not best_row(sim, market, market.sides[k], market.sides[1 - k], row.tick, row.lots, row.exch_ns):
            return RECENTRE
    elif kind == CLEAR:
        clear_row(market, row.side, row.tick)
    elif kind == FUNDING:
        notional = market.position * market.grid.lot_size * price(sim, market.index, row.tick)
        market.funding -= notional * (row.lots / RATE_UNIT)
    else:
        return BAD_ROW
    return OK


@njit(cache=True)
def grow(market: Any) -> bool:
    """Double the ring of rows on their way. False if it is as large as can be."""
    size = market.ring_mask + 1
    if size == NEWS:
        return False
    market.ring_mask = 2 * size - 1
    for i in range(market.head, market.tail):
        if i & size:
            copy(market.news[i & market.ring_mask], market.news[i & (size - 1)])
            market.paid[i & market.ring_mask] = market.paid[i & (size - 1)]
    return True


@njit(cache=True)
def heard_ns(sim: Any, market: Any, exch_ns: int, recorded_ns: int) -> int:
    """When a row is heard, where that is not simply what the tape says."""
    market.feed.recorded_ns = recorded_ns - exch_ns
    return exch_ns + delay(market.feed, sim.delays, exch_ns)


@njit(cache=True, forceinline=True)
def push(sim: Any, market: Any, row: Any, paid: float) -> bool:
    """Send a row on its way to us, with the best prices after it. False if the ring is full."""
    tail = market.tail
    if tail - market.head > market.ring_mask and not grow(market):
        return False
    exch_ns = row.exch_ns
    local_ns = row.local_ns
    if market.as_recorded == 0:
        local_ns = heard_ns(sim, market, exch_ns, local_ns)
    local_ns = max(max(local_ns, exch_ns), market.last_local_ns)
    market.last_local_ns = local_ns
    market.row_delay_ns = local_ns - exch_ns
    news = step(market.news[0], tail & market.ring_mask)
    bids, asks = market.sides[0], market.sides[1]
    copy(news, row)
    news.bid_tick = bids.best_tick
    news.bid_lots = bids.lots[np.uint64(bids.best)]
    news.ask_tick = asks.best_tick
    news.ask_lots = asks.lots[np.uint64(asks.best)]
    news.event_ns = exch_ns
    news.recv_ns = local_ns
    if (row.kind & KIND) == FUNDING:
        market.paid[tail & market.ring_mask] = paid
    market.tail = tail + 1
    if tail == market.head:
        sim.news_ns[market.index] = local_ns
        sim.bound_ns = min(sim.bound_ns, local_ns + sim.entry_floor_ns)
        sim.limit_ns = min(sim.limit_ns, sim.bound_ns)
    return True


@njit(cache=True)
def act(sim: Any, first: Any, rows: Any, n: int, at: int) -> tuple[int, int]:
    """Act upon rows from ``at`` on while their time is not after ``limit_ns``: (the next row, a code).

    ``first`` is the first market, ``rows`` the first of ``n`` rows.
    """
    n_markets = sim.n_markets
    last_ns = sim.exch_ns
    code = OK
    while at < n:
        row = step(rows, at)
        ns = row.exch_ns
        if ns > sim.limit_ns:
            break
        m = row.market
        if ns < last_ns or m < 0 or m >= n_markets:
            code = BACKWARDS if ns < last_ns else BAD_ROW
            break
        market = step(first, m)
        kind = row.kind & KIND
        paid = 0.0
        # found before the kind is looked at, which cannot be foreseen: what a buyer takes from are the asks
        bids, asks = market.sides[0], market.sides[1]
        side, other = (bids, asks) if (row.side > 0) != (kind == TRADE) else (asks, bids)
        level = side.origin + side.sign * row.tick
        if kind == DEPTH:
            if level < 1 or level >= LEVELS:
                if matters(market, side, row.tick) and row.lots > 0:
                    code = RECENTRE
                    break
                market.outside += 1
            else:
                lots = row.lots
                prev = side.lots[level]
                side.lots[level] = lots
                if (side.own_mask >> np.uint64(level & 63)) & _ONE:
                    requeue(sim, market, side, level, prev, lots, seq_of(row))
                if (prev == 0) | (lots == 0) | (level > side.best):
                    turn(sim, market, side, other, level, prev, lots, ns)
            if seq_of(row) >= 0:
                market.last_seq = max(market.last_seq, seq_of(row))
        elif kind == TRADE:
            if side.own_best >= level:
                hit(sim, market, side, level, row.lots, ns)
        else:
            before = market.funding
            code = rare_row(sim, market, row)
            if code != OK:
                break
            paid = market.funding - before
        if ((row.kind & MORE) == 0 or kind >= TRADE) and not push(sim, market, row, paid):
            code = RING_FULL
            break
        last_ns = ns
        at += 1
    sim.exch_ns = last_ns
    return at, code
