"""Makers: a ladder of levels around the price they believe in.

What they believe follows the value with a delay and an exponential lag; they act once a step. They pull what has become
stale, fill levels that have run thin, and trade with users' orders that their price has passed.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from slipstream.lob.depth import level_lots
from slipstream.lob.flow.background import pull_level, rest, take, trim_level
from slipstream.lob.flow.draws import normal, uniform
from slipstream.lob.flow.prices import fractional_tick
from slipstream.lob.flow.record import LATEST, MAKE, PULL
from slipstream.lob.flow.sizes import amount, lots
from slipstream.lob.matching import BUY, SELL, best_ask, best_bid

MOST = 64  # orders that fill a level, at most
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
def _fill_fine(book: Any, s: Any, side: int, tick: int, wanted: float, ns: int) -> None:
    """Let orders of the makers' own law come until they are so many lots; the one that would be more comes with the
    share of it that is missing, so that on average they are as many, and of the law's sizes.
    """
    left = wanted
    for k in range(MOST):
        size = lots(s, s.make_size, s.unit)
        if size > left:
            if uniform(s) * size >= left:
                if k > 0:
                    return
                size = max(1, int(left + 0.5))
            else:
                size = min(size, max(1, int(LARGEST * wanted)))
            left = 0.0
        s.counts[MAKE] += 1
        rest(book, s, side, tick, size, ns)
        left -= size
        if left <= 0.0:
            return


@njit(cache=True)
def _touch(book: Any, s: Any, side: int, tick: int) -> float:
    """The lots that makers keep at a side's best price: drawn when it changes, in part a squared normal number times
    the mean, since best prices can be thin often and hold very much now and then; what is above it, the latest leave.
    """
    place = 0 if side > 0 else 1
    if s.touch_tick[place] != tick:
        s.touch_tick[place] = tick
        z = normal(s)
        s.touch_lots[place] = (1.0 + s.touch_varies * (z * z - 1.0)) * s.touch / s.unit
        if level_lots(book, tick) > 0:
            trim_level(book, tick - book.base, s.touch_lots[place])
    return max(1.0, s.touch_lots[place])


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
            wanted = _touch(book, s, side, tick) if j == 0 and s.touch > 0.0 else full * shape
            if level_lots(book, tick) < wanted * (0.15 + 0.6 * uniform(s)):
                if j < s.fine:
                    _fill_fine(book, s, side, tick, wanted, ns)
                    continue
                parts = 1 + int(uniform(s) * s.parts)
                for _ in range(parts):
                    size = math.exp(sigma * normal(s) - 0.5 * sigma * sigma) * wanted / parts
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
    if s.spreads.points > 0:
        width = amount(s, s.spreads)
    else:
        width = s.spread * (1.0 + (0.6 * uniform(s) if uniform(s) < 0.2 else 0.0))
    if abs(here - s.centre) > 0.55 + 0.15 * s.spread:
        s.centre = here
    ticks = max(1, int(width + uniform(s)))
    s.bid = math.floor(s.centre - (ticks - 1) / 2.0)
    s.ask = s.bid + ticks
    _pull_stale(book, s, BUY, s.bid, s.ask, ns)
    _pull_stale(book, s, SELL, s.ask, s.bid, ns)
    fill_ladder(book, s, ns)
