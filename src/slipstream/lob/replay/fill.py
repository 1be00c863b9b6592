"""A fill at the exchange: position, cash, fee, the log, and what the market did afterwards (marks)."""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from slipstream.lob.replay import fee_tiers
from slipstream.lob.replay.hook import price
from slipstream.lob.replay.record import AS_TAKER, FILLS, NEVER
from slipstream.lob.replay.stride import step

ROOM = 1 << 13
"""A burst of rows ends when fewer fills than this fit in the log."""


@njit(cache=True)
def book_mid(sim: Any, market: Any) -> float:
    """The middle of the exchange's best prices, NaN while a side is empty."""
    bid, ask = market.sides[0].best_tick, market.sides[1].best_tick
    if bid < 0 or ask < 0:
        return math.nan
    return 0.5 * (price(sim, market.index, bid) + price(sim, market.index, ask))


@njit(cache=True)
def fill(sim: Any, market: Any, slot: int, tick: int, lots: int, why: int, ns: int, local_ns: int) -> float:
    """Book one fill and log it; the fee. What it did to cash is - side * price * size."""
    order = sim.orders[slot]
    px = price(sim, market.index, tick)
    notional = px * lots * market.grid.lot_size
    maker = why != AS_TAKER
    fee = fee_tiers.fee(market.fees, notional, fee_tiers.turnover(sim.volume, ns), maker)
    fee_tiers.count(sim.volume, ns, notional)
    order.book_left -= lots
    market.position += order.side * lots
    market.cash -= order.side * notional
    market.paid_fees += fee
    if sim.n_fills == FILLS:  # cannot be: the engine stops ROOM fills before
        return fee
    row = sim.fills[sim.n_fills]
    row.exch_ns = ns
    row.local_ns = local_ns
    row.placed_ns = order.placed_ns
    row.accepted_ns = order.accepted_ns if maker else ns
    row.market = market.index
    row.slot = slot
    row.order = order.id
    row.side = order.side
    row.tick = tick
    row.lots = lots
    row.left = order.book_left
    row.position = market.position
    row.bid_tick = market.sides[0].best_tick
    row.ask_tick = market.sides[1].best_tick
    row.price = px
    row.fee = fee
    row.queue_front = order.queue_front if maker else 0.0
    row.mid = book_mid(sim, market)
    row.maker = maker
    row.why = why
    for i in range(sim.n_horizons):
        sim.marks[sim.n_fills, i] = math.nan
        if sim.marked[i] == sim.n_fills:
            sim.mark_ns = min(sim.mark_ns, ns + sim.horizons[i])
    sim.n_fills += 1
    sim.limit_ns = min(sim.limit_ns, sim.mark_ns)
    if sim.n_fills > FILLS - ROOM:
        sim.limit_ns = -NEVER
    return fee


@njit(cache=True)
def mark_fills(sim: Any, first: Any) -> None:
    """Note the mid of fills that are as old as a horizon at ``mark_ns``, and when the next ones are."""
    now = sim.mark_ns
    following = NEVER
    for i in range(sim.n_horizons):
        at = sim.marked[i]
        while at < sim.n_fills and sim.fills[at].exch_ns + sim.horizons[i] <= now:
            sim.marks[at, i] = book_mid(sim, step(first, sim.fills[at].market))
            at += 1
        sim.marked[i] = at
        if at < sim.n_fills:
            following = min(following, sim.fills[at].exch_ns + sim.horizons[i])
    sim.mark_ns = following
