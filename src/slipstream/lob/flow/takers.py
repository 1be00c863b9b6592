"""Those who take: uninformed market orders, and informed ones that know what the coin is worth.

An informed taker trades only where the book is wrong: where the best price is better than the value by more than the
cost. It sweeps up to where that ends. The leader moves first, makers follow late, so it is stale quotes it finds.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from slipstream.lob.flow.background import take
from slipstream.lob.flow.draws import uniform
from slipstream.lob.flow.learning import learn, taken_since
from slipstream.lob.flow.prices import fractional_tick, price
from slipstream.lob.flow.record import INFORMED, TAKE
from slipstream.lob.flow.sizes import lots
from slipstream.lob.matching import BUY, SELL, best_ask, best_bid, extreme_tick


@njit(cache=True)
def informed_order(book: Any, s: Any, ns: int) -> None:
    """Take what is offered below the value, or bid above it, costs deducted; nothing where nothing is."""
    value = s.value.leader + s.value.basis
    ask = best_ask(book)
    bid = best_bid(book)
    if ask >= 0 and value - s.cost > math.log(price(s, ask)):
        limit = math.floor(fractional_tick(s, math.exp(value - s.cost)))
        s.counts[INFORMED] += 1
        take(book, s, BUY, max(ask, limit), lots(s, s.take_size, s.unit), ns)
    elif bid >= 0 and value + s.cost < math.log(price(s, bid)):
        limit = math.ceil(fractional_tick(s, math.exp(value + s.cost)))
        s.counts[INFORMED] += 1
        take(book, s, SELL, min(bid, limit), lots(s, s.sell_size, s.unit), ns)


@njit(cache=True)
def market_order(book: Any, s: Any, side: int, ns: int) -> None:
    """One taker of a side comes: it may know the value, or lean to where the leader goes."""
    if book.fill_count * 4 > book.n_ring * 3:
        return  # takers stay away while the book's tape is nearly full: its reader is slow
    if s.informed > 0.0 and uniform(s) < s.informed:
        informed_order(book, s, ns)
        return
    if s.tilt > 0.0:
        pull = (s.value.leader + s.value.basis - s.fair) / s.tilt_scale
        if uniform(s) < s.tilt * min(1.0, abs(pull)):
            side = BUY if pull > 0.0 else SELL
    best = best_ask(book) if side > 0 else best_bid(book)
    if best < 0:
        return
    limit = extreme_tick(book, side) if s.take_reach == 0 else max(1, best + side * s.take_reach)
    s.counts[TAKE] += 1
    before = book.fill_count
    size = lots(s, s.take_size, s.unit) if side > 0 else lots(s, s.sell_size, s.unit)
    take(book, s, side, limit, size, ns)
    learn(s, side, taken_since(book, before))
