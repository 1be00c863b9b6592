"""Hyperliquid's recordings as tapes: the real ones, and small ones with every fault we know."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.formats import convert
from slipstream.data.tape.reader import open_tape
from slipstream.data.tape.terms import Terms
from slipstream.lob.replay.rows import BEST, KIND, TRADE
from tests.data.tape.plain_book import MS, START_NS, PlainBook, book_header, book_line, messages, recording, write_csv

REAL = Path(__file__).resolve().parents[3] / "../shared/data/hyperliquid_books_2025-09-04"


def counts(folder: Path) -> dict[str, int]:
    return {one.reason: one.count for one in open_tape(folder).header.findings}


def test_a_recording_is_its_tape(tmp_path: Path) -> None:
    told = recording(tmp_path / "in")
    report = convert(tmp_path / "in", tmp_path / "out", Terms())
    (made,) = report.made
    assert report.format == "hyperliquid" and made.folder == tmp_path / "out" / "hl_BTC"
    rows = open_tape(made.folder).rows
    assert (np.diff(rows["exch_ns"]) >= 0).all() and (np.diff(rows["local_ns"]) >= 0).all()
    assert (rows["local_ns"] - rows["exch_ns"] >= 390 * MS).all()
    book, seen, before = PlainBook(), 0, 0
    for message in messages(rows):
        for row in message:
            book.read(row)
        now = int(message["exch_ns"][0])
        if (now - START_NS) % (500 * MS) == 0:  # a whole book
            price = made.header.market.grid.price
            for side, levels in zip((book.bids, book.asks), told[seen], strict=True):
                assert {price(tick): n for tick, n in side.items()} == {px: round(sz * 1e5) for px, sz in levels}
            seen += 1
        else:  # between two books the trade comes before the best prices of its time
            assert (int(message["kind"][0]) & KIND == TRADE) == (now != before)
        before = now
    assert seen == 60 and made.header.kinds["trade"] == 60
    assert [source.name for source in made.header.sources] == [
        "orderbooks_BTC.csv.gz",
        "prices_BTC.csv.gz",
        "trades_BTC.csv.gz",
    ]
    assert made.header.sources[0].size == (tmp_path / "in" / "orderbooks_BTC.csv.gz").stat().st_size


def edit(folder: Path, name: str, change: Callable[[list[str]], list[str]]) -> None:
    path = folder / f"{name}_BTC.csv.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    path.write_bytes(gzip.compress(("\n".join(change(lines)) + "\n").encode()))


def swap_names(lines: list[str]) -> list[str]:
    head = lines[0].replace("bid_price", "?").replace("ask_price", "bid_price").replace("?", "ask_price")
    return [head, *lines[1:]]


def price_and_size(lines: list[str]) -> list[str]:
    return [lines[0].replace("price,size", "size,price"), *lines[1:]]


def cell(row: int, column: int, value: str) -> Callable[[list[str]], list[str]]:
    def change(lines: list[str]) -> list[str]:
        fields = lines[row - 1].split(",")
        fields[column] = value
        return [*lines[: row - 1], ",".join(fields), *lines[row:]]

    return change


def renamed(old: str, new: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [lines[0].replace(old, new), *lines[1:]]


def swapped(lines: list[str]) -> list[str]:
    return [*lines[:9], lines[10], lines[9], *lines[11:]]


def doubled(lines: list[str]) -> list[str]:
    return [*lines[:9], lines[8], *lines[9:]]


def longer(lines: list[str]) -> list[str]:
    return [*lines[:5], lines[5] + ",1", *lines[6:]]


BACK = "the exchange's time is before that of the row above"
NONE = "a price or size that is zero, negative or no number"
REFUSED = {
    "a column is not there": ("trades", renamed("trade_id", "id"), "row 1: no column trade_id"),
    "a column twice": ("orderbooks", renamed("ask_price_1", "bid_price_1"), "bid_price_1 comes twice"),
    "columns swapped": ("orderbooks", swap_names, "orderbooks_BTC.csv.gz: row 2: .*are columns swapped"),
    "price and size swapped": ("trades", price_and_size, "trades_BTC.csv.gz: row 2: "),
    "words for numbers": ("orderbooks", cell(7, 3, "abc"), "orderbooks_BTC.csv.gz: after row"),
    "a field too many": ("trades", longer, "trades_BTC.csv.gz: after row"),
    "seconds for ms": ("prices", cell(9, 4, "1757000"), "prices_BTC.csv.gz: row 9: exchange_timestamp .* is no time"),
    "no time": ("prices", cell(9, 0, "nan"), "prices_BTC.csv.gz: row 9: timestamp"),
    "no rows": ("orderbooks", lambda lines: lines[:1], "orderbooks_BTC.csv.gz: "),
    "off the guessed grid": ("trades", cell(9, 2, "0.000001"), "trades_BTC.csv.gz: row 9: .*--size-decimals BTC"),
    "too large for a row": ("trades", cell(9, 2, "1e200"), "trades_BTC.csv.gz: row 9: "),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_source_that_cannot_be_meant_is_refused_and_nothing_is_made(tmp_path: Path, what: str) -> None:
    name, change, said = REFUSED[what]
    recording(tmp_path / "in")
    edit(tmp_path / "in", name, change)
    with pytest.raises(TapeError, match=said):
        convert(tmp_path / "in", tmp_path / "out", Terms())
    assert not list((tmp_path / "out").glob("*")) or not list((tmp_path / "out").iterdir())


def test_a_gzip_file_that_is_cut_off_or_damaged(tmp_path: Path) -> None:
    recording(tmp_path / "in", books=400)
    path = tmp_path / "in" / "orderbooks_BTC.csv.gz"
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], whole[:-4], whole[:5000] + b"\x00" * 9 + whole[5009:], b"", b"plain text"):
        path.write_bytes(data)
        with pytest.raises(TapeError, match=r"orderbooks_BTC.csv.gz: "):
            convert(tmp_path / "in", tmp_path / "out", Terms(replace=True))
    assert not list((tmp_path / "out").glob("*"))


def test_mutated_files_give_the_same_rows_or_an_error_that_names_the_file(tmp_path: Path) -> None:
    """Bytes of the packed files flipped, moved, cut: the same rows, or an error. Text changed: rows or an error."""
    recording(tmp_path / "in", books=200)
    (made,) = convert(tmp_path / "in", tmp_path / "whole", Terms()).made
    truth = open_tape(made.folder).rows
    whole = {path: path.read_bytes() for path in sorted((tmp_path / "in").iterdir())}
    rng = np.random.default_rng(11)
    refused = 0
    for trial in range(90):
        path = list(whole)[trial % 3]
        packed = trial % 2 == 0
        data = bytearray(whole[path] if packed else gzip.decompress(whole[path]))
        at, to = (int(one) for one in rng.integers(0, len(data), 2))
        match trial % 5:
            case 0:
                data[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                del data[min(at, to) : max(at, to)]
            case 2:
                data[at : at + 6] = bytes(rng.integers(0, 256, 6, np.uint8))
            case 3:
                data[at : at + 40], data[to : to + 40] = data[to : to + 40], data[at : at + 40]
            case 4:
                data[at:at] = data[at : at + 50]
        path.write_bytes(bytes(data) if packed else gzip.compress(bytes(data)))
        try:
            (made,) = convert(tmp_path / "in", tmp_path / "out", Terms(replace=True)).made
            if packed:
                assert np.array_equal(open_tape(made.folder).rows, truth)
        except TapeError as error:
            refused += 1
            assert path.name in str(error), error
        path.write_bytes(whole[path])
    assert refused > 45


MENDED = {
    "a price of zero": ("trades", cell(9, 1, "0"), NONE),
    "a negative size": ("prices", cell(9, 2, "-0.1"), NONE),
    "no number": ("orderbooks", cell(9, 5, "nan"), NONE),
    "no side": ("trades", cell(9, 3, "bought"), NONE),
    "neither side": ("prices", cell(9, 3, "middle"), "cannot be read"),
    "rows out of order": ("orderbooks", swapped, BACK),
    "a trade twice": ("trades", doubled, "a trade that came before"),
    "a book twice": ("orderbooks", doubled, "a book that came before"),
    "a crossed book": ("orderbooks", cell(9, 3, "200000"), "a book whose bid is not below its ask"),
    "levels out of order": ("orderbooks", cell(9, 7, "99999999"), "a book whose levels are not in order"),
    "heard too early": ("trades", cell(9, 0, "1757000000.5"), "heard before it happened"),
    "late": ("trades", cell(61, 5, "1757000000000"), BACK),
    "a time to come": ("trades", cell(9, 5, "1767000000000"), "happens long after it was heard"),
    "a gap": ("orderbooks", lambda lines: [*lines[:9], *lines[30:]], "a gap: no book was heard for long"),
}  # fmt: skip


@pytest.mark.parametrize("what", MENDED)
def test_a_row_with_a_fault_is_told_and_strict_refuses_it(tmp_path: Path, what: str) -> None:
    name, change, reason = MENDED[what]
    recording(tmp_path / "in")
    edit(tmp_path / "in", name, change)
    convert(tmp_path / "in", tmp_path / "out", Terms())
    found = {one.reason: one for one in open_tape(tmp_path / "out" / "hl_BTC").header.findings}
    assert found[reason].count >= 1
    assert f"{name}_BTC.csv.gz: row " in found[reason].places[0]
    with pytest.raises(TapeError, match=f"{name}_BTC.csv.gz: row .*--strict"):
        convert(tmp_path / "in", tmp_path / "strict", Terms(strict=True))
    assert not list((tmp_path / "strict").glob("*"))


def test_rows_later_than_the_window_are_dropped_and_many_are_refused(tmp_path: Path) -> None:
    def lines(n: int) -> list[str]:
        return [book_line(START_NS // MS + k * 1000, [(100.0 + k % 3, 1.0)], [(110.0, 1.0)]) for k in range(n)]

    def make(told: list[str]) -> None:
        (tmp_path / "in").mkdir(exist_ok=True)
        write_csv(tmp_path / "in" / "orderbooks_BTC.csv.gz", book_header(1), told)
        head = "timestamp,price,size,side,trade_id,exchange_timestamp"
        write_csv(tmp_path / "in" / "trades_BTC.csv.gz", head, ["1757000000.5,105,1,buy,1,1757000000400"])

    told = lines(40_000)
    make([*told[:5], *told[6:], told[5]])
    convert(tmp_path / "in", tmp_path / "out", Terms(window_s=10))
    assert counts(tmp_path / "out" / "hl_BTC")["came later than what is sorted"] == 1
    assert open_tape(tmp_path / "out" / "hl_BTC").header.kinds["trade"] == 1
    make([*told[:5], told[-1], *told[5:-1]])
    with pytest.raises(TapeError, match=r"came later than what is sorted, and so in \d+ places"):
        convert(tmp_path / "in", tmp_path / "out", Terms(window_s=10, replace=True))


def test_clocks(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    heard = {}
    for clock in ("recorded", "exchange", "-100ms", "-1s"):
        convert(tmp_path / "in", tmp_path / clock, Terms(clock=clock))
        tape = open_tape(tmp_path / clock / "hl_BTC")
        heard[clock] = (tape.rows["local_ns"] - tape.rows["exch_ns"], tape.header.clock)
    assert (heard["exchange"][0] == 0).all() and (heard["-1s"][0] == 0).all()
    assert np.array_equal(heard["-100ms"][0], heard["recorded"][0] - 100 * MS)
    assert heard["-1s"][1].raised == heard["-1s"][1].rows == len(heard["-1s"][0])
    assert heard["recorded"][1].raised == 0 and heard["recorded"][1].median_ns in (390 * MS, 400 * MS, 410 * MS)


def test_what_is_asked_for_has_to_be_there(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    with pytest.raises(TapeError, match=r"no orderbooks_ETH.csv.gz; there are BTC"):
        convert(tmp_path / "in", tmp_path / "out", Terms(coins=("ETH",)))
    with pytest.raises(TapeError, match="no such file or folder"):
        convert(tmp_path / "nowhere", tmp_path / "out", Terms())
    with pytest.raises(TapeError, match="--format foo is not known"):
        convert(tmp_path / "in", tmp_path / "out", Terms(), "foo")
    with pytest.raises(TapeError, match="is of hl alone"):
        convert(tmp_path / "in", tmp_path / "out", Terms(venue="binance"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(TapeError, match="say which: --format"):
        convert(tmp_path / "empty", tmp_path / "out", Terms())
    convert(tmp_path / "in", tmp_path / "out", Terms(packed=True))
    with pytest.raises(TapeError, match="there already"):
        convert(tmp_path / "in", tmp_path / "out", Terms())


@pytest.mark.skipif(not REAL.is_dir(), reason="the recordings of 2025-09-04 are not on this machine")
def test_the_real_recordings(tmp_path: Path) -> None:
    """WLFI, the smallest: every row accounted for; the gap, the repeated books and trades found where they are."""
    import pandas as pd

    convert(REAL, tmp_path, Terms(coins=("WLFI",)))
    tape = open_tape(tmp_path / "hl_WLFI")
    found = counts(tmp_path / "hl_WLFI")
    table = pd.read_csv(REAL / "trades_WLFI.csv.gz")
    first = pd.read_csv(REAL / "orderbooks_WLFI.csv.gz", nrows=1)["exchange_timestamp"][0]
    before = int((table["exchange_timestamp"] < first).sum())
    assert found["before the first book"] == before + 1  # and the best price of the first book's own time
    assert tape.header.kinds["trade"] == len(table) - before - found["a trade that came before"]
    assert found["a trade that came before"] == int(table["trade_id"].duplicated().sum())
    assert found["a book that came before"] == 3
    gaps = [one for one in tape.header.findings if one.reason == "a gap: no book was heard for long"]
    assert gaps[0].count == 1 and "row 1238, 18.3 s" in gaps[0].places[0]
    assert 350 < tape.header.clock.median_ns / MS < 450 and tape.header.clock.raised == 0
    told = pd.read_csv(REAL / "orderbooks_WLFI.csv.gz").drop_duplicates("exchange_timestamp", keep="last")
    whole = told.set_index(told["exchange_timestamp"] * MS)
    book, rows, checked = PlainBook(), tape.rows, 0
    grid = tape.header.market.grid
    ends = np.flatnonzero(np.append(np.diff(rows["exch_ns"]) > 0, True))
    at = 0
    for end in ends[ends < 15_000]:
        for row in rows[at : end + 1]:
            book.read(row)
        at = end + 1
        now = int(rows["exch_ns"][end])
        if now in whole.index and int(rows["kind"][end]) & KIND != TRADE:
            line = whole.loc[now]
            for side, name in ((book.bids, "bid"), (book.asks, "ask")):
                px = line[[f"{name}_price_{k}" for k in range(20)]].to_numpy(float)
                sz = line[[f"{name}_size_{k}" for k in range(20)]].to_numpy(float)
                ticks, wrong = grid.ticks(px)
                assert not wrong.any() and side == dict(zip(ticks.tolist(), sz.astype(int).tolist(), strict=True))
            checked += 1
    assert checked > 400
    assert (rows["kind"] & KIND == BEST).sum() > 10_000
