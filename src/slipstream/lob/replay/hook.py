"""What a compiled strategy may do: a function of the run's record that places, cancels and changes orders.

    @strategy
    def quote(sim):
        if sim.event == FEED and sim.quotes[0].bid_tick >= 0:
            place(sim, 0, BUY, sim.quotes[0].bid_tick, 10, ALO, False)

A strategy is compiled for one signature and known by its address: the engine is compiled once for all of them, and
both come from the cache on disk. What it may read is said in `slipstream.lob.replay.record`; it may write to `memory`
and `imemory` only. Nothing here raises: what cannot be done returns -1 or False.

Everything due at one instant is heard one after the other. While `sim.more` is not 0 something else is due at
`now_ns`: who wants to decide once an instant waits for the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numba import njit, types
from numba.extending import register_jitable

from slipstream.lob.replay.record import (
    ACCEPTED,
    ALO,
    AS_TAKER,
    BAD_REQUEST,
    BY_CROSS,
    BY_PRICE,
    BY_QUEUE,
    CANCEL,
    CANCELLED,
    CANCELLING,
    DONE,
    EXPIRED,
    FEED,
    FILLED,
    FREE,
    GTC,
    IOC,
    MODIFIED,
    MODIFY,
    MODIFYING,
    NEW,
    NO_LIQUIDITY,
    NOT_REDUCING,
    OPEN,
    ORDERS,
    PART_FILLED,
    PENDING,
    REDUCE_CANCELLED,
    REQUESTS,
    RESPONSE,
    SIM,
    START,
    TIMER,
    TIMERS,
    TOO_LATE,
    WOULD_TRADE,
)
from slipstream.model import grid

__all__ = [
    "ACCEPTED",
    "ALO",
    "AS_TAKER",
    "BAD_REQUEST",
    "BUY",
    "BY_CROSS",
    "BY_PRICE",
    "BY_QUEUE",
    "CANCELLED",
    "CANCELLING",
    "DONE",
    "EXPIRED",
    "FEED",
    "FILLED",
    "FREE",
    "GTC",
    "HOOK_SIGNATURE",
    "IOC",
    "MODIFIED",
    "MODIFYING",
    "NOT_REDUCING",
    "NO_LIQUIDITY",
    "OPEN",
    "ORDERS",
    "PART_FILLED",
    "PENDING",
    "REDUCE_CANCELLED",
    "RESPONSE",
    "SELL",
    "SIM",
    "START",
    "TIMER",
    "TOO_LATE",
    "WOULD_TRADE",
    "cancel",
    "ceil_tick",
    "floor_tick",
    "idle",
    "mid",
    "modify",
    "place",
    "price",
    "strategy",
    "wake",
]

BUY, SELL = 1, -1
HOOK_SIGNATURE = types.void(SIM)
HOOK_TYPE = types.FunctionType(HOOK_SIGNATURE)
for _function in (grid.tick_of_units, grid.units_of_tick, grid.price_of_tick, grid.floor_tick, grid.ceil_tick):
    register_jitable(_function)


def strategy(function: Callable[[Any], None]) -> Any:
    """Compile a function of the run's record for `HOOK_SIGNATURE`, with a cache on disk."""
    return njit(HOOK_SIGNATURE, cache=True)(function)


@strategy
def idle(sim: Any) -> None:
    """The strategy that does nothing."""


@njit(cache=True)
def place(sim: Any, market: int, side: int, tick: int, lots: int, tif: int, reduce_only: bool) -> int:
    """Send an order: its slot, or -1 if 256 are out or the arguments are none. It is PENDING until answered.

    A tick of -1 with IOC is a market order. The slot of an order that is over stays as it is until 16 others have been
    freed after it; `orders[slot].id` tells whose it is.
    """
    if (
        (sim.n_free == 0 and sim.n_fresh == ORDERS)
        or sim.n_outbox == REQUESTS
        or market < 0
        or market >= sim.n_markets
        or lots <= 0
    ):
        return -1
    if (side != 1 and side != -1) or tif < 0 or tif > 2 or tick < -1 or (tick == -1 and tif != IOC):
        return -1
    slot = _free_slot(sim)
    order = sim.orders[slot]
    order.id = sim.next_id
    sim.next_id += 1
    order.market = market
    order.side = side
    order.tick = tick
    order.lots = lots
    order.left = lots
    order.tif = tif
    order.reduce_only = 1 if reduce_only else 0
    order.state = PENDING
    order.placed_ns = sim.now_ns
    order.in_flight = 0
    order.resting = 0
    _post(sim, slot, NEW, tick, lots)
    return slot


@njit(cache=True)
def _free_slot(sim: Any) -> int:
    """The slot that has been free for longest. Few are used at first: what is used stays near."""
    if sim.n_free == 0:
        sim.n_fresh += 1
        return int(sim.n_fresh - 1)
    slot = sim.free[sim.free_head & (ORDERS - 1)]
    sim.free_head += 1
    sim.n_free -= 1
    return int(slot)


@njit(cache=True)
def cancel(sim: Any, slot: int) -> bool:
    """Ask for an order's end. False unless it is OPEN: while one request is on its way no second one is sent."""
    if slot < 0 or slot >= ORDERS or sim.n_outbox == REQUESTS or sim.orders[slot].state != OPEN:
        return False
    sim.orders[slot].state = CANCELLING
    _post(sim, slot, CANCEL, sim.orders[slot].tick, sim.orders[slot].left)
    return True


@njit(cache=True)
def modify(sim: Any, slot: int, tick: int, lots: int) -> bool:
    """Ask for another price or size (lots left). Only an OPEN order can be asked for; one that is smaller at the same
    price keeps its place in the queue.
    """
    if slot < 0 or slot >= ORDERS or sim.n_outbox == REQUESTS or tick < 0 or lots <= 0:
        return False
    if sim.orders[slot].state != OPEN:
        return False
    sim.orders[slot].state = MODIFYING
    _post(sim, slot, MODIFY, tick, lots)
    return True


@njit(cache=True)
def _post(sim: Any, slot: int, action: int, tick: int, lots: int) -> None:
    order = sim.orders[slot]
    order.in_flight += 1
    request = sim.outbox[sim.n_outbox]
    sim.n_outbox += 1
    request.action = action
    request.slot = slot
    request.id = order.id
    request.market = order.market
    request.side = order.side
    request.tick = tick
    request.lots = lots
    request.tif = order.tif
    request.reduce_only = order.reduce_only
    request.sent_ns = sim.now_ns


@njit(cache=True)
def wake(sim: Any, at_ns: int) -> bool:
    """Ask to be woken (TIMER) at a time, at once if it has passed. False if 64 other times are waited for."""
    at_ns = max(at_ns, sim.now_ns)
    n = sim.n_timers
    place_at = n
    while place_at > 0 and sim.timers[place_at - 1] < at_ns:
        place_at -= 1
    if place_at > 0 and sim.timers[place_at - 1] == at_ns:
        return True
    if n == TIMERS:
        return False
    for i in range(n, place_at, -1):
        sim.timers[i] = sim.timers[i - 1]
    sim.timers[place_at] = at_ns
    sim.n_timers = n + 1
    sim.timer_ns = sim.timers[n]
    sim.other_ns = min(sim.other_ns, sim.timer_ns)
    return True


@njit(cache=True)
def price(sim: Any, market: int, tick: int) -> float:
    """The price of a tick in quote currency."""
    terms = sim.grids[market]
    if terms.decimals < 0:
        return float(tick * terms.tick_size)
    return float(grid.price_of_tick(tick, terms.decimals))


@njit(cache=True)
def floor_tick(sim: Any, market: int, px: float) -> int:
    """The tick of the highest legal price at or below ``px``."""
    terms = sim.grids[market]
    if terms.decimals < 0:
        return math.floor(px / terms.tick_size + 1e-9)
    return int(grid.floor_tick(px, terms.decimals))


@njit(cache=True)
def ceil_tick(sim: Any, market: int, px: float) -> int:
    """The tick of the lowest legal price at or above ``px``."""
    terms = sim.grids[market]
    if terms.decimals < 0:
        return math.ceil(px / terms.tick_size - 1e-9)
    return int(grid.ceil_tick(px, terms.decimals))


@njit(cache=True)
def mid(sim: Any, market: int) -> float:
    """The middle of the best prices heard, or NaN while a side is empty."""
    quote = sim.quotes[market]
    if quote.bid_tick < 0 or quote.ask_tick < 0:
        return math.nan
    return 0.5 * (price(sim, market, quote.bid_tick) + price(sim, market, quote.ask_tick))
