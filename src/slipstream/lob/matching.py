"""Price-time priority on one book. Every function is compiled and works on the record of `slipstream.lob.record`.

Ticks are integers on the venue's price grid, quantities int64 lots. ``tag`` is the caller's id of an order,
``owner`` a number; owner 0 is anonymous flow and never prevented from trading with itself. The rules, one by one, are
in docs/matching.md.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from slipstream.lob.bits import next_down, next_up, unmark
from slipstream.lob.queues import move_best, release, rest, slot_of, unlink
from slipstream.lob.record import MAX_LOTS

BUY = 1
SELL = -1
GTC = 0
IOC = 1
ALO = 2
FILLED = -1
EXPIRED = -2
WOULD_CROSS = -3
OUT_OF_WINDOW = -4
POOL_FULL = -5
BAD_ORDER = -6
GONE = -1


@njit(cache=True)
def best_bid(book: Any) -> int:
    """The tick of the best bid, or -1."""
    return book.base + book.best_bid if book.best_bid >= 0 else -1


@njit(cache=True)
def best_ask(book: Any) -> int:
    """The tick of the best ask, or -1."""
    return book.base + book.best_ask if book.best_ask >= 0 else -1


@njit(cache=True)
def _has_room(book: Any, side: int, limit: int, lots: int) -> bool:
    """Whether the rings can take everything an order would match or expire."""
    room = book.n_ring - max(book.fill_count, book.expired_count)
    if room >= book.resting:
        return True
    level = book.best_ask if side > 0 else book.best_bid
    needed = 0
    left = lots
    while level >= 0 and left > 0 and (limit - level) * side >= 0:
        needed += book.level_count[level]
        if needed > room:
            return False
        left -= book.level_lots[level]
        level = next_up(book, level) if side > 0 else next_down(book, level)
    return True


@njit(cache=True, forceinline=True)
def _note_expired(book: Any, slot: int, ns: int) -> None:
    """Write down that self-trade prevention takes an order off."""
    row = book.expired_rows[book.expired_count]
    order = book.slots[slot]
    row[0] = (order.generation << 32) | slot
    row[1] = order.tag
    row[2] = order.owner
    row[3] = order.lots
    row[4] = ns
    book.expired_count += 1


@njit(cache=True, forceinline=True)
def _match_level(book: Any, tag: int, owner: int, side: int, level: int, lots: int, ns: int) -> int:
    """Trade against one level, oldest order first; the lots left over. The level's sums are written once."""
    slot = book.level_head[level]
    gone = 0
    removed = 0
    count = book.fill_count
    while slot != 0 and lots > 0:
        order = book.slots[slot]
        left = order.lots
        if owner != 0 and order.owner == owner:  # self-trade prevention: expire the maker
            _note_expired(book, slot, ns)
            removed += left
        else:
            traded = min(lots, left)
            lots -= traded
            removed += traded
            left -= traded
            row = book.fill_rows[count]
            row[0] = book.seq
            row[1] = ns
            row[2] = (order.generation << 32) | slot
            row[3] = order.tag
            row[4] = order.owner
            row[5] = left
            row[6] = tag
            row[7] = owner
            row[8] = side
            row[9] = book.base + level
            row[10] = traded
            book.seq += 1
            count += 1
            if left > 0:
                order.lots = left
                break
        following = order.next
        release(book, slot)
        gone += 1
        slot = following
    book.fill_count = count
    book.level_count[level] -= gone
    book.level_lots[level] -= removed
    book.level_head[level] = slot
    if slot != 0:
        book.slots[slot].prev = 0
    else:
        book.level_tail[level] = 0
        unmark(book, level, True)
        move_best(book, level)
    return lots


@njit(cache=True)
def _match(book: Any, tag: int, owner: int, side: int, limit: int, lots: int, ns: int) -> int:
    """Trade against the other side up to a level, best price first; the lots left over."""
    while lots > 0:
        level = book.best_ask if side > 0 else book.best_bid
        if level < 0 or (limit - level) * side < 0:
            break
        lots = _match_level(book, tag, owner, side, level, lots, ns)
    return lots


@njit(cache=True, forceinline=True)
def enter(book: Any, tag: int, owner: int, side: int, tick: int, lots: int, tif: int, ns: int) -> int:
    """`place`, for callers that want it inlined into their loop."""
    if (side != 1 and side != -1) or lots <= 0 or tif < 0 or tif > 2 or tick < 0:
        return BAD_ORDER
    level = tick - book.base
    if tif != IOC:
        if lots > MAX_LOTS:
            return BAD_ORDER
        if level < 0 or level >= book.n_levels:
            return OUT_OF_WINDOW
    other = book.best_ask if side > 0 else book.best_bid
    if other >= 0 and (level - other) * side >= 0:
        if tif == ALO:
            return WOULD_CROSS
        if not _has_room(book, side, level, lots):
            return POOL_FULL
        lots = _match(book, tag, owner, side, level, lots, ns)
        if lots == 0:
            return FILLED
    if tif == IOC:
        return EXPIRED
    if book.free == 0 and book.fresh > book.n_slots:  # never after a match: what it met has left its slot
        return POOL_FULL
    return rest(book, tag, owner, side, level, lots)


@njit(cache=True)
def place(book: Any, tag: int, owner: int, side: int, tick: int, lots: int, tif: int, ns: int) -> int:
    """Match an order and rest what the time in force allows.

    Returns the handle (>= 0) of what rests, or FILLED, EXPIRED (the rest of an IOC is gone), WOULD_CROSS (a
    post-only order that would take; nothing happened), OUT_OF_WINDOW (a tick outside the levels, of an order that may
    rest; nothing happened), POOL_FULL (no slot or ring row for all it would need; nothing happened) or BAD_ORDER
    (side, size, tick or time in force is not one; nothing happened).
    """
    return enter(book, tag, owner, side, tick, lots, tif, ns)


@njit(cache=True)
def place_reduce_only(
    book: Any, tag: int, owner: int, side: int, tick: int, lots: int, tif: int, ns: int, max_lots: int
) -> int:
    """`place` of at most ``max_lots``, what the caller's position lets the order close; BAD_ORDER if that is none."""
    return enter(book, tag, owner, side, tick, min(lots, max_lots), tif, ns)


@njit(cache=True, forceinline=True)
def extreme_tick(book: Any, side: int) -> int:
    """A tick that every order of the other side satisfies."""
    return book.base + book.n_levels if side > 0 else max(0, book.base - 1)


@njit(cache=True)
def market(book: Any, tag: int, owner: int, side: int, lots: int, ns: int) -> int:
    """Take whatever the other side holds, at any price: FILLED, EXPIRED, POOL_FULL or BAD_ORDER."""
    return place(book, tag, owner, side, extreme_tick(book, side), lots, IOC, ns)


@njit(cache=True, forceinline=True)
def cancel(book: Any, handle: int) -> int:
    """Take an order off the book: the lots that were left, or -1 if it was gone."""
    slot = slot_of(book, handle)
    if slot == 0:
        return GONE
    left = book.slots[slot].lots
    unlink(book, slot)
    return left


@njit(cache=True)
def reduce(book: Any, handle: int, lots: int) -> int:
    """Remove lots from an order, which keeps its place in the queue: what is left (0: gone), or -1 if it was gone.

    A negative number of lots is BAD_ORDER.
    """
    slot = slot_of(book, handle)
    if slot == 0:
        return GONE
    if lots < 0:
        return BAD_ORDER
    order = book.slots[slot]
    if lots >= order.lots:
        unlink(book, slot)
        return 0
    order.lots -= lots
    book.level_lots[order.level] -= lots
    return order.lots


@njit(cache=True)
def modify(book: Any, handle: int, tick: int, lots: int, ns: int) -> int:
    """Give an order another price or size: the handle of what rests, or a code of `place`; GONE is BAD_ORDER.

    Only a smaller size at the same price keeps the place in the queue; anything else cancels and places anew. On a
    code other than FILLED nothing happened and the order rests as before.
    """
    slot = slot_of(book, handle)
    if slot == 0 or lots <= 0 or lots > MAX_LOTS or tick < 0:
        return BAD_ORDER
    level = tick - book.base
    if level < 0 or level >= book.n_levels:
        return OUT_OF_WINDOW
    order = book.slots[slot]
    if level == order.level and lots <= order.lots:
        reduce(book, handle, order.lots - lots)
        return handle
    side = order.side
    if not _has_room(book, side, level, lots):
        return POOL_FULL
    tag = order.tag
    owner = order.owner
    unlink(book, slot)
    return place(book, tag, owner, side, tick, lots, GTC, ns)
