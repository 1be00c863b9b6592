"""The engine: exchange and we, each as far as neither can have news for the other.

The exchange may act upon rows up to `bound_ns`: whatever we hear next, no request that follows from it arrives
before. We may hear what comes before `heard_until_ns`: nothing that the exchange still has to do is known here
earlier. So the two run in turns, in bursts as long as the delays allow, and what comes out is what one queue of all
events, merged by time, gives. At equal times: what was heard, answers, timers, samples; rows, then requests.
"""

from __future__ import annotations

from typing import Any

from numba import from_dtype, njit, types

from slipstream.lob.replay import fee_tiers
from slipstream.lob.replay.exchange import OK, act
from slipstream.lob.replay.fill import ROOM, book_mid, mark_fills
from slipstream.lob.replay.hook import cancel, modify, place, wake
from slipstream.lob.replay.local import be_answered, be_woken, hear, sample
from slipstream.lob.replay.orders import execute
from slipstream.lob.replay.record import ANSWERS, FILLS, MARKET_DTYPE, NEVER, SAMPLES, SENT, SIM_DTYPE, START
from slipstream.lob.replay.rows import L3_ROW_DTYPE, MORE, ROW_DTYPE
from slipstream.lob.replay.stride import step
from slipstream.lob.replay.wire import look_ahead, send

END, FILLS_FULL, SENT_FULL, SAMPLES_FULL = 0, 1, 2, 3
RING_FULL, RECENTRE, BAD_ROW, BACKWARDS = 4, 5, 6, 7
WOKE, REQUESTS_FULL, ANSWERS_FULL = 8, 9, 10
_GO_ON = -1


@njit(cache=True, forceinline=True)
def next_news(sim: Any) -> tuple[int, int]:
    """When the next row is heard, and of which market: the first of them at equal times."""
    at = 0
    ns = sim.news_ns[0]
    for m in range(1, sim.n_markets):
        if sim.news_ns[m] < ns:
            ns = sim.news_ns[m]
            at = m
    return ns, at


@njit(cache=True)
def exchange(sim: Any, first: Any, rows: Any, n: int) -> int:
    """Let the exchange do all that nothing we hear can change. ``first``: market; ``rows``: the first of n."""
    news_ns, _ = next_news(sim)
    first_ns = min(news_ns, sim.other_ns)
    sim.bound_ns = NEVER if first_ns == NEVER else first_ns + sim.entry_floor_ns
    while True:
        sim.limit_ns = min(sim.bound_ns, min(sim.arrival_ns, sim.mark_ns))
        if sim.n_fills > FILLS - ROOM:
            return FILLS_FULL
        if sim.answers_tail - sim.answers_head > ANSWERS - 1024:
            return ANSWERS_FULL
        at, code = act(sim, first, rows, n, sim.row)
        sim.rows_done += at - sim.row
        sim.row = at
        if code != OK:
            return code
        if at == n and sim.closing == 0:
            return END
        if sim.limit_ns == -NEVER:
            continue
        limit_ns = min(sim.bound_ns, min(sim.arrival_ns, sim.mark_ns))
        if limit_ns == NEVER:
            return _GO_ON
        if sim.mark_ns == limit_ns:
            if at == n:
                sim.mark_ns = NEVER
            else:
                mark_fills(sim, first)
        elif sim.arrival_ns == limit_ns and (limit_ns < sim.bound_ns or sim.blocks == 0):
            if sim.n_sent == SENT:
                return SENT_FULL
            execute(sim, first)
        else:
            return _GO_ON


@njit(cache=True)
def begin(sim: Any, row: Any) -> None:
    """The first row sets the clock."""
    sim.started = 1
    first_ns = row.exch_ns
    sim.now_ns = first_ns
    sim.event = START
    sim.more = 0
    fee_tiers.begin(sim.volume, first_ns)
    if sim.sample_ns > 0:
        sim.next_sample_ns = (first_ns // sim.sample_ns + 1) * sim.sample_ns
    look_ahead(sim)


@njit(cache=True, forceinline=True)
def asked(sim: Any, first: Any, hook: Any) -> int:
    """Ask the strategy, and send what it wants. A paused run asks its caller instead."""
    sim.wakes += 1
    if sim.pause != 0:
        return WOKE
    hook(sim)
    if sim.n_outbox > 0:
        return sent(sim, first)
    return _GO_ON


@njit(cache=True)
def sent(sim: Any, first: Any) -> int:
    """Send what the strategy asked for; we can hear until its first answer could come."""
    if not send(sim, first):
        return REQUESTS_FULL
    sim.heard_until_ns = min(sim.heard_until_ns, sim.arrival_ns + sim.response_floor_ns)
    return _GO_ON


@njit(cache=True)
def listen(sim: Any, first: Any, rows: Any, n: int, hook: Any) -> int:
    """Hear all that comes before anything the exchange has still to do."""
    row_ns = step(rows, sim.row).exch_ns if sim.row < n else NEVER
    exchange_ns = min(row_ns, sim.arrival_ns)
    sim.heard_until_ns = exchange_ns + sim.response_floor_ns if exchange_ns < NEVER else NEVER
    sim.row_ns = row_ns
    for m in range(sim.n_markets):
        if sim.news_ns[m] == NEVER:
            sim.heard_until_ns = min(sim.heard_until_ns, row_ns)
    moved = False
    news_ns, m = next_news(sim)
    while True:
        now_ns = min(news_ns, sim.other_ns)
        if now_ns >= sim.heard_until_ns and moved:
            return _GO_ON
        if row_ns == NEVER and news_ns == NEVER and sim.answer_ns == NEVER and sim.arrival_ns == NEVER:
            return END
        moved = True
        if news_ns == now_ns:
            kind = hear(sim, step(first, m), m)
            news_ns, m = next_news(sim)
            if kind & MORE:
                continue
        elif sim.answer_ns == now_ns:
            be_answered(sim)
        elif sim.timer_ns == now_ns:
            be_woken(sim)
        else:
            if sim.n_samples + sim.n_markets > SAMPLES:
                return SAMPLES_FULL
            sample(sim)
            continue
        sim.more = 1 if min(news_ns, sim.answer_ns) == sim.now_ns else 0
        code = asked(sim, first, hook)
        if code != _GO_ON:
            return code


@njit(cache=True)
def run(sims: Any, markets: Any, rows: Any, hook: Any) -> int:
    """Act upon a chunk of rows from `sim.row` on and ask ``hook`` about everything heard.

    END: the chunk is used up; call again with the next one and `row` 0, or with no rows and `closing` 1, which lets
    everything in flight arrive. Other codes: make room in a log, move a window of levels, or answer what woke a
    paused run (WOKE), and call again; BAD_ROW, BACKWARDS, RING_FULL, REQUESTS_FULL and ANSWERS_FULL are errors.
    """
    sim = sims[0]
    first = markets[0]
    n = len(rows)
    row = rows[0]  # of no rows: a place that is never looked at
    if sim.started == 0 and n > 0:
        begin(sim, row)
        code = asked(sim, first, hook)
        if code != _GO_ON:
            return code
    if sim.n_outbox > 0:  # of a paused run
        code = sent(sim, first)
        if code != _GO_ON:
            return code
    while True:
        code = exchange(sim, first, row, n)
        if code != _GO_ON:
            return code
        code = listen(sim, first, row, n, hook)
        if code != _GO_ON:
            return code


SIMS: Any = types.Array(from_dtype(SIM_DTYPE), 1, "C")
MARKET_ARRAY: Any = types.Array(from_dtype(MARKET_DTYPE), 1, "C")
ROWS: Any = types.Array(from_dtype(ROW_DTYPE), 1, "C", readonly=True)
L3_ROWS: Any = types.Array(from_dtype(L3_ROW_DTYPE), 1, "C", readonly=True)


@njit(cache=True)
def place_in(sims: Any, market: int, side: int, tick: int, lots: int, tif: int, reduce_only: bool) -> int:
    """`hook.place` for callers from Python, who hold the array around the record."""
    return place(sims[0], market, side, tick, lots, tif, reduce_only)


@njit(cache=True)
def cancel_in(sims: Any, slot: int) -> bool:
    """`hook.cancel` for callers from Python."""
    return cancel(sims[0], slot)


@njit(cache=True)
def modify_in(sims: Any, slot: int, tick: int, lots: int) -> bool:
    """`hook.modify` for callers from Python."""
    return modify(sims[0], slot, tick, lots)


@njit(cache=True)
def wake_in(sims: Any, at_ns: int) -> bool:
    """`hook.wake` for callers from Python."""
    return wake(sims[0], at_ns)


@njit(cache=True)
def mid_of(sims: Any, markets: Any, market: int) -> float:
    """The middle of a market's best prices at the exchange."""
    return book_mid(sims[0], markets[market])
