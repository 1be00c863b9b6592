"""The parts of a book: its bytes, its bitmap and links, and how compiled code sees it."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from slipstream.lob import matching
from slipstream.lob.book import BAD_ORDER, BUY, FILLED, GTC, IOC, MAX_LOTS, OUT_OF_WINDOW, POOL_FULL, SELL, Book
from slipstream.lob.record import book_dtype, sources_mark


def check_links(book: Any) -> None:
    """Levels, links, sums, bitmap, best prices and free slots agree with each other."""
    slots, seen, occupied = book["slots"], set(), []
    for level in range(int(book["n_levels"])):
        slot, before, lots, sides = int(book["level_head"][level]), 0, 0, set()
        while slot:
            order = slots[slot]
            assert (order["prev"], order["level"], order["generation"] & 1) == (before, level, 1)
            assert order["lots"] > 0 and slot not in seen
            seen.add(slot)
            sides.add(int(order["side"]))
            lots += int(order["lots"])
            before, slot = slot, int(order["next"])
        assert int(book["level_tail"][level]) == before and int(book["level_lots"][level]) == lots
        assert len(sides) <= 1
        if sides:
            occupied.append((level, sides.pop()))
    assert int(book["level_count"].sum()) == int(book["resting"]) == len(seen)
    words = {64 * w + b for w in np.flatnonzero(book["bits0"]) for b in range(64) if int(book["bits0"][w]) >> b & 1}
    assert words == {level for level, _ in occupied}
    assert {int(w) for w in np.flatnonzero(book["bits0"])} == {level >> 6 for level in words}
    assert sum(int(word).bit_count() for word in book["bits1"]) == len({level >> 6 for level in words})
    assert int(book["bits2"][0]).bit_count() == len({level >> 12 for level in words})
    assert book["best_bid"] == max((level for level, side in occupied if side == BUY), default=-1)
    assert book["best_ask"] == min((level for level, side in occupied if side == SELL), default=-1)
    free, slot = set(), int(book["free"])
    while slot:
        assert slot not in free and slots[slot]["generation"] & 1 == 0
        free.add(slot)
        slot = int(slots[slot]["next"])
    assert free | seen == set(range(1, int(book["fresh"]))) and not free & seen


@pytest.mark.parametrize("spread", [3, 60, 2_400])
def test_the_parts_agree_after_every_kind_of_operation(spread: int) -> None:
    rng, book, handles = Random(spread), Book(0, 4_096), [0]
    for number in range(1_200):
        side, owner, lots = rng.choice((BUY, SELL)), rng.randrange(3), rng.randrange(1, 20)
        tick, which = 2_048 - side * rng.randrange(-2, spread), rng.choice(handles[-40:])
        kind = rng.randrange(8)
        if kind < 4:
            handles.append(book.place(number, owner, side, tick, lots, rng.randrange(3), number))
        elif kind == 4:
            book.cancel(which)
        elif kind == 5:
            handles.append(book.modify(which, tick, lots, number))
        elif kind == 6:
            book.reduce(which, lots)
        else:
            book.market(number, owner, side, lots * 3, number)
        if number % 40 == 0:
            check_links(book.record)
            book.clear_fills()
            book.clear_expired()
        if number % 400 == 0:
            book.recentre(rng.randrange(0, 1_500))
            check_links(book.record)
            book = Book.load(book.dump())
            check_links(book.record)


def test_levels_at_both_ends_and_across_every_word_of_the_bitmap_are_found() -> None:
    book = Book(0)
    ticks = [0, 1, 63, 64, 4_095, 4_096, 100_000, 262_080, 262_143]
    for tick in ticks:
        book.place(tick, 1, SELL, tick, 1, GTC, 0)
    assert book.depth(SELL, 20)[0].tolist() == ticks
    for tick in ticks:
        assert book.best_ask() == tick and book.market(1, 2, BUY, 1, 0) == FILLED
    for tick in reversed(ticks):
        book.place(tick, 1, BUY, tick, 1, GTC, 0)
    assert book.depth(BUY, 20)[0].tolist() == ticks[::-1]
    for tick in reversed(ticks):
        assert book.best_bid() == tick and book.market(1, 2, SELL, 1, 0) == FILLED
    assert (book.best_bid(), book.best_ask()) == (-1, -1)


def test_damaged_or_foreign_bytes_are_refused() -> None:
    book = Book(10, 1_000, orders=2_000, fills=4_096)
    for tag in range(5):
        book.place(tag, 1, SELL, 20 + tag, 3, GTC, tag)
    data = book.dump()
    assert Book.load(data).dump() == data
    for at in range(8, len(data), 7):
        broken = bytearray(data)
        broken[at] ^= 1
        with pytest.raises(ValueError, match="damaged"):
            Book.load(bytes(broken))
    for other in (b"", b"LOB", data[1:], b"{}" * 20):
        with pytest.raises(ValueError, match="not a book of this version"):
            Book.load(other)
    with pytest.raises(ValueError, match="damaged"):
        Book.load(data[:-1])


def test_an_edit_of_any_source_changes_the_type_that_compiled_code_is_kept_under(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    sources_mark.cache_clear()
    first = sources_mark(tmp_path)
    sources_mark.cache_clear()
    assert sources_mark(tmp_path) == first
    (tmp_path / "b.py").write_text("2")
    sources_mark.cache_clear()
    assert sources_mark(tmp_path) != first
    assert sources_mark() in (book_dtype(10, 10, 10).names or ())
    assert book_dtype(10, 10, 10) is book_dtype(10, 10, 10), "one object: Numba compares others field by field"


def test_reduce_only_orders_are_cut_to_what_they_may_close() -> None:
    book = Book(0, 1_000)
    book.place(1, 1, SELL, 100, 10, GTC, 1)
    assert book.place_reduce_only(2, 2, BUY, 100, 8, IOC, 2, 3) == FILLED
    assert book.level_lots(100) == 7
    assert book.place_reduce_only(3, 2, BUY, 100, 8, IOC, 3, 0) == BAD_ORDER
    handle = matching.place_reduce_only(book.record, 4, 2, BUY, 90, 8, GTC, 4, 5)
    assert book.order_left(handle) == 5


def test_a_full_pool_still_takes_orders_that_need_no_slot_of_their_own() -> None:
    book = Book(0, 64, orders=3, fills=2)
    for tag in range(3):
        book.place(tag, 1, SELL, 10 + tag, 5, GTC, tag)
    assert book.place(3, 2, BUY, 9, 1, GTC, 3) == POOL_FULL
    assert book.place(4, 2, BUY, 10, 5, GTC, 4) == FILLED
    assert book.place(5, 2, BUY, 9, 1, GTC, 5) >= 0, "the order it filled left its slot"
    book.clear_fills()
    assert book.place(6, 2, BUY, 11, 9, GTC, 6) >= 0, "and so did this one's"
    assert book.best_bid() == 11 and book.level_lots(11) == 4


def test_numbers_that_are_none_are_refused() -> None:
    book = Book(0, 1_000)
    for tick, lots in ((100.5, 1), (100, 1.5), ("100", 1), (100, None)):
        with pytest.raises(TypeError):
            book.place(1, 1, BUY, tick, lots, GTC, 1)  # type: ignore[arg-type]
    with pytest.raises(OverflowError):
        book.place(1, 1, BUY, 100, 1 << 63, GTC, 1)
    assert book.place(1, 1, BUY, 100, MAX_LOTS + 1, GTC, 1) == BAD_ORDER
    handle = book.place(1, 1, BUY, np.int64(100), MAX_LOTS, GTC, 1)  # type: ignore[arg-type]
    assert book.modify(handle, 100, MAX_LOTS + 1, 2) == BAD_ORDER
    assert book.modify(handle, 1_000, 1, 2) == OUT_OF_WINDOW and book.order_left(handle) == MAX_LOTS
    assert book.reduce(handle, -1) == BAD_ORDER and book.order_left(handle) == MAX_LOTS
    with pytest.raises(ValueError, match="base_tick must not be negative"):
        book.recentre(-1)
    for handle in (-1, 0, 1, 1 << 32, 2**62, -(2**62)):
        assert book.order_left(handle) == -1 and book.cancel(handle) == -1
