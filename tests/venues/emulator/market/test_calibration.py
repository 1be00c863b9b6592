"""The synthetic market against figures measured on real books, trades, candles and funding.

Targets: recordings of 2025-09-04 (34.8 minutes of BTC, ETH, SOL, WLFI), a month of five-minute closes on both venues,
and two years of hourly funding of 186 coins. Each figure must lie within its band, a ratio to the target; the table is
printed whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from slipstream.model.grid import price_of_tick
from slipstream.venues.emulator.market import history
from slipstream.venues.emulator.market.synthetic import SyntheticMarket

SECOND = 1_000_000_000
BLOCK = SECOND // 10
START = 1_790_000_040 * SECOND
MINUTES = 20
COINS = ("BTC", "ETH", "SOL", "WLFI")
BANDS: dict[str, tuple[float, float]] = {
    "spread median, bp": (0.7, 1.4),
    "spread mean, bp": (0.6, 1.5),
    "BBO spacing median, ms": (0.6, 1.6),
    "trades a minute": (0.6, 1.7),
    "blocks with trades a minute": (0.7, 1.4),
    "median trade, USD": (0.5, 2.0),
    "USD a minute": (0.55, 1.7),
    "20-level bid depth, USD": (0.6, 1.6),
    "volume over Binance": (0.55, 1.7),
}
TARGETS: dict[str, tuple[float, float, float, float]] = {
    "spread median, bp": (0.09, 0.23, 0.49, 2.7),
    "spread mean, bp": (0.12, 0.28, 0.55, 3.0),
    "BBO spacing median, ms": (120, 111, 119, 148),
    "trades a minute": (6_675 / 34.8, 6_884 / 34.8, 4_437 / 34.8, 2_563 / 34.8),
    "blocks with trades a minute": (2_263 / 34.8, 2_647 / 34.8, 1_834 / 34.8, 1_064 / 34.8),
    "median trade, USD": (327, 814, 999, 370),
    "USD a minute": (1.75e6, 2.20e6, 1.06e6, 84e3),
    "20-level bid depth, USD": (5.7e6, 10.8e6, 7.0e6, 0.17e6),
    "volume over Binance": (0.20, 0.12, 0.20, 0.10),
}


class Watch:
    """What is seen of one coin's book, block by block."""

    def __init__(self, market: SyntheticMarket, place: int) -> None:
        self.perp = market.instruments[place]
        self.book = market.books[self.perp.coin]
        self.spreads: list[float] = []
        self.changes: list[int] = []
        self.trades: list[float] = []
        self.busy = 0
        self.depths: list[float] = []
        self._seen: Any = None

    def usd(self, ticks: Any, lots: Any) -> Any:
        px = np.array([price_of_tick(int(t), self.perp.price_decimals) for t in ticks])
        return px * lots * float(self.perp.lot)

    def look(self, block: int, fills: Any) -> None:
        """After a block."""
        (bids, bid_lots, _), (asks, ask_lots, _) = self.book.depth(1, 20), self.book.depth(-1, 1)
        assert len(bids) and len(asks), f"{self.perp.coin}: empty side in block {block}"
        bid, ask = (price_of_tick(int(t), self.perp.price_decimals) for t in (bids[0], asks[0]))
        assert bid < ask, f"{self.perp.coin}: crossed in block {block}"
        self.spreads.append((ask - bid) / ask * 1e4)
        best = (bids[0], bid_lots[0], asks[0], ask_lots[0])
        if best != self._seen:
            self.changes.append(block)
            self._seen = best
        if len(fills):
            self.busy += 1
            self.trades += self.usd(fills["tick"], fills["lots"]).tolist()
        if block % 50 == 0:
            self.depths.append(float(self.usd(bids, bid_lots).sum()))

    def figures(self, market: SyntheticMarket) -> dict[str, float]:
        """Every figure of the table."""
        coin = self.perp.coin
        first, last = START // 1_000_000, (START + MINUTES * 60 * SECOND) // 1_000_000 - 1
        there = sum(float(c.v) for c in market.leaders[coin].klines("1m", first, last))
        here = sum(float(c.v) for c in market.candles(coin, "1m", first, last))
        return {
            "spread median, bp": float(np.median(self.spreads)),
            "spread mean, bp": float(np.mean(self.spreads)),
            "BBO spacing median, ms": float(np.median(np.diff(self.changes))) * 100,
            "trades a minute": len(self.trades) / MINUTES,
            "blocks with trades a minute": self.busy / MINUTES,
            "median trade, USD": float(np.median(self.trades)),
            "USD a minute": sum(self.trades) / MINUTES,
            "20-level bid depth, USD": float(np.mean(self.depths)),
            "volume over Binance": here / there,
        }


@pytest.fixture(scope="module")
def session() -> tuple[SyntheticMarket, dict[str, dict[str, float]], dict[str, list[tuple[float, float]]]]:
    market = SyntheticMarket(COINS, 7, START, days=2)
    watches = {coin: Watch(market, i) for i, coin in enumerate(COINS)}
    mids: dict[str, list[tuple[float, float]]] = {coin: [] for coin in COINS}
    for block in range(MINUTES * 600):
        market.advance(START + block * BLOCK, START + (block + 1) * BLOCK)
        for coin, watch in watches.items():
            fills = watch.book.fills()
            if len(fills):
                market.printed(coin, fills)
                watch.book.clear_fills()
            watch.look(block, fills)
            if block % 5 == 4:
                decimals = watch.perp.price_decimals
                ticks = (watch.book.best_bid(), watch.book.best_ask())
                local = sum(price_of_tick(tick, decimals) for tick in ticks) / 2.0
                mids[coin].append((local, float(market.cex_mid(coin))))
    return market, {coin: watch.figures(market) for coin, watch in watches.items()}, mids


def rows(figures: dict[str, dict[str, float]]) -> Iterator[tuple[str, str, float, float, bool]]:
    for name, targets in TARGETS.items():
        low, high = BANDS[name]
        for coin, target in zip(COINS, targets, strict=True):
            seen = figures[coin][name]
            yield name, coin, seen, target, low <= seen / target <= high


def test_books_and_trades_look_like_the_recordings(session: Any, capsys: pytest.CaptureFixture[str]) -> None:
    table = list(rows(session[1]))
    lines = [f"{'figure':<30}{'coin':<6}{'simulated':>12}{'target':>12}{'ratio':>8}  band"]
    for name, coin, seen, target, fine in table:
        low, high = BANDS[name]
        mark = "" if fine else "  FAR"
        lines.append(f"{name:<30}{coin:<6}{seen:>12.5g}{target:>12.5g}{seen / target:>8.2f}  {low}..{high}{mark}")
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert [
        f"{name} of {coin}: {seen:.4g}, target {target:.4g}" for name, coin, seen, target, ok in table if not ok
    ] == []


@pytest.mark.parametrize("coin", COINS)
def test_the_leader_leads_by_about_half_a_second(session: Any, coin: str) -> None:
    local, leader = np.diff(np.log(np.array(session[2][coin])), axis=0).T
    after = np.corrcoef(leader[:-1], local[1:])[0, 1]  # half a second to a second later
    before = np.corrcoef(leader[1:], local[:-1])[0, 1]
    late = np.corrcoef(leader[:-6], local[6:])[0, 1]
    assert after > 0.15
    assert abs(before) < 0.5 * after
    assert abs(late) < 0.5 * after


def test_the_basis_reverts_and_spreads_as_measured() -> None:
    """Five-minute closes of two days: sd 4 to 9 bp over the coins measured, mean -2 to +8."""
    market = SyntheticMarket(COINS, 11, START, days=2)
    closes: dict[str, list[float]] = {coin: [] for coin in COINS}
    for k in range(2 * 288):
        market.advance(START + k * 300 * SECOND, START + (k + 1) * 300 * SECOND)
        for i, coin in enumerate(COINS):
            book, decimals = market.books[coin], market.instruments[i].price_decimals
            book.clear_fills()
            mid = (price_of_tick(book.best_bid(), decimals) + price_of_tick(book.best_ask(), decimals)) / 2.0
            closes[coin].append((mid / float(market.cex_mid(coin)) - 1.0) * 1e4)
    for coin, series in closes.items():
        assert 3.0 < np.std(series) < 11.0, coin
        assert -5.0 < np.mean(series) < 11.0, coin
        assert np.corrcoef(series[:-12], series[12:])[0, 1] < 0.3, coin  # an hour later little is left


def test_funding_is_distributed_as_measured() -> None:
    premium = history.premium_paths(np.random.default_rng(5), 200, 5_760)
    rates = history.funding_rate(premium)
    assert np.mean(np.abs(rates - 1.25e-5) < 1e-12) == pytest.approx(0.57, abs=0.06)
    assert np.mean(rates < 0) == pytest.approx(0.17, abs=0.05)
    assert np.mean(np.abs(rates) > 5e-4) == pytest.approx(0.0055, abs=0.003)
    for lag, target in ((1, 0.86), (4, 0.67), (8, 0.57), (24, 0.42), (48, 0.35)):
        seen = np.median([np.corrcoef(row[:-lag], row[lag:])[0, 1] for row in rates if row.std() > 0])
        assert seen == pytest.approx(target, abs=0.1), lag


def test_regimes_change_and_a_common_factor_moves_the_coins() -> None:
    market = SyntheticMarket(COINS, 3, START, days=2)
    returns = []
    regimes = set()
    for k in range(1_200):
        before = market.latent.leader.copy()
        market.advance(START + k * 60 * SECOND, START + (k + 1) * 60 * SECOND)
        returns.append(market.latent.leader - before)
        regimes.add(market.latent.regime)
        for book in market.books.values():
            book.clear_fills()
    correlation = np.corrcoef(np.array(returns).T)
    assert regimes == {0, 1}
    assert correlation[0, 1] > 0.5
    assert correlation[0, 3] > 0.15
    sizes = np.abs(np.array(returns)[:, 0])
    assert np.corrcoef(sizes[:-1], sizes[1:])[0, 1] > 0.05  # volatility comes in clusters
