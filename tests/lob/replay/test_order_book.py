"""The book that an order log rebuilds."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.lob.replay.order_book import OrderBook, OrderLogError, without_orders
from slipstream.lob.replay.order_index import find, forget, new_index
from slipstream.lob.replay.order_rows import ADD, CANCEL, EXECUTE, ORDER_ROW_DTYPE, PRINT, REDUCE, REPLACE
from slipstream.lob.replay.rows import DEPTH, KIND, MORE, ROW_DTYPE, TRADE

LEVELS, ORDERS = 64, 256


def rows(*events: tuple[int, int, int, int, int]) -> np.ndarray:
    """(kind, order, side, tick, lots), a nanosecond apart."""
    log = np.zeros(len(events), ORDER_ROW_DTYPE)
    for i, (kind, order, side, tick, lots) in enumerate(events):
        log[i] = (i, i + 5, order, lots, tick, 3, kind, side)
    return log


def later(*events: tuple[int, int, int, int, int]) -> np.ndarray:
    """`rows` that go on after others."""
    log = rows(*events)
    log["exch_ns"] += 100
    log["local_ns"] += 100
    return log


def small() -> OrderBook:
    return OrderBook(100, LEVELS, ORDERS)


def told(made: np.ndarray) -> list[tuple[int, int, int, int, int]]:
    return [tuple(int(row[name]) for name in ("kind", "side", "tick", "lots", "seq")) for row in made]


def test_rows_say_what_the_levels_became_and_whose_place_it_was() -> None:
    made = small().feed(
        rows(
            (ADD, 7, 1, 110, 4),
            (ADD, 8, 1, 110, 6),
            (ADD, 9, -1, 112, 5),
            (REDUCE, 8, 1, 110, 1),
            (EXECUTE, 7, 1, 110, 3),
            (EXECUTE, 7, 1, 110, 1),
            (REPLACE, 8, 1, 111, 9),
            (PRINT, 0, -1, 111, 2),
            (CANCEL, 9, -1, 112, 5),
        )
    )
    assert told(made) == [
        (DEPTH, 1, 110, 4, 1),
        (DEPTH, 1, 110, 10, 2),
        (DEPTH, -1, 112, 5, 3),
        (DEPTH, 1, 110, 9, 2),
        (TRADE | MORE, -1, 110, 3, 1),
        (DEPTH, 1, 110, 6, 1),
        (TRADE | MORE, -1, 110, 1, 1),
        (DEPTH, 1, 110, 5, 1),
        (DEPTH | MORE, 1, 110, 0, 2),
        (DEPTH, 1, 111, 9, 4),
        (TRADE, 1, 111, 2, 0),
        (DEPTH, -1, 112, 0, 3),
    ]
    assert set(made["market"]) == {3} and (made["local_ns"] - made["exch_ns"] == 5).all()


def test_a_replaced_order_goes_to_the_back() -> None:
    book = small()
    book.feed(rows((ADD, 1, 1, 110, 4), (ADD, 2, 1, 110, 6), (REPLACE, 1, 1, 110, 4)))
    assert book.book.l3(1, 9)[:, [1, 4]].tolist() == [[2, 6], [1, 4]]


def test_an_execution_out_of_turn_is_counted() -> None:
    book = small()
    book.feed(rows((ADD, 1, 1, 110, 4), (ADD, 2, 1, 110, 6), (EXECUTE, 2, 1, 110, 1), (EXECUTE, 1, 1, 110, 4)))
    assert book.counts()["out_of_turn"] == 1


def test_orders_outside_the_window_are_followed_and_come_in() -> None:
    book = small()
    made = book.feed(rows((ADD, 1, 1, 50, 4), (REDUCE, 1, 1, 50, 1), (REPLACE, 1, 1, 110, 3), (ADD, 2, -1, 9999, 4)))
    assert told(made) == [(DEPTH, 1, 110, 3, 2)]
    book.feed(later((REPLACE, 1, 1, 40, 3), (CANCEL, 1, 1, 40, 3), (CANCEL, 2, -1, 9999, 4)))
    assert book.book.order_count() == 0 and book.counts()["known"] == 0 and book.counts()["outside"] == 3


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ((ADD, 1, 1, 110, 4), "row 2: ADD of order 1 .*rests already"),
        ((CANCEL, 5, 1, 110, 4), "row 2: CANCEL of order 5 .*no such order rests"),
        ((ADD, 5, 1, 112, 4), "would cross the book; the best bid is 110, the best ask 112"),
        ((ADD, 5, -1, 110, 4), "would cross"),
        ((REPLACE, 1, 1, 113, 4), "would cross"),
        ((CANCEL, 1, 1, 110, 3), "does not have these lots"),
        ((REDUCE, 1, 1, 110, 5), "does not have these lots"),
        ((EXECUTE, 1, 1, 110, 5), "does not have these lots"),
        ((EXECUTE, 1, 1, 111, 1), "another side or at another tick"),
        ((EXECUTE, 1, -1, 110, 1), "another side or at another tick"),
        ((9, 1, 1, 110, 1), "kind 9 .*are none"),
        ((ADD, 5, 0, 110, 1), "are none"),
        ((ADD, 5, 1, 110, 0), "are none"),
        ((ADD, 5, 1, 0, 1), "are none"),
        ((REDUCE, 1, 1, 110, -1), "are none"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_and_changes_nothing(bad: tuple[int, ...], reason: str) -> None:
    book = small()
    book.feed(rows((ADD, 1, 1, 110, 4), (ADD, 2, -1, 112, 4)))
    before = book.book.dump(), book.counts()
    with pytest.raises(OrderLogError, match=reason):
        book.feed(later(bad))  # type: ignore[arg-type]
    assert (book.book.dump(), book.counts()) == before


def test_a_full_book_is_said() -> None:
    book = small()
    with pytest.raises(OrderLogError, match=f"row {ORDERS}: ADD .*no room"):
        book.feed(rows(*((ADD, i + 1, 1, 110, 1) for i in range(ORDERS + 1))))


@pytest.mark.parametrize("clock", ["exch_ns", "local_ns"])
def test_a_clock_that_goes_back_is_refused(clock: str) -> None:
    book = small()
    book.feed(rows((ADD, 1, 1, 110, 1), (ADD, 2, 1, 110, 1)))
    more = later((ADD, 3, 1, 110, 1), (ADD, 4, 1, 110, 1))
    more[clock][1] -= 2
    with pytest.raises(OrderLogError, match=f"row 3: its {clock} .* is before that of the row above"):
        book.feed(more)
    assert book.book.order_count() == 2


def test_another_layout_of_rows_is_refused() -> None:
    with pytest.raises(OrderLogError, match="ORDER_ROW_DTYPE"):
        small().feed(np.zeros(1, ROW_DTYPE))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=80), st.integers(0, 1 << 40))
def test_the_index_is_a_dict(changes: list[tuple[bool, int]], stride: int) -> None:
    index, plain = new_index(8), {}
    for adds, which in changes:
        order = which * (stride * 2 + 1)
        place = find(index, order)
        if adds and len(plain) < 8:
            index[place] = (order, which + 1)
            plain[order] = which + 1
        elif not adds and order in plain:
            forget(index, place)
            del plain[order]
        for key in range(13):
            key *= stride * 2 + 1
            assert index[find(index, key)]["handle"] == plain.get(key, 0)


def random_log(seed: int, count: int) -> np.ndarray:
    """A log that fits: orders join on their side of 132, leave, shrink, trade at the best price or move."""
    rng = np.random.default_rng(seed)
    queue: dict[int, list[int]] = {}  # order: [side, tick, lots], oldest first
    events = []
    for i in range(count):
        kind = int(rng.choice([ADD, REDUCE, CANCEL, EXECUTE, REPLACE], p=[0.45, 0.1, 0.2, 0.15, 0.1]))
        if kind == ADD or not queue:
            if len(queue) >= ORDERS:
                continue
            side = int(rng.choice([1, -1]))
            tick, lots = 132 - side * int(rng.integers(1, 9)), int(rng.integers(1, 9))
            queue[i + 1] = [side, tick, lots]
            events.append((ADD, i + 1, side, tick, lots))
            continue
        order = int(rng.choice(list(queue)))
        side, tick, lots = queue[order]
        if kind == EXECUTE:
            order = min((o for o in queue if queue[o][0] == side), key=lambda o: -side * queue[o][1])
            side, tick, lots = queue[order]
        taken = lots if kind == CANCEL else int(rng.integers(1, lots + 1))
        if kind == REPLACE:
            tick, lots = 132 - side * int(rng.integers(1, 9)), int(rng.integers(1, 9))
            del queue[order]
            queue[order] = [side, tick, lots]
            taken = lots
        elif taken == lots:
            del queue[order]
        else:
            queue[order][2] -= taken
        events.append((kind, order, side, tick, taken))
    return rows(*events)


@pytest.mark.parametrize("seed", range(3))
def test_levels_are_the_sums_of_their_orders_in_the_order_of_their_arrival(seed: int) -> None:
    log = random_log(seed, 3000)
    book = small()
    made = np.concatenate([book.feed(log[:1000]), book.feed(log[1000:])])
    shown: dict[tuple[int, int], int] = defaultdict(int)
    for row in made[made["kind"] & KIND == DEPTH]:
        shown[int(row["side"]), int(row["tick"])] = int(row["lots"])
    sums: dict[tuple[int, int], int] = defaultdict(int)
    for side in (1, -1):
        orders = book.book.l3(side, ORDERS)
        for _, _, _, tick, lots in orders.tolist():
            sums[side, tick] += lots
        ticks, lots_at, _ = book.book.depth(side, LEVELS)
        assert {(side, t): n for t, n in zip(ticks.tolist(), lots_at.tolist(), strict=True)} == {
            key: n for key, n in sums.items() if key[0] == side
        }
        for tick in set(orders[:, 3].tolist()):
            assert (np.diff(orders[orders[:, 3] == tick][:, 2]) > 0).all()  # seq
    assert {key: n for key, n in shown.items() if n} == sums
    counts = book.counts()
    assert counts["out_of_turn"] == 0
    assert counts["joined"] == counts["removed"] + counts["traded"] + sum(sums.values())
    assert counts["traded"] == int(made["lots"][made["kind"] & KIND == TRADE].sum())


def test_what_a_feed_of_levels_shows_is_the_same_without_seq() -> None:
    made = small().feed(random_log(5, 200))
    levels = without_orders(made)
    assert levels.dtype == ROW_DTYPE
    assert all((levels[name] == made[name]).all() for name in ROW_DTYPE.names or ())
