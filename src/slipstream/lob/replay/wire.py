"""What is on its way between us and the exchange: requests there, answers back, both in order of arrival."""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from slipstream.lob.replay.delay import RECORDED, arrival
from slipstream.lob.replay.record import ALO, ANSWERS, CANCEL, NEVER, REQUESTS
from slipstream.lob.replay.stride import copy, step


@njit(cache=True)
def look_ahead(sim: Any) -> None:
    """The first of what wakes us besides rows."""
    sim.other_ns = min(min(sim.answer_ns, sim.timer_ns), sim.next_sample_ns)


@njit(cache=True)
def _before(a: Any, due_ns: int, rank: int) -> bool:
    return a.due_ns < due_ns or (a.due_ns == due_ns and a.rank <= rank)


@njit(cache=True)
def send(sim: Any, first: Any) -> bool:
    """Put what a strategy asked for on its way. False if a thousand requests are on their way already.

    A venue with blocks executes what arrives within one at its end: post-only orders first, then cancels, then other
    orders, each by arrival; a change goes where the new order would.
    """
    for i in range(sim.n_outbox):
        request = sim.outbox[i]
        market = step(first, request.market)
        if market.entry.kind == RECORDED:
            quote = sim.quotes[request.market]
            market.entry.recorded_ns = quote.recv_ns - quote.event_ns
        request.arrive_ns = arrival(market.entry, sim.delays, request.sent_ns)
        request.due_ns = request.arrive_ns
        request.rank = 0
        block = market.block_ns
        if block > 0:
            request.due_ns = -(-request.arrive_ns // block) * block
            if request.action == CANCEL:
                request.rank = 1
            elif request.tif != ALO:
                request.rank = 2
        tail = sim.requests_tail
        if tail - sim.requests_head == REQUESTS:
            return False
        at = tail
        while at > sim.requests_head:
            earlier = sim.requests[(at - 1) & (REQUESTS - 1)]
            if _before(earlier, request.due_ns, request.rank):
                break
            copy(sim.requests[at & (REQUESTS - 1)], earlier)
            at -= 1
        copy(sim.requests[at & (REQUESTS - 1)], request)
        sim.requests_tail = tail + 1
    sim.n_outbox = 0
    sim.arrival_ns = sim.requests[sim.requests_head & (REQUESTS - 1)].due_ns
    return True


@njit(cache=True)
def request_done(sim: Any) -> None:
    """The first request has been executed."""
    sim.requests_head += 1
    if sim.requests_head == sim.requests_tail:
        sim.requests_head = 0  # what is used stays near
        sim.requests_tail = 0
        sim.arrival_ns = NEVER
    else:
        sim.arrival_ns = sim.requests[sim.requests_head & (REQUESTS - 1)].due_ns


@njit(cache=True)
def note(sim: Any, request: Any, ns: int, local_ns: int, outcome: int) -> None:
    """Write down a request and what became of it."""
    order = sim.orders[request.slot]
    log = sim.sent[sim.n_sent]
    sim.n_sent += 1
    log.sent_ns = request.sent_ns
    log.arrive_ns = request.arrive_ns
    log.exch_ns = ns
    log.answer_ns = local_ns
    log.market = request.market
    log.slot = request.slot
    log.order = request.id
    log.action = request.action
    log.side = request.side
    log.tick = request.tick
    log.lots = request.lots
    log.queue_front = order.queue_front if order.resting != 0 and order.accepted_ns == ns else math.nan
    log.tif = request.tif
    log.reduce_only = request.reduce_only
    log.outcome = outcome


@njit(cache=True)
def answer_ns(sim: Any, market: Any, ns: int) -> int:
    """When an answer that the exchange gives now is known here."""
    if market.response.kind == RECORDED:
        market.response.recorded_ns = market.row_delay_ns
    return arrival(market.response, sim.delays, ns)


@njit(cache=True)
def answer(
    sim: Any,
    market: Any,
    slot: int,
    local_ns: int,
    outcome: int,
    action: int,
    tick: int,
    lots: int,
    left: int,
    paid: float,
    fee: float,
) -> None:
    """Tell what became of an order; ``action`` is that of the request this answers, or -1.

    Nothing that could follow from it happens at the exchange before ``bound_ns``: rows up to there can be acted upon.
    """
    at = sim.answers_tail
    while at > sim.answers_head and sim.answers[(at - 1) & (ANSWERS - 1)].local_ns > local_ns:
        earlier = sim.answers[(at - 1) & (ANSWERS - 1)]
        to = sim.answers[at & (ANSWERS - 1)]
        copy(to, earlier)
        at -= 1
    row = sim.answers[at & (ANSWERS - 1)]
    row.local_ns = local_ns
    row.slot = slot
    row.market = market.index
    row.outcome = outcome
    row.action = action
    row.side = sim.orders[slot].side
    row.tick = tick
    row.lots = lots
    row.left = left
    row.paid = paid
    row.fee = fee
    sim.answers_tail += 1
    sim.answer_ns = sim.answers[sim.answers_head & (ANSWERS - 1)].local_ns
    sim.other_ns = min(sim.other_ns, sim.answer_ns)
    sim.bound_ns = min(sim.bound_ns, local_ns + sim.entry_floor_ns)
    sim.limit_ns = min(sim.limit_ns, sim.bound_ns)
