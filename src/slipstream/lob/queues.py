"""Orders at their levels: first in, first out lists through one pool of slots.

A resting order is known by its handle (generation << 32 | slot). A slot's generation is odd while an order rests in
it and grows with every change, so a handle that is gone is never mistaken for a later order in the same slot.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from slipstream.lob.bits import MAX_LEVELS, mark, next_down, next_up, unmark

_SLOT = 0xFFFFFFFF
_GENERATION = 0x7FFFFFFF


@njit(cache=True, forceinline=True)
def slot_of(book: Any, handle: int) -> int:
    """The slot of a resting order, or 0 if it is gone."""
    slot = handle & _SLOT
    generation = handle >> 32
    if slot > book.n_slots or generation & 1 == 0 or book.slots[slot].generation != generation:
        return 0
    return slot


@njit(cache=True, forceinline=True)
def release(book: Any, slot: int) -> None:
    """Put a slot on the list of free ones; handles of the order it held are stale from now on."""
    order = book.slots[slot]
    order.generation = (order.generation + 1) & _GENERATION
    order.next = book.free
    book.free = slot
    book.resting -= 1


@njit(cache=True, forceinline=True)
def move_best(book: Any, level: int) -> None:
    """The level of a best price lost its last order."""
    if level == book.best_bid:
        book.best_bid = next_down(book, level)
    else:
        book.best_ask = next_up(book, level)


@njit(cache=True, forceinline=True)
def unlink(book: Any, slot: int) -> None:
    """Take an order off its level and free its slot."""
    order = book.slots[slot]
    level = order.level
    before = order.prev
    after = order.next
    lots = order.lots
    release(book, slot)
    book.level_count[level] -= 1
    book.level_lots[level] -= lots
    book.slots[before].next = after  # slot 0 takes what belongs to nobody: no branch to guess wrong
    book.slots[after].prev = before
    spare = book.n_levels  # so does the level above the last
    book.level_head[level if before == 0 else spare] = after
    book.level_tail[level if after == 0 else spare] = before
    empty = (before | after) == 0
    unmark(book, level, empty)
    if empty & ((level == book.best_bid) | (level == book.best_ask)):
        move_best(book, level)


@njit(cache=True, forceinline=True)
def rest(book: Any, tag: int, owner: int, side: int, level: int, lots: int) -> int:
    """Append an order to its level; its handle. The caller has made sure of a free slot."""
    slot = book.free
    if slot != 0:
        book.free = book.slots[slot].next
    else:
        slot = book.fresh
        book.fresh += 1
    tail = book.level_tail[level]
    book.level_tail[level] = slot
    book.level_count[level] += 1
    book.level_lots[level] += lots
    order = book.slots[slot]
    generation = (order.generation + 1) & _GENERATION
    order.generation = generation
    order.prev = tail
    order.next = 0
    order.level = level
    order.side = side
    order.lots = lots
    order.tag = tag
    order.owner = owner
    book.resting += 1
    book.slots[tail].next = slot
    book.level_head[level if tail == 0 else book.n_levels] = slot
    mark(book, level)
    bid = book.best_bid
    ask = book.best_ask
    book.best_bid = max(bid, level if side > 0 else -1)
    ask = MAX_LEVELS if ask < 0 else ask
    ask = min(ask, level if side < 0 else MAX_LEVELS)
    book.best_ask = -1 if ask == MAX_LEVELS else ask
    return (generation << 32) | slot


@njit(cache=True)
def unlink_slots(book: Any, slots: Any) -> None:
    """`unlink` of several."""
    for slot in slots:
        unlink(book, slot)
