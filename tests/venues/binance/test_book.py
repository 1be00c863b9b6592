"""The local book: joins a snapshot and updates, and never hides a gap."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.model.errors import FeedStale
from slipstream.venues.binance.book import DepthUpdate, LocalBook, Snapshot


def update(first: int, last: int, before: int, bids: list[tuple[str, str]]) -> DepthUpdate:
    return DepthUpdate("BTCUSDT", first, last, before, 0, bids, [])


def test_updates_wait_for_the_snapshot_and_old_ones_are_dropped() -> None:
    book = LocalBook()
    book.apply(update(1, 4, 0, [("9", "1")]))
    book.apply(update(5, 8, 4, [("10", "3")]))
    book.snapshot(Snapshot(6, [("10", "1"), ("8", "2")], [("11", "1")]))
    assert book.is_ready
    assert book.levels(5) == (((10.0, 3.0), (8.0, 2.0)), ((11.0, 1.0),))
    book.apply(update(9, 9, 8, [("10", "0")]))
    assert book.levels(1)[0] == ((8.0, 2.0),)


def test_a_gap_asks_for_a_new_snapshot() -> None:
    book = LocalBook()
    book.snapshot(Snapshot(6, [("10", "1")], []))
    book.apply(update(6, 8, 5, []))
    with pytest.raises(FeedStale, match="where 8 was expected"):
        book.apply(update(12, 13, 11, [("9", "1")]))
    assert not book.is_ready
    book.snapshot(Snapshot(12, [("7", "1")], []))
    assert book.levels(5)[0] == ((9.0, 1.0), (7.0, 1.0))


def test_a_snapshot_older_than_the_updates_is_refused() -> None:
    book = LocalBook()
    book.apply(update(20, 21, 19, []))
    with pytest.raises(FeedStale, match="older"):
        book.snapshot(Snapshot(6, [], []))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5)), min_size=1, max_size=30), st.integers(0, 30))
def test_any_cut_between_snapshot_and_updates_gives_the_same_book(rows: list[tuple[int, int]], cut: int) -> None:
    truth: dict[float, float] = {}
    at_cut: dict[float, float] = {}
    cut = min(cut, len(rows) - 1)
    for number, (px, sz) in enumerate(rows):
        if number == cut:
            at_cut = dict(truth)
        truth[float(px)] = float(sz)
    book = LocalBook()
    for number, (px, sz) in enumerate(rows):
        book.apply(update(number + 1, number + 1, number, [(str(px), str(sz))]))
    # the snapshot holds everything up to update `cut`; update `cut` itself is applied again, which changes nothing
    if cut:
        at_cut[float(rows[cut - 1][0])] = float(rows[cut - 1][1])
    full = [(str(px), str(sz)) for px, sz in at_cut.items() if sz]
    book.snapshot(Snapshot(max(cut, 1), full, []))
    assert dict(book.levels(20)[0]) == {px: sz for px, sz in truth.items() if sz}
