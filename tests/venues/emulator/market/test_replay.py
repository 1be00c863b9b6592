"""A replay keeps the recorded book around users' orders, and goes on as it says."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from slipstream.lob.book import ALO, BUY, GTC, IOC, SELL, Book
from slipstream.model.errors import ConfigError
from slipstream.venues.emulator.exchange import Exchange, ExchangeSettings
from slipstream.venues.emulator.market import house
from slipstream.venues.emulator.market.anchor import LEAD_NS
from slipstream.venues.emulator.market.replay import PAUSE_NS, ReplayMarket
from tests.venues.emulator.market.tapes import ASKS, BIDS, book_row, price_row, trade_row, write_sol

MS = 1_000_000
START = 1_790_000_000_000 * MS
ME = 7
DATA = Path(__file__).resolve().parents[4] / "../shared/data/hyperliquid_books_2025-09-04"


def play(folder: Path, **options: object) -> ReplayMarket:
    return ReplayMarket(folder, 7, START, days=2, **options)  # type: ignore[arg-type]


def px_tick(market: ReplayMarket, px: float) -> int:
    return market.instruments[0].to_tick(Decimal(str(px)))


def levels(book: Book, side: int) -> list[tuple[int, int]]:
    ticks, lots, _ = book.depth(side, 20)
    return list(zip(ticks.tolist(), lots.tolist(), strict=True))


def recorded(market: ReplayMarket, side: list[tuple[float, float]]) -> list[tuple[int, int]]:
    return [(px_tick(market, px), round(sz * 100)) for px, sz in side]


def test_it_opens_with_the_first_book_at_the_venues_time(tmp_path: Path) -> None:
    market = play(write_sol(tmp_path))
    book = market.books["SOL"]
    assert levels(book, BUY) == recorded(market, BIDS)
    assert levels(book, SELL) == recorded(market, ASKS)
    assert len(book.fills()) == 0
    market.advance(START, START + 499 * MS)
    assert len(book.fills()) == 0
    market.advance(START + 499 * MS, START + 500 * MS)
    fills = book.fills()
    assert fills["lots"].tolist() == [100]
    assert fills["ns"].tolist() == [START + 500 * MS]
    assert fills["taker_side"].tolist() == [BUY]


def test_a_growing_level_joins_behind_and_a_shrinking_one_leaves_from_behind(tmp_path: Path) -> None:
    def sized(sz: float) -> list[tuple[float, float]]:
        return [(200.0, sz), *BIDS[1:]]

    books = [book_row(0, sized(5), ASKS), book_row(100, sized(8), ASKS), book_row(200, sized(5.5), ASKS)]
    market = play(write_sol(tmp_path, books=books, trades=[trade_row(900, 200.02, 1, "buy", 1)]))
    book = market.books["SOL"]
    handle = book.place(1, ME, BUY, px_tick(market, 200.0), 100, ALO, START)
    assert book.queue_ahead(handle) == 500
    market.advance(START, START + 100 * MS)
    assert book.queue_ahead(handle) == 500
    assert book.level_lots(px_tick(market, 200.0)) == 900
    market.advance(START + 100 * MS, START + 200 * MS)
    assert book.queue_ahead(handle) == 500
    assert book.level_lots(px_tick(market, 200.0)) == 650


def test_a_cancel_beyond_what_stands_behind_moves_the_user_up(tmp_path: Path) -> None:
    books = [book_row(0, BIDS, ASKS), book_row(100, [(200.0, 2.0), *BIDS[1:]], ASKS)]
    market = play(write_sol(tmp_path, books=books))
    book = market.books["SOL"]
    handle = book.place(1, ME, BUY, px_tick(market, 200.0), 100, ALO, START)
    market.advance(START, START + 100 * MS)
    assert book.queue_ahead(handle) == 200


def test_recorded_trades_fill_users_in_their_turn(tmp_path: Path) -> None:
    trades = [trade_row(100, 200.0, 5, "sell", 1), trade_row(150, 200.0, 0.4, "sell", 2)]
    market = play(write_sol(tmp_path, trades=trades))
    book = market.books["SOL"]
    handle = book.place(1, ME, BUY, px_tick(market, 200.0), 100, ALO, START)
    market.advance(START, START + 100 * MS)
    assert book.order_left(handle) == 100
    assert book.queue_ahead(handle) == 0
    market.advance(START + 100 * MS, START + 200 * MS)
    assert book.order_left(handle) == 60
    mine = book.fills()[book.fills()["maker_owner"] == ME]
    assert mine["lots"].tolist() == [40]


def test_a_better_price_fills_first(tmp_path: Path) -> None:
    market = play(write_sol(tmp_path, trades=[trade_row(100, 200.0, 1.5, "sell", 1)]))
    book = market.books["SOL"]
    better = book.place(1, ME, BUY, px_tick(market, 200.01), 100, ALO, START)
    market.advance(START, START + 100 * MS)
    assert book.order_left(better) == -1
    assert book.level_lots(px_tick(market, 200.0)) == 450


def test_the_whole_trade_is_made_where_the_known_level_is_too_thin(tmp_path: Path) -> None:
    market = play(write_sol(tmp_path, trades=[trade_row(100, 200.03, 9, "buy", 1)]))
    book = market.books["SOL"]
    market.advance(START, START + 100 * MS)
    fills = book.fills()
    assert fills["lots"].sum() == 900
    # the better ask was gone when the market traded at 200.03
    assert set(fills["tick"].tolist()) == {px_tick(market, 200.03)}
    assert book.best_ask() == px_tick(market, 200.05)


def test_a_sweep_through_everything_known_leaves_a_market(tmp_path: Path) -> None:
    trades = [trade_row(100, 201.0, 9, "buy", 1), trade_row(101, 198.0, 9, "sell", 2)]
    market = play(write_sol(tmp_path, trades=trades))
    book = market.books["SOL"]
    for ms in (100, 101):
        market.advance(START + (ms - 1) * MS, START + ms * MS)
        assert 0 < book.best_bid() < book.best_ask()
    market.advance(START + 101 * MS, START + 1_000 * MS)
    assert levels(book, BUY)[0] == recorded(market, BIDS)[0]
    assert levels(book, SELL)[0] == recorded(market, ASKS)[0]


def test_the_house_trades_with_a_users_order_it_would_cross(tmp_path: Path) -> None:
    higher = [(200.10, 5.0), (200.09, 4.0)]
    books = [book_row(0, BIDS, ASKS), book_row(100, higher, [(200.11, 1.0), (200.12, 1.0)])]
    market = play(write_sol(tmp_path, books=books))
    book = market.books["SOL"]
    handle = book.place(1, ME, SELL, px_tick(market, 200.05), 300, GTC, START)
    market.advance(START, START + 100 * MS)
    assert book.order_left(handle) == -1
    mine = book.fills()[book.fills()["maker_owner"] == ME]
    assert mine["lots"].sum() == 300
    assert set(mine["tick"].tolist()) == {px_tick(market, 200.05)}
    assert levels(book, BUY)[0] == (px_tick(market, 200.10), 200)


def test_best_prices_between_books_move_the_touch_and_keep_the_rest(tmp_path: Path) -> None:
    prices = [price_row(50, 199.99, 1.25, "bid"), price_row(50, 200.01, 0.5, "ask")]
    market = play(write_sol(tmp_path, prices=prices))
    book = market.books["SOL"]
    market.advance(START, START + 50 * MS)
    assert levels(book, BUY) == [(px_tick(market, 199.99), 125), (px_tick(market, 199.98), 300)]
    assert levels(book, SELL)[0] == (px_tick(market, 200.01), 50)
    assert levels(book, SELL)[1:] == recorded(market, ASKS)


def test_levels_that_vanish_inside_the_recorded_range_are_cleared_and_those_beyond_stay(tmp_path: Path) -> None:
    books = [book_row(0, BIDS, ASKS), book_row(100, [(200.0, 5.0), (199.98, 3.0)], ASKS[:2])]
    market = play(write_sol(tmp_path, books=books))
    market.advance(START, START + 100 * MS)
    book = market.books["SOL"]
    assert levels(book, BUY) == recorded(market, [BIDS[0], BIDS[2]])
    assert levels(book, SELL) == recorded(market, ASKS)


def test_users_orders_never_leave_by_the_house_doing(tmp_path: Path) -> None:
    market = play(write_sol(tmp_path))
    book = market.books["SOL"]
    mine = [book.place(k, ME, BUY, px_tick(market, 199.0 - k), 10, ALO, START) for k in range(3)]
    house.leave(book.record.base)
    assert [book.order_left(handle) for handle in mine] == [10, 10, 10]
    assert book.order_count() == 3


def test_after_the_end_it_begins_anew(tmp_path: Path) -> None:
    market = play(write_sol(tmp_path))
    book = market.books["SOL"]
    period = 1_000 * MS + PAUSE_NS
    market.advance(START, START + 3 * period + 600 * MS)
    assert book.fills()["ns"].tolist() == [START + k * period + 500 * MS for k in range(4)]
    assert not market.ended


def test_after_the_end_it_stands_still_if_told_so(tmp_path: Path) -> None:
    market = play(write_sol(tmp_path), at_end="stop")
    book = market.books["SOL"]
    market.advance(START, START + 60_000 * MS)
    assert len(book.fills()) == 1
    assert market.ended
    assert levels(book, BUY) == recorded(market, BIDS)


def test_the_leader_knows_the_next_half_second(tmp_path: Path) -> None:
    moved = ([(202.0, 5.0)], [(202.02, 5.0)])
    books = [book_row(0, BIDS, ASKS), book_row(2_000, *moved), book_row(4_000, *moved)]
    market = play(write_sol(tmp_path, books=books), at_end="stop")
    at = START + 2_000 * MS - LEAD_NS
    market.advance(START, at - MS)
    before, local = float(market.cex_mid("SOL")), market.books["SOL"].best_bid()
    market.advance(at - MS, at)
    assert float(market.cex_mid("SOL")) / before - 1 == pytest.approx(0.00995, abs=2e-4)
    assert market.books["SOL"].best_bid() == local
    market.advance(at, START + 2_000 * MS)
    assert market.books["SOL"].best_bid() == px_tick(market, 202.0)


def test_the_same_seed_gives_the_same_tape_and_another_one_another_basis(tmp_path: Path) -> None:
    write_sol(tmp_path)
    first, second = play(tmp_path), play(tmp_path)
    other = ReplayMarket(tmp_path, 8, START, days=2)
    for market in (first, second, other):
        for k in range(20):
            market.advance(START + k * 100 * MS, START + (k + 1) * 100 * MS)
    assert first.dump() == second.dump()
    assert first.cex_mid("SOL") != other.cex_mid("SOL")


def test_a_snapshot_goes_on_identically_and_only_over_its_own_recording(tmp_path: Path) -> None:
    write_sol(tmp_path)
    market = play(tmp_path)
    market.advance(START, START + 300 * MS)
    twin = ReplayMarket.load(market.dump(), tmp_path)
    assert twin.dump() == market.dump()
    for one in (market, twin):
        one.advance(START + 300 * MS, START + 2_700 * MS)
        one.printed("SOL", one.books["SOL"].fills())
    assert twin.dump() == market.dump()
    dumped = market.dump()
    write_sol(tmp_path, trades=[trade_row(500, 200.02, 1.5, "buy", 1)])
    with pytest.raises(ConfigError, match="not the recording that the snapshot was taken on"):
        ReplayMarket.load(dumped, tmp_path)


def test_a_coin_nobody_lists_is_taken_from_its_tape(tmp_path: Path) -> None:
    write_sol(tmp_path)
    for name in ("orderbooks", "trades"):
        (tmp_path / f"{name}_SOL.csv.gz").rename(tmp_path / f"{name}_NEW.csv.gz")
    market = play(tmp_path)
    perp = market.instruments[0]
    assert (perp.coin, perp.size_decimals) == ("NEW", 0)
    assert levels(market.books["NEW"], BUY)[0][1] == 5
    assert market.leaders["NEW"].symbol == "NEWUSDT"


@pytest.fixture(scope="module")
def real() -> ReplayMarket:
    if not DATA.is_dir():
        pytest.skip(f"no recordings at {DATA}")
    return ReplayMarket(DATA, 7, START, days=2)


def test_the_real_recording_plays_whole(real: ReplayMarket) -> None:
    seen = {coin: [0, 0] for coin in real.books}
    mids: dict[str, list[float]] = {coin: [] for coin in real.books}
    cex: dict[str, list[float]] = {coin: [] for coin in real.books}
    for k in range(0, 2_089_000, 100):
        real.advance(START + k * MS, START + (k + 100) * MS)
        for coin, book in real.books.items():
            fills = book.fills()
            if len(fills):
                seen[coin][0] += len(np.unique(fills["taker_tag"]))
                seen[coin][1] += int(fills["lots"].sum())
                real.printed(coin, fills)
                book.clear_fills()
            bid, ask = book.best_bid(), book.best_ask()
            assert 0 < bid < ask
            if k % 500 == 0:
                mids[coin].append(bid + ask)
                cex[coin].append(float(real.cex_mid(coin)))
    assert real.lost == 0
    for tape in real.tapes:
        played = tape.trades[tape.rows[tape.kinds == house.TRADE]]
        assert seen[tape.coin] == [len(played), played[:, 2].sum()], tape.coin
        local, leader = np.diff(np.log(mids[tape.coin])), np.diff(np.log(cex[tape.coin]))
        assert np.corrcoef(leader[:-1], local[1:])[0, 1] > 0.75
        assert abs(np.corrcoef(leader[1:], local[:-1])[0, 1]) < 0.2


def test_an_exchange_trades_over_the_recording() -> None:
    if not DATA.is_dir():
        pytest.skip(f"no recordings at {DATA}")
    market = ReplayMarket(DATA, 7, START, ("SOL",), days=2)
    exchange = Exchange(market.instruments, market, ExchangeSettings(), START)
    for k in range(300):
        exchange.step(START + (k + 1) * 100 * MS)
    context = exchange.contexts["SOL"]
    assert context.mid is not None
    assert abs(float(context.mark / context.mid) - 1) < 0.005
    book = market.books["SOL"]
    assert book.place(1, ME, BUY, book.best_ask(), 1, IOC, exchange.now_ns) == -1
