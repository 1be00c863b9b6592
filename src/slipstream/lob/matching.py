"""Price-time priority on one book. Every function is compiled and works on the record of `slipstream.lob.record`.

Ticks are integers on the venue's price grid, quantities int64 lots. ``tag`` is the caller's id of an order,
``owner`` a number; owner 0 is anonymous flow. A resting order is known by its handle (generation << 32 | slot): one
that is gone is never mistaken for a later one in the same slot.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from slipstream.lob.bits import mark, next_down, next_up, unmark

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
_SLOT = 0xFFFFFFFF


@njit(cache=True)
def best_bid(book: Any) -> int:
    """The tick of the best bid, or -1."""
    return book.base + book.best_bid if book.best_bid >= 0 else -1


@njit(cache=True)
def best_ask(book: Any) -> int:
    """The tick of the best ask, or -1."""
    return book.base + book.best_ask if book.best_ask >= 0 else -1


@njit(cache=True)
def slot_of(book: Any, handle: int) -> int:
    """The slot of a resting order, or 0 if it is gone."""
    slot = handle & _SLOT
    if handle < 0 or slot < 1 or slot > book.n_slots:
        return 0
    if book.side[slot] == 0 or book.generation[slot] != handle >> 32:
        return 0
    return slot


@njit(cache=True)
def _unlink(book: Any, slot: int) -> None:
    """Take an order off its level and free its slot; the best prices follow."""
    level = book.level[slot]
    before = book.prev[slot]
    after = book.next[slot]
    if before != 0:
        book.next[before] = after
    else:
        book.level_head[level] = after
    if after != 0:
        book.prev[after] = before
    else:
        book.level_tail[level] = before
    book.level_count[level] -= 1
    book.level_lots[level] -= book.lots[slot]
    if book.level_head[level] == 0:
        unmark(book, level)
        if level == book.best_bid:
            book.best_bid = next_down(book, level)
        elif level == book.best_ask:
            book.best_ask = next_up(book, level)
    book.side[slot] = 0
    book.generation[slot] = (book.generation[slot] + 1) & 0x3FFFFFFF
    book.next[slot] = book.free
    book.free = slot
    book.resting -= 1


@njit(cache=True)
def _rest(book: Any, tag: int, owner: int, side: int, level: int, lots: int) -> int:
    """Append an order to its level; its handle. The caller has made sure of a free slot."""
    slot = book.free
    if slot != 0:
        book.free = book.next[slot]
    else:
        slot = book.fresh
        book.fresh += 1
    tail = book.level_tail[level]
    book.prev[slot] = tail
    book.next[slot] = 0
    if tail != 0:
        book.next[tail] = slot
    else:
        book.level_head[level] = slot
        mark(book, level)
        if side > 0:
            book.best_bid = max(book.best_bid, level)
        elif book.best_ask < 0 or level < book.best_ask:
            book.best_ask = level
    book.level_tail[level] = slot
    book.level_count[level] += 1
    book.level_lots[level] += lots
    book.level[slot] = level
    book.side[slot] = side
    book.lots[slot] = lots
    book.tag[slot] = tag
    book.owner[slot] = owner
    book.resting += 1
    return (book.generation[slot] << 32) | slot


@njit(cache=True)
def _has_room(book: Any, side: int, limit: int, lots: int) -> bool:
    """Whether the rings can take everything an order would match or expire."""
    room = min(book.n_ring - book.fill_count, book.n_ring - book.expired_count)
    if room >= book.resting:
        return True
    level = book.best_ask if side > 0 else book.best_bid
    needed = 0
    left = lots
    while level >= 0 and left > 0 and (level <= limit if side > 0 else level >= limit):
        needed += book.level_count[level]
        if needed > room:
            return False
        left -= book.level_lots[level]
        level = next_up(book, level) if side > 0 else next_down(book, level)
    return True


@njit(cache=True)
def _match(book: Any, tag: int, owner: int, side: int, limit: int, lots: int, ns: int) -> int:
    """Trade against the other side up to a level, best price first, oldest first; the lots left over."""
    while lots > 0:
        level = book.best_ask if side > 0 else book.best_bid
        if level < 0 or (level > limit if side > 0 else level < limit):
            break
        slot = book.level_head[level]
        handle = (book.generation[slot] << 32) | slot
        if owner != 0 and book.owner[slot] == owner:  # self-trade prevention: expire the maker
            row = book.expired_count
            book.expired_count += 1
            book.expired_rows[row, 0] = handle
            book.expired_rows[row, 1] = book.tag[slot]
            book.expired_rows[row, 2] = owner
            book.expired_rows[row, 3] = book.lots[slot]
            book.expired_rows[row, 4] = ns
            _unlink(book, slot)
            continue
        traded = min(lots, book.lots[slot])
        lots -= traded
        book.lots[slot] -= traded
        book.level_lots[level] -= traded
        row = book.fill_count
        book.fill_count += 1
        book.fill_rows[row, 0] = book.seq
        book.fill_rows[row, 1] = ns
        book.fill_rows[row, 2] = handle
        book.fill_rows[row, 3] = book.tag[slot]
        book.fill_rows[row, 4] = book.owner[slot]
        book.fill_rows[row, 5] = book.lots[slot]
        book.fill_rows[row, 6] = tag
        book.fill_rows[row, 7] = owner
        book.fill_rows[row, 8] = side
        book.fill_rows[row, 9] = book.base + level
        book.fill_rows[row, 10] = traded
        book.seq += 1
        if book.lots[slot] == 0:
            _unlink(book, slot)
    return lots


@njit(cache=True)
def place(book: Any, tag: int, owner: int, side: int, tick: int, lots: int, tif: int, ns: int) -> int:
    """Match an order and rest what the time in force allows.

    Returns the handle (>= 0) of what rests, or FILLED, EXPIRED (the rest of an IOC is gone), WOULD_CROSS (a
    post-only order, untouched), OUT_OF_WINDOW (would rest outside the levels), POOL_FULL (no free slot or ring
    row; nothing happened) or BAD_ORDER (side, size or time in force is not one; nothing happened).
    """
    if (side != 1 and side != -1) or lots <= 0 or tif < 0 or tif > 2 or tick < 0:
        return BAD_ORDER
    level = tick - book.base
    inside = 0 <= level < book.n_levels
    if tif != IOC:
        if not inside:
            return OUT_OF_WINDOW
        if book.free == 0 and book.fresh > book.n_slots:
            return POOL_FULL
    other = book.best_ask if side > 0 else book.best_bid
    if other >= 0 and (level >= other if side > 0 else level <= other):
        if tif == ALO:
            return WOULD_CROSS
        if not _has_room(book, side, level, lots):
            return POOL_FULL
        lots = _match(book, tag, owner, side, level, lots, ns)
        if lots == 0:
            return FILLED
    if tif == IOC:
        return EXPIRED
    return _rest(book, tag, owner, side, level, lots)


@njit(cache=True)
def market(book: Any, tag: int, owner: int, side: int, lots: int, ns: int) -> int:
    """Take whatever the other side holds, at any price: FILLED, EXPIRED, POOL_FULL or BAD_ORDER."""
    tick = book.base + book.n_levels if side > 0 else max(0, book.base - 1)
    return place(book, tag, owner, side, tick, lots, IOC, ns)


@njit(cache=True)
def cancel(book: Any, handle: int) -> int:
    """Take an order off the book: the lots that were left, or -1 if it was gone."""
    slot = slot_of(book, handle)
    if slot == 0:
        return GONE
    left = book.lots[slot]
    _unlink(book, slot)
    return left


@njit(cache=True)
def reduce(book: Any, handle: int, lots: int) -> int:
    """Remove lots from an order, which keeps its place in the queue: what is left (0: gone), or -1 if it was gone."""
    slot = slot_of(book, handle)
    if slot == 0 or lots < 0:
        return GONE
    if lots >= book.lots[slot]:
        _unlink(book, slot)
        return 0
    book.lots[slot] -= lots
    book.level_lots[book.level[slot]] -= lots
    return book.lots[slot]


@njit(cache=True)
def modify(book: Any, handle: int, tick: int, lots: int, ns: int) -> int:
    """Give an order another price or size: the handle of what rests, or a code of `place`; GONE is BAD_ORDER.

    Only a smaller size at the same price keeps the place in the queue; anything else cancels and places anew.
    """
    slot = slot_of(book, handle)
    if slot == 0 or lots <= 0 or tick < 0:
        return BAD_ORDER
    level = tick - book.base
    if level < 0 or level >= book.n_levels:
        return OUT_OF_WINDOW
    if level == book.level[slot] and lots <= book.lots[slot]:
        reduce(book, handle, book.lots[slot] - lots)
        return handle
    side = book.side[slot]
    if not _has_room(book, side, level, lots):
        return POOL_FULL
    tag = book.tag[slot]
    owner = book.owner[slot]
    _unlink(book, slot)
    return place(book, tag, owner, side, tick, lots, GTC, ns)
