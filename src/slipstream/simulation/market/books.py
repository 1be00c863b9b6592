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
from slipstream.lob.record import FILL_FIELDS, book_dtype
from slipstream.lob.view import BookView
from slipstream.model.grid import floor_tick
from slipstream.simulation.market.terms import FlowTerms, flow_record

Ints = npt.NDArray[np.int64]
Layout = tuple[int, int, int]
WHOLE: Layout = (1 << 18, 1 << 14, 1 << 14)
"""Levels, orders and unread fills of a book that nothing outgrows, 8 MB: the emulator's and a session's. Every layout
is compiled once, so use few."""
SMALL: Layout = (1 << 14, 1 << 12, 1 << 12)
"""1 MB a book, for many at once: prices may go 8,000 ticks from where they start."""


def new_books(bases: Sequence[int], layout: Layout = WHOLE) -> Any:
    """Empty books whose windows start at some ticks: an array of records."""
    books = np.zeros(len(bases), book_dtype(*layout))
    books["base"] = bases
    books["n_levels"], books["n_slots"], books["n_ring"] = layout
    books["best_bid"] = books["best_ask"] = -1
    books["fresh"] = 1
    return books


def book_of(books: Any, i: int) -> Book:
    """The ``i``-th of an array of books; it is the same memory."""
    book = Book.__new__(Book)
    BookView.__init__(book, books[i : i + 1][0])
    return book


class Markets:
    """Books and flows as two arrays of records; the compiled world may read and trade in ``books`` directly.

    Users' orders are placed with `place` under an owner above 0; the flow meets them as it meets its own.
    """

    def __init__(self, terms: Sequence[FlowTerms], seed: int, start_ns: int = 0, *, layout: Layout = WHOLE) -> None:
        """One market for each of ``terms``, in which nothing rests yet. Raises ConfigError."""
        self.books: Any = new_books([base_tick(one, layout[0]) for one in terms], layout)
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
        return book_of(self.books, i)

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


def base_tick(flow: FlowTerms, levels: int = WHOLE[0]) -> int:
    """The first tick of a book's window: the price at the start lies in its middle."""
    if flow.value.px > 0.0:
        size = flow.grid.tick_size
        tick = int(flow.value.px / size) if size > 0.0 else floor_tick(flow.value.px, flow.grid.decimals)
    else:
        tick = max(flow.open_bid, 0)
    return max(0, tick - levels // 2)
