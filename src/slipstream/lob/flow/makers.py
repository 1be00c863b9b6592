"""Makers: a ladder of levels around the price they believe in.

What they believe follows the value with a delay and an exponential lag; they act once a step. They pull what has become
stale, fill levels that have run thin, and trade with users' orders that their price has passed.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from slipstream.lob.depth import level_lots
from slipstream.lob.flow.background import pull_level, rest, take
from slipstream.lob.flow.draws import normal, uniform
from slipstream.lob.flow.prices import fractional_tick
from slipstream.lob.flow.record import LATEST, MAKE, PULL
from slipstream.lob.matching import BUY, SELL, best_ask, best_bid

LARGEST = 6.0  # one maker's order, in full levels: one outlier is not the depth of the market


@njit(cache=True)
def _pull_stale(book: Any, s: Any, side: int, quote: int, other: int, ns: int) -> None:
    """Clear a side of the background's orders better than ``quote``; take users' orders beyond the ``other`` quote."""
    while True:
        tick = best_bid(book) if side > 0 else best_ask(book)
        if tick < 0 or (tick - quote) * side <= 0:
            return
        s.counts[PULL] += 1
        stay = pull_level(book, tick - book.base)
        if stay > 0:
            if (tick - other) * side < 0:
                return  # a user improves the market: fine
            if take(book, s, -side, tick, stay, ns) < -2:
                return


@njit(cache=True)
def fill_ladder(book: Any, s: Any, ns: int) -> None:
    """Bring thin levels back to size, several orders each."""
    full = s.level_size / s.unit
    sigma = 1.0 + 0.2 * s.parts
    for j in range(s.ladder):
        shape = 0.55 + 0.45 * min(1.0, j / 4.0)
        for side in (BUY, SELL):
            tick = s.bid - j if side > 0 else s.ask + j
            if tick < 1:
                continue
            if level_lots(book, tick) < full * shape * (0.15 + 0.6 * uniform(s)):
                parts = 1 + int(uniform(s) * s.parts)
                for _ in range(parts):
                    size = math.exp(sigma * normal(s) - 0.5 * sigma * sigma) * full * shape / parts
                    size = min(size, LARGEST * full)
                    s.counts[MAKE] += 1
                    rest(book, s, side, tick, max(1, int(size + 0.5)), ns)


@njit(cache=True)
def believe(s: Any, dt: float) -> None:
    """Hear the value as it was some steps ago, and follow it."""
    s.past[s.steps % LATEST] = s.value.leader + s.value.basis
    heard = s.past[max(0, s.steps - s.delay_steps) % LATEST]
    s.steps += 1
    s.fair += (heard - s.fair) * (1.0 - math.exp(-dt / s.lag) if s.lag > 0.0 else 1.0)


@njit(cache=True)
def act(book: Any, s: Any, dt: float, ns: int) -> None:
    """One step of the makers."""
    believe(s, dt)
    px = math.exp(s.fair)
    s.unit = px * s.lot
    if s.ladder == 0:
        return
    here = fractional_tick(s, px)
    width = s.spread * (1.0 + (0.6 * uniform(s) if uniform(s) < 0.2 else 0.0))
    if abs(here - s.centre) > 0.55 + 0.15 * s.spread:
        s.centre = here
    ticks = max(1, int(width + uniform(s)))
    s.bid = math.floor(s.centre - (ticks - 1) / 2.0)
    s.ask = s.bid + ticks
    _pull_stale(book, s, BUY, s.bid, s.ask, ns)
    _pull_stale(book, s, SELL, s.ask, s.bid, ns)
    fill_ladder(book, s, ns)
