"""A book that an order log rebuilds, order by order, and the rows that say how its levels changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.lob.bits import MAX_LEVELS
from slipstream.lob.book import Book
from slipstream.lob.replay.order_index import new_index
from slipstream.lob.replay.order_log import LOG_DTYPE, REASONS, play
from slipstream.lob.replay.order_rows import KINDS, ORDER_ROW_DTYPE
from slipstream.lob.replay.rows import L3_ROW_DTYPE, ROW_DTYPE

Rows = npt.NDArray[Any]
ORDERS = 1 << 16
CHUNK = 1 << 16


class OrderLogError(ValueError):
    """A row of an order log that does not fit the book; the text names the row and says why."""


class OrderBook:
    """One market's book as its order log tells it. ``book`` is read, never traded with.

    In the book an order's tag is the venue's id and its owner the number of its arrival (`seq`). Orders at ticks
    outside [base_tick, base_tick + levels) are followed, but not shown.
    """

    def __init__(self, base_tick: int = 0, levels: int = MAX_LEVELS, orders: int = ORDERS) -> None:
        self.book = Book(base_tick, levels, orders, fills=1)
        self._index = new_index(orders)
        self._log = np.zeros(1, LOG_DTYPE)
        self._out = np.zeros(2 * CHUNK, L3_ROW_DTYPE)
        self._seen = 0
        self._last = {"exch_ns": 0, "local_ns": 0}

    def feed(self, rows: Rows) -> Rows:
        """Act on a chunk of `ORDER_ROW_DTYPE` rows of one market; the `L3_ROW_DTYPE` rows it makes, a fresh array.

        Raises OrderLogError at the first row that does not fit; the rows before it are in the book, and what they
        made is lost. Where a time goes back none is.
        """
        if rows.dtype != ORDER_ROW_DTYPE:
            raise OrderLogError(f"an order log is an array of ORDER_ROW_DTYPE, not of {rows.dtype}")
        self._check_times(rows)
        made = []
        done = 0
        while done < len(rows):
            self._log["written"] = 0
            done = play(self.book.record.base, self._index, self._log, rows, self._out, done)
            made.append(self._out[: int(self._log["written"][0])].copy())
            code = int(self._log["code"][0])
            if code:
                raise OrderLogError(self._refusal(rows[done], self._seen + done, code))
        self._seen += len(rows)
        return np.concatenate(made) if made else np.zeros(0, L3_ROW_DTYPE)

    def counts(self) -> dict[str, int]:
        """What the log did so far, by name (see `order_log.LOG_DTYPE`)."""
        return {name: int(self._log[name][0]) for name in LOG_DTYPE.names or () if name not in ("written", "code")}

    def _check_times(self, rows: Rows) -> None:
        """Raises OrderLogError for the first row that is before the one above it."""
        for name, last in self._last.items():
            back = np.diff(rows[name], prepend=last) < 0
            if back.any():
                at = int(np.argmax(back))
                raise OrderLogError(
                    f"row {self._seen + at}: its {name} {rows[name][at]} is before that of the row above"
                )
        if len(rows):
            self._last = {name: int(rows[name][-1]) for name in self._last}

    def _refusal(self, row: Any, at: int, code: int) -> str:
        book = self.book
        kind = KINDS.get(int(row["kind"]), f"kind {row['kind']}")
        return (
            f"row {at}: {kind} of order {row['order']} ({row['lots']} lots, side {row['side']:+d}, tick {row['tick']}, "
            f"{row['exch_ns']} ns): {REASONS[code]}; the best bid is {book.best_bid()}, the best ask "
            f"{book.best_ask()}, {book.order_count()} orders rest"
        )


def project(chunks: Iterable[Rows], book: OrderBook) -> Iterator[Rows]:
    """The `L3_ROW_DTYPE` rows of an order log, chunk by chunk in bounded memory. Raises OrderLogError."""
    for chunk in chunks:
        for start in range(0, len(chunk), CHUNK):
            yield book.feed(chunk[start : start + CHUNK])


def without_orders(rows: Rows) -> Rows:
    """What a feed of levels (L2) would have shown of `L3_ROW_DTYPE` rows: the same rows, `seq` dropped."""
    levels = np.empty(len(rows), ROW_DTYPE)
    for name in ROW_DTYPE.names or ():
        levels[name] = rows[name]
    return levels
