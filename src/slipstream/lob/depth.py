"""What a book shows: levels (L2), orders in priority (L3), queue positions, the cost of taking."""

from __future__ import annotations

from typing import Any

from numba import njit

from slipstream.lob.bits import next_down, next_up
from slipstream.lob.matching import GONE
from slipstream.lob.queues import slot_of


@njit(cache=True)
def depth_into(book: Any, side: int, ticks: Any, lots: Any, counts: Any) -> int:
    """Write levels of a side (+1 bids, -1 asks), best first, into arrays; how many there were room for."""
    level = book.best_bid if side > 0 else book.best_ask
    n = 0
    while level >= 0 and n < len(ticks):
        ticks[n] = book.base + level
        lots[n] = book.level_lots[level]
        counts[n] = book.level_count[level]
        n += 1
        level = next_down(book, level) if side > 0 else next_up(book, level)
    return n


@njit(cache=True)
def orders_into(book: Any, side: int, rows: Any) -> int:
    """Write (handle, tag, owner, tick, lots) of a side's orders in priority order; how many there was room for."""
    level = book.best_bid if side > 0 else book.best_ask
    n = 0
    while level >= 0 and n < len(rows):
        slot = book.level_head[level]
        while slot != 0 and n < len(rows):
            rows[n, 0] = (book.slots[slot].generation << 32) | slot
            rows[n, 1] = book.slots[slot].tag
            rows[n, 2] = book.slots[slot].owner
            rows[n, 3] = book.base + level
            rows[n, 4] = book.slots[slot].lots
            n += 1
            slot = book.slots[slot].next
        level = next_down(book, level) if side > 0 else next_up(book, level)
    return n


@njit(cache=True)
def level_lots(book: Any, tick: int) -> int:
    """The lots resting at a tick."""
    level = tick - book.base
    return book.level_lots[level] if 0 <= level < book.n_levels else 0


@njit(cache=True)
def level_count(book: Any, tick: int) -> int:
    """The orders resting at a tick."""
    level = tick - book.base
    return book.level_count[level] if 0 <= level < book.n_levels else 0


@njit(cache=True)
def order_left(book: Any, handle: int) -> int:
    """The lots left of a resting order, or -1 if it is gone."""
    slot = slot_of(book, handle)
    return book.slots[slot].lots if slot != 0 else GONE


@njit(cache=True)
def order_tick(book: Any, handle: int) -> int:
    """The tick of a resting order, or -1 if it is gone."""
    slot = slot_of(book, handle)
    return book.base + book.slots[slot].level if slot != 0 else GONE


@njit(cache=True)
def queue_ahead(book: Any, handle: int) -> int:
    """The lots that trade before an order at its own level, or -1 if it is gone."""
    slot = slot_of(book, handle)
    if slot == 0:
        return GONE
    ahead = 0
    slot = book.slots[slot].prev
    while slot != 0:
        ahead += book.slots[slot].lots
        slot = book.slots[slot].prev
    return ahead


@njit(cache=True)
def orders_ahead(book: Any, handle: int) -> int:
    """The orders that trade before an order at its own level, or -1 if it is gone."""
    slot = slot_of(book, handle)
    if slot == 0:
        return GONE
    ahead = 0
    slot = book.slots[slot].prev
    while slot != 0:
        ahead += 1
        slot = book.slots[slot].prev
    return ahead


@njit(cache=True)
def cost_into(book: Any, side: int, lots: int, ticks: Any, taken: Any) -> int:
    """What a taker of ``side`` would get: writes (tick, lots) level by level; how many levels it reaches.

    The sum of ``taken`` is below ``lots`` where the book, or the room in the arrays, ends first.
    """
    level = book.best_ask if side > 0 else book.best_bid
    n = 0
    while level >= 0 and lots > 0 and n < len(ticks):
        ticks[n] = book.base + level
        taken[n] = min(lots, book.level_lots[level])
        lots -= taken[n]
        n += 1
        level = next_up(book, level) if side > 0 else next_down(book, level)
    return n


@njit(cache=True)
def lots_through(book: Any, side: int, tick: int) -> int:
    """The lots a taker of ``side`` finds at ``tick`` or better."""
    limit = tick - book.base
    level = book.best_ask if side > 0 else book.best_bid
    total = 0
    while level >= 0 and (level <= limit if side > 0 else level >= limit):
        total += book.level_lots[level]
        level = next_up(book, level) if side > 0 else next_down(book, level)
    return total
