"""A strategy in reactive markets: the replay's own side, with books and flows where the replay has recorded rows.

Everything due is done one by one in the order of time. At equal times: what was heard, answers, timers, samples; then
the flow, funding, marks, requests that arrive. The strategy hears of a market what its public feed tells: trades, and
the best prices when they changed; of the leading exchange the best prices, which stand around the leader's value.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import from_dtype, njit, types

from slipstream.lob.depth import level_lots
from slipstream.lob.flow import advance, own_orders
from slipstream.lob.flow.record import FLOW_DTYPE
from slipstream.lob.matching import best_ask, best_bid
from slipstream.lob.replay.engine import (
    ANSWERS_FULL,
    END,
    FILLS_FULL,
    MARKET_ARRAY,
    REQUESTS_FULL,
    RING_FULL,
    SAMPLES_FULL,
    SENT_FULL,
    SIMS,
    WOKE,
    next_news,
)
from slipstream.lob.replay.exchange import push
from slipstream.lob.replay.fill import ROOM, mark_fills
from slipstream.lob.replay.hook import HOOK_TYPE, floor_tick, price
from slipstream.lob.replay.local import be_answered, be_woken, hear, sample
from slipstream.lob.replay.record import ANSWERS, FILLS, NEVER, REQUESTS, SAMPLES, SENT, START
from slipstream.lob.replay.rows import BEST, FUNDING, RATE_UNIT, ROW_DTYPE, TRADE
from slipstream.lob.replay.stride import step
from slipstream.lob.replay.wire import look_ahead, send

HOUR_NS = 3_600_000_000_000
MORE_FILLS = 1_000  # room that answers of one event may need
LINK_DTYPE = np.dtype(
    [
        ("market", np.int64),  # place of the book's market in the run
        ("anchor", np.int64),  # that of its leading exchange's, or -1
        ("anchor_lots", np.int64),  # shown at its best prices
        ("next_ns", np.int64),  # when the flow acts next
        ("funding_ns", np.int64),  # when funding is settled next
        ("funding_rate", np.float64),  # of an hour
        ("bid", np.int64),  # what was told last
        ("bid_lots", np.int64),
        ("ask", np.int64),
        ("ask_lots", np.int64),
        ("anchor_bid", np.int64),
    ]
)
"""How one book and flow are tied to the markets of a run."""


@njit(cache=True)
def _show(market: Any, k: int, tick: int, lots: int) -> None:
    """Let one side of the run's market show a best price: the rest of the replay reads it there."""
    side = market.sides[k]
    side.best_tick = tick
    side.best = 1 if tick >= 0 else 0
    side.lots[1] = lots


@njit(cache=True)
def _look(market: Any, book: Any) -> None:
    bid = best_bid(book)
    ask = best_ask(book)
    _show(market, 0, bid, level_lots(book, bid) if bid >= 0 else 0)
    _show(market, 1, ask, level_lots(book, ask) if ask >= 0 else 0)


@njit(cache=True)
def _send_row(sim: Any, market: Any, row: Any, kind: int, side: int, tick: int, lots: int, paid: float) -> bool:
    """Tell of something in public, as at `sim.exch_ns`."""
    row.exch_ns = sim.exch_ns
    row.local_ns = sim.exch_ns
    row.lots = lots
    row.tick = tick
    row.market = market.index
    row.kind = kind
    row.side = side
    return bool(push(sim, market, row, paid))


@njit(cache=True)
def _tell_trades(sim: Any, market: Any, book: Any, row: Any) -> bool:
    """The book's tape in public: an aggressor's lots at each price."""
    lots = 0
    for i in range(book.fill_count):
        match = book.fill_rows[i]
        lots += match[10]
        if i + 1 < book.fill_count:
            after = book.fill_rows[i + 1]
            if after[6] == match[6] and after[7] == match[7] and after[9] == match[9]:
                continue
        if not _send_row(sim, market, row, TRADE, match[8], match[9], lots, 0.0):
            return False
        lots = 0
    return True


@njit(cache=True)
def tell(sim: Any, first: Any, book: Any, link: Any, row: Any) -> bool:
    """Tell what just happened in a book, forget its tape, and note what its best prices are now."""
    market = step(first, link.market)
    if not _tell_trades(sim, market, book, row):
        return False
    book.fill_count = 0
    book.expired_count = 0
    bid, ask = market.sides[0], market.sides[1]
    if bid.best_tick == link.bid and bid.lots[1] == link.bid_lots:
        if ask.best_tick == link.ask and ask.lots[1] == link.ask_lots:
            return True
        changed = 1
    else:
        changed = 0
    link.bid, link.bid_lots = bid.best_tick, bid.lots[1]
    link.ask, link.ask_lots = ask.best_tick, ask.lots[1]
    side = market.sides[changed]
    return _send_row(sim, market, row, BEST, 1 - 2 * changed, max(side.best_tick, 0), side.lots[1], 0.0)


@njit(cache=True)
def _lead(sim: Any, first: Any, s: Any, link: Any, row: Any) -> bool:
    """Tell the leading exchange's best prices if they changed: one tick apart around the leader's value."""
    if link.anchor < 0:
        return True
    bid = floor_tick(sim, link.anchor, math.exp(s.value.leader))
    if bid == link.anchor_bid:
        return True
    link.anchor_bid = bid
    market = step(first, link.anchor)
    _show(market, 0, bid, link.anchor_lots)
    _show(market, 1, bid + 1, link.anchor_lots)
    return _send_row(sim, market, row, BEST, -1, bid + 1, link.anchor_lots, 0.0)


@njit(cache=True)
def _flow(sim: Any, first: Any, book: Any, s: Any, link: Any, row: Any) -> bool:
    """The next thing happens in a market."""
    stepped = s.steps
    sim.exch_ns = advance.happen(book, s)
    link.next_ns = advance.next_ns(s)
    market = step(first, link.market)
    _look(market, book)
    if book.fill_count > 0:
        own_orders.settle(sim, market, book, -1, 0, sim.exch_ns)
        _look(market, book)
    if not tell(sim, first, book, link, row):
        return False
    return stepped == s.steps or _lead(sim, first, s, link, row)


@njit(cache=True)
def _fund(sim: Any, first: Any, link: Any, row: Any) -> bool:
    """Settle an hour's funding at the middle of the market's best prices, or at the one there is."""
    sim.exch_ns = link.funding_ns
    link.funding_ns += HOUR_NS
    market = step(first, link.market)
    bid, ask = market.sides[0].best_tick, market.sides[1].best_tick
    if bid < 0 and ask < 0:
        return True
    tick = (bid + ask) // 2 if min(bid, ask) >= 0 else max(bid, ask)
    notional = market.position * market.grid.lot_size * price(sim, link.market, tick)
    paid = -notional * link.funding_rate
    market.funding += paid
    return _send_row(sim, market, row, FUNDING, 0, tick, round(link.funding_rate * RATE_UNIT), paid)


@njit(cache=True)
def _arrive(sim: Any, first: Any, book: Any, s: Any, link: Any, row: Any, tradable: bool) -> bool:
    """The first request that is due arrives; nobody trades on a leading exchange."""
    m = sim.requests[sim.requests_head & (REQUESTS - 1)].market
    market = step(first, m)
    own_orders.execute(sim, market, book, s, tradable)
    if not tradable:
        return True
    link.next_ns = advance.next_ns(s)
    _look(market, book)
    return bool(tell(sim, first, book, link, row))


@njit(cache=True)
def _begin(sim: Any, first: Any, book: Any, s: Any, link: Any, row: Any) -> bool:
    """One market starts where its flow stands; what its book shows is told at once."""
    sim.started = 1
    sim.now_ns = s.now
    sim.exch_ns = s.now
    if sim.sample_ns > 0:
        sim.next_sample_ns = (sim.now_ns // sim.sample_ns + 1) * sim.sample_ns
    look_ahead(sim)
    link.next_ns = advance.next_ns(s)
    link.funding_ns = (sim.now_ns // HOUR_NS + 1) * HOUR_NS
    link.bid = link.ask = link.anchor_bid = -1
    _look(step(first, link.market), book)
    sim.event = START
    sim.more = 0
    return bool(tell(sim, first, book, link, row) and _lead(sim, first, s, link, row))


@njit(cache=True)
def _hear(sim: Any, first: Any, news_ns: int, m: int) -> bool:
    """One thing on our side; whether the strategy is to be asked."""
    if news_ns <= sim.other_ns:
        hear(sim, step(first, m), m)
    elif sim.answer_ns == sim.other_ns:
        be_answered(sim)
    elif sim.timer_ns == sim.other_ns:
        be_woken(sim)
    else:
        sample(sim)
        return False
    due_ns, _ = next_news(sim)
    sim.more = 1 if min(due_ns, sim.answer_ns) == sim.now_ns else 0
    return True


@njit(cache=True)
def _full(sim: Any) -> int:
    """The log that must be emptied before anything else may happen, or END."""
    if sim.n_fills > FILLS - ROOM:
        return FILLS_FULL
    if sim.n_sent == SENT:
        return SENT_FULL
    if sim.n_samples + sim.n_markets > SAMPLES:
        return SAMPLES_FULL
    return ANSWERS_FULL if sim.answers_tail - sim.answers_head > ANSWERS - MORE_FILLS else END


@njit(cache=True)
def run(sims: Any, markets: Any, books: Any, flows: Any, links: Any, rows: Any, until_ns: int, hook: Any) -> int:
    """Let everything happen up to and including a time, and ask ``hook`` about everything heard.

    Codes are the replay's (`engine.run`). With `closing` 1 the flows stand still and what is in flight arrives.
    ``rows`` is one row to write in; link k is of market k.
    """
    sim = sims[0]
    first = markets[0]
    row = rows[0]
    asking = False
    if sim.started == 0:
        for k in range(len(links)):
            if not _begin(sim, first, books[k], flows[k], links[k], row):
                return RING_FULL
        asking = True
    while True:
        if asking:
            sim.wakes += 1
            if sim.pause != 0:
                return WOKE
            hook(sim)
            asking = False
        if sim.n_outbox > 0 and not send(sim, first):
            return REQUESTS_FULL
        code = _full(sim)
        if code != END:
            return code
        flow_ns, at, fund = NEVER, 0, False
        if sim.closing == 0:
            for k in range(len(links)):
                if links[k].next_ns < flow_ns:
                    flow_ns, at, fund = links[k].next_ns, k, False
                if links[k].funding_ns < flow_ns:
                    flow_ns, at, fund = links[k].funding_ns, k, True
        news_ns, m = next_news(sim)
        if sim.closing != 0 and min(min(news_ns, sim.answer_ns), sim.arrival_ns) == NEVER:
            return END
        heard_ns = min(news_ns, sim.other_ns)
        mark_ns = sim.mark_ns if sim.closing == 0 else NEVER
        exchange_ns = min(flow_ns, min(sim.arrival_ns, mark_ns))
        if min(heard_ns, exchange_ns) > until_ns:
            return END
        fine = True
        if heard_ns <= exchange_ns:
            asking = _hear(sim, first, news_ns, m)
        elif fund and flow_ns == exchange_ns:
            fine = _fund(sim, first, links[at], row)
        elif flow_ns == exchange_ns:
            sim.rows_done += 1
            fine = _flow(sim, first, books[at], flows[at], links[at], row)
        elif mark_ns == exchange_ns:
            mark_fills(sim, first)
        else:
            to = sim.requests[sim.requests_head & (REQUESTS - 1)].market
            k = min(to, len(links) - 1)  # markets with a book come first
            fine = _arrive(sim, first, books[k], flows[k], links[k], row, to < len(links))
        if not fine:
            return RING_FULL


_LINKS: Any = types.Array(from_dtype(LINK_DTYPE), 1, "C")
_FLOWS: Any = types.Array(from_dtype(FLOW_DTYPE), 1, "C")
_ROWS: Any = types.Array(from_dtype(ROW_DTYPE), 1, "C")


def compiled(book: np.dtype[Any]) -> Any:
    """`run` for books of a layout, compiled or read from the cache."""
    books = types.Array(from_dtype(book), 1, "C")
    return run.compile((SIMS, MARKET_ARRAY, books, _FLOWS, _LINKS, _ROWS, types.int64, HOOK_TYPE))
