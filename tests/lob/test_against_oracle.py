"""The compiled book and the plain one, operation by operation."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.lob.book import ALO, BUY, GTC, IOC, SELL, Book
from tests.lob.oracle import Oracle, Resting

BASE, LEVELS = 1_000, 4_096


class Pair:
    """Both books, driven alike; every answer compared at once, every fill when read."""

    def __init__(self, levels: int = LEVELS) -> None:
        self.book = Book(BASE, levels, orders=1 << 15, fills=1 << 14)
        self.oracle = Oracle(BASE, levels)
        self.orders: list[tuple[int, Resting]] = []
        self.count = 0

    def _rests(self, result: int, code: int, order: Resting | None) -> None:
        assert (result if result < 0 else 0) == code
        if result >= 0 and order is not None:
            self.orders.append((result, order))

    def place(self, owner: int, side: int, tick: int, lots: int, tif: int) -> None:
        self.count += 1
        result = self.book.place(self.count, owner, side, tick, lots, tif, self.count)
        self._rests(result, *self.oracle.place(self.count, owner, side, tick, lots, tif))

    def market(self, owner: int, side: int, lots: int) -> None:
        self.count += 1
        result = self.book.market(self.count, owner, side, lots, self.count)
        tick = BASE + LEVELS if side > 0 else 0
        assert result == self.oracle.place(self.count, owner, side, tick, lots, IOC)[0]

    def cancel(self, which: int) -> None:
        handle, order = self.orders[which]
        assert self.book.cancel(handle) == self.oracle.cancel(order)

    def reduce(self, which: int, lots: int) -> None:
        handle, order = self.orders[which]
        assert self.book.reduce(handle, lots) == self.oracle.reduce(order, lots)

    def modify(self, which: int, tick: int, lots: int) -> None:
        handle, order = self.orders[which]
        self.count += 1
        self._rests(self.book.modify(handle, tick, lots, self.count), *self.oracle.modify(order, tick, lots))

    def compare_tapes(self) -> None:
        names = ("maker_tag", "maker_owner", "maker_left", "taker_tag", "taker_owner", "taker_side", "tick", "lots")
        rows = self.book.fills()
        assert list(zip(*(rows[name].tolist() for name in names), strict=True)) == self.oracle.fills
        gone = self.book.expired()
        told = list(zip(*(gone[name].tolist() for name in ("tag", "owner", "lots")), strict=True))
        assert told == self.oracle.expired
        self.book.clear_fills()
        self.book.clear_expired()
        self.oracle.fills.clear()
        self.oracle.expired.clear()

    def compare_books(self) -> None:
        for side in (BUY, SELL):
            mine = [tuple(row[1:]) for row in self.book.l3(side, 1 << 15).tolist()]
            assert mine == self.oracle.l3(side)
            best = self.book.best_bid() if side > 0 else self.book.best_ask()
            assert best == self.oracle.best(side)
            ticks, lots, counts = self.book.depth(side, LEVELS)
            assert counts.sum() == len(mine) and lots.sum() == sum(row[3] for row in mine)
            assert ticks.tolist() == sorted(ticks.tolist(), reverse=side > 0)
        bid, ask = self.book.best_bid(), self.book.best_ask()
        assert bid < ask or -1 in (bid, ask), "the book is crossed"


def step(pair: Pair, rng: Random, middle: int) -> None:
    """One random operation: mostly near the middle, sometimes anywhere, sometimes nonsense."""
    kind = rng.random()
    side = BUY if rng.random() < 0.5 else SELL
    owner = rng.randrange(6)
    lots = rng.randrange(1, 60) if rng.random() < 0.98 else rng.choice([0, -1, 5_000])
    near = middle - side * rng.randrange(-3, 25)
    tick = near if rng.random() < 0.97 else rng.randrange(BASE - 5, BASE + LEVELS + 5)
    if kind < 0.50 or not pair.orders:
        pair.place(owner, side, tick, lots, rng.choice((GTC, GTC, GTC, ALO, IOC)))
    elif kind < 0.80:
        which = rng.randrange(max(0, len(pair.orders) - 400), len(pair.orders))
        pair.cancel(which)
    elif kind < 0.86:
        pair.market(owner, side, lots)
    elif kind < 0.92:
        pair.reduce(rng.randrange(max(0, len(pair.orders) - 400), len(pair.orders)), abs(lots))
    else:
        pair.modify(rng.randrange(max(0, len(pair.orders) - 400), len(pair.orders)), tick, lots)


def drive(pair: Pair, rng: Random, operations: int) -> None:
    middle = BASE + LEVELS // 2
    for number in range(operations):
        step(pair, rng, middle)
        if number % 1_000 == 999:
            pair.compare_tapes()
            middle = max(BASE + 40, min(BASE + LEVELS - 40, middle + rng.randrange(-30, 31)))
            del pair.orders[:-1_000]
        if number % 50_000 == 49_999:
            pair.compare_books()
    pair.compare_tapes()
    pair.compare_books()


@pytest.mark.slow
def test_a_million_random_operations_equal_the_oracle() -> None:
    drive(Pair(), Random(2), 1_000_000)


@given(st.integers(0, 2**32), st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_any_short_session_equals_the_oracle(seed: int, operations: int) -> None:
    drive(Pair(), Random(seed), operations)
