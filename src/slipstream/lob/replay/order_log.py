"""The compiled replay of an order log: every row acts on the order it names, and says what the levels became.

The exchange that wrote the log has matched already. Nothing is matched here: a resting order leaves when its row says
so. A row that does not fit the book stops the replay before anything changes: an order that would join a crossed
book, an id that is unknown or rests already, lots that are not there.

Every row becomes rows of `rows.L3_ROW_DTYPE`: a DEPTH row of the level that changed, with the place in the queue
(``seq``: how many orders had joined the book, this one included) of the order that joined or left. An EXECUTE is a
TRADE row and the DEPTH row that shows it, one message; a REPLACE is the two levels' DEPTH rows, one message.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from slipstream.lob.queues import rest, slot_of, unlink
from slipstream.lob.record import MAX_LOTS
from slipstream.lob.replay.order_index import find, forget
from slipstream.lob.replay.order_rows import ADD, CANCEL, EXECUTE, PRINT, REPLACE
from slipstream.lob.replay.rows import DEPTH, MORE, TRADE

BAD_ROW, KNOWN_ORDER, UNKNOWN_ORDER, CROSSED, WRONG_LOTS, WRONG_PLACE, BOOK_FULL = -1, -2, -3, -4, -5, -6, -7
REASONS = {
    BAD_ROW: "its kind, side, tick or lots are none",
    KNOWN_ORDER: "the order rests already",
    UNKNOWN_ORDER: "no such order rests",
    CROSSED: "the order would cross the book",
    WRONG_LOTS: "the order does not have these lots",
    WRONG_PLACE: "the order rests on another side or at another tick",
    BOOK_FULL: "the book has no room for another order",
}
OUTSIDE = -1  # the handle of an order whose price is outside the book's window
LOG_DTYPE = np.dtype(
    [
        (name, np.int64)
        for name in (
            "seq",  # orders that ever joined
            "written",  # rows in the output
            "code",
            "added",
            "known",  # orders in the index
            "traded",  # lots
            "executions",
            "out_of_turn",  # executions of an order with others in front of it, or behind the best price
            "outside",  # orders that joined outside the window
            "removed",  # lots cancelled, reduced or replaced away
            "joined",  # lots added or replaced in
        )
    ]
)


@njit(cache=True)
def _write(out: Any, log: Any, row: Any, kind: int, side: int, tick: int, lots: int, seq: int) -> None:
    """Append a row of the output."""
    told = out[log.written]
    told.exch_ns = row.exch_ns
    told.local_ns = row.local_ns
    told.market = row.market
    told.kind = kind
    told.side = side
    told.tick = tick
    told.lots = lots
    told.seq = seq
    log.written += 1


@njit(cache=True)
def _would_cross(book: Any, side: int, level: int) -> bool:
    """Whether an order at a level meets the other side."""
    if side > 0:
        best = book.best_ask
        return best >= 0 and level >= best
    best = book.best_bid
    return best >= 0 and level <= best


@njit(cache=True)
def _join(book: Any, entry: Any, log: Any, row: Any, out: Any) -> int:
    """Rest an order at the back of its level; 0 or a code."""
    level = row.tick - book.base
    log.seq += 1
    log.joined += row.lots
    entry.order = row.order
    if level < 0 or level >= book.n_levels:
        entry.handle = OUTSIDE
        log.outside += 1
        return 0
    entry.handle = rest(book, row.order, log.seq, row.side, level, row.lots)
    _write(out, log, row, DEPTH, row.side, row.tick, book.level_lots[level], log.seq)
    return 0


@njit(cache=True)
def _check_join(book: Any, slot: int, row: Any) -> int:
    """Whether an order may join, for which it frees ``slot`` (0: none); 0 or a code."""
    level = row.tick - book.base
    if level < 0 or level >= book.n_levels:
        return 0
    if _would_cross(book, row.side, level):
        return CROSSED
    if slot == 0 and book.free == 0 and book.fresh > book.n_slots:
        return BOOK_FULL
    return 0


@njit(cache=True)
def _leave(book: Any, index: Any, place: int, slot: int, log: Any, row: Any, out: Any) -> int:
    """REDUCE, CANCEL, EXECUTE or REPLACE of an order in the window; 0 or a code."""
    order = book.slots[slot]
    level = np.int64(order.level)
    left = order.lots
    kind = row.kind
    seq = order.owner
    if order.side != row.side or (kind != REPLACE and row.tick != book.base + level):
        return WRONG_PLACE
    if (kind != REPLACE and row.lots > left) or (kind == CANCEL and row.lots != left):
        return WRONG_LOTS
    gone = left if kind == REPLACE else row.lots
    more = 0
    if kind == EXECUTE:
        best = book.best_bid if row.side > 0 else book.best_ask
        log.out_of_turn += order.prev != 0 or level != best
        log.executions += 1
        log.traded += gone
        _write(out, log, row, TRADE | MORE, -row.side, row.tick, gone, seq)
    else:
        log.removed += gone
    if kind == REPLACE:
        code = _check_join(book, slot, row)
        if code != 0:
            log.removed -= gone
            return code
        inside = 0 <= row.tick - book.base < book.n_levels
        more = MORE if inside else 0
    tick = book.base + level
    if gone == left:
        unlink(book, slot)
    else:
        order.lots -= gone
        book.level_lots[level] -= gone
    _write(out, log, row, DEPTH | more, row.side, tick, book.level_lots[level], seq)
    if kind == REPLACE:
        return _join(book, index[place], log, row, out)
    if gone == left:
        forget(index, place)
        log.known -= 1
    return 0


@njit(cache=True)
def _outside(book: Any, index: Any, place: int, log: Any, row: Any, out: Any) -> int:
    """A row of an order outside the window, whose lots nobody keeps; 0 or a code."""
    if row.kind == REPLACE:
        code = _check_join(book, 0, row)
        return code if code != 0 else _join(book, index[place], log, row, out)
    if row.kind == CANCEL:
        forget(index, place)
        log.known -= 1
    return 0


@njit(cache=True)
def _act(book: Any, index: Any, log: Any, row: Any, out: Any) -> int:
    """One row; 0 or a code, with which nothing has changed."""
    if row.kind < ADD or row.kind > PRINT or (row.side != 1 and row.side != -1):
        return BAD_ROW
    if row.tick < 1 or row.lots <= 0 or row.lots > MAX_LOTS:
        return BAD_ROW
    if row.kind == PRINT:
        _write(out, log, row, TRADE, -row.side, row.tick, row.lots, 0)
        return 0
    place = find(index, row.order)
    handle = index[place].handle
    if row.kind == ADD:
        if handle != 0:
            return KNOWN_ORDER
        code = _check_join(book, 0, row) if 2 * log.known < len(index) else BOOK_FULL
        if code != 0:
            return code
        log.added += 1
        log.known += 1
        return _join(book, index[place], log, row, out)
    if handle == 0:
        return UNKNOWN_ORDER
    if handle == OUTSIDE:
        return _outside(book, index, place, log, row, out)
    return _leave(book, index, place, slot_of(book, handle), log, row, out)


@njit(cache=True)
def play(books: Any, index: Any, logs: Any, rows: Any, out: Any, start: int) -> int:
    """Act on rows from ``start`` on; the row after the last done.

    Stops before a row that does not fit (``logs[0].code`` says why) and where ``out`` has no room for two more rows
    (code 0): the caller empties it and calls again.
    """
    book = books[0]
    log = logs[0]
    log.code = 0
    for i in range(start, len(rows)):
        if log.written + 2 > len(out):
            return i
        log.code = _act(book, index, log, rows[i], out)
        if log.code != 0:
            return i
    return len(rows)
