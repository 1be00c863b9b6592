"""What a book shows to callers outside compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.lob.calls import entry_points
from slipstream.lob.record import EXPIRED_DTYPE, FILL_DTYPE

Ints = npt.NDArray[np.int64]


class BookView:
    """The reading half of a book. Ticks and lots are integers; a side is +1 (bids) or -1 (asks)."""

    def __init__(self, record: Any) -> None:
        self.record: Any = record
        self._books = record.base
        self._call = entry_points(self._books.dtype)

    def best_bid(self) -> int:
        """Tick of the best bid, or -1."""
        return self._call.best_bid(self._books)

    def best_ask(self) -> int:
        """Tick of the best ask, or -1."""
        return self._call.best_ask(self._books)

    def order_count(self) -> int:
        """How many orders rest."""
        return int(self.record["resting"])

    def order_left(self, handle: int) -> int:
        """The lots left of an order, or -1 if it is gone."""
        return self._call.order_left(self._books, handle)

    def order_tick(self, handle: int) -> int:
        """The tick of an order, or -1 if it is gone."""
        return self._call.order_tick(self._books, handle)

    def queue_ahead(self, handle: int) -> int:
        """The lots that trade before an order at its level, or -1 if it is gone; O(orders ahead)."""
        return self._call.queue_ahead(self._books, handle)

    def orders_ahead(self, handle: int) -> int:
        """The orders that trade before an order at its level, or -1 if it is gone; O(orders ahead)."""
        return self._call.orders_ahead(self._books, handle)

    def level_lots(self, tick: int) -> int:
        """The lots resting at a tick."""
        return self._call.level_lots(self._books, tick)

    def level_count(self, tick: int) -> int:
        """The orders resting at a tick."""
        return self._call.level_count(self._books, tick)

    def depth(self, side: int, n: int) -> tuple[Ints, Ints, Ints]:
        """Ticks, lots and order counts of up to ``n`` levels of a side, best first."""
        ticks, lots, counts = (np.empty(n, np.int64) for _ in range(3))
        k = self._call.depth_into(self._books, side, ticks, lots, counts)
        return ticks[:k], lots[:k], counts[:k]

    def l3(self, side: int, n: int) -> Ints:
        """Rows (handle, tag, owner, tick, lots) of up to ``n`` orders of a side in priority order."""
        rows = np.empty((n, 5), np.int64)
        return rows[: self._call.orders_into(self._books, side, rows)]

    def cost_to_take(self, side: int, lots: int) -> tuple[Ints, Ints]:
        """Ticks and lots, level by level, that a taker of ``side`` would get; less than asked where the book ends."""
        room = min(int(self.record["resting"]), max(lots, 0))  # no level without an order, none without a lot
        ticks, taken = np.empty(room, np.int64), np.empty(room, np.int64)
        n = self._call.cost_into(self._books, side, lots, ticks, taken)
        return ticks[:n], taken[:n]

    def volume_to_tick(self, side: int, tick: int) -> int:
        """The lots a taker of ``side`` finds at ``tick`` or better."""
        return self._call.lots_through(self._books, side, tick)

    def fills(self) -> npt.NDArray[Any]:
        """A copy of the matches since they were last cleared, oldest first (fields: `FILL_DTYPE`)."""
        rows: Ints = self.record["fill_rows"][: self.record["fill_count"]]
        return rows.copy().view(FILL_DTYPE).reshape(-1)

    def expired(self) -> npt.NDArray[Any]:
        """A copy of the makers that self-trade prevention expired since last cleared (fields: `EXPIRED_DTYPE`)."""
        rows: Ints = self.record["expired_rows"][: self.record["expired_count"]]
        return rows.copy().view(EXPIRED_DTYPE).reshape(-1)
