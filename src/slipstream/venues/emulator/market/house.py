"""The house of a replay, compiled: owner-0 orders that keep a book as it was recorded, around users' orders.

- A recorded state makes the house's lots at a price equal to the recorded size: more joins at the back of the queue,
  less is taken from the back. Users' orders keep their places. House orders better than the recorded best, or at a
  price the recording shows as empty, go. What lies beyond the recorded levels stays as last seen.
- A recorded trade executes first come, first served up to its price. House orders better than that price were gone
  when it happened and are taken out; what the level lacks joins at the back before it, so the whole trade is made.
  A side that a trade leaves without any order keeps the trade's size one tick beyond until the next recorded state.
- House orders that meet a user's order on the other side trade with it, at the user's price, before they rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from slipstream.lob.bits import next_down, next_up
from slipstream.lob.depth import lots_through
from slipstream.lob.matching import BUY, GTC, IOC, SELL, cancel, place, reduce

TRADE, BEST, STATE = 0, 1, 2  # kinds of events, in the order they take within one millisecond
HOUSE_DTYPE = np.dtype([("tag", np.int64), ("lost", np.int64)])


@njit(cache=True)
def _trim(book: Any, level: int, lots: int) -> None:
    """Take up to ``lots`` of the house from the back of a level."""
    slot = book.level_tail[level]
    while slot != 0 and lots > 0:
        before = book.slots[slot].prev
        if book.slots[slot].owner == 0:
            here = book.slots[slot].lots
            reduce(book, (book.slots[slot].generation << 32) | slot, lots)
            lots -= here
        slot = before


@njit(cache=True)
def _pull(book: Any, level: int) -> None:
    """Cancel the house's orders at a level."""
    slot = book.level_head[level]
    while slot != 0:
        after = book.slots[slot].next
        if book.slots[slot].owner == 0:
            cancel(book, (book.slots[slot].generation << 32) | slot)
        slot = after


@njit(cache=True)
def pull_better(book: Any, side: int, tick: int) -> None:
    """Cancel the house's orders of a side at prices better than ``tick``."""
    limit = tick - book.base
    level = book.best_bid if side > 0 else book.best_ask
    while level >= 0 and (level > limit if side > 0 else level < limit):
        following = next_down(book, level) if side > 0 else next_up(book, level)
        _pull(book, level)
        level = following


@njit(cache=True)
def _rest(book: Any, house: Any, side: int, tick: int, lots: int, ns: int) -> None:
    house.tag += 1
    if place(book, house.tag, 0, side, tick, lots, GTC, ns) < -2:
        house.lost += 1


@njit(cache=True)
def _set_level(book: Any, house: Any, side: int, tick: int, lots: int, ns: int) -> None:
    """Make the house's lots at a price what was recorded."""
    level = tick - book.base
    if level < 0 or level >= book.n_levels:
        house.lost += 1
        return
    mine = 0
    slot = book.level_head[level]
    while slot != 0:
        if book.slots[slot].owner == 0 and book.slots[slot].side == side:
            mine += book.slots[slot].lots
        slot = book.slots[slot].next
    if mine < lots:
        _rest(book, house, side, tick, lots - mine, ns)
    elif mine > lots:
        _trim(book, level, mine - lots)


@njit(cache=True)
def _best(book: Any, house: Any, row: Any, ns: int) -> None:
    """A recorded best bid and ask: row is (bid tick, lots, ask tick, lots); tick -1 for an empty side."""
    for side in (BUY, SELL):
        at = 0 if side > 0 else 2
        if row[at] >= 0:
            pull_better(book, side, row[at])
    for side in (BUY, SELL):
        at = 0 if side > 0 else 2
        if row[at] >= 0:
            _set_level(book, house, side, row[at], row[at + 1], ns)


@njit(cache=True)
def _clear_unseen(book: Any, side: int, levels: Any) -> None:
    """Cancel the house's orders between the best and the worst recorded level that no recorded level holds."""
    n = 0
    while n < len(levels) and levels[n, 0] >= 0:
        n += 1
    if n == 0:
        return
    worst = levels[n - 1, 0] - book.base
    level = book.best_bid if side > 0 else book.best_ask
    k = 0
    while level >= 0 and (level >= worst if side > 0 else level <= worst):
        following = next_down(book, level) if side > 0 else next_up(book, level)
        tick = book.base + level
        while k < n and (levels[k, 0] > tick if side > 0 else levels[k, 0] < tick):
            k += 1
        if k == n or levels[k, 0] != tick:
            _pull(book, level)
        level = following


@njit(cache=True)
def _state(book: Any, house: Any, levels: Any, ns: int) -> None:
    """A recorded book: levels[side, k] is (tick, lots), bids first, best first; tick -1 ends a side."""
    for at in range(2):
        _clear_unseen(book, BUY if at == 0 else SELL, levels[at])
    for at in range(2):
        side = BUY if at == 0 else SELL
        for k in range(levels.shape[1]):
            if levels[at, k, 0] < 0:
                break
            _set_level(book, house, side, levels[at, k, 0], levels[at, k, 1], ns)


@njit(cache=True)
def _trade(book: Any, house: Any, side: int, tick: int, lots: int, ns: int) -> None:
    """A recorded trade: the aggressor's side, price and lots."""
    pull_better(book, -side, tick)
    pull_better(book, side, tick - side)
    short = lots - lots_through(book, side, tick)
    if short > 0:
        _rest(book, house, -side, tick, short, ns)
    house.tag += 1
    if place(book, house.tag, 0, side, tick, lots, IOC, ns) < -2:
        house.lost += 1
    if (book.best_ask if side > 0 else book.best_bid) < 0:
        _rest(book, house, -side, tick + side, lots, ns)
    if (book.best_bid if side > 0 else book.best_ask) < 0:
        _rest(book, house, side, tick - side, lots, ns)


@njit(cache=True)
def play(
    books: Any,
    houses: Any,
    times: Any,
    kinds: Any,
    rows: Any,
    trades: Any,
    bests: Any,
    states: Any,
    first: int,
    shift: int,
    until: int,
) -> int:
    """Play the recorded events from place ``first`` on, up to venue time ``until``; the next place.

    ``times`` are ns of the recording, ``shift`` brings them to venue time. ``rows`` are places in the table of a kind.
    """
    book = books[0]
    house = houses[0]
    k = first
    while k < len(times) and times[k] + shift <= until:
        ns = times[k] + shift
        row = rows[k]
        if kinds[k] == TRADE:
            _trade(book, house, trades[row, 0], trades[row, 1], trades[row, 2], ns)
        elif kinds[k] == BEST:
            _best(book, house, bests[row], ns)
        else:
            _state(book, house, states[row], ns)
        k += 1
    return k


@njit(cache=True)
def leave(books: Any) -> None:
    """Cancel every order of the house."""
    book = books[0]
    for side in (BUY, SELL):
        level = book.best_bid if side > 0 else book.best_ask
        while level >= 0:
            following = next_down(book, level) if side > 0 else next_up(book, level)
            _pull(book, level)
            level = following
