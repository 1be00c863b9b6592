"""A strategy that does all there is to do, at random but by what it sees: one function for the engine and the oracle.

`trader` is given the hook's functions (compiled, or the oracle's) and returns the strategy. Its dice are a small
linear generator in `imemory[0]`; what it has heard goes into them, so that any difference in what the two tell it
shows in what it sends. The last orders it sent are remembered as (slot, id).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FIRST, REMEMBERED = 8, 6
"""Where the remembered orders are in `imemory`, and how many."""


def as_it_is(function: Any) -> Any:
    """How a plain strategy is made of plain functions."""
    return function


def trader(place: Any, cancel: Any, modify: Any, wake: Any, compiled: Any = as_it_is) -> Callable[[Any], None]:
    """The strategy; ``compiled`` is what compiles the functions it is made of.

    params: seed, activity (acts in so many of 100 cases), markets, longest pause of a timer in ns.
    """

    @compiled
    def roll(sim: Any, sides: int) -> int:
        sim.imemory[0] = (sim.imemory[0] * 16807 + 12345) % 2147483647
        return int((sim.imemory[0] >> 8) % sides)

    def act(sim: Any) -> None:
        if sim.event == 0:
            sim.imemory[0] = int(sim.params[0])
            for i in range(REMEMBERED):
                sim.imemory[FIRST + 2 * i] = -1
        m = roll(sim, int(sim.params[2]))
        quote = sim.quotes[m]
        heard = quote.bid_tick + 3 * quote.ask_lots + 7 * sim.position[m] + 11 * sim.outcome + 13 * sim.event
        sim.imemory[0] = (sim.imemory[0] + 1000 * abs(heard)) % 2147483647
        if roll(sim, 100) >= sim.params[1]:
            return
        which = roll(sim, REMEMBERED)
        slot = sim.imemory[FIRST + 2 * which]
        known = slot >= 0 and sim.orders[slot].state != 0 and sim.orders[slot].id == sim.imemory[FIRST + 2 * which + 1]
        base = quote.bid_tick if quote.bid_tick >= 0 else 100
        choice = roll(sim, 10)
        if choice < 5:
            side = 1 - 2 * roll(sim, 2)
            tif = roll(sim, 3)
            tick = base + roll(sim, 7) - 3
            if tif == 1 and roll(sim, 4) == 0:
                tick = -1
            slot = place(sim, m, side, tick, 1 + roll(sim, 6), tif, roll(sim, 4) == 0)
            if slot >= 0:
                sim.imemory[FIRST + 2 * which] = slot
                sim.imemory[FIRST + 2 * which + 1] = sim.orders[slot].id
        elif choice < 7:
            if known:
                cancel(sim, slot)
        elif choice < 9:
            if known:
                modify(sim, slot, base + roll(sim, 5) - 2, 1 + roll(sim, 6))
        else:
            wake(sim, sim.now_ns + roll(sim, int(sim.params[3]) + 1))

    return act
