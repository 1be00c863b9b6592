"""Background order flow of one coin, compiled: it rests, moves and takes real orders in the matching engine.

A local fair price follows the leading exchange's price (plus the basis) with an exponential lag, so that the leader
leads by about that lag. Around it, owner-0 makers keep a ladder of levels: they pull what has become stale, fill levels
that have run thin and trade against users' orders that the fair price has passed. Market orders arrive as a
self-exciting Poisson process, log-normal in USD, tilted towards the side the leader is moving to.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from slipstream.lob.depth import level_lots
from slipstream.lob.matching import BUY, GTC, IOC, SELL, best_ask, best_bid, cancel, place
from slipstream.model import grid

price_of_tick = njit(cache=True)(grid.price_of_tick)
tick_of_units = njit(cache=True)(grid.tick_of_units)
units_of_tick = njit(cache=True)(grid.units_of_tick)

LADDER = 24  # levels kept on each side
TAG = 1_000_000_000_000_000  # background order ids start here
COARSE = 0.25  # seconds; after longer steps makers refill what was taken in them
MAX_ORDERS = 40  # market orders in one step
MAX_FLICKERS = 4  # small orders coming or going in one step
KEPT = 3000  # background orders at most; one more replaces another at random

FLOW_DTYPE = np.dtype(
    [
        ("rng", np.uint64),
        ("y", np.float64),  # log of the local fair price
        ("centre", np.float64),  # fractional tick the ladder stands on
        ("excite", np.float64),
        ("last_side", np.int64),
        ("tag", np.int64),
        ("kept", np.int64),
        ("handles", np.int64, (KEPT,)),
        ("decimals", np.int64),
        ("lot", np.float64),
        ("order_rate", np.float64),  # market orders a second
        ("order_mu", np.float64),  # log USD
        ("order_sigma", np.float64),
        ("order_cap", np.float64),  # USD
        ("level_usd", np.float64),
        ("parts", np.float64),  # orders that fill a thin level, at most
        ("spread_ticks", np.float64),
        ("touch_rate", np.float64),  # small orders coming and going at the touch, a second
        ("touch_usd", np.float64),  # median of those
        ("lag", np.float64),  # seconds
    ]
)


@njit(cache=True)
def uniform(s: Any) -> float:
    """The next number in (0, 1) of the coin's own stream (splitmix64)."""
    s.rng += np.uint64(0x9E3779B97F4A7C15)
    z = s.rng
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(11)) + 0.5) / 9007199254740992.0


@njit(cache=True)
def normal(s: Any) -> float:
    """A standard normal number."""
    return math.sqrt(-2.0 * math.log(uniform(s))) * math.cos(2.0 * math.pi * uniform(s))


@njit(cache=True)
def poisson(s: Any, mean: float) -> int:
    """A Poisson number (by multiplication; a normal approximation above 30)."""
    if mean > 30.0:
        return max(0, int(mean + math.sqrt(mean) * normal(s) + 0.5))
    limit = math.exp(-mean)
    k = 0
    p = uniform(s)
    while p > limit:
        k += 1
        p *= uniform(s)
    return k


@njit(cache=True)
def fractional_tick(px: float, decimals: int) -> float:
    """The place of any price on the grid, between ticks too."""
    units = px * 10.0**decimals
    tick = tick_of_units(int(units), decimals)
    low = units_of_tick(tick, decimals)
    return tick + (units - low) / (units_of_tick(tick + 1, decimals) - low)


@njit(cache=True)
def _lots(s: Any, usd: float, px: float) -> int:
    return max(1, int(usd / px / s.lot + 0.5))


@njit(cache=True)
def _rest(book: Any, s: Any, side: int, tick: int, lots: int, ns: int) -> None:
    """Place a background order and remember it; at the limit it takes the place of another."""
    s.tag += 1
    handle = place(book, s.tag, 0, side, tick, lots, GTC, ns)
    if handle < 0:
        return
    if s.kept < KEPT:
        s.handles[s.kept] = handle
        s.kept += 1
    else:
        i = int(uniform(s) * KEPT)
        cancel(book, s.handles[i])
        s.handles[i] = handle


@njit(cache=True)
def _pull_level(book: Any, level: int) -> int:
    """Cancel the background's orders at a level; the users' lots that stay."""
    slot = book.level_head[level]
    stay = 0
    while slot != 0:
        after = book.slots[slot].next
        if book.slots[slot].owner == 0:
            cancel(book, (book.slots[slot].generation << 32) | slot)
        else:
            stay += book.slots[slot].lots
        slot = after
    return stay


@njit(cache=True)
def _pull_stale(book: Any, s: Any, bid: int, ask: int, ns: int) -> None:
    """Clear background orders inside the new market; take users' orders that the fair price has passed."""
    while True:
        tick = best_bid(book)
        if tick < 0 or tick <= bid:
            break
        stay = _pull_level(book, tick - book.base)
        if stay > 0:
            if tick < ask:
                break  # a user improves the market: fine
            s.tag += 1
            if place(book, s.tag, 0, SELL, tick, stay, IOC, ns) < -2:
                break
    while True:
        tick = best_ask(book)
        if tick < 0 or tick >= ask:
            break
        stay = _pull_level(book, tick - book.base)
        if stay > 0:
            if tick > bid:
                break
            s.tag += 1
            if place(book, s.tag, 0, BUY, tick, stay, IOC, ns) < -2:
                break


@njit(cache=True)
def _fill_ladder(book: Any, s: Any, bid: int, ask: int, px: float, ns: int) -> None:
    """Bring thin levels back to size, several orders each."""
    full = s.level_usd / px / s.lot
    sigma = 1.0 + 0.2 * s.parts
    for j in range(LADDER):
        shape = 0.55 + 0.45 * min(1.0, j / 4.0)
        for side in (BUY, SELL):
            tick = bid - j if side > 0 else ask + j
            if tick < 1:
                continue
            if level_lots(book, tick) < full * shape * (0.15 + 0.6 * uniform(s)):
                parts = 1 + int(uniform(s) * s.parts)
                for _ in range(parts):
                    size = math.exp(sigma * normal(s) - 0.5 * sigma * sigma) * full * shape / parts
                    _rest(book, s, side, tick, max(1, int(size + 0.5)), ns)


@njit(cache=True)
def _flicker(book: Any, s: Any, bid: int, ask: int, px: float, ns: int) -> None:
    """One small order comes to the touch, or one remembered order goes."""
    if uniform(s) < 0.5 and s.kept > 0:
        i = int(uniform(s) * s.kept)
        cancel(book, s.handles[i])
        s.kept -= 1
        s.handles[i] = s.handles[s.kept]
        return
    side = BUY if uniform(s) < 0.5 else SELL
    usd = s.touch_usd * math.exp(1.2 * normal(s))
    _rest(book, s, side, bid if side > 0 else ask, _lots(s, usd, px), ns)


@njit(cache=True)
def _take(book: Any, s: Any, bid: int, ask: int, px: float, pull: float, ns: int) -> None:
    """One market order."""
    tilt = 0.5 + 0.3 * max(-1.0, min(1.0, pull / 2e-4)) + 0.12 * s.last_side
    side = BUY if uniform(s) < tilt else SELL
    s.last_side = side
    s.excite += 0.35
    usd = min(s.order_cap, math.exp(s.order_mu + s.order_sigma * normal(s)))
    s.tag += 1
    limit = ask + LADDER - 2 if side > 0 else max(1, bid - LADDER + 2)
    place(book, s.tag, 0, side, limit, _lots(s, usd, px), IOC, ns)


@njit(cache=True)
def advance(books: Any, flows: Any, leader: Any, basis: Any, t0: int, step_ns: int) -> None:
    """Let one coin's background act over ``len(leader)`` steps of ``step_ns``.

    ``leader`` is the log price of the leading exchange and ``basis`` the local log premium over it at each step's end.
    Market orders stay away while the book's fill ring is nearly full: the caller drains it after every call.
    """
    book = books[0]
    s = flows[0]
    dt = step_ns / 1e9
    follow = 1.0 - math.exp(-dt / s.lag)
    calm = math.exp(-dt / 1.5)
    for k in range(len(leader)):
        start = t0 + k * step_ns
        pull = leader[k] + basis[k] - s.y
        s.y += pull * follow
        px = math.exp(s.y)
        here = fractional_tick(px, s.decimals)
        width = s.spread_ticks * (1.0 + (0.6 * uniform(s) if uniform(s) < 0.2 else 0.0))
        if abs(here - s.centre) > 0.55 + 0.15 * s.spread_ticks:
            s.centre = here
        ticks = max(1, int(width + uniform(s)))
        bid = math.floor(s.centre - (ticks - 1) / 2.0)
        ask = bid + ticks
        _pull_stale(book, s, bid, ask, start)
        _fill_ladder(book, s, bid, ask, px, start)
        s.excite *= calm
        takes = min(MAX_ORDERS, poisson(s, s.order_rate * (1.0 + s.excite) * dt))
        if book.fill_count * 4 > book.n_ring * 3:
            takes = 0
        flickers = min(MAX_FLICKERS, poisson(s, s.touch_rate * dt))
        for i in range(takes + flickers):
            ns = start + int((i + uniform(s)) / (takes + flickers) * step_ns)
            if uniform(s) * (takes + flickers) < takes:
                _take(book, s, bid, ask, px, pull, ns)
            else:
                _flicker(book, s, bid, ask, px, ns)
        if dt > COARSE:
            _fill_ladder(book, s, bid, ask, px, start + step_ns)
