"""Many independent reactive markets, moved in one call: ready to be environments.

Each book has its own flow and its own random stream: what happens in one does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.lob.book import Book
from slipstream.lob.flow import advance
from slipstream.lob.record import FILL_FIELDS, book_dtype, new_book
from slipstream.lob.view import BookView
from slipstream.simulation.market.terms import FlowTerms, flow_record

Ints = npt.NDArray[np.int64]
LEVELS, ORDERS, FILLS = 4_096, 4_096, 4_096


class Markets:
    """Books and flows as two arrays of records; the compiled world may read and trade in ``books`` directly.

    Users' orders are placed with `place` under an owner above 0; the flow meets them as it meets its own.
    """

    def __init__(
        self,
        terms: Sequence[FlowTerms],
        seed: int,
        start_ns: int = 0,
        *,
        base_tick: int = 0,
        levels: int = LEVELS,
        orders: int = ORDERS,
        fills: int = FILLS,
    ) -> None:
        """One market for each of ``terms``; windows of ``levels`` ticks from ``base_tick``. Raises ConfigError."""
        layout = book_dtype(levels, orders, fills)
        self.books: Any = np.zeros(len(terms), layout)
        empty = new_book(base_tick, levels, orders, fills)
        for i in range(len(terms)):
            self.books[i] = empty
        self.flows: Any = np.concatenate([flow_record(one, seed, i) for i, one in enumerate(terms)])
        self.now_ns = start_ns
        advance.begin_all(self.flows, start_ns)

    def __len__(self) -> int:
        return len(self.books)

    def advance(self, ns: int) -> None:
        """Let every market run for ``ns``; the fills of the call before are forgotten. Raises ValueError."""
        if ns < 0:
            raise ValueError(f"time only goes on: advance by at least 0 ns, not {ns}")
        self.now_ns += ns
        advance.advance(self.books, self.flows, self.now_ns)

    def book(self, i: int) -> Book:
        """Market ``i``'s book; it is the same memory."""
        book = Book.__new__(Book)
        BookView.__init__(book, self.books[i : i + 1][0])
        return book

    def best(self) -> Ints:
        """Best bid and ask of every market, ticks [market, 2]; -1 for an empty side."""
        levels = np.stack([self.books["best_bid"], self.books["best_ask"]], axis=1)
        return np.where(levels >= 0, levels + self.books["base"][:, None], -1)

    def fills(self, i: int) -> Ints:
        """Market ``i``'s fills of the last call: rows of `slipstream.lob.record.FILL_FIELDS`."""
        rows: Ints = self.books[i]["fill_rows"][: self.books[i]["fill_count"]]
        return rows.copy().reshape(-1, len(FILL_FIELDS))

    def events(self) -> int:
        """What the background did so far, in all markets: limit orders, cancels, takers, makers' orders."""
        return int(self.flows["counts"].sum())
