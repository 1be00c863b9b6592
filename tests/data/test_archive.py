from __future__ import annotations

from io import BytesIO

import lz4.frame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.data.archive import (
    CONTEXT_COLUMNS,
    ArchiveError,
    Object,
    Prices,
    books_of,
    contexts_of,
    cost,
    lines_of,
    object_of,
    prefixes,
    wanted,
)

BOOK = Object(key="k", size=1, etag="e", kind="books", day="20250311", coin="BTC", hour=9)
DAY = Object(key="k", size=1, etag="e", kind="contexts", day="20250311")
HEAD = ",".join(CONTEXT_COLUMNS).encode() + b"\n"
LINE = (
    b'{"time":"2025-03-11T09:00:03.296545473","ver_num":1,"raw":{"channel":"l2Book","data":{"coin":"BTC",'
    b'"time":1741683603296,"levels":[[{"px":"97900.0","sz":"3.2","n":4}],[{"px":"97901.0","sz":"0.5","n":1}]]}}}'
)


def packed(text: bytes) -> BytesIO:
    return BytesIO(lz4.frame.compress(text))


def test_keys() -> None:
    book = object_of("market_data/20250311/9/l2Book/kPEPE.lz4", 10, "e")
    assert book is not None and (book.kind, book.day, book.hour, book.coin) == ("books", "20250311", 9, "kPEPE")
    day = object_of("asset_ctxs/20250311.csv.lz4", 10, "e")
    assert day is not None and (day.kind, day.day, day.coin) == ("contexts", "20250311", "")
    for key in (
        "market_data/20250311/09/l2Book/BTC.lz4",
        "market_data/20250311/24/l2Book/BTC.lz4",
        "market_data/20250311/9/trades/BTC.lz4",
        "asset_ctxs/2025031.csv.lz4",
        "market_data/20250311/9/l2Book/../BTC.lz4",
    ):
        assert object_of(key, 1, "e") is None, key


def test_what_is_listed_chosen_and_paid() -> None:
    days = ["20250228", "20250301", "20250302"]
    assert prefixes(("contexts",), days) == ["asset_ctxs/202502", "asset_ctxs/202503"]
    assert prefixes(("books",), days)[0] == "market_data/20250228/" and len(prefixes(("contexts", "books"), days)) == 5
    keys = [
        "market_data/20250301/10/l2Book/BTC.lz4",
        "market_data/20250301/9/l2Book/ETH.lz4",
        "market_data/20250301/9/l2Book/BTC.lz4",
        "asset_ctxs/20250301.csv.lz4",
        "asset_ctxs/20250303.csv.lz4",
    ]
    found = [one for key in keys if (one := object_of(key, 500_000_000, "e"))]
    chosen = wanted(found, days, ("BTC",))
    assert [one.hour for one in chosen] == [-1, 9, 10]
    assert cost(chosen, 2_000, Prices(gb=0.1, gets=1.0, lists=0.01)) == pytest.approx(0.15 + 0.003 + 0.02)


def test_a_book_line_of_the_archive() -> None:
    refused: list[str] = []
    (book,) = books_of(packed(LINE + b"\n"), BOOK, refused)
    assert not refused
    assert book.recv_ns == 1_741_683_603_296_545_473 and book.event_ns == 1_741_683_603_296_000_000
    assert (book.bids, book.asks) == (((97900.0, 3.2),), ((97901.0, 0.5),))


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9, 0.99])
def test_an_object_that_ends_early_is_an_error(cut: float) -> None:
    whole = lz4.frame.compress(LINE * 500)
    with pytest.raises(ArchiveError, match="k: not a whole LZ4 object"):
        list(lines_of(BytesIO(whole[: int(len(whole) * cut)]), "k"))


def test_an_endless_line_is_no_line() -> None:
    with pytest.raises(ArchiveError, match="a line of more than"):
        list(lines_of(packed(b"x" * 3_000_000), "k"))


def test_contexts_keep_their_own_time_and_say_what_they_leave_out() -> None:
    rows = (
        b"2025-03-11T00:00:05Z,BTC,0.0000125,1,2,3,,4,5,,,\n"
        b"2025-03-12T00:00:00Z,BTC,0.0000125,1,2,3,4,5,6,7,8,9\n"
        b"noon,BTC,0.0000125,1,2,3,4,5,6,7,8,9\n"
        b"2025-03-11T00:01:00Z,ETH,x,1,2,3,4,5,6,7,8,9\n"
    )
    refused: list[str] = []
    found = dict(contexts_of(packed(HEAD + rows), DAY, (), refused))
    assert refused == ["k:3: no time of the day, or no coin", "k:4: no time of the day, or no coin"]
    assert found["BTC"]["time_ns"].tolist() == [1_741_651_205_000_000_000]
    assert found["BTC"]["mid_px"].isna().all() and found["ETH"]["funding"].isna().all()
    assert list(dict(contexts_of(packed(HEAD + rows), DAY, ("ETH",), []))) == ["ETH"]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_read_or_refused(noise: bytes, pack: bool) -> None:
    """Nothing but ArchiveError comes out of an object, whatever is in it."""
    for text in (noise, LINE[: len(noise)] + noise + b"\n" + LINE):
        stream = packed(text) if pack else BytesIO(text)
        refused: list[str] = []
        try:
            books = list(books_of(stream, BOOK, refused))
        except ArchiveError:
            continue
        assert len(books) + len(refused) == len(text.splitlines(keepends=True)) or b"\r" in text or not text.isascii()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet='0123456789.,-T:ZBeNainf"\n', max_size=40), max_size=5).map("\n".join).map(str.encode))
def test_any_csv_is_read_or_refused(noise: bytes) -> None:
    refused: list[str] = []
    try:
        found = dict(contexts_of(packed(HEAD + noise), DAY, (), refused))
    except ArchiveError:
        return
    assert all(str(frame["time_ns"].dtype) == "int64" for frame in found.values())
