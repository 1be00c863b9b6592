"""Our side of a replay: what was heard becomes what is known, and then a strategy is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from slipstream.lob.replay.hook import mid
from slipstream.lob.replay.record import (
    ANSWERS,
    BAD_REQUEST,
    CANCELLED,
    DONE,
    EXPIRED,
    FEED,
    FILLED,
    FREE,
    MODIFIED,
    NEVER,
    NO_LIQUIDITY,
    NOT_REDUCING,
    OPEN,
    ORDERS,
    PENDING,
    REDUCE_CANCELLED,
    RESPONSE,
    TIMER,
    TOO_LATE,
    WOULD_TRADE,
)
from slipstream.lob.replay.rows import FUNDING, KIND, TRADE
from slipstream.lob.replay.stride import copy, step
from slipstream.lob.replay.wire import look_ahead

_OVER = sum(
    1 << outcome
    for outcome in (
        FILLED,
        CANCELLED,
        EXPIRED,
        NO_LIQUIDITY,
        WOULD_TRADE,
        NOT_REDUCING,
        BAD_REQUEST,
        REDUCE_CANCELLED,
    )
)
"""The outcomes after which an order is no more, as bits."""


@njit(cache=True, forceinline=True)
def hear(sim: Any, market: Any, m: int) -> int:
    """The next row of a market is heard: its kind, MORE included."""
    head = market.head
    mask = market.ring_mask
    news = step(market.news[0], head & mask)
    head += 1
    market.head = head
    following = step(market.news[0], head & mask).recv_ns
    if head == market.tail:
        following = NEVER
        sim.heard_until_ns = min(sim.heard_until_ns, sim.row_ns)  # whose row is still to come
    sim.news_ns[np.uint64(m)] = following
    quote = step(sim.quotes[0], m)
    kind = news.kind
    name = kind & KIND
    copy(quote, news)
    copy(sim, news)
    sim.now_ns = news.recv_ns
    sim.event = FEED
    sim.kind = name
    if name == TRADE:
        quote.trade_tick = news.tick
        quote.trade_lots = news.lots
        quote.trade_side = news.side
    elif name == FUNDING:
        paid = market.paid[(head - 1) & mask]
        sim.cash += paid
        sim.known_funding[m] += paid
    return kind


@njit(cache=True)
def be_answered(sim: Any) -> None:
    """The next answer of the exchange is known here."""
    row = sim.answers[sim.answers_head & (ANSWERS - 1)]
    sim.answers_head += 1
    if sim.answers_head != sim.answers_tail:
        sim.answer_ns = sim.answers[sim.answers_head & (ANSWERS - 1)].local_ns
    else:
        sim.answers_head = 0  # what is used stays near
        sim.answers_tail = 0
        sim.answer_ns = NEVER
    slot, m, outcome = row.slot, row.market, row.outcome
    order = sim.orders[slot]
    sim.now_ns = row.local_ns
    sim.event = RESPONSE
    sim.market = m
    sim.side = order.side
    sim.slot = slot
    sim.outcome = outcome
    sim.tick = row.tick
    sim.lots = row.lots
    sim.left = row.left
    sim.position[m] += order.side * row.lots
    sim.cash += row.paid - row.fee
    sim.known_cash[m] += row.paid
    sim.known_fees[m] += row.fee
    if row.action >= 0:
        order.in_flight -= 1
    _settle(sim, slot, outcome, row.tick, row.left)
    look_ahead(sim)


@njit(cache=True)
def _settle(sim: Any, slot: int, outcome: int, tick: int, left: int) -> None:
    """What an outcome makes of an order as known here; its slot is free again when no answer can come any more."""
    order = sim.orders[slot]
    if (_OVER >> outcome) & 1:
        order.state = DONE
        order.left = left
    elif outcome != TOO_LATE:
        order.left = left
        if outcome == MODIFIED:
            order.tick = tick
        if order.in_flight == 0:
            order.state = OPEN
    if order.state == DONE and order.in_flight == 0:
        order.state = FREE
        sim.free[(sim.free_head + sim.n_free) & (ORDERS - 1)] = slot
        sim.n_free += 1


@njit(cache=True)
def be_woken(sim: Any) -> None:
    """A time that the strategy asked for has come."""
    sim.now_ns = sim.timer_ns
    sim.event = TIMER
    sim.n_timers -= 1
    sim.timer_ns = sim.timers[sim.n_timers - 1] if sim.n_timers > 0 else NEVER
    look_ahead(sim)


@njit(cache=True)
def sample(sim: Any) -> None:
    """Write down what is known here of every market, at `next_sample_ns`."""
    for m in range(sim.n_markets):
        row = sim.samples[sim.n_samples]
        sim.n_samples += 1
        quote = sim.quotes[m]
        row.ns = sim.next_sample_ns
        row.market = m
        row.bid_tick = quote.bid_tick
        row.ask_tick = quote.ask_tick
        row.own_bid_tick = -1
        row.own_ask_tick = -1
        row.own_bid_lots = 0
        row.own_ask_lots = 0
        row.position = sim.position[m]
        row.mid = mid(sim, m)
        row.cash = sim.known_cash[m]
        row.fees = sim.known_fees[m]
        row.funding = sim.known_funding[m]
        _own_best(sim, row, m)
    sim.next_sample_ns += sim.sample_ns
    look_ahead(sim)


@njit(cache=True)
def _own_best(sim: Any, row: Any, m: int) -> None:
    """The best prices of our own that are out, and the lots there."""
    for slot in range(ORDERS):
        order = sim.orders[slot]
        if order.market != m or order.state == FREE or order.state == PENDING or order.state == DONE:
            continue
        if order.side > 0:
            if order.tick > row.own_bid_tick:
                row.own_bid_tick = order.tick
                row.own_bid_lots = 0
            if order.tick == row.own_bid_tick:
                row.own_bid_lots += order.left
        else:
            if row.own_ask_tick < 0 or order.tick < row.own_ask_tick:
                row.own_ask_tick = order.tick
                row.own_ask_lots = 0
            if order.tick == row.own_ask_tick:
                row.own_ask_lots += order.left
