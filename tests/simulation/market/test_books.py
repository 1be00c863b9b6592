"""Many books are the same books one by one, and what they show is what rests in them."""

from __future__ import annotations

import numpy as np

from slipstream.lob.book import BUY, GTC, SELL
from slipstream.lob.record import FILL_FIELDS
from slipstream.simulation.market.books import SMALL, Markets, base_tick, new_books
from slipstream.simulation.market.terms import FlowTerms, Grid, Value, cont_stoikov_talreja

MINUTE = 60_000_000_000


def test_best_prices_fills_and_counts_of_every_market() -> None:
    markets = Markets([cont_stoikov_talreja()] * 3, 9)
    assert markets.best().tolist() == [[-1, -1]] * 3
    markets.advance(100 * MINUTE)
    before = markets.events()
    markets.advance(100 * MINUTE)
    assert markets.events() > before > 3 * 1_000
    for i in range(len(markets)):
        book = markets.book(i)
        assert markets.best()[i].tolist() == [book.best_bid(), book.best_ask()]
        fills = markets.fills(i)
        assert fills.shape[1] == len(FILL_FIELDS)
        assert len(fills) == len(book.fills()) > 100
        assert (np.diff(fills[:, 1]) >= 0).all()
        assert fills[0, 1] > 100 * MINUTE, "the tape of the call before is forgotten"
    assert len({tuple(row) for row in markets.best().tolist()} | {len(markets.fills(i)) for i in range(3)}) > 2


def test_a_book_is_the_same_memory() -> None:
    markets = Markets([cont_stoikov_talreja()] * 2, 9)
    handle = markets.book(1).place(1, 7, BUY, 700, 5, GTC, 0)
    assert markets.book(1).order_left(handle) == 5
    assert markets.book(0).order_count() == 0
    markets.book(1).place(2, 7, SELL, 760, 5, GTC, 0)
    assert markets.best().tolist() == [[-1, -1], [700, 760]]


def test_windows_lie_around_the_first_price() -> None:
    linear = FlowTerms(grid=Grid(lot=1.0, tick_size=0.5), value=Value(px=50_000.0))
    assert base_tick(linear, 1_000) == 100_000 - 500
    five_figures = FlowTerms(grid=Grid(lot=1.0, decimals=1), value=Value(px=50_000.0))
    assert base_tick(five_figures, 1_000) == 140_000 - 500  # 10,000 units of 0.1, 9 * 10,000 tens, 40,000 more
    assert base_tick(cont_stoikov_talreja()) == 0
    small = new_books([5], SMALL)
    assert (small["n_levels"][0], small["base"][0]) == (SMALL[0], 5)
