"""A limit order book for callers outside compiled code, and the one import for everything of a book.

Compiled callers use the functions on the record (`Book.record`) directly; the methods here are the same functions.
"""

from __future__ import annotations

from operator import index
from typing import Any

import numpy.typing as npt

from slipstream.lob import batch, snapshot, window
from slipstream.lob.bits import MAX_LEVELS
from slipstream.lob.depth import level_count, level_lots, order_left, order_tick, orders_ahead, queue_ahead
from slipstream.lob.matching import (
    ALO,
    BAD_ORDER,
    BUY,
    EXPIRED,
    FILLED,
    GONE,
    GTC,
    IOC,
    OUT_OF_WINDOW,
    POOL_FULL,
    SELL,
    WOULD_CROSS,
    best_ask,
    best_bid,
    cancel,
    market,
    modify,
    place,
    place_reduce_only,
    reduce,
)
from slipstream.lob.record import EXPIRED_DTYPE, FILL_DTYPE, MAX_LOTS, MAX_ORDERS, new_book
from slipstream.lob.view import BookView, Ints

__all__ = [
    "ALO",
    "BAD_ORDER",
    "BUY",
    "EXPIRED",
    "EXPIRED_DTYPE",
    "FILLED",
    "FILL_DTYPE",
    "GONE",
    "GTC",
    "IOC",
    "MAX_LEVELS",
    "MAX_LOTS",
    "MAX_ORDERS",
    "OUT_OF_WINDOW",
    "POOL_FULL",
    "SELL",
    "WOULD_CROSS",
    "Book",
    "BookView",
    "best_ask",
    "best_bid",
    "cancel",
    "level_count",
    "level_lots",
    "market",
    "modify",
    "new_book",
    "order_left",
    "order_tick",
    "orders_ahead",
    "place",
    "place_reduce_only",
    "queue_ahead",
    "reduce",
]


class Book(BookView):
    """One coin's resting orders. Ticks and lots are integers; see `slipstream.lob.matching` for codes and handles.

    A tick or a size that is not an integer raises TypeError: compiled code would cut it to one.
    """

    def __init__(
        self, base_tick: int = 0, levels: int = MAX_LEVELS, orders: int = 1 << 15, fills: int = 1 << 14
    ) -> None:
        super().__init__(new_book(base_tick, levels, orders, fills))

    def place(self, tag: int, owner: int, side: int, tick: int, lots: int, tif: int, ns: int) -> int:
        """Match an order and rest what its time in force allows: a handle (>= 0) or a code."""
        return self._call.place(self._books, tag, owner, side, index(tick), index(lots), tif, ns)

    def place_reduce_only(
        self, tag: int, owner: int, side: int, tick: int, lots: int, tif: int, ns: int, max_lots: int
    ) -> int:
        """`place` of at most ``max_lots``, what the caller's position lets the order close."""
        return self.place(tag, owner, side, tick, min(lots, max_lots), tif, ns)

    def market(self, tag: int, owner: int, side: int, lots: int, ns: int) -> int:
        """Take at any price: FILLED, EXPIRED, POOL_FULL or BAD_ORDER."""
        return self._call.market(self._books, tag, owner, side, index(lots), ns)

    def cancel(self, handle: int) -> int:
        """The lots that were left of the order, or -1 if it was gone."""
        return self._call.cancel(self._books, handle)

    def reduce(self, handle: int, lots: int) -> int:
        """Remove lots and keep the place in the queue: what is left, or -1 if the order was gone."""
        return self._call.reduce(self._books, handle, index(lots))

    def modify(self, handle: int, tick: int, lots: int, ns: int) -> int:
        """Cancel-replace, unless the order only shrinks: the new handle or a code."""
        return self._call.modify(self._books, handle, index(tick), index(lots), ns)

    def run(self, ops: npt.NDArray[Any]) -> Ints:
        """Carry out an array of operations (see `slipstream.lob.batch`); what each returned."""
        return batch.run(self._books, ops)

    def clear_fills(self) -> None:
        """Forget the matches read."""
        self.record["fill_count"] = 0

    def clear_expired(self) -> None:
        """Forget the expiries read."""
        self.record["expired_count"] = 0

    def recentre(self, base_tick: int) -> Ints:
        """Move the window of levels; handles stay valid. Returns the handles that fell outside and are gone."""
        return window.recentre(self.record, base_tick)

    def dump(self) -> bytes:
        """The whole book, unread fills included, in a form that `load` continues identically."""
        return snapshot.dump(self.record)

    @classmethod
    def load(cls, data: bytes) -> Book:
        """A book from `dump`. Raises ValueError on anything else."""
        self = cls.__new__(cls)
        BookView.__init__(self, snapshot.load(data))
        return self
