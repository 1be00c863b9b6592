"""Whole books become differences, and back: whatever is heard, a plain book that reads the rows is the book heard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.data.tape.difference import ROOM, differences, new_state
from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.findings import CROSSED, CROSSES, DISAGREES, OFF_GRID, SAME_BOOK, UNSORTED, Findings
from slipstream.data.tape.heard import HEARD_DTYPE, Scale, Sides, bests, books, trades
from slipstream.data.tape.scan import Validator
from slipstream.lob.replay.rows import BEST, CLEAR, DEPTH, KIND, MORE, ROW_DTYPE, TRADE
from tests.data.tape.plain_book import MARKET, PlainBook, messages

SCALE = Scale(MARKET)
Levels = list[tuple[int, int]]  # tick, lots


def as_book(ns: int, bids: Levels, asks: Levels, found: Findings | None = None) -> Any:
    def side(levels: Levels) -> Sides:
        px = np.array([tick / 10 for tick, _ in levels])
        return Sides(np.array([len(levels)]), px, np.array([lots / 1e5 for _, lots in levels]))

    one = np.array([ns])
    return books(SCALE, found or Findings(), one, one, one, side(bids), side(asks))


def as_best(ns: int, bid: tuple[int, int] | None, ask: tuple[int, int] | None) -> Any:
    px = np.array([[np.nan if one is None else one[0] / 10 for one in (bid, ask)]])
    sz = np.array([[np.nan if one is None else one[1] / 1e5 for one in (bid, ask)]])
    one = np.array([ns])
    return bests(SCALE, Findings(), one, one, one, px, sz)


def plain(rows: Any) -> Any:
    out = np.zeros(len(rows), ROW_DTYPE)
    for name in ROW_DTYPE.names or ():
        out[name] = rows[name]
    return out


@st.composite
def a_book(draw: st.DrawFn) -> tuple[Levels, Levels]:
    mid = draw(st.integers(95, 105))
    bids = draw(st.lists(st.integers(mid - 12, mid - 1), unique=True, max_size=6))
    asks = draw(st.lists(st.integers(mid, mid + 12), unique=True, max_size=6))
    lots = st.integers(1, 5)
    return [(t, draw(lots)) for t in sorted(bids, reverse=True)], [(t, draw(lots)) for t in sorted(asks)]


@given(st.lists(a_book(), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_books_come_back_as_they_were(told: list[tuple[Levels, Levels]]) -> None:
    heard = np.concatenate([as_book(k, *one) for k, one in enumerate(told)])
    rows = plain(differences(new_state(), heard))
    book = PlainBook()
    for n, (message, (bids, asks)) in enumerate(zip(messages(rows), told, strict=True)):
        for row in message:
            book.read(row)
            assert not book.crossed()
        assert (book.bids, book.asks) == (dict(bids), dict(asks))
        assert (message["exch_ns"] == n).all()


@given(st.lists(st.tuples(a_book(), st.booleans(), st.booleans(), st.booleans()), min_size=2, max_size=12))
@settings(max_examples=40, deadline=None)
def test_best_prices_between_books(told: list[tuple[tuple[Levels, Levels], bool, bool, bool]]) -> None:
    parts, truth = [as_book(0, *told[0][0])], [(told[0][0], None)]
    for k, ((bids, asks), whole, with_bid, with_ask) in enumerate(told[1:], 1):
        bid = ((bids[0] if bids else (1, 0)) if with_bid else None, (asks[0] if asks else (1, 0)) if with_ask else None)
        if whole or bid == (None, None):
            parts.append(as_book(k, bids, asks))
            truth.append(((bids, asks), None))
        else:
            parts.append(as_best(k, *bid))
            truth.append(((bids, asks), bid))
    state = new_state()
    rows = plain(differences(state, np.concatenate(parts)))
    book = PlainBook()
    for message, ((bids, asks), best) in zip(messages(rows), truth, strict=True):
        for row in message:
            book.read(row)
            assert not book.crossed()
        if best is None:
            assert (book.bids, book.asks) == (dict(bids), dict(asks))
            continue
        for side, sign, one in ((book.bids, 1, best[0]), (book.asks, -1, best[1])):
            if one is not None and one[1] == 0:
                assert not side
            elif one is not None:
                assert max(side, key=lambda tick, sign=sign: sign * tick) == one[0] and side[one[0]] == one[1]
    # and the validator, which walks the same rows with the compiled ladder, sees the same best prices
    found = Findings()
    validator = Validator(found, "x", 1e9)
    validator.take(rows)
    assert validator.best_ticks == (max(book.bids, default=-1), min(book.asks, default=-1))


def kinds(rows: Any) -> list[tuple[int, int, int, int]]:
    return [(int(r["kind"]) & KIND, int(r["side"]), int(r["tick"]), int(r["lots"])) for r in rows]


def test_only_what_changed_is_told_and_a_silent_message_is_heard() -> None:
    state = new_state()
    differences(state, as_book(0, [(100, 5), (99, 5)], [(101, 5), (103, 2)]))
    rows = differences(state, as_book(1, [(100, 5), (98, 1)], [(101, 4)]))
    # those that left first: the vanished 99, and 103, which is beyond what is visible now
    assert kinds(rows) == [(DEPTH, 1, 99, 0), (DEPTH, -1, 103, 0), (DEPTH, 1, 98, 1), (DEPTH, -1, 101, 4)]
    assert [bool(row["kind"] & MORE) for row in rows] == [True, True, True, False]
    assert kinds(differences(state, as_book(2, [(100, 5), (98, 1)], [(101, 4)]))) == [(BEST, 1, 100, 5)]
    assert len(differences(state, as_book(2, [(100, 5), (98, 1)], [(101, 4)]))) == 0
    assert state["found"]["counts"][SAME_BOOK] == 1


def test_a_best_price_through_older_levels() -> None:
    state = new_state()
    differences(state, as_book(0, [(100, 5), (99, 5)], [(101, 5), (103, 2)]))
    rows = differences(state, as_best(1, (102, 7), None))
    assert kinds(rows) == [(CLEAR, -1, 102, 0), (BEST, 1, 102, 7)]
    assert state["found"]["counts"][CROSSES] == 1
    rows = differences(state, as_best(2, (104, 7), (105, 1)))  # both sides moved: nothing is crossed on the way
    assert [row[0] for row in kinds(rows)] == [BEST, BEST] and kinds(rows)[0][1] == -1


def test_books_that_cannot_be_are_left_out() -> None:
    state = new_state()
    differences(state, as_book(0, [(100, 5)], [(101, 5)]))
    bad = [as_book(1, [(101, 5)], [(101, 5)]), as_book(2, [(99, 1), (100, 5)], [(101, 5)])]
    assert len(differences(state, np.concatenate(bad))) == 0
    assert state["found"]["counts"][CROSSED] == 1 and state["found"]["counts"][UNSORTED] == 1
    found = Findings(["file"])
    assert len(as_book(3, [(100, 5), (99, 0)], [(101, 5)], found)) == 0
    assert found.list()[0].places == ("file: row 3",)


def test_a_book_that_disagrees_with_the_best_price_of_its_time_wins() -> None:
    state = new_state()
    differences(state, as_book(0, [(100, 5)], [(101, 5)]))
    heard = np.concatenate([as_best(1, (99, 1), (101, 5)), as_book(1, [(100, 4)], [(101, 5)])])
    book = PlainBook()
    for row in differences(state, heard):
        book.read(row)
    assert state["found"]["counts"][DISAGREES] == 1 and book.bids == {100: 4}


def test_trades_are_heard_one_by_one_and_only_once_there_is_a_book() -> None:
    state = new_state()
    n = np.array([1, 1])
    deal = trades(SCALE, Findings(), n, n, n, np.array([10.0, 10.1]), np.array([1e-5, 2e-5]), np.array([1, -1]))
    assert len(differences(state, deal)) == 0
    differences(state, as_book(0, [(100, 5)], [(101, 5)]))
    assert differences(state, deal)["kind"].tolist() == [TRADE, TRADE]


def test_off_the_grid_is_left_out_where_the_grid_was_told_and_an_error_where_it_was_guessed() -> None:
    n = np.array([7])
    one = (n, n, n, np.array([10.05]), np.array([1e-5]), np.array([1]))
    found = Findings(["trades.csv"])
    assert len(trades(SCALE, found, *one)) == 0 and found.counts[OFF_GRID] == 1
    with pytest.raises(TapeError, match=r"trades.csv: row 7: .*--size-decimals BTC=N"):
        trades(Scale(MARKET, guessed=True), Findings(["trades.csv"]), *one)
    with pytest.raises(TapeError, match=r"row 7: .*--strict"):
        trades(SCALE, Findings(strict=True), *one)


def test_more_rows_than_an_output_buffer() -> None:
    levels = [(10_000 - k, 1) for k in range(500)]
    parts = [as_book(k, [(t, 1 + k % 2) for t, _ in levels], [(10_001, 1)]) for k in range(600)]
    heard = np.concatenate(parts)
    assert len(heard) > 2 * ROOM
    rows = differences(new_state(), heard)
    assert len(rows) == 600 * 500 + 1 and rows["lots"][-1] == 2 and rows.dtype == HEARD_DTYPE
