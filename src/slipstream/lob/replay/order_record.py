"""What our own matching engine would tell order by order: operations in, the rows of an order log out.

The inverse of `order_log`: an aggressor's matches are EXECUTE rows of the makers, what rests of it is an ADD. The
order's id is the tag it was placed with. Source of logs whose truth is known, for tests and studies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from slipstream.lob import matching as _matching
from slipstream.lob.batch import CANCEL as OP_CANCEL
from slipstream.lob.batch import MARKET, MODIFY, PLACE, check_ops
from slipstream.lob.book import Book
from slipstream.lob.queues import slot_of
from slipstream.lob.replay.order_rows import ADD, CANCEL, EXECUTE, ORDER_ROW_DTYPE, REDUCE

Rows = npt.NDArray[Any]


@njit(cache=True)
def _tell(out: Any, n: int, ns: int, kind: int, order: int, side: int, tick: int, lots: int) -> int:
    """Write a row; how many there are now."""
    row = out[n]
    row.exch_ns = ns
    row.local_ns = ns
    row.order = order
    row.lots = lots
    row.tick = tick
    row.market = 0
    row.kind = kind
    row.side = side
    return n + 1


@njit(cache=True)
def _tell_matches(book: Any, ns: int, out: Any, n: int) -> int:
    """Rows of the matches in the book's ring, which is emptied."""
    for i in range(book.fill_count):
        fill = book.fill_rows[i]
        n = _tell(out, n, ns, EXECUTE, fill[3], -fill[8], fill[9], fill[10])
    book.fill_count = 0
    return n


@njit(cache=True)
def _act(book: Any, op: Any, i: int, results: Any, out: Any, n: int) -> int:
    """One operation; how many rows there are now. ``results[i]`` is what it returned."""
    if op.kind <= MARKET:
        tick = op.tick
        tif = op.tif
        if op.kind == MARKET:
            tick = _matching.extreme_tick(book, op.side)
            tif = _matching.IOC
        results[i] = _matching.place(book, op.tag, 0, op.side, tick, op.lots, tif, op.ns)
        n = _tell_matches(book, op.ns, out, n)
        slot = slot_of(book, results[i]) if results[i] >= 0 else 0
        return _tell(out, n, op.ns, ADD, op.tag, op.side, op.tick, book.slots[slot].lots) if slot != 0 else n
    slot = slot_of(book, results[op.tag]) if results[op.tag] >= 0 else 0
    if slot == 0:
        results[i] = _matching.GONE
        return n
    order = book.slots[slot]
    side, lots, tag = order.side, order.lots, order.tag
    tick = book.base + np.int64(order.level)
    if op.kind == OP_CANCEL:
        results[i] = _matching.cancel(book, results[op.tag])
        return _tell(out, n, op.ns, CANCEL, tag, side, tick, lots)
    if op.kind != MODIFY:
        results[i] = _matching.reduce(book, results[op.tag], op.lots)
        left = results[i]
    else:
        handle = results[op.tag]
        results[i] = _matching.modify(book, handle, op.tick, op.lots, op.ns)
        if results[i] < _matching.FILLED:  # refused: it rests as before
            return n
        results[op.tag] = results[i]
        if results[i] != handle:
            n = _tell(out, n, op.ns, CANCEL, tag, side, tick, lots)
            n = _tell_matches(book, op.ns, out, n)
            slot = slot_of(book, results[i]) if results[i] >= 0 else 0
            return _tell(out, n, op.ns, ADD, tag, side, op.tick, book.slots[slot].lots) if slot != 0 else n
        left = op.lots
    if left == lots or left < 0:
        return n
    return _tell(out, n, op.ns, REDUCE if left > 0 else CANCEL, tag, side, tick, lots - left)


@njit(cache=True)
def record_into(books: Any, ops: Any, results: Any, out: Any, done: Any, start: int) -> int:
    """Carry out operations from ``start`` on; the one after the last done. ``done[0]`` is how many rows were written.

    Stops where ``out`` might not have room for all that the next one can make.
    """
    book = books[0]
    n = 0
    for i in range(start, len(ops)):
        if len(out) - n < book.resting + 2:
            done[0] = n
            return i
        n = _act(book, ops[i], i, results, out, n)
        if results[i] == _matching.POOL_FULL:
            done[0] = n
            return i
    done[0] = n
    return len(ops)


def record(book: Book, ops: Rows) -> Rows:
    """Play operations (`batch.OP_DTYPE`) of anonymous orders on an empty book; the order log they make.

    Raises ValueError as `batch.check_ops` does, and for tags that are not positive and each its own order's;
    OverflowError when the book has no room.
    """
    check_ops(ops)
    tags = ops["tag"][ops["kind"] == PLACE]
    if len(np.unique(tags)) != len(tags) or (tags <= 0).any():
        raise ValueError("every operation that places an order needs a positive tag of its own: it is the order's id")
    results = np.empty(len(ops), np.int64)
    out = np.empty(max(1 << 16, 2 * int(book.record["n_slots"]) + 2), ORDER_ROW_DTYPE)
    written = np.zeros(1, np.int64)
    made = []
    done = 0
    while done < len(ops):
        before = done
        done = record_into(book.record.base, ops, results, out, written, done)
        made.append(out[: written[0]].copy())
        if done < len(ops) and done == before:
            raise OverflowError(f"operation {done}: the book has no room for it; give it more orders or fills")
    return np.concatenate(made) if made else out[:0].copy()
