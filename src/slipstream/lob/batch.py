"""Many operations in one call: an array of rows in, an array of results out.

A row that acts on an order names the row that placed it (``target``), so a whole session can be written down before
any handle exists: the results of earlier rows are the map from row to handle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from slipstream.lob import matching as _matching

PLACE, MARKET, CANCEL, REDUCE, MODIFY = 0, 1, 2, 3, 4
OP_DTYPE = np.dtype(
    [
        ("tag", np.int64),
        ("tick", np.int64),
        ("lots", np.int64),
        ("ns", np.int64),
        ("target", np.int64),  # row of the order that CANCEL, REDUCE and MODIFY act on
        ("owner", np.int32),
        ("kind", np.int8),
        ("side", np.int8),
        ("tif", np.int8),
    ],
    align=True,
)


@njit(cache=True)
def run_into(books: Any, ops: Any, results: Any, start: int) -> int:
    """Carry out rows from ``start`` on; the row after the last one done.

    Stops before a row that the rings or the pool of orders cannot take, so that the caller can read the fills, clear
    them and call again. A MODIFY moves its target: later rows that name the same target act on the new order.
    """
    book = books[0]
    for i in range(start, len(ops)):
        op = ops[i]
        kind = op.kind
        if kind == PLACE:
            result = _matching.place(book, op.tag, op.owner, op.side, op.tick, op.lots, op.tif, op.ns)
        elif kind == CANCEL:
            result = _matching.cancel(book, results[op.target])
        elif kind == MARKET:
            result = _matching.market(book, op.tag, op.owner, op.side, op.lots, op.ns)
        elif kind == REDUCE:
            result = _matching.reduce(book, results[op.target], op.lots)
        else:
            result = _matching.modify(book, results[op.target], op.tick, op.lots, op.ns)
            if result >= _matching.EXPIRED:
                results[op.target] = result
        if result == _matching.POOL_FULL:
            return i
        results[i] = result
    return len(ops)


def run(books: npt.NDArray[Any], ops: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Carry out every row; what each returned, in order.

    Raises ValueError if ``ops`` has another layout or names a target that is not an earlier row, and OverflowError
    (naming the row; rows before it are done) when the book's rings or pool of orders cannot take a row.
    """
    if ops.dtype != OP_DTYPE:
        raise ValueError(f"operations must be an array of OP_DTYPE, not of {ops.dtype}")
    acts = np.flatnonzero(ops["kind"] >= CANCEL)
    wrong = acts[(ops["target"][acts] >= acts) | (ops["target"][acts] < 0)]
    if len(wrong):
        raise ValueError(f"operation {wrong[0]}: target {ops['target'][wrong[0]]} is not an earlier row")
    results = np.empty(len(ops), np.int64)
    done = run_into(books, ops, results, 0)
    if done < len(ops):
        raise OverflowError(f"operation {done}: the book has no room for it (fills unread, or orders resting)")
    return results
