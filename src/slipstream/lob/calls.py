"""Entry points for Python callers: they take the one-element array around a record.

Numba recognises an array's type in a fraction of a microsecond but describes a bare record field by field (6 us). A
`Book` goes one step further and calls what was compiled for its layout directly (`entry_points`): half the cost of a
call is Numba finding out the types of the arguments. Compiled callers use the functions on the record.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import from_dtype, int64, njit, types

from slipstream.lob import depth as _depth
from slipstream.lob import matching as _matching

_ROW = int64[::1]
_ROWS = int64[:, ::1]
_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "place": (int64,) * 7,
    "market": (int64,) * 5,
    "cancel": (int64,),
    "reduce": (int64,) * 2,
    "modify": (int64,) * 4,
    "best_bid": (),
    "best_ask": (),
    "order_left": (int64,),
    "order_tick": (int64,),
    "queue_ahead": (int64,),
    "orders_ahead": (int64,),
    "level_lots": (int64,),
    "level_count": (int64,),
    "depth_into": (int64, _ROW, _ROW, _ROW),
    "orders_into": (int64, _ROWS),
    "cost_into": (int64, int64, _ROW, _ROW),
    "lots_through": (int64, int64),
}


class EntryPoints:
    """This module's functions for books of one layout, each compiled (or read from the cache) when first asked for.

    They convert what they are given to integers, and believe that the book is of their layout.
    """

    def __init__(self, layout: np.dtype[Any]) -> None:
        self._books = types.Array(from_dtype(layout), 1, "C")

    def __getattr__(self, name: str) -> Any:
        if name not in _ARGUMENTS:
            raise AttributeError(f"no entry point {name!r}")
        entry = globals()[name].compile((self._books, *_ARGUMENTS[name]))
        setattr(self, name, entry)
        return entry


@cache
def entry_points(layout: np.dtype[Any]) -> EntryPoints:
    """The entry points of a layout (`record.book_dtype`)."""
    return EntryPoints(layout)


@njit(cache=True)
def place(books: Any, tag: int, owner: int, side: int, tick: int, lots: int, tif: int, ns: int) -> int:
    """`matching.place` on books[0]."""
    return _matching.place(books[0], tag, owner, side, tick, lots, tif, ns)


@njit(cache=True)
def market(books: Any, tag: int, owner: int, side: int, lots: int, ns: int) -> int:
    """`matching.market` on books[0]."""
    return _matching.market(books[0], tag, owner, side, lots, ns)


@njit(cache=True)
def cancel(books: Any, handle: int) -> int:
    """`matching.cancel` on books[0]."""
    return _matching.cancel(books[0], handle)


@njit(cache=True)
def reduce(books: Any, handle: int, lots: int) -> int:
    """`matching.reduce` on books[0]."""
    return _matching.reduce(books[0], handle, lots)


@njit(cache=True)
def modify(books: Any, handle: int, tick: int, lots: int, ns: int) -> int:
    """`matching.modify` on books[0]."""
    return _matching.modify(books[0], handle, tick, lots, ns)


@njit(cache=True)
def best_bid(books: Any) -> int:
    """`matching.best_bid` of books[0]."""
    return _matching.best_bid(books[0])


@njit(cache=True)
def best_ask(books: Any) -> int:
    """`matching.best_ask` of books[0]."""
    return _matching.best_ask(books[0])


@njit(cache=True)
def order_left(books: Any, handle: int) -> int:
    """`depth.order_left` of books[0]."""
    return _depth.order_left(books[0], handle)


@njit(cache=True)
def queue_ahead(books: Any, handle: int) -> int:
    """`depth.queue_ahead` of books[0]."""
    return _depth.queue_ahead(books[0], handle)


@njit(cache=True)
def depth_into(books: Any, side: int, ticks: Any, lots: Any, counts: Any) -> int:
    """`depth.depth_into` of books[0]."""
    return _depth.depth_into(books[0], side, ticks, lots, counts)


@njit(cache=True)
def order_tick(books: Any, handle: int) -> int:
    """`depth.order_tick` of books[0]."""
    return _depth.order_tick(books[0], handle)


@njit(cache=True)
def orders_ahead(books: Any, handle: int) -> int:
    """`depth.orders_ahead` of books[0]."""
    return _depth.orders_ahead(books[0], handle)


@njit(cache=True)
def level_lots(books: Any, tick: int) -> int:
    """`depth.level_lots` of books[0]."""
    return _depth.level_lots(books[0], tick)


@njit(cache=True)
def level_count(books: Any, tick: int) -> int:
    """`depth.level_count` of books[0]."""
    return _depth.level_count(books[0], tick)


@njit(cache=True)
def orders_into(books: Any, side: int, rows: Any) -> int:
    """`depth.orders_into` of books[0]."""
    return _depth.orders_into(books[0], side, rows)


@njit(cache=True)
def cost_into(books: Any, side: int, lots: int, ticks: Any, taken: Any) -> int:
    """`depth.cost_into` of books[0]."""
    return _depth.cost_into(books[0], side, lots, ticks, taken)


@njit(cache=True)
def lots_through(books: Any, side: int, tick: int) -> int:
    """`depth.lots_through` of books[0]."""
    return _depth.lots_through(books[0], side, tick)
