"""Recordings are read exactly, and bad ones refused with file, row and reason."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from slipstream.data.tape.formats import convert
from slipstream.data.tape.reader import open_tape
from slipstream.data.tape.terms import Terms
from slipstream.lob.replay.rows import KIND
from slipstream.lob.replay.rows import TRADE as ROW_TRADE
from slipstream.model.errors import ConfigError
from slipstream.venues.emulator.market.house import BEST, STATE, TRADE
from slipstream.venues.emulator.market.recording import coins_of, fingerprint, read_tape
from slipstream.venues.emulator.market.replay import read_folder
from slipstream.venues.emulator.market.universe import COINS, instrument
from tests.data.tape.plain_book import PlainBook, messages, recording
from tests.venues.emulator.market.tapes import (
    ASKS,
    BIDS,
    BOOK_HEADER,
    PRICE_HEADER,
    START_MS,
    TRADE_HEADER,
    book_row,
    price_row,
    trade_row,
    write,
    write_sol,
)

SOL = instrument(next(spec for spec in COINS if spec.coin == "SOL"), 0)


def test_prices_and_sizes_become_ticks_and_lots(tmp_path: Path) -> None:
    tape = read_tape(write_sol(tmp_path), "SOL", 2)
    for at, side in ((0, BIDS), (1, ASKS)):
        for k, (px, sz) in enumerate(side):
            assert tape.states[0, at, k, 0] == SOL.to_tick(Decimal(str(px)))
            assert tape.states[0, at, k, 1] == SOL.to_lots(Decimal(str(sz)))
    assert tape.begins == START_MS * 1_000_000
    assert tape.ends == (START_MS + 1_000) * 1_000_000
    assert tape.mids.tolist() == [200.01, 200.01]


def test_tapes_of_the_same_recording_hold_the_same_books_and_trades(tmp_path: Path) -> None:
    """Two readers, since what serves the emulator loads neither tables nor tapes: they must not drift apart."""
    recording(tmp_path / "in")
    tape = read_tape(tmp_path / "in", "BTC", None)
    (made,) = convert(tmp_path / "in", tmp_path / "out", Terms()).made
    rows = open_tape(made.folder).rows
    dealt = rows[rows["kind"] & KIND == ROW_TRADE]
    told = np.stack([dealt["exch_ns"], dealt["side"], dealt["tick"], dealt["lots"]], axis=1)
    assert np.array_equal(told, np.column_stack([tape.times[tape.kinds == TRADE], tape.trades])) and len(told) == 60
    states = iter(tape.states)
    times, book = set(tape.times[tape.kinds == STATE].tolist()), PlainBook()
    for message in messages(rows):
        for row in message:
            book.read(row)
        if int(message["exch_ns"][0]) in times:
            for levels, side in zip(next(states), (book.bids, book.asks), strict=True):
                assert dict(levels.tolist()) == side
    assert next(states, None) is None


def test_one_time_holds_trades_then_best_prices_then_the_book(tmp_path: Path) -> None:
    write_sol(
        tmp_path,
        books=[book_row(0, BIDS, ASKS), book_row(400, BIDS, ASKS)],
        trades=[trade_row(400, 200.02, 1, "buy", 1)],
        prices=[price_row(400, 200.0, 5, "bid"), price_row(400, 200.02, 6, "ask")],
    )
    assert read_tape(tmp_path, "SOL", 2).kinds.tolist() == [STATE, TRADE, BEST, STATE]


def test_duplicates_are_dropped_and_trades_sorted(tmp_path: Path) -> None:
    write_sol(
        tmp_path,
        books=[book_row(0, BIDS, ASKS), book_row(0, BIDS, ASKS), book_row(700, BIDS, ASKS), book_row(700, BIDS, ASKS)],
        trades=[
            trade_row(600, 200.02, 2, "buy", 2),
            trade_row(100, 200.0, 1, "sell", 1),
            trade_row(600, 200.02, 2, "buy", 2),
        ],
    )
    tape = read_tape(tmp_path, "SOL", 2)
    assert len(tape.states) == 2
    assert tape.trades[:, 2].tolist() == [100, 200]


def test_trades_before_the_first_book_are_dropped(tmp_path: Path) -> None:
    write_sol(tmp_path, trades=[trade_row(-900, 199.0, 1, "buy", 1), trade_row(10, 200.02, 1, "buy", 2)])
    tape = read_tape(tmp_path, "SOL", 2)
    assert (tape.kinds == TRADE).sum() == 1


def test_short_sides_are_allowed(tmp_path: Path) -> None:
    tape = read_tape(write_sol(tmp_path, books=[book_row(0, BIDS[:1], ASKS), book_row(9, BIDS, ASKS[:2])]), "SOL", 2)
    assert tape.states[0, 0, 1:, 0].tolist() == [-1, -1]
    assert tape.states[1, 1, 2, 0] == -1


def test_size_decimals_of_an_unknown_coin_are_inferred(tmp_path: Path) -> None:
    rows = [book_row(0, [(2.5, 1.5)], [(2.6, 12.25)])]
    write(tmp_path, "orderbooks_NEW", BOOK_HEADER, rows)
    write(tmp_path, "trades_NEW", TRADE_HEADER, [trade_row(5, 2.5, 1.5, "sell", 1)])
    assert read_tape(tmp_path, "NEW", None).size_decimals == 2


Damage = Callable[[Path], object]


def _books(*rows: str) -> Damage:
    return lambda folder: write_sol(folder, books=list(rows))


def _trades(*rows: str) -> Damage:
    return lambda folder: write_sol(folder, trades=list(rows))


GOOD = book_row(0, BIDS, ASKS)
CASES: dict[str, tuple[Damage, str]] = {
    "crossed book": (
        _books(GOOD, book_row(1, [(200.02, 1)], [(200.02, 1)])),
        r"orderbooks_SOL.csv.gz: row 3: the best bid",
    ),
    "bids out of order": (
        _books(book_row(0, [(199.9, 1), (200.0, 1)], ASKS)),
        r"row 2: bid prices are not in order",
    ),
    "illegal price": (_books(GOOD, book_row(1, [(199.987, 1)], ASKS)), r"row 3: a price is not legal"),
    "illegal size": (_books(GOOD, book_row(1, [(199.9, 1.001)], ASKS)), r"row 3: a size has more than 2 decimals"),
    "no size": (_books(GOOD.replace("200.0,5.0", "200.0,")), r"row 2: a bid price without a size"),
    "zero size": (_books(book_row(0, [(200.0, 0)], ASKS)), r"row 2: a size is not positive"),
    "no bid": (_books(book_row(0, [], ASKS)), r"row 2: no best bid"),
    "time runs back": (_books(book_row(5, BIDS, ASKS), GOOD), r"row 3: exchange_timestamp is before the row above"),
    "seconds for ms": (_books(GOOD.replace(f",{START_MS},{START_MS},", ",1,1757015216,")), r"row 2: .* not whole ms"),
    "a word for a price": (_books(GOOD, GOOD.replace("200.0,", "many,")), r"row 3: bid_price_0 is 'many'"),
    "a field too few": (_books(GOOD, GOOD.rpartition(",")[0]), r"row 3: 14 fields where the header has 15"),
    "trade side": (_trades(trade_row(1, 200.0, 1, "bought", 1)), r"trades_SOL.csv.gz: row 2: side is neither"),
    "trade price": (_trades(trade_row(1, -3.0, 1, "buy", 1)), r"trades_SOL.csv.gz: row 2: a price is not positive"),
    "trade is nan": (_trades(trade_row(1, float("nan"), 1, "buy", 1)), r"row 2: price is 'nan', not a number"),
    "quote crossed": (
        lambda folder: write_sol(folder, prices=[price_row(1, 200.1, 1, "bid"), price_row(1, 200.0, 1, "ask")]),
        r"prices_SOL.csv.gz: row 2: the best bid is not below",
    ),
    "no trades file": (
        lambda folder: (write_sol(folder) / "trades_SOL.csv.gz").unlink(),
        r"trades_SOL.csv.gz: there is no such file",
    ),
    "cut off": (
        lambda folder: (folder / "trades_SOL.csv.gz").write_bytes(
            (write_sol(folder) / "trades_SOL.csv.gz").read_bytes()[:-9]
        ),
        r"trades_SOL.csv.gz: not a whole gzip file",
    ),
    "not gzip": (
        lambda folder: (write_sol(folder) / "trades_SOL.csv.gz").write_text("price"),
        r"trades_SOL.csv.gz: not a whole gzip file",
    ),
    "not text": (
        lambda folder: (write_sol(folder) / "trades_SOL.csv.gz").write_bytes(gzip.compress(b"\xff\xfe\x00")),
        r"trades_SOL.csv.gz: not text",
    ),
    "empty": (
        lambda folder: (write_sol(folder) / "trades_SOL.csv.gz").write_bytes(gzip.compress(b"")),
        r"trades_SOL.csv.gz: row 1: no column 'price'",
    ),
    "header only": (
        lambda folder: write(write_sol(folder), "prices_SOL", PRICE_HEADER, []),
        r"prices_SOL.csv.gz: no rows",
    ),
    "no column": (
        lambda folder: write(write_sol(folder), "trades_SOL", TRADE_HEADER.replace("side", "kind"), ["1,2,3,4,5,6"]),
        r"trades_SOL.csv.gz: row 1: no column 'side'",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_recording_is_refused_with_file_row_and_reason(tmp_path: Path, case: str) -> None:
    damage, message = CASES[case]
    damage(tmp_path)
    with pytest.raises(ConfigError, match=message):
        read_tape(tmp_path, "SOL", 2)


def test_folders_that_hold_no_recording(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no orderbooks_COIN"):
        coins_of(tmp_path)
    with pytest.raises(ConfigError, match="not a folder"):
        coins_of(tmp_path / "absent")
    write_sol(tmp_path)
    with pytest.raises(ConfigError, match="no recording of BTC; it holds SOL"):
        read_folder(tmp_path, ("BTC",))


def test_recordings_without_a_common_time_are_refused(tmp_path: Path) -> None:
    write_sol(tmp_path)
    later = 3_600_000
    write(tmp_path, "orderbooks_ETH", BOOK_HEADER, [book_row(later, [(4300.0, 1)], [(4300.1, 1)])])
    write(tmp_path, "trades_ETH", TRADE_HEADER, [trade_row(later, 4300.0, 1, "buy", 1)])
    with pytest.raises(ConfigError, match="no time in common"):
        read_folder(tmp_path, ())


def test_recordings_differ_by_their_contents(tmp_path: Path) -> None:
    one = fingerprint([read_tape(write_sol(tmp_path), "SOL", 2)])
    assert fingerprint([read_tape(tmp_path, "SOL", 2)]) == one
    write_sol(tmp_path, trades=[trade_row(500, 200.02, 1.01, "buy", 1)])
    assert fingerprint([read_tape(tmp_path, "SOL", 2)]) != one


def test_the_real_recording_is_read_whole() -> None:
    folder = Path(__file__).resolve().parents[4] / "../shared/data/hyperliquid_books_2025-09-04"
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")
    tape = read_tape(folder, "SOL", 2)
    # 3,785 rows hold three duplicates; 4,437 trades hold ten told twice
    assert len(tape.states) == 3_782
    assert len(tape.trades) == 4_427
    gaps = np.diff(tape.times[tape.kinds == STATE])
    assert gaps.max() / 1e9 == pytest.approx(17.976)
