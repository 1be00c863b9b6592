"""Made-up tapes for a Brawler: an anchor that walks, markets that follow it, takers, deep levels, a funding row."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.lob.replay.rows import BEST, DEPTH, FUNDING, MORE, ROW_DTYPE, TRADE
from slipstream.model.grid import ceil_tick, floor_tick
from slipstream.model.instrument import Instrument

SECOND = 1_000_000_000
MILLI = SECOND // 1000
T0 = 1_700_000_000 * SECOND
ETH = Instrument(coin="ETH", asset=1, size_decimals=4, max_leverage=25)
BTC = Instrument(coin="BTC", asset=0, size_decimals=5, max_leverage=40)
ANCHOR_TICK = {"ETH": 0.01, "BTC": 0.1}
LOT = 1000  # anchor sizes are told in thousandths
FIRST = {"ETH": 2000.0, "BTC": 60_000.0}
Row = tuple[int, int, int, int, int, int, int]


class Book:
    """A local market of a few levels that follows a price; says its changes as rows."""

    def __init__(self, market: int, perp: Instrument, rng: random.Random) -> None:
        self.market, self.perp, self.rng = market, perp, rng
        self.levels: dict[tuple[int, int], int] = {}

    def wanted(self, px: float) -> dict[tuple[int, int], int]:
        """Levels around a price; sizes stay where a level stays, mostly."""
        decimals, out = self.perp.price_decimals, dict[tuple[int, int], int]()
        for side, tick in ((1, floor_tick(px * 0.9997, decimals)), (-1, ceil_tick(px * 1.0003, decimals))):
            for away in range(4):
                at = (side, tick - side * away)
                fresh = self.rng.random() < 0.1 or at not in self.levels
                out[at] = self.rng.randint(1_000, 40_000) if fresh else self.levels[at]
        return out

    def moved(self, px: float, ns: int, local_ns: int) -> list[Row]:
        """The rows of one message: what went, then what came; only the last is heard."""
        wanted = self.wanted(px)
        gone = [(*at, 0) for at in self.levels if at not in wanted]
        came = [(*at, lots) for at, lots in wanted.items() if self.levels.get(at) != lots]
        self.levels = wanted
        changes = gone + came
        last = len(changes) - 1
        return [
            (ns, local_ns, lots, tick, self.market, DEPTH | (MORE if k < last else 0), side)
            for k, (side, tick, lots) in enumerate(changes)
        ]


def tape(
    coins: Mapping[str, Instrument], seconds: float, seed: int, *, sigma: float = 1e-4, feed_ns: int = 0, hole: int = 0
) -> npt.NDArray[np.void]:
    """Rows of all markets, merged: coin i trades in market 2i and has its anchor in 2i + 1.

    ``feed_ns``: how much later than at the exchange everything is heard; ``hole``: a second from which on the anchor
    of the first coin is silent for five.
    """
    rng = random.Random(seed)
    rows: list[Row] = []
    books = {coin: Book(2 * i, perp, rng) for i, (coin, perp) in enumerate(coins.items())}
    prices, behind = {coin: FIRST[coin] for coin in coins}, {coin: [FIRST[coin]] * 5 for coin in coins}
    ns = T0
    while ns < T0 + int(seconds * SECOND):
        ns += rng.choice((20, 50, 100, 250)) * MILLI
        for number, coin in enumerate(coins):
            prices[coin] *= math.exp(rng.gauss(0.0, sigma))
            silent = hole and number == 0 and hole <= (ns - T0) / SECOND < hole + 5
            if rng.random() < 0.7 and not silent:
                rows += _anchor(2 * number + 1, prices[coin] / ANCHOR_TICK[coin], rng, ns, feed_ns)
            behind[coin] = [*behind[coin][1:], prices[coin] * 1.0001]
            if rng.random() < 0.6:
                rows += books[coin].moved(behind[coin][0], ns, ns + feed_ns)
            if rng.random() < 0.3 and books[coin].levels:
                rows.append(_trade(books[coin], rng, ns, feed_ns))
            if rng.random() < 0.002:
                tick = floor_tick(prices[coin], coins[coin].price_decimals)
                rows.append((ns, ns + feed_ns, 125_000_00, tick, 2 * number, FUNDING, 0))
    out = np.zeros(len(rows), ROW_DTYPE)
    out[:] = rows
    return out


def _anchor(market: int, tick: float, rng: random.Random, ns: int, feed_ns: int) -> list[Row]:
    bid = math.floor(tick)
    best = ((bid, 1, BEST | MORE), (bid + 1, -1, BEST))
    return [(ns, ns + feed_ns, rng.randint(1, 9) * LOT, at, market, kind, side) for at, side, kind in best]


def _trade(book: Book, rng: random.Random, ns: int, feed_ns: int) -> Row:
    """A taker, who sometimes goes through the touch."""
    side = rng.choice((1, -1))
    held = [tick for s, tick in book.levels if s == -side]
    touch = min(held) if side > 0 else max(held)
    through = rng.choice((-6, -3, 0, 0, 1, 2))
    return (ns, ns + feed_ns, rng.randint(100, 30_000), touch + side * through, book.market, TRADE, side)


def settings(coins: Mapping[str, Instrument], **changes: Any) -> dict[str, Any]:
    """A config that is soon warm and trades often."""
    sizes = {"ETH": ("0.1", "0.5"), "BTC": ("0.004", "0.02")}
    values: dict[str, Any] = {
        "symbols": [{"symbol": c, "order_size": sizes[c][0], "max_inventory": sizes[c][1]} for c in coins],
        "base_spread": 0.0005,
        "k": 1.0,
        "lambda": 0.0006,
        "sigma_window": 60,
        "basis_halflife_s": 10.0,
        "portfolio": {"gross_cap": "5000"},
        "kill_switch": {"backoff_s": 2.0, "hl_max_lag_ms": 2000, "cex_max_lag_ms": 2000},
    }
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) else value
    return values
