"""A limit order book for callers outside compiled code, and the one import for everything of a book.

Compiled callers use the functions on the record (`Book.record`) directly; the methods here are the same functions.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.lob import calls
from slipstream.lob import depth as _depth
from slipstream.lob.bits import MAX_LEVELS, mark
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
    reduce,
)
from slipstream.lob.record import EXPIRED_DTYPE, FILL_DTYPE, new_book

__all__ = [
    "ALO",
    "BAD_ORDER",
    "BUY",
    "EXPIRED",
    "FILLED",
    "GONE",
    "GTC",
    "IOC",
    "MAX_LEVELS",
    "OUT_OF_WINDOW",
    "POOL_FULL",
    "SELL",
    "WOULD_CROSS",
    "Book",
    "best_ask",
    "best_bid",
    "cancel",
    "market",
    "modify",
    "new_book",
    "place",
    "reduce",
]

Ints = npt.NDArray[np.int64]
_LEVEL_FIELDS = ("level_head", "level_tail", "level_count", "level_lots")
_SLOT_FIELDS = ("prev", "next", "level", "generation", "side", "lots", "tag", "owner")
_SCALARS = ("free", "fresh", "resting", "seq", "best_bid", "best_ask", "fill_count", "expired_count")


class Book:
    """One coin's resting orders. Ticks and lots are integers; see `slipstream.lob.matching` for codes and handles."""

    def __init__(
        self, base_tick: int = 0, levels: int = MAX_LEVELS, orders: int = 1 << 15, fills: int = 1 << 14
    ) -> None:
        self.record: Any = new_book(base_tick, levels, orders, fills)
        self._books = self.record.base

    def place(self, tag: int, owner: int, side: int, tick: int, lots: int, tif: int, ns: int) -> int:
        """Match an order and rest what its time in force allows: a handle (>= 0) or a code."""
        return int(calls.place(self._books, tag, owner, side, tick, lots, tif, ns))

    def market(self, tag: int, owner: int, side: int, lots: int, ns: int) -> int:
        """Take at any price: FILLED, EXPIRED, POOL_FULL or BAD_ORDER."""
        return int(calls.market(self._books, tag, owner, side, lots, ns))

    def cancel(self, handle: int) -> int:
        """The lots that were left of the order, or -1 if it was gone."""
        return int(calls.cancel(self._books, handle))

    def reduce(self, handle: int, lots: int) -> int:
        """Remove lots and keep the place in the queue: what is left, or -1 if the order was gone."""
        return int(calls.reduce(self._books, handle, lots))

    def modify(self, handle: int, tick: int, lots: int, ns: int) -> int:
        """Cancel-replace, unless the order only shrinks: the new handle or a code."""
        return int(calls.modify(self._books, handle, tick, lots, ns))

    def best_bid(self) -> int:
        """Tick of the best bid, or -1."""
        return int(calls.best_bid(self._books))

    def best_ask(self) -> int:
        """Tick of the best ask, or -1."""
        return int(calls.best_ask(self._books))

    def order_count(self) -> int:
        """How many orders rest."""
        return int(self.record["resting"])

    def order_left(self, handle: int) -> int:
        """The lots left of an order, or -1 if it is gone."""
        return int(calls.order_left(self._books, handle))

    def order_tick(self, handle: int) -> int:
        """The tick of an order, or -1 if it is gone."""
        return int(_depth.order_tick(self.record, handle))

    def queue_ahead(self, handle: int) -> int:
        """The lots that trade before an order at its level, or -1 if it is gone."""
        return int(calls.queue_ahead(self._books, handle))

    def orders_ahead(self, handle: int) -> int:
        """The orders that trade before an order at its level, or -1 if it is gone."""
        return int(_depth.orders_ahead(self.record, handle))

    def level_lots(self, tick: int) -> int:
        """The lots resting at a tick."""
        return int(_depth.level_lots(self.record, tick))

    def level_count(self, tick: int) -> int:
        """The orders resting at a tick."""
        return int(_depth.level_count(self.record, tick))

    def depth(self, side: int, n: int) -> tuple[Ints, Ints, Ints]:
        """Ticks, lots and order counts of up to ``n`` levels of a side (BUY: bids), best first."""
        ticks, lots, counts = (np.empty(n, np.int64) for _ in range(3))
        k = calls.depth_into(self._books, side, ticks, lots, counts)
        return ticks[:k], lots[:k], counts[:k]

    def l3(self, side: int, n: int) -> Ints:
        """Rows (handle, tag, owner, tick, lots) of up to ``n`` orders of a side in priority order."""
        rows = np.empty((n, 5), np.int64)
        return rows[: _depth.orders_into(self.record, side, rows)]

    def cost_to_take(self, side: int, lots: int, levels: int = 1024) -> tuple[Ints, Ints]:
        """Ticks and lots, level by level, that a taker of ``side`` would get."""
        ticks, taken = np.empty(levels, np.int64), np.empty(levels, np.int64)
        n = _depth.cost_into(self.record, side, lots, ticks, taken)
        return ticks[:n], taken[:n]

    def volume_to_tick(self, side: int, tick: int) -> int:
        """The lots a taker of ``side`` finds at ``tick`` or better."""
        return int(_depth.lots_through(self.record, side, tick))

    def fills(self) -> npt.NDArray[Any]:
        """A copy of the matches since the last `clear_fills`, oldest first (fields: `FILL_DTYPE`)."""
        rows: Ints = self.record["fill_rows"][: self.record["fill_count"]]
        return rows.copy().view(FILL_DTYPE).reshape(-1)

    def clear_fills(self) -> None:
        """Forget the matches read."""
        self.record["fill_count"] = 0

    def expired(self) -> npt.NDArray[Any]:
        """A copy of the makers that self-trade prevention expired (fields: `EXPIRED_DTYPE`)."""
        rows: Ints = self.record["expired_rows"][: self.record["expired_count"]]
        return rows.copy().view(EXPIRED_DTYPE).reshape(-1)

    def clear_expired(self) -> None:
        """Forget the expiries read."""
        self.record["expired_count"] = 0

    def recentre(self, base_tick: int) -> Ints:
        """Move the window of levels; handles stay valid. Returns the handles that fell outside and are gone."""
        book = self.record
        shift = int(book["base"]) - base_tick
        rows = np.concatenate([self.l3(side, int(book["resting"])) for side in (BUY, SELL)])
        outside = (rows[:, 3] < base_tick) | (rows[:, 3] >= base_tick + int(book["n_levels"]))
        for handle in rows[outside, 0]:
            self.cancel(int(handle))
        occupied = np.flatnonzero(book["level_count"])
        kept = {name: book[name][occupied].copy() for name in _LEVEL_FIELDS}
        for name in _LEVEL_FIELDS:
            book[name][occupied] = 0
            book[name][occupied + shift] = kept[name]
        book["level"][book["side"] != 0] += shift
        for name in ("best_bid", "best_ask"):
            if book[name] >= 0:
                book[name] += shift
        book["base"] = base_tick
        self._mark_levels(occupied + shift)
        return rows[outside, 0]

    def _mark_levels(self, occupied: npt.NDArray[Any]) -> None:
        for name in ("bits0", "bits1", "bits2"):
            self.record[name][:] = 0
        for level in occupied:
            mark(self.record, level)

    def dump(self) -> bytes:
        """The whole book, unread fills included, in a form that `load` continues identically."""
        book = self.record
        occupied = np.flatnonzero(book["level_count"])
        used = int(book["fresh"])
        return msgspec.msgpack.encode(
            {
                "shape": [int(book[name]) for name in ("base", "n_levels", "n_slots", "n_ring")],
                "scalars": [int(book[name]) for name in _SCALARS],
                "occupied": occupied.astype(np.int64).tobytes(),
                "levels": [book[name][occupied].tobytes() for name in _LEVEL_FIELDS],
                "slots": [book[name][:used].tobytes() for name in _SLOT_FIELDS],
                "fills": book["fill_rows"][: book["fill_count"]].tobytes(),
                "expired": book["expired_rows"][: book["expired_count"]].tobytes(),
            }
        )

    @classmethod
    def load(cls, data: bytes) -> Book:
        """A book from `dump`. Raises msgspec.DecodeError or KeyError on anything else."""
        state = msgspec.msgpack.decode(data)
        self = cls(*state["shape"])
        book = self.record
        for name, value in zip(_SCALARS, state["scalars"], strict=True):
            book[name] = value
        occupied = np.frombuffer(state["occupied"], np.int64)
        for name, column in zip(_LEVEL_FIELDS, state["levels"], strict=True):
            book[name][occupied] = np.frombuffer(column, book[name].dtype)
        for name, column in zip(_SLOT_FIELDS, state["slots"], strict=True):
            values = np.frombuffer(column, book[name].dtype)
            book[name][: len(values)] = values
        for name, rows in (("fill_rows", state["fills"]), ("expired_rows", state["expired"])):
            values = np.frombuffer(rows, np.int64).reshape(-1, book[name].shape[1])
            book[name][: len(values)] = values
        self._mark_levels(occupied)
        return self
