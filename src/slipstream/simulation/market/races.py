"""Which queue at the touch ends first, and whether orders of ours fill before: counted in the reactive market itself.

Every path starts from a book whose only orders are the queues at its touch, one tick apart, and runs until a best price
changes. Where closed forms exist (Cont, Stoikov and Talreja 2010), the counts are held to them.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numba import njit

from slipstream.lob.depth import order_left
from slipstream.lob.flow import advance
from slipstream.lob.flow.background import rest
from slipstream.lob.matching import BUY, GTC, SELL, best_ask, best_bid, cancel, place
from slipstream.simulation.market.books import new_books
from slipstream.simulation.market.terms import FlowTerms, flow_record

TOUCH = 1_000  # tick of the bid queue
STEPS = 1_000_000  # events after which a path that will not end is given up


class Race(msgspec.Struct, frozen=True, kw_only=True):
    """Counts over ``paths``: the mid moved up first; our bid filled before a move; both orders of ours did."""

    paths: int
    up: int
    bid_filled: int
    both_filled: int
    unended: int


@njit(cache=True)
def _reset(book: Any, s: Any) -> None:
    """Take every order off."""
    for i in range(s.kept):
        cancel(book, s.handles[i])
    s.kept = 0
    book.fill_count = 0
    book.expired_count = 0


@njit(cache=True)
def _queue(book: Any, s: Any, side: int, tick: int, lots: int, own: bool) -> int:
    """A queue of unit orders; the last is ours, if ``own``: its handle."""
    for _ in range(lots - 1 if own else lots):
        rest(book, s, side, tick, 1, s.now)
    return place(book, 0, 1, side, tick, 1, GTC, s.now) if own else -1


@njit(cache=True)
def _path(book: Any, s: Any, bids: int, asks: int, own_bid: bool, own_ask: bool, tick: int, counts: Any) -> None:
    _reset(book, s)
    bid = _queue(book, s, BUY, tick, bids, own_bid)
    ask = _queue(book, s, SELL, tick + 1, asks, own_ask)
    advance.begin(s, s.now)
    bid_done = False
    ask_done = False
    for _ in range(STEPS):
        advance.happen(book, s)
        bid_done = own_bid and order_left(book, bid) < 0
        ask_done = own_ask and order_left(book, ask) < 0
        up = best_ask(book) != tick + 1
        moved = up or best_bid(book) != tick
        if moved or (bid_done and (ask_done or not own_ask)):
            counts[0] += up
            counts[1] += bid_done
            counts[2] += bid_done and ask_done
            cancel(book, bid)
            cancel(book, ask)
            return
    counts[3] += 1
    cancel(book, bid)
    cancel(book, ask)


@njit(cache=True)
def _run(
    books: Any, flows: Any, bids: int, asks: int, own_bid: bool, own_ask: bool, paths: int, tick: int, counts: Any
) -> None:
    for _ in range(paths):
        _path(books[0], flows[0], bids, asks, own_bid, own_ask, tick, counts)


def race(
    terms: FlowTerms, bids: int, asks: int, paths: int, seed: int, *, own_bid: bool = False, own_ask: bool = False
) -> Race:
    """Run ``paths`` races between a bid queue and an ask queue of unit orders, the last of each ours if so asked.

    Raises ValueError for queues or paths below 1, ConfigError for terms that are none.
    """
    if min(bids, asks, paths) < 1:
        raise ValueError(f"queues and paths must be at least 1, not {bids}, {asks} and {paths}")
    books = new_books([0])
    counts = np.zeros(4, np.int64)
    _run(books, flow_record(terms, seed), bids, asks, own_bid, own_ask, paths, TOUCH, counts)
    up, bid, both, unended = counts.tolist()
    return Race(paths=paths, up=up, bid_filled=bid, both_filled=both, unended=unended)
