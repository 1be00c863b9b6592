"""What the matching engine tells order by order rebuilds its own book."""

from __future__ import annotations

import numpy as np
import pytest

from slipstream.lob.batch import OP_DTYPE, PLACE
from slipstream.lob.book import Book
from slipstream.lob.replay.order_book import OrderBook
from slipstream.lob.replay.order_record import record, record_into
from slipstream.lob.replay.order_rows import EXECUTE, ORDER_ROW_DTYPE
from tests.lob.replay.sessions import random_ops

LEVELS, ORDERS = 64, 256


def engine(fills: int = 1) -> Book:
    return Book(100, LEVELS, ORDERS, fills)


@pytest.mark.parametrize("seed", range(4))
def test_the_book_of_the_log_is_the_book_of_the_engine(seed: int) -> None:
    book = engine(fills=512)
    log = record(book, random_ops(seed, 4000))
    rebuilt = OrderBook(100, LEVELS, ORDERS)
    rebuilt.feed(log)
    for side in (1, -1):
        ours, theirs = rebuilt.book.l3(side, ORDERS), book.l3(side, ORDERS)
        assert (ours[:, [1, 3, 4]] == theirs[:, [1, 3, 4]]).all() and len(theirs) > 3  # id, tick, lots, in priority
        assert all((a == b).all() for a, b in zip(rebuilt.book.depth(side, 64), book.depth(side, 64), strict=True))
    assert rebuilt.counts()["out_of_turn"] == 0
    assert rebuilt.counts()["executions"] == (log["kind"] == EXECUTE).sum() > 100


def test_a_session_in_pieces_is_the_session() -> None:
    ops = random_ops(9, 600)
    whole = record(engine(fills=512), ops)
    book, results, done, pieces = engine(fills=512), np.empty(len(ops), np.int64), 0, []
    out, written = np.empty(ORDERS + 2, ORDER_ROW_DTYPE), np.zeros(1, np.int64)
    while done < len(ops):
        done = record_into(book.record.base, ops, results, out, written, done)
        pieces.append(out[: written[0]].copy())
    assert len(pieces) > 2
    assert (np.concatenate(pieces) == whole).all()


def test_two_orders_of_one_tag_are_refused() -> None:
    ops = np.zeros(2, OP_DTYPE)
    ops["kind"], ops["side"], ops["tick"], ops["lots"], ops["tag"] = PLACE, 1, 120, 1, 7
    with pytest.raises(ValueError, match="a positive tag of its own"):
        record(engine(512), ops)


def test_a_book_without_room_is_said() -> None:
    ops = np.zeros(ORDERS + 1, OP_DTYPE)
    ops["kind"], ops["side"], ops["tick"], ops["lots"] = PLACE, 1, 120, 1
    ops["tag"] = np.arange(len(ops)) + 1
    with pytest.raises(OverflowError, match=f"operation {ORDERS}: the book has no room"):
        record(engine(512), ops)
