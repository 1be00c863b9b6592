"""Operations in bulk: the same answers, tape and book as one call each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.lob.batch import CANCEL, MARKET, MODIFY, OP_DTYPE, PLACE, REDUCE, run_into
from slipstream.lob.book import BUY, FILLED, GONE, SELL, Book


def session(seed: int, count: int) -> Any:
    """Random rows; those that act name any order placed before, whether it rests or not."""
    rng = np.random.default_rng(seed)
    ops = np.zeros(count, OP_DTYPE)
    ops["kind"] = rng.choice([PLACE, MARKET, CANCEL, REDUCE, MODIFY], count, p=[0.55, 0.05, 0.2, 0.1, 0.1])
    ops["kind"][0] = PLACE
    placed = np.flatnonzero(ops["kind"] == PLACE)
    before = np.maximum(1, np.searchsorted(placed, np.arange(count)))
    ops["tag"] = np.where(ops["kind"] >= CANCEL, placed[rng.integers(0, before)], np.arange(count))
    ops["side"] = rng.choice([BUY, SELL], count)
    ops["tick"] = 500 - ops["side"] * rng.integers(-2, 20, count)
    ops["lots"] = rng.integers(1, 40, count)
    ops["tif"] = rng.integers(0, 3, count)
    ops["owner"] = rng.integers(0, 4, count)
    ops["ns"] = np.arange(count)
    return ops


def one_by_one(book: Book, ops: Any) -> list[int]:
    results: list[int] = []
    for tag, lots, ns, tick, owner, kind, side, tif in ops.tolist():
        if kind == PLACE:
            result = book.place(tag, owner, side, tick, lots, tif, ns)
        elif kind == MARKET:
            result = book.market(tag, owner, side, lots, ns)
        elif kind == CANCEL:
            result = book.cancel(results[tag])
        elif kind == REDUCE:
            result = book.reduce(results[tag], lots)
        else:
            result = book.modify(results[tag], tick, lots, ns)
            if result >= FILLED:
                results[tag] = result
        results.append(result)
    return results


@given(st.integers(0, 2**32), st.integers(1, 400))
@settings(max_examples=60, deadline=None)
def test_a_batch_is_its_operations_one_by_one(seed: int, count: int) -> None:
    ops = session(seed, count)
    first, second = (Book(0, 1_000, orders=2_000, fills=4_096) for _ in range(2))
    assert first.run(ops).tolist() == one_by_one(second, ops)
    assert first.dump() == second.dump()


def test_rows_follow_an_order_that_moved() -> None:
    ops = np.zeros(4, OP_DTYPE)
    ops["side"], ops["lots"], ops["tick"] = BUY, 5, 10
    ops["kind"] = [PLACE, MODIFY, CANCEL, CANCEL]
    ops["tick"][1] = 12
    book = Book(0, 1_000, orders=2_000, fills=4_096)
    results = book.run(ops).tolist()
    assert results[0] == results[1], "the placing row holds the handle that rests now"
    assert results[2:] == [5, GONE] and book.order_count() == 0


def test_a_full_ring_stops_before_the_row_and_goes_on_where_it_stopped() -> None:
    ops = session(5, 3_000)
    whole, parts = Book(0, 1_000, orders=2_000, fills=4_096), Book(0, 1_000, orders=2_000, fills=24)
    expected = whole.run(ops)
    results, done, tapes, expired = np.zeros(len(ops), np.int64), 0, [], []
    for _ in range(len(ops)):
        done = run_into(parts.record.base, ops, results, done)
        tapes.append(parts.fills())
        expired.append(parts.expired())
        parts.clear_fills()
        parts.clear_expired()
        if done == len(ops):
            break
    assert len(tapes) > 10 and np.array_equal(results, expected)
    assert np.array_equal(np.concatenate(tapes), whole.fills())
    assert np.array_equal(np.concatenate(expired), whole.expired())


def test_a_batch_that_cannot_be_meant_is_refused_before_it_starts() -> None:
    book = Book(0, 1_000, orders=2_000, fills=4_096)
    ops = session(1, 10)
    with pytest.raises(ValueError, match="OP_DTYPE"):
        book.run(ops["tag"].copy())
    ops["kind"], ops["tag"] = PLACE, np.arange(10)
    ops["kind"][7], ops["tag"][7] = CANCEL, 7
    with pytest.raises(ValueError, match="operation 7: tag 7 is not an earlier row"):
        book.run(ops)
    ops["tag"][7] = 3
    ops["kind"][3] = MARKET
    with pytest.raises(ValueError, match="operation 7: row 3 places no order"):
        book.run(ops)
    ops["kind"][7] = 9
    with pytest.raises(ValueError, match=r"operation 7: kind 9 is none of 0\.\.4"):
        book.run(ops)
    assert book.order_count() == 0


def test_a_batch_without_room_says_where_it_stopped() -> None:
    book = Book(0, 64, orders=3, fills=2)
    ops = np.zeros(5, OP_DTYPE)
    ops["side"], ops["lots"], ops["tick"] = BUY, 1, 10
    with pytest.raises(OverflowError, match="operation 3: the book has no room"):
        book.run(ops)
    assert book.order_count() == 3
