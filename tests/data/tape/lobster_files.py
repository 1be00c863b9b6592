"""Sessions of our own matching engine as LOBSTER's files."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy.typing as npt

from slipstream.lob.book import Book
from slipstream.lob.replay.order_book import OrderBook
from slipstream.lob.replay.order_record import record
from slipstream.lob.replay.order_rows import ADD, CANCEL, EXECUTE, REDUCE
from tests.lob.replay.sessions import random_ops

DAY = date(2012, 6, 21)
MIDNIGHT = int(datetime(2012, 6, 21, tzinfo=UTC).timestamp()) * 10**9
LEVELS, ORDERS = 64, 256
TYPES = {ADD: 1, REDUCE: 2, CANCEL: 3, EXECUTE: 4}
OPEN = 34_200 * 10**9  # 09:30


def message_lines(log: npt.NDArray[Any]) -> list[str]:
    """An order log as a LOBSTER message file: ticks are cents."""
    return [
        f"{(OPEN + int(r['exch_ns'])) // 10**9}.{int(r['exch_ns']) % 10**9:09d},{TYPES[int(r['kind'])]},{r['order']},"
        f"{r['lots']},{int(r['tick']) * 100},{r['side']}"
        for r in log
    ]


def level_lines(log: npt.NDArray[Any], n: int) -> list[str]:
    """The levels after every message, as the second file has them."""
    book = OrderBook(100, LEVELS, ORDERS)
    lines = []
    for i in range(len(log)):
        book.feed(log[i : i + 1])
        sides = []
        for side in (-1, 1):
            ticks, lots, _ = book.book.depth(side, n)
            told = [(int(tick) * 100, int(lot)) for tick, lot in zip(ticks, lots, strict=True)]
            sides.append(told + [(-side * 9_999_999_999, 0)] * (n - len(told)))
        lines.append(
            ",".join(f"{ask},{asked},{bid},{wanted}" for (ask, asked), (bid, wanted) in zip(*sides, strict=True))
        )
    return lines


def session(seed: int, count: int) -> tuple[Book, npt.NDArray[Any]]:
    book = Book(100, LEVELS, ORDERS, 512)
    return book, record(book, random_ops(seed, count))


def put(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path
