"""Many operations in one call: an array of rows in, an array of results out.

A row that acts on an order names the row that placed it, so a whole session can be written down before any handle
exists: the results of earlier rows are the map from row to handle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from slipstream.lob import matching as _matching

PLACE, MARKET, CANCEL, REDUCE, MODIFY = 0, 1, 2, 3, 4
OP_DTYPE = np.dtype(  # packed: a row is read once, so its bytes are its cost
    [
        ("tag", np.int64),  # of CANCEL, REDUCE and MODIFY: the row that placed the order
        ("lots", np.int64),
        ("ns", np.int64),
        ("tick", np.int32),
        ("owner", np.int32),
        ("kind", np.int8),
        ("side", np.int8),
        ("tif", np.int8),
    ]
)


@njit(cache=True)
def run_into(books: Any, ops: Any, results: Any, start: int) -> int:
    """Carry out rows from ``start`` on, on the book in the one-element array ``books``; the row after the last done.

    Stops before a row that the rings or the pool of orders cannot take, so that the caller can read the fills, clear
    them and call again. A MODIFY moves its order: later rows that name the same row act on what rests now.
    """
    book = books[0]
    for i in range(start, len(ops)):
        op = ops[i]
        kind = op.kind
        if kind == CANCEL:
            result = _matching.cancel(book, results[op.tag])
        elif kind <= MARKET:
            tick = op.tick
            tif = op.tif
            if kind == MARKET:
                tick = _matching.extreme_tick(book, op.side)
                tif = _matching.IOC
            result = _matching.enter(book, op.tag, op.owner, op.side, tick, op.lots, tif, op.ns)
        elif kind == REDUCE:
            result = _matching.reduce(book, results[op.tag], op.lots)
        else:
            result = _matching.modify(book, results[op.tag], op.tick, op.lots, op.ns)
            if result >= _matching.FILLED:
                results[op.tag] = result
        if result == _matching.POOL_FULL:
            return i
        results[i] = result
    return len(ops)


def check_ops(ops: npt.NDArray[Any]) -> None:
    """Raises ValueError if the rows are not OP_DTYPE, a kind is unknown, or one acts on what is no PLACE before it."""
    if ops.dtype != OP_DTYPE:
        raise ValueError(f"operations must be an array of OP_DTYPE, not of {ops.dtype}")
    unknown = np.flatnonzero((ops["kind"] < PLACE) | (ops["kind"] > MODIFY))
    if len(unknown):
        raise ValueError(f"operation {unknown[0]}: kind {ops['kind'][unknown[0]]} is none of 0..{MODIFY}")
    acts = np.flatnonzero(ops["kind"] >= CANCEL)
    wrong = acts[(ops["tag"][acts] >= acts) | (ops["tag"][acts] < 0)]
    if len(wrong):
        raise ValueError(f"operation {wrong[0]}: tag {ops['tag'][wrong[0]]} is not an earlier row")
    wrong = acts[ops["kind"][ops["tag"][acts]] != PLACE]
    if len(wrong):
        raise ValueError(f"operation {wrong[0]}: row {ops['tag'][wrong[0]]} places no order to act on")


def run(books: npt.NDArray[Any], ops: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Carry out every row; the results: what each returned, in order (a moved order's placing row: its new handle).

    Raises ValueError as `check_ops` does, and OverflowError when the book's rings or pool of orders cannot take a
    row: the text names it, the rows before it are done.
    """
    check_ops(ops)
    results = np.empty(len(ops), np.int64)
    done = run_into(books, ops, results, 0)
    if done < len(ops):
        raise OverflowError(
            f"operation {done}: the book has no room for it; clear its fills, or give it more orders or fills"
        )
    return results
