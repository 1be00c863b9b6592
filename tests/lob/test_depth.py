"""What a book shows, against the same questions asked of the plain book."""

from __future__ import annotations

from itertools import groupby
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.lob import depth as compiled
from slipstream.lob.book import ALO, BUY, GONE, GTC, SELL, Book
from tests.lob.oracle import Oracle, Resting

BASE, LEVELS = 1_000, 20_000
Level = tuple[int, int, int]
Played = tuple[Book, Oracle, list[tuple[int, Resting]]]


def played(seed: int, count: int) -> Played:
    """A book and the plain one after the same orders, some close together, some levels and bitmap words apart."""
    rng = Random(seed)
    book, oracle = Book(BASE, LEVELS, orders=2_000, fills=4_096), Oracle(BASE, LEVELS)
    orders: list[tuple[int, Resting]] = []
    for tag in range(count):
        side, far = rng.choice((BUY, SELL)), rng.choice((6, 6, 200, 9_000))
        tick, lots, tif = BASE + 10_000 - side * rng.randrange(-1, far), rng.randrange(1, 40), rng.choice((GTC, ALO))
        handle = book.place(tag, 0, side, tick, lots, tif, tag)
        _, order = oracle.place(tag, 0, side, tick, lots, tif)
        if order is not None:
            orders.append((handle, order))
        if orders and rng.random() < 0.3:
            handle, order = rng.choice(orders)
            assert book.cancel(handle) == oracle.cancel(order)
    return book, oracle, orders


def levels(oracle: Oracle, side: int) -> list[Level]:
    """(tick, lots, orders) of a side, best first."""
    grouped = [(tick, list(rows)) for tick, rows in groupby(oracle.l3(side), key=lambda row: row[2])]
    return [(tick, sum(row[3] for row in rows), len(rows)) for tick, rows in grouped]


SESSIONS = st.builds(played, st.integers(0, 2**32), st.integers(0, 250))


@given(SESSIONS, st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_depth_is_the_levels_from_the_best_outwards(session: Played, n: int) -> None:
    book, oracle, _ = session
    for side in (BUY, SELL):
        told = list(zip(*(column.tolist() for column in book.depth(side, n)), strict=True))
        assert told == levels(oracle, side)[:n]
        for tick, lots, count in levels(oracle, side):
            assert (book.level_lots(tick), book.level_count(tick)) == (lots, count)


@given(SESSIONS, st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_orders_come_in_priority(session: Played, n: int) -> None:
    book, oracle, _ = session
    for side in (BUY, SELL):
        rows = book.l3(side, n)
        assert [tuple(row[1:]) for row in rows.tolist()] == oracle.l3(side)[:n]
        for handle, _, _, tick, lots in rows.tolist():
            assert (book.order_tick(handle), book.order_left(handle)) == (tick, lots)


@given(SESSIONS)
@settings(max_examples=60, deadline=None)
def test_a_place_in_the_queue_is_what_stands_in_front(session: Played) -> None:
    book, oracle, orders = session
    for handle, order in orders:
        if not order.live:
            assert (book.queue_ahead(handle), book.orders_ahead(handle), book.order_left(handle)) == (GONE, GONE, GONE)
            continue
        queue = oracle.queues[order.side][order.tick]
        ahead = queue[: queue.index(order)]
        assert book.orders_ahead(handle) == len(ahead)
        assert book.queue_ahead(handle) == sum(other.lots for other in ahead)


@given(SESSIONS, st.integers(-1, 6_000))
@settings(max_examples=60, deadline=None)
def test_the_cost_of_taking_is_what_a_taker_then_pays(session: Played, lots: int) -> None:
    book, oracle, _ = session
    for side in (BUY, SELL):
        ticks, taken = book.cost_to_take(side, lots)
        assert taken.sum() == max(0, min(lots, sum(level[1] for level in levels(oracle, -side))))
        assert len(ticks) == len(taken) and (taken > 0).all()
        taker = Book.load(book.dump())
        taker.clear_fills()
        taker.market(1, 0, side, lots, 0)
        paid: dict[int, int] = {}
        for fill in taker.fills():
            paid[int(fill["tick"])] = paid.get(int(fill["tick"]), 0) + int(fill["lots"])
        assert list(paid.items()) == list(zip(ticks.tolist(), taken.tolist(), strict=True))


@given(SESSIONS, st.integers(0, BASE + LEVELS + 50))
@settings(max_examples=60, deadline=None)
def test_the_lots_up_to_a_tick_are_those_at_it_or_better(session: Played, tick: int) -> None:
    book, oracle, _ = session
    for side in (BUY, SELL):
        reach = sum(lots for at, lots, _ in levels(oracle, -side) if (tick - at) * side >= 0)
        assert book.volume_to_tick(side, tick) == reach


@pytest.mark.parametrize("tick", [0, BASE - 1, BASE + LEVELS, BASE + LEVELS + 10**12])
def test_ticks_outside_the_window_hold_nothing(tick: int) -> None:
    book, _, _ = played(1, 100)
    assert (book.level_lots(tick), book.level_count(tick)) == (0, 0)


def test_an_empty_book_has_nothing_to_show() -> None:
    book = Book(BASE, LEVELS, orders=2_000, fills=4_096)
    assert (book.best_bid(), book.best_ask(), book.order_count()) == (-1, -1, 0)
    for side in (BUY, SELL):
        assert [len(column) for column in book.depth(side, 5)] == [0, 0, 0]
        assert len(book.l3(side, 5)) == 0 and len(book.cost_to_take(side, 5)[0]) == 0
        assert book.volume_to_tick(side, BASE + 5) == 0


def test_compiled_callers_bring_their_own_arrays_and_get_no_more_than_fits() -> None:
    book, oracle, _ = played(2, 200)
    ticks, lots, counts = (np.full(5, -7, np.int64) for _ in range(3))
    assert compiled.depth_into(book.record, SELL, ticks[:3], lots[:3], counts[:3]) == 3
    assert list(zip(ticks[:3], lots[:3], counts[:3], strict=True)) == levels(oracle, SELL)[:3]
    assert ticks[3:].tolist() == lots[3:].tolist() == counts[3:].tolist() == [-7, -7], "not a row further"
