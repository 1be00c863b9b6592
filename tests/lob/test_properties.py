"""What must hold of a book whatever happens to it."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.lob.book import (
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
    Book,
)

Operation = tuple[str, int, int, int, int, int]


def operations(seed: int, count: int) -> list[Operation]:
    rng = Random(seed)
    kinds = ("place", "place", "place", "cancel", "market", "modify", "reduce")
    return [
        (
            rng.choice(kinds),
            rng.randrange(4),
            rng.choice((BUY, SELL)),
            500 + rng.randrange(-12, 13),
            rng.randrange(1, 30),
            rng.choice((GTC, ALO, IOC)),
        )
        for _ in range(count)
    ]


def run(book: Book, rows: list[Operation], first: int = 0) -> dict[str, int]:
    """Carry rows out; lots that came in, went by cancel or reduction, and were asked of takers and not got."""
    handles: list[int] = []
    flow = {"in": 0, "out": 0}
    for number, (kind, owner, side, tick, lots, tif) in enumerate(rows, first):
        which = handles[number % len(handles)] if handles else -1
        left = book.order_left(which) if which >= 0 else GONE
        if kind == "place":
            result = book.place(number, owner, side, tick, lots, tif, number)
            if result >= 0:
                handles.append(result)
            if result in (WOULD_CROSS, OUT_OF_WINDOW):
                continue
            flow["in"] += lots
            if result == EXPIRED:
                flow["out"] += lots - sum(int(r["lots"]) for r in book.fills() if r["taker_tag"] == number)
        elif kind == "market":
            result = book.market(number, owner, side, lots, number)
            flow["in"] += lots
            if result == EXPIRED:
                flow["out"] += lots - sum(int(r["lots"]) for r in book.fills() if r["taker_tag"] == number)
        elif kind == "cancel" and left > 0:
            assert book.cancel(which) == left
            flow["out"] += left
            assert book.cancel(which) == GONE, "a handle dies with its order"
        elif kind == "reduce" and left > 0:
            now = book.reduce(which, lots)
            flow["out"] += left - now
        elif kind == "modify" and left > 0:
            moved = book.modify(which, tick, lots, number)
            flow["out"] += left
            flow["in"] += lots
            if moved >= 0:
                handles.append(moved)
    return flow


@given(st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_lots_are_conserved(seed: int) -> None:
    book = Book(0, 1_000, orders=2_000, fills=4_096)
    flow = run(book, operations(seed, 250))
    resting = sum(int(row[4]) for side in (BUY, SELL) for row in book.l3(side, 2_000))
    traded = int(book.fills()["lots"].sum())
    expired = int(book.expired()["lots"].sum())
    assert flow["in"] == resting + 2 * traded + expired + flow["out"]


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_never_crossed_and_first_in_first_out(seed: int) -> None:
    book = Book(0, 1_000, orders=2_000, fills=4_096)
    rows = operations(seed, 200)
    for number, row in enumerate(rows):
        run(book, [row], number)
        bid, ask = book.best_bid(), book.best_ask()
        assert bid < ask or -1 in (bid, ask)
    for side in (BUY, SELL):
        for tick in {int(row[3]) for row in book.l3(side, 2_000)}:
            tags = [int(row[1]) for row in book.l3(side, 2_000) if row[3] == tick]
            assert tags == sorted(tags), "older orders stand in front"
    by_level: dict[tuple[int, int], list[int]] = {}
    for fill in book.fills():
        by_level.setdefault((int(fill["taker_tag"]), int(fill["tick"])), []).append(int(fill["maker_tag"]))
    for makers in by_level.values():
        assert makers == sorted(makers), "older makers trade first"


@given(st.integers(0, 2**32), st.integers(0, 120))
@settings(max_examples=40, deadline=None)
def test_same_input_same_tape_and_a_restored_book_goes_on_alike(seed: int, cut: int) -> None:
    rows = operations(seed, 200)
    books = [Book(0, 1_000, orders=2_000, fills=4_096) for _ in range(2)]
    for book in books:
        run(book, rows[:cut])
    books.append(Book.load(books[0].dump()))
    for book in books:
        run(book, rows[cut:], cut)
    for other in books[1:]:
        assert np.array_equal(books[0].fills(), other.fills())
        assert np.array_equal(books[0].expired(), other.expired())
        assert all(np.array_equal(books[0].l3(side, 2_000), other.l3(side, 2_000)) for side in (BUY, SELL))
        assert books[0].dump() == other.dump()


def test_self_trade_expires_the_maker_and_the_taker_goes_on() -> None:
    book = Book(0, 1_000)
    mine = book.place(1, 7, SELL, 100, 5, GTC, 1)
    book.place(2, 8, SELL, 100, 4, GTC, 2)
    assert book.place(3, 7, BUY, 100, 6, GTC, 3) >= 0
    (gone,) = book.expired()
    assert (gone["handle"], gone["tag"], gone["owner"], gone["lots"]) == (mine, 1, 7, 5)
    (fill,) = book.fills()
    assert (fill["maker_tag"], fill["lots"], book.best_bid(), book.best_ask()) == (2, 4, 100, -1)
    book.place(4, 0, SELL, 101, 1, GTC, 4)
    assert book.place(5, 0, BUY, 101, 1, IOC, 5) == FILLED, "anonymous flow trades with itself"


def test_post_only_never_takes_and_leaves_the_book_alone() -> None:
    book = Book(0, 1_000)
    book.place(1, 1, SELL, 100, 5, GTC, 1)
    before = book.dump()
    assert book.place(2, 2, BUY, 100, 1, ALO, 2) == WOULD_CROSS
    assert book.dump() == before
    assert book.place(3, 2, BUY, 99, 1, ALO, 3) >= 0


def test_queue_places() -> None:
    book = Book(0, 1_000)
    first, second, third = (book.place(n, n, BUY, 50, 10 * n, GTC, n) for n in (1, 2, 3))
    assert [book.queue_ahead(h) for h in (first, second, third)] == [0, 10, 30]
    assert [book.orders_ahead(h) for h in (first, second, third)] == [0, 1, 2]
    assert book.reduce(first, 4) == 6 and book.queue_ahead(third) == 26, "a smaller order keeps its place"
    assert book.modify(second, 50, 5, 9) == second and book.queue_ahead(third) == 11
    bigger = book.modify(first, 50, 20, 10)
    assert book.queue_ahead(bigger) == 35 and book.order_left(first) in (GONE, 20), "a larger one goes to the back"
    assert book.queue_ahead(second) == 0
    book.cancel(second)
    assert book.queue_ahead(second) == GONE and book.queue_ahead(third) == 0


def test_a_stale_handle_never_means_another_order() -> None:
    book = Book(0, 1_000, orders=1)
    old = book.place(1, 1, BUY, 50, 5, GTC, 1)
    assert book.cancel(old) == 5
    new = book.place(2, 1, BUY, 50, 7, GTC, 2)
    assert new != old and new & 0xFFFFFFFF == old & 0xFFFFFFFF, "the slot is used again"
    assert (book.cancel(old), book.reduce(old, 1), book.modify(old, 51, 1, 3)) == (GONE, GONE, BAD_ORDER)
    assert book.order_left(new) == 7


def test_a_full_pool_a_full_ring_and_the_window_leave_the_book_untouched() -> None:
    book = Book(100, 64, orders=3, fills=2)
    for tag in range(3):
        assert book.place(tag, 1, SELL, 110 + tag, 1, GTC, tag) >= 0
    before = book.dump()
    assert book.place(9, 2, BUY, 105, 1, GTC, 9) == POOL_FULL, "no slot"
    assert book.place(9, 2, BUY, 112, 3, IOC, 9) == POOL_FULL, "three fills do not fit two rows"
    assert book.place(9, 2, BUY, 99, 1, GTC, 9) == OUT_OF_WINDOW
    assert book.place(9, 2, BUY, 164, 1, GTC, 9) == OUT_OF_WINDOW
    assert book.place(9, 2, BUY, 105, 0, GTC, 9) == BAD_ORDER
    assert book.place(9, 2, 0, 105, 1, GTC, 9) == BAD_ORDER
    assert book.place(9, 2, BUY, 105, 1, 7, 9) == BAD_ORDER
    assert book.dump() == before
    assert book.place(9, 2, BUY, 111, 2, IOC, 9) == FILLED
    book.clear_fills()
    assert book.market(10, 2, BUY, 5, 10) == EXPIRED and book.order_count() == 0


def test_recentring_keeps_orders_and_handles_and_names_what_fell_out() -> None:
    book = Book(1_000, 4_096)
    low = book.place(1, 1, BUY, 1_010, 5, GTC, 1)
    bid, ask = book.place(2, 1, BUY, 3_000, 6, GTC, 2), book.place(3, 1, SELL, 3_001, 7, GTC, 3)
    assert book.recentre(2_000).tolist() == [low]
    assert (book.best_bid(), book.best_ask(), book.order_tick(bid), book.order_left(ask)) == (3_000, 3_001, 3_000, 7)
    assert book.place(4, 2, SELL, 6_095, 1, GTC, 4) >= 0 and book.place(5, 2, BUY, 1_999, 1, GTC, 5) == OUT_OF_WINDOW
    assert book.market(6, 2, SELL, 6, 6) == FILLED and book.best_bid() == -1


def test_depth_queries() -> None:
    book = Book(0, 100_000)
    for tag, (tick, lots) in enumerate([(100, 5), (101, 7), (165, 2), (70_000, 1)]):
        book.place(tag, 1, SELL, tick, lots, GTC, tag)
    book.place(8, 1, BUY, 99, 4, GTC, 8)
    book.place(9, 1, BUY, 99, 4, GTC, 9)
    ticks, lots, counts = book.depth(SELL, 3)
    assert (ticks.tolist(), lots.tolist(), counts.tolist()) == ([100, 101, 165], [5, 7, 2], [1, 1, 1])
    assert [array.tolist() for array in book.cost_to_take(BUY, 13)] == [[100, 101, 165], [5, 7, 1]]
    assert [array.tolist() for array in book.cost_to_take(BUY, 99)] == [[100, 101, 165, 70_000], [5, 7, 2, 1]]
    assert (book.volume_to_tick(BUY, 164), book.volume_to_tick(SELL, 99)) == (12, 8)
    assert (book.level_lots(99), book.level_count(99), book.level_lots(98)) == (8, 2, 0)
    assert [row[1] for row in book.l3(BUY, 10).tolist()] == [8, 9]


@pytest.mark.parametrize("sizes", [{"levels": 0}, {"levels": (1 << 18) + 1}, {"orders": 0}, {"base_tick": -1}])
def test_impossible_books_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        Book(**sizes)
