"""Small compiled strategies for sessions in a reactive market."""

from __future__ import annotations

from typing import Any

from slipstream.lob.replay.hook import (
    ALO,
    BUY,
    FEED,
    FREE,
    GTC,
    IOC,
    OPEN,
    SELL,
    START,
    TIMER,
    cancel,
    modify,
    place,
    strategy,
    wake,
)

SIZE, LIMIT = 0, 1  # params


@strategy
def quote(sim: Any) -> None:
    """Join the touch of market 0 on both sides, post-only, until the position is at the limit."""
    heard = sim.quotes[0]
    if sim.event != FEED or sim.market != 0 or heard.bid_tick < 0 or heard.ask_tick < 0:
        return
    size = int(sim.params[SIZE])
    for k in range(2):
        side = BUY if k == 0 else SELL
        tick = heard.bid_tick if k == 0 else heard.ask_tick
        slot = sim.imemory[k] - 1
        if slot < 0 or sim.orders[slot].state == FREE:
            if side * sim.position[0] < sim.params[LIMIT]:
                sim.imemory[k] = place(sim, 0, side, tick, size, ALO, False) + 1
        elif sim.orders[slot].state == OPEN and sim.orders[slot].tick != tick:
            modify(sim, slot, tick, size)


@strategy
def script(sim: Any) -> None:
    """Second by second: everything a venue may be asked for."""
    if sim.event == START:
        wake(sim, sim.now_ns + 1_000_000_000)
    if sim.event != TIMER:
        return
    sim.imemory[0] += 1
    wake(sim, sim.now_ns + 1_000_000_000)
    at = sim.imemory[0]
    bid = sim.quotes[0].bid_tick
    ask = sim.quotes[0].ask_tick
    if at == 1:
        place(sim, 0, BUY, ask, 5, ALO, False)  # would trade
    elif at == 2:
        place(sim, 0, SELL, ask, 5, GTC, True)  # nothing to reduce
    elif at == 3:
        place(sim, 0, BUY, -1, 50, IOC, False)  # takes
    elif at == 4:
        place(sim, 0, BUY, bid - 300, 5, IOC, False)  # meets nobody
    elif at == 5:
        sim.imemory[1] = place(sim, 0, SELL, ask + 300, 80, GTC, True)  # cut to the 50 there are
    elif at == 6:
        place(sim, 0, SELL, ask + 301, 10, GTC, True)  # nothing left to reduce
    elif at == 7:
        modify(sim, sim.imemory[1], ask + 310, 30)
    elif at == 8:
        place(sim, 0, SELL, -1, 30, IOC, False)  # the position is 20: the reduce-only order shrinks
    elif at == 9:
        cancel(sim, sim.imemory[1])
    elif at == 10:
        place(sim, 0, SELL, -1, 20, IOC, True)  # flat
    elif at == 11:
        sim.imemory[3] = place(sim, 0, BUY, bid - 300, 7, GTC, False)
    elif at == 12:
        place(sim, 0, SELL, bid - 300, 1_000_000, IOC, False)  # sweeps down to our own bid, which goes
    elif at == 13:
        place(sim, 1, BUY, 1, 5, GTC, False)  # the leading exchange is not for trading
