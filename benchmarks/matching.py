"""The matching engine against the C++ cores of PyPI, in turns, every answer compared.

    uv run --no-sync python benchmarks/matching.py [--rounds 5] [--count 1000000] [--calls 200000]

1. batch: an array of operations (60 % limit orders, 35 % cancels, 5 % market orders) through `run_into`, and through
   the C interfaces of `orderly-chaos` and `limit-order-book` from a compiled loop, so that no Python runs between
   operations. Ours writes its whole trade tape; the peers are timed without theirs (limit-order-book has none), and
   orderly-chaos also with it.
2. calls: the same operations, one Python call each, through each package's own class.

After every run orderly-chaos' tape (where it wrote one) and both peers' final books are compared with ours, level by
level. Orders arrive behind the best opposite price at exponential distances, one in twenty at it; cancels pick any
resting order. The mixes differ in how deep a book this builds.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import time
from typing import Any

import limit_order_book
import numpy as np
import orderly_chaos
from limit_order_book.library import Library
from numba import carray, cfunc, njit, types
from orderly_chaos import _library as chaos

from slipstream.lob import matching
from slipstream.lob.batch import CANCEL, MARKET, OP_DTYPE, PLACE, run_into
from slipstream.lob.book import BUY, GTC, SELL, Book

ORDERS = 1 << 18
MIXES = {  # mean distance in ticks, market size as a multiple of a limit order's, first price
    "book that empties": (20.0, 5, 100_000),
    "tight book": (20.0, 4, 100_000),
    "deep book": (100.0, 4, 100_000),
    "growing book": (50.0, 1, 100_000),
}
TAPE = ("taker_tag", "maker_tag", "tick", "lots", "maker_left", "taker_side")


@njit
def _fill_rows(books: Any, ops: Any, distance: float, size: int, middle: int, seed: int) -> None:
    """Write a session down while playing it, so that every cancel names an order that rests."""
    np.random.seed(seed)
    book = books[0]
    live = np.empty((len(ops), 2), np.int64)
    alive = 0
    for i in range(len(ops)):
        op = ops[i]
        draw = np.random.random()
        op.kind = PLACE if draw < 0.6 else CANCEL if draw < 0.95 else MARKET
        op.ns = i
        while op.kind == CANCEL:
            if alive == 0:
                op.kind = PLACE
                break
            k = np.random.randint(0, alive)
            op.tag = live[k, 0]
            handle = live[k, 1]
            alive -= 1
            live[k] = live[alive]
            if matching.cancel(book, handle) >= 0:
                break
        if op.kind == CANCEL:
            continue
        op.tag = i
        op.side = BUY if np.random.random() < 0.5 else SELL
        op.lots = np.random.randint(1, 100)
        if op.kind == MARKET:
            op.lots *= size
            matching.market(book, i, 0, op.side, op.lots, i)
        else:
            touch = matching.best_ask(book) if op.side > 0 else matching.best_bid(book)
            touch = touch if touch >= 0 else middle + op.side
            away = 0 if np.random.random() < 0.05 else 1 + int(np.random.exponential(distance))
            op.tick = touch - op.side * away
            handle = matching.place(book, i, 0, op.side, op.tick, op.lots, GTC, i)
            if handle >= 0:
                live[alive, 0] = i
                live[alive, 1] = handle
                alive += 1
        book.fill_count = 0


def session(count: int, distance: float, size: int, middle: int) -> Any:
    """A reproducible array of operations."""
    ops = np.zeros(count, OP_DTYPE)
    _fill_rows(Book(0, orders=ORDERS, fills=1 << 16).record.base, ops, distance, size, middle, 7)
    return ops


# --- orderly-chaos, through its C interface -------------------------------------------------------------------------

_CHAOS = ctypes.CDLL(chaos.candidate_paths()[0])
for _name, (_result, _arguments) in chaos._PROTOTYPES.items():
    getattr(_CHAOS, _name).restype = _result
    getattr(_CHAOS, _name).argtypes = [
        ctypes.c_void_p if isinstance(argument, type) and issubclass(argument, ctypes._Pointer) else argument
        for argument in _arguments
    ]
_CHAOS.oc_book_set_trade_callback.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
_chaos_limit, _chaos_market, _chaos_cancel = _CHAOS.oc_book_limit, _CHAOS.oc_book_market, _CHAOS.oc_book_cancel


@cfunc(types.void(types.CPointer(types.int64), types.CPointer(types.int64)))
def _chaos_trade(trade: Any, tape: Any) -> None:
    """Append a trade to the tape: tape[0] counts, rows of six follow."""
    told = carray(trade, 5)
    k = carray(tape, 1)[0]
    rows = carray(tape, 1 + 6 * (k + 1))
    at = 1 + 6 * k
    rows[at] = told[0]
    rows[at + 1] = told[1]
    rows[at + 2] = told[2]
    rows[at + 3] = told[3] & 0xFFFFFFFF
    rows[at + 4] = told[3] >> 32
    rows[at + 5] = 1 if told[4] & 1 else -1
    rows[0] = k + 1


@njit
def _run_chaos(book: int, ops: Any, filled: int) -> None:
    for i in range(len(ops)):
        op = ops[i]
        if op.kind == PLACE:
            _chaos_limit(book, 1 if op.side > 0 else 0, op.tag, op.lots, op.tick, filled)
        elif op.kind == CANCEL:
            _chaos_cancel(book, op.tag)
        else:
            _chaos_market(book, 1 if op.side > 0 else 0, op.tag, op.lots, filled)


def chaos_batch(ops: Any, tape: Any = None) -> tuple[float, Any]:
    """Seconds, and the final book as {(side, tick): (lots, orders)}."""
    book = _CHAOS.oc_book_new()
    filled = np.zeros(1, np.uint32)
    if tape is not None:
        _CHAOS.oc_book_set_trade_callback(book, _chaos_trade.address, tape.ctypes.data)
    began = time.perf_counter()
    _run_chaos(book, ops, filled.ctypes.data)
    seconds = time.perf_counter() - began
    levels = {}
    for side, number in ((BUY, 1), (SELL, 0)):
        rows = (chaos.OcLevel * ORDERS)()
        n = _CHAOS.oc_book_depth(book, number, ctypes.addressof(rows), ORDERS)
        levels.update({(side, row.price): (row.volume, row.count) for row in rows[:n]})
    _CHAOS.oc_book_free(book)
    return seconds, levels


# --- limit-order-book, through its C interface ----------------------------------------------------------------------

_LOB = Library.functions
_lob_buy, _lob_sell, _lob_cancel = _LOB.limit_buy, _LOB.limit_sell, _LOB.cancel
_lob_market_buy, _lob_market_sell = _LOB.market_buy, _LOB.market_sell


@njit
def _run_lob(book: int, ops: Any) -> None:
    for i in range(len(ops)):
        op = ops[i]
        if op.kind == PLACE:
            if op.side > 0:
                _lob_buy(book, op.tag, op.lots, op.tick)
            else:
                _lob_sell(book, op.tag, op.lots, op.tick)
        elif op.kind == CANCEL:
            _lob_cancel(book, op.tag)
        elif op.side > 0:
            _lob_market_buy(book, op.tag, op.lots)
        else:
            _lob_market_sell(book, op.tag, op.lots)


def lob_levels(book: Any, ours: dict[Any, Any]) -> dict[Any, Any]:
    """What limit-order-book holds at the levels we hold, and in all (key None)."""
    levels: dict[Any, Any] = {
        (side, tick): (
            (_LOB.volume_buy_price if side > 0 else _LOB.volume_sell_price)(book, tick),
            _LOB.count_at(book, tick),
        )
        for side, tick in ours
    }
    return levels | {None: (_LOB.volume(book), _LOB.count(book))}


def lob_batch(ops: Any, ours: dict[Any, Any]) -> tuple[float, Any]:
    """Seconds, and the final book."""
    book = _LOB.new_()
    began = time.perf_counter()
    _run_lob(book, ops)
    seconds = time.perf_counter() - began
    levels = lob_levels(book, ours)
    _LOB.delete_(book)
    return seconds, levels


# --- ours -----------------------------------------------------------------------------------------------------------


def our_levels(book: Book) -> dict[Any, Any]:
    """{(side, tick): (lots, orders)} of a book."""
    levels = {}
    for side in (BUY, SELL):
        rows = zip(*(column.tolist() for column in book.depth(side, ORDERS)), strict=True)
        levels.update({(side, tick): (lots, count) for tick, lots, count in rows})
    return levels


def our_batch(ops: Any, results: Any) -> tuple[float, Book]:
    """Seconds, and the book with its tape."""
    book = Book(0, orders=ORDERS, fills=1 << 20)
    for name in ("fill_rows", "slots"):  # the peers' allocators reuse warm memory: let ours be mapped too
        book.record[name].view(np.uint8)[:] = 0
    began = time.perf_counter()
    done = run_into(book.record.base, ops, results, 0)
    seconds = time.perf_counter() - began
    if done != len(ops):
        raise SystemExit(f"our book had no room at operation {done}")
    return seconds, book


def check(name: str, theirs: Any, ours: Any) -> None:
    """Stop if a peer's answer differs."""
    if theirs != ours:
        raise SystemExit(f"{name}: the answer differs from ours")


def batch(name: str, ops: Any, rounds: int) -> None:
    """Everybody in turns; medians and the ratio to the best peer."""
    results = np.zeros(len(ops), np.int64)
    for warm in (ops[:100], ops[:100]):
        our_batch(warm, results), chaos_batch(warm), lob_batch(warm, {})
    seconds: dict[str, list[float]] = {}
    resting = trades = 0
    for _ in range(rounds):
        ours, book = our_batch(ops, results)
        levels = our_levels(book)
        fills = book.fills()
        resting, trades = book.order_count(), len(fills)
        lots, orders = (sum(column) for column in zip(*levels.values(), strict=True))
        bare, theirs = chaos_batch(ops)
        check("orderly-chaos", theirs, levels)
        tape = np.zeros(1 + 6 * (trades + 1), np.int64)
        taped, _ = chaos_batch(ops, tape)
        check("orderly-chaos tape", tape[0], trades)
        told = np.column_stack([fills[field] for field in TAPE])
        check("orderly-chaos tape", np.array_equal(tape[1 : 1 + 6 * trades].reshape(-1, 6), told), True)
        other, theirs = lob_batch(ops, levels)
        check("limit-order-book", theirs, levels | {None: (lots & 0xFFFFFFFF, orders)})
        for peer, took in (
            ("ours, with tape", ours),
            ("orderly-chaos", bare),
            ("orderly-chaos, with tape", taped),
            ("limit-order-book", other),
        ):
            seconds.setdefault(peer, []).append(took)
    report(
        f"batch, {name}: {len(ops):,} operations, {trades:,} trades, {resting:,} orders at the end", seconds, len(ops)
    )


def report(title: str, seconds: dict[str, list[float]], count: int) -> None:
    """One line per engine and the ratios."""
    print(title)
    medians = {name: statistics.median(took) / count * 1e9 for name, took in seconds.items()}
    ours, *peers = medians
    for name, ns in medians.items():
        ratio = "" if name == ours else f"  {ns / medians[ours]:5.2f}x ours"
        print(f"  {name:26} {ns:8.1f} ns   {1e3 / ns:7.2f} M/s{ratio}")
    print(f"  best peer / ours           {min(medians[name] for name in peers) / medians[ours]:8.2f}")


# --- one Python call per operation ----------------------------------------------------------------------------------


def call_ours(rows: list[tuple[int, ...]]) -> tuple[float, Any]:
    """Seconds, and the final book."""
    book = Book(0, orders=ORDERS, fills=1 << 20)
    place, market, cancel, handles = book.place, book.market, book.cancel, [0] * len(rows)
    began = time.perf_counter()
    for number, (kind, tag, side, tick, lots) in enumerate(rows):
        if kind == PLACE:
            handles[number] = place(tag, 0, side, tick, lots, GTC, number)
        elif kind == CANCEL:
            cancel(handles[tag])
        else:
            market(tag, 0, side, lots, number)
    return time.perf_counter() - began, our_levels(book)


def call_lob(rows: list[tuple[int, ...]], ours: dict[Any, Any]) -> tuple[float, Any]:
    """Seconds, and the final book."""
    book = limit_order_book.limit_order_book.LimitOrderBook()
    limit, market, cancel = book.limit, book.market, book.cancel
    began = time.perf_counter()
    for kind, tag, side, tick, lots in rows:
        if kind == PLACE:
            limit(side > 0, tag, lots, tick)
        elif kind == CANCEL:
            cancel(tag)
        else:
            market(side > 0, tag, lots)
    return time.perf_counter() - began, lob_levels(book._book, ours)


def call_chaos(rows: list[tuple[int, ...]]) -> tuple[float, Any]:
    """Seconds, and the final book."""
    book = orderly_chaos.LimitOrderBook()
    limit, market, cancel = book.limit, book.market, book.cancel
    sides = {BUY: orderly_chaos.Side.BUY, SELL: orderly_chaos.Side.SELL}
    began = time.perf_counter()
    for kind, tag, side, tick, lots in rows:
        if kind == PLACE:
            limit(sides[side], tag, lots, tick)
        elif kind == CANCEL:
            cancel(tag)
        else:
            market(sides[side], tag, lots)
    seconds = time.perf_counter() - began
    return seconds, {
        (side, level.price): (level.volume, level.count)
        for side in (BUY, SELL)
        for level in book.depth(sides[side], levels=ORDERS)
    }


def calls(name: str, ops: Any, rounds: int) -> None:
    """Everybody in turns, through Python."""
    rows = [tuple(row) for row in ops[["kind", "tag", "side", "tick", "lots"]].tolist()]
    seconds: dict[str, list[float]] = {}
    call_ours(rows[:100])
    for _ in range(rounds):
        took, levels = call_ours(rows)
        seconds.setdefault("ours", []).append(took)
        lots, orders = (sum(column) for column in zip(*levels.values(), strict=True))
        took, theirs = call_chaos(rows)
        check("orderly-chaos", theirs, levels)
        seconds.setdefault("orderly-chaos", []).append(took)
        took, theirs = call_lob(rows, levels)
        check("limit-order-book", theirs, levels | {None: (lots, orders)})
        seconds.setdefault("limit-order-book", []).append(took)
    report(f"Python calls, {name}: {len(rows):,} operations", seconds, len(rows))


def main() -> None:
    """Every mix in batch, then by calls."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=200_000)
    given = parser.parse_args()
    for name, mix in MIXES.items():
        batch(name, session(given.count, *mix), given.rounds)
    for name, mix in MIXES.items():
        calls(name, session(given.calls, *mix), given.rounds)


if __name__ == "__main__":
    main()
