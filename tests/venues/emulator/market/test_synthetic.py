"""The synthetic market is reproducible, whole at any speed, and kind to nobody."""

from __future__ import annotations

import time
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from slipstream.lob.book import ALO, BUY, GTC, SELL
from slipstream.model.errors import ConfigError
from slipstream.venues.emulator.market.synthetic import SyntheticMarket
from slipstream.venues.emulator.market.universe import COINS

MS = 1_000_000
SECOND = 1_000 * MS
START = 1_790_000_040 * SECOND
ME = 7


def market_of(*coins: str, seed: int = 7) -> SyntheticMarket:
    return SyntheticMarket(coins, seed, START, days=2)


def run(market: SyntheticMarket, start_ns: int, spans: list[int]) -> int:
    """Advance block by block, handing the tape back; the time reached."""
    for span in spans:
        market.advance(start_ns, start_ns + span)
        for coin, book in market.books.items():
            fills = book.fills()
            if len(fills):
                market.printed(coin, fills)
                book.clear_fills()
        start_ns += span
    return start_ns


def test_the_same_seed_and_blocks_give_the_same_tape() -> None:
    spans = [100 * MS] * 50 + [5 * SECOND] * 5 + [72 * SECOND]
    one, two, other = market_of(), market_of(), market_of(seed=8)
    for market in (one, two, other):
        run(market, START, spans)
    assert one.dump() == two.dump()
    assert one.dump() != other.dump()


def test_a_snapshot_continues_the_identical_tape() -> None:
    market = market_of("BTC", "WLFI", "kPEPE")
    now = run(market, START, [100 * MS] * 40)
    twin = SyntheticMarket.load(market.dump())
    for one in (market, twin):
        run(one, now, [100 * MS] * 40 + [60 * SECOND] * 3)
    assert market.dump() == twin.dump()


@pytest.mark.parametrize("span", [50 * MS, SECOND, 5 * SECOND, 72 * SECOND])
def test_books_are_two_sided_and_never_crossed_at_any_speed(span: int) -> None:
    market = market_of()
    now = START
    for _ in range(60):
        now = run(market, now, [span])
        for coin, book in market.books.items():
            bid, ask = book.best_bid(), book.best_ask()
            assert 0 < bid < ask, coin
            assert len(book.depth(BUY, 20)[0]) == len(book.depth(SELL, 20)[0]) == 20, coin


def test_ten_days_in_long_blocks_keep_books_prices_and_memory() -> None:
    market = market_of("BTC", "kPEPE")
    run(market, START, [6 * 3_600 * SECOND] * 40)
    for coin, book in market.books.items():
        assert 0 < book.best_bid() < book.best_ask(), coin
        assert book.order_count() <= 3_000, coin
        local = market.instruments[0 if coin == "BTC" else 1].from_tick(book.best_bid())
        assert abs(float(local / market.cex_mid(coin)) - 1.0) < 0.02, coin


def test_a_users_order_that_the_price_passes_is_filled_and_keeps_its_place_until_then() -> None:
    market = market_of("BTC")
    book = market.books["BTC"]
    quiet = book.place(1, ME, BUY, book.best_bid() - 400, 1_000, ALO, START)
    handle = book.place(2, ME, BUY, book.best_bid(), 1_000, ALO, START)
    ahead = book.queue_ahead(handle)
    now = START
    for _ in range(6_000):
        now = run(market, now, [100 * MS])
        if book.order_left(handle) < 0:
            break
        place = book.queue_ahead(handle)
        assert place <= ahead  # nobody gets in front
        ahead = place
    assert book.order_left(handle) == -1
    assert book.order_left(quiet) == 1_000


def test_users_orders_inside_the_spread_stay_until_somebody_trades_with_them() -> None:
    market = market_of("WLFI")
    book = market.books["WLFI"]
    handle = book.place(1, ME, SELL, book.best_ask() - 1, 1_000, GTC, START)
    assert handle >= 0
    left = [1_000]
    now = START
    for _ in range(3_000):
        market.advance(now, now + 100 * MS)
        now += 100 * MS
        mine = book.fills()[book.fills()["maker_owner"] == ME]
        left.append(left[-1] - int(mine["lots"].sum()))
        book.clear_fills()
        assert max(0, book.order_left(handle)) == left[-1]
    assert left[-1] < 1_000


def test_candles_of_all_intervals_tell_one_story() -> None:
    market = SyntheticMarket(("SOL",), 7, START, days=40)
    run(market, START, [5 * SECOND] * 400)
    end = START // MS + 2_000_000
    minutes = market.candles("SOL", "1m", 0, end)
    assert len(minutes) == 5_000
    assert [b.t - a.t for a, b in pairwise(minutes)] == [60_000] * 4_999
    for interval, count in (("3m", 3), ("5m", 5), ("15m", 15), ("30m", 30), ("1h", 60), ("2h", 120), ("4h", 240)):
        for bar in market.candles("SOL", interval, 0, end)[-8:-1]:
            part = [c for c in minutes if bar.t <= c.t <= bar.T]
            assert len(part) == count, interval
            assert (bar.o, bar.c) == (part[0].o, part[-1].c)
            assert (bar.h, bar.l) == (max(c.h for c in part), min(c.l for c in part))
            assert bar.v == sum(c.v for c in part)
            assert bar.n == sum(c.n for c in part)
    hours = market.candles("SOL", "1h", 0, end)
    for interval, count in (("8h", 8), ("12h", 12), ("1d", 24), ("3d", 72)):
        bar = market.candles("SOL", interval, 0, end)[-2]
        part = [c for c in hours if bar.t <= c.t <= bar.T]
        assert len(part) == count
        assert (bar.o, bar.c, bar.v) == (part[0].o, part[-1].c, sum(c.v for c in part))
    assert len(market.candles("SOL", "1w", 0, end)) >= 5
    month = market.candles("SOL", "1M", 0, end)[-1]
    assert time.gmtime(month.t / 1e3).tm_mday == 1


def test_months_of_history_end_where_the_market_begins() -> None:
    market = SyntheticMarket((), 7, START)
    start_ms = START // MS
    for coin in market.books:
        hours = market.candles(coin, "1h", 0, start_ms)
        assert len(hours) == 5_000
        assert len(market.candles(coin, "4h", 0, start_ms)) >= 230 * 6
        assert len(market.candles(coin, "1d", 0, start_ms)) >= 230
        assert len(market.candles(coin, "1m", start_ms - 5_000 * 60_000, start_ms)) == 5_000
        assert abs(float(hours[-1].c) / float(market.cex_mid(coin)) - 1.0) < 0.01, coin
        assert all(bar.l <= min(bar.o, bar.c) and bar.h >= max(bar.o, bar.c) for bar in hours)
        assert all(a.c == b.o for a, b in pairwise(hours))
        rates = market.funding_history(coin, 0, start_ms)
        assert len(rates) >= 230 * 24
        assert rates[-1].ms == start_ms // 3_600_000 * 3_600_000
        assert {b.ms - a.ms for a, b in pairwise(rates)} == {3_600_000}
    btc = np.diff([np.log(float(c.c)) for c in market.candles("BTC", "1h", 0, start_ms)])
    eth = np.diff([np.log(float(c.c)) for c in market.candles("ETH", "1h", 0, start_ms)])
    assert np.corrcoef(btc, eth)[0, 1] > 0.5


def test_the_leader_has_its_own_grid_names_and_growing_ids() -> None:
    market = market_of()
    run(market, START, [100 * MS] * 100)
    symbols = {leader.symbol for leader in market.leaders.values()}
    assert {"BTCUSDT", "1000PEPEUSDT", "WLFIUSDT"} <= symbols
    for coin, leader in market.leaders.items():
        top = leader.top
        assert top.ask - top.bid == leader.tick, coin
        bids, asks = leader.depth(20)
        assert bids[0] == (top.bid, top.bid_size)
        assert asks[0] == (top.ask, top.ask_size)
        assert [px for px, _ in bids] == sorted((px for px, _ in bids), reverse=True)
        assert [px for px, _ in asks] == sorted(px for px, _ in asks)
        ids = [trade.id for trade in leader.trades]
        assert ids == list(range(ids[0], ids[0] + len(ids))) if ids else True
        assert [t.ms for t in leader.trades] == sorted(t.ms for t in leader.trades)
    update = market.leaders["BTC"].top.update
    run(market, START + 10 * SECOND, [100 * MS] * 100)
    assert market.leaders["BTC"].top.update > update


def test_funding_heard_is_funding_told() -> None:
    market = market_of("BTC")
    last = market.funding_history("BTC", 0, 1 << 62)[-1].ms
    market.record_funding("BTC", Decimal("0.0000125"), Decimal("0.0001234567"), (last + 3_600_000) * MS)
    row = market.funding_history("BTC", last + 1, 1 << 62)
    assert [(r.ms, r.rate, r.premium) for r in row] == [
        (last + 3_600_000, Decimal("0.0000125"), Decimal("0.0001234567"))
    ]


def test_coins_are_chosen_and_unknown_ones_refused() -> None:
    assert [i.coin for i in market_of("WLFI", "BTC").instruments] == ["WLFI", "BTC"]
    assert len(COINS) >= 20
    with pytest.raises(ConfigError, match="unknown coin 'BTX'; the synthetic market has BTC, ETH"):
        market_of("BTX")
    with pytest.raises(ConfigError, match="named twice"):
        market_of("BTC", "BTC")


def test_a_block_of_all_coins_takes_about_a_millisecond() -> None:
    """The goal is 1 ms for 100 ms of venue time; the bound leaves room for a busy machine."""
    market = market_of()
    run(market, START, [100 * MS] * 50)
    best = float("inf")
    now = START + 5 * SECOND
    for _ in range(5):
        began = time.process_time()
        for _ in range(50):
            market.advance(now, now + 100 * MS)
            now += 100 * MS
        best = min(best, (time.process_time() - began) / 50)
        for book in market.books.values():
            book.clear_fills()
    assert best < 0.003
