"""The naive maker that a clever one must beat: one quote on each side of the local mid, always the same width.

It looks at nothing but the mid and its inventory: it stops buying at its bound and stops selling at the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from slipstream.lob.replay import hook as replay

MARKETS = 32
INTERVAL, FIRST = 0, 8  # of params: least time between changes of a market's quotes, ns; the first market's terms
WORDS = 4  # of a market: half width (a fraction), lots of a quote, bound of the inventory in lots, tolerance in ticks
SLOTS = 4  # of imemory, a side of a market: slot + 1, id of its order; then when it was changed last
FEED, FREE, DONE, OPEN = replay.FEED, replay.FREE, replay.DONE, replay.OPEN
ALO = replay.ALO
_mid, _floor, _ceil = replay.mid, replay.floor_tick, replay.ceil_tick
_place, _cancel, _modify = replay.place, replay.cancel, replay.modify


@njit
def _rests(sim: Any, at: int) -> int:
    """The slot of our order of a side, or -1 if it is over."""
    slot = sim.imemory[at] - 1
    if slot < 0:
        return -1
    order = sim.orders[slot]
    if order.id != sim.imemory[at + 1] or order.state == FREE or order.state == DONE:
        sim.imemory[at] = 0
        return -1
    return int(slot)


@njit
def _quote(sim: Any, market: int, side: int, tick: int, terms: int) -> None:
    """One side: place, move or take away."""
    at = (2 * market + (0 if side > 0 else 1)) * SLOTS
    lots, bound = int(sim.params[terms + 1]), int(sim.params[terms + 2])
    slot = _rests(sim, at)
    if side * sim.position[market] + lots > bound:
        if slot >= 0:
            _cancel(sim, slot)
        return
    if slot < 0:
        slot = _place(sim, market, side, tick, lots, ALO, False)
        if slot >= 0:
            sim.imemory[at] = slot + 1
            sim.imemory[at + 1] = sim.orders[slot].id
        return
    order = sim.orders[slot]
    if order.state == OPEN and abs(order.tick - tick) > sim.params[terms + 3]:
        _modify(sim, slot, tick, lots)


@replay.strategy
def symmetric(sim: Any) -> None:
    """The hook."""
    if sim.event != FEED:
        return
    market = sim.market
    terms = FIRST + WORDS * market
    if sim.params[terms + 1] <= 0.0:
        return
    last = 2 * MARKETS * SLOTS + market
    if sim.now_ns < sim.imemory[last] + int(sim.params[INTERVAL]):
        return
    middle = _mid(sim, market)
    if not middle > 0.0:
        return
    sim.imemory[last] = sim.now_ns
    half = sim.params[terms]
    _quote(sim, market, 1, _floor(sim, market, middle * (1.0 - half)), terms)
    _quote(sim, market, -1, _ceil(sim, market, middle * (1.0 + half)), terms)


def params_of(
    quotes: dict[int, tuple[float, int, int]], *, interval_ns: int = 250_000_000, tolerance: int = 1
) -> npt.NDArray[np.float64]:
    """Parameters of the run: by market (half width as a fraction, lots of a quote, bound of the inventory in lots).

    Raises ValueError for terms that are none.
    """
    out = np.zeros(256, np.float64)
    out[INTERVAL] = interval_ns
    for market, (half, lots, bound) in quotes.items():
        if not (0 <= market < MARKETS and 0.0 < half < 0.5 and 0 < lots <= bound):
            raise ValueError(
                f"market {market}: half width {half}, {lots} lots, bound {bound}: a width in (0, 0.5) and 0 < lots <= "
                "bound are needed"
            )
        out[FIRST + WORDS * market : FIRST + WORDS * (market + 1)] = half, lots, bound, tolerance
    return out
