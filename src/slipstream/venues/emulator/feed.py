"""The market process as the server reads it: candles, funding, day statistics and the reference exchange, in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from slipstream.model.instrument import plain
from slipstream.venues.emulator.exchange import Market
from slipstream.venues.emulator.market.binance import Leader
from slipstream.venues.emulator.market.candles import INTERVALS, Candle, open_time
from slipstream.venues.emulator.market.funding_book import FundingRow
from slipstream.venues.emulator.shapes import DayStats, Json, number

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
DEPTHS = (5, 10, 20, 50, 100, 500, 1_000)
DIFF_LEVELS = 100
RATE_CAP = Decimal("0.02")
LATEST = 1 << 62


class MarketData(Market, Protocol):
    """What the server needs from a market beside what the exchange needs."""

    @property
    def leaders(self) -> Mapping[str, Leader]:
        """The reference exchange's symbols, by coin."""
        ...

    def candles(self, coin: str, interval: str, start_ms: int, end_ms: int) -> list[Candle]:
        """Candles that open in [start, end]."""
        ...

    def funding_history(self, coin: str, start_ms: int, end_ms: int) -> list[FundingRow]:
        """Hourly rates in [start, end]."""
        ...


class Symbol(msgspec.Struct, frozen=True):
    """A contract of the reference exchange; ``tick`` and ``step`` as it writes them."""

    name: str
    coin: str
    base: str
    tick: str
    step: str
    price_decimals: int
    size_decimals: int


class Best(msgspec.Struct, frozen=True):
    """Best prices of a symbol."""

    bid: str
    bid_qty: str
    ask: str
    ask_qty: str
    update_id: int
    time_ms: int


class Depth(msgspec.Struct, frozen=True):
    """Levels of a symbol, best first."""

    update_id: int
    time_ms: int
    bids: list[list[str]]
    asks: list[list[str]]


def binance_intervals() -> tuple[str, ...]:
    """Intervals of klines."""
    return tuple(INTERVALS)


class Feed:
    """JSON views of a market. Day statistics are taken from quarter-hour candles, once a minute of venue time."""

    def __init__(self, market: MarketData) -> None:
        self._market = market
        self._days: dict[str, tuple[int, DayStats]] = {}
        self._books: dict[str, tuple[int, dict[str, str], dict[str, str]]] = {}
        self.now_ms = 0
        self.symbols: dict[str, Symbol] = {}
        for instrument in market.instruments:
            leader = market.leaders[instrument.coin]
            size = max(0, -int(leader.lot.as_tuple().exponent))
            self.symbols[leader.symbol] = Symbol(
                leader.symbol,
                instrument.coin,
                leader.symbol.removesuffix("USDT"),
                plain(leader.tick),
                plain(leader.lot),
                leader.decimals,
                size,
            )

    def candles(self, coin: str, interval: str, start_ms: int, end_ms: int) -> list[Json]:
        """Candles of a coin as the venue answers them."""
        return [
            {
                "t": c.t,
                "T": c.T,
                "s": coin,
                "i": interval,
                "o": number(c.o),
                "c": number(c.c),
                "h": number(c.h),
                "l": number(c.l),
                "v": number(c.v),
                "n": c.n,
            }
            for c in self._market.candles(coin, interval, start_ms, end_ms)
        ]

    def candle_start(self, interval: str) -> int:
        """Where to look for the open candle: two of its kind ago."""
        return open_time(self.now_ms - INTERVALS[interval], interval)

    kline_start = candle_start

    def funding_history(self, coin: str, start_ms: int, end_ms: int) -> list[Json]:
        """Hourly funding of a coin, oldest first."""
        return [
            {"coin": coin, "fundingRate": number(r.rate), "premium": number(r.premium), "time": r.ms}
            for r in self._market.funding_history(coin, start_ms, end_ms)
        ]

    def day(self, coin: str) -> DayStats:
        """Volume of the last 24 h and the price a day ago."""
        minute = self.now_ms // 60_000
        cached = self._days.get(coin)
        if cached is not None and cached[0] == minute:
            return cached[1]
        bars = self._market.candles(coin, "15m", self.now_ms - DAY_MS, LATEST)
        notional, base = _volumes(bars)
        stats = DayStats(notional, base, bars[0].o if bars else Decimal(0))
        self._days[coin] = (minute, stats)
        return stats

    def binance_funding(self, coin: str) -> Json:
        """The reference exchange's running rate of a coin."""
        next_ms = (self.now_ms // (8 * HOUR_MS) + 1) * 8 * HOUR_MS
        rate = self._rate(coin, self.now_ms)
        return {"fundingRate": number(rate), "nextFundingTime": next_ms, "fundingIntervalHours": 8}

    def _rate(self, coin: str, ms: int) -> Decimal:
        rows = self._market.funding_history(coin, ms - 8 * HOUR_MS + 1, ms)
        total = sum((r.rate for r in rows), Decimal(0))
        return max(-RATE_CAP, min(RATE_CAP, total)).quantize(Decimal("0.00000001"))

    def _leader(self, symbol: Symbol) -> Leader:
        return self._market.leaders[symbol.coin]

    def best(self, symbol: Symbol) -> Best:
        """Best prices."""
        top = self._leader(symbol).top
        return Best(plain(top.bid), plain(top.bid_size), plain(top.ask), plain(top.ask_size), top.update, top.ms)

    def depth(self, symbol: Symbol, levels: int) -> Depth:
        """Levels of both sides."""
        leader = self._leader(symbol)
        top = leader.top
        bids, asks = ([[plain(px), plain(sz)] for px, sz in side] for side in leader.depth(levels))
        return Depth(top.update, top.ms, bids, asks)

    def depth_update(self, symbol: Symbol) -> Json | None:
        """What changed in the first 100 levels since the last call, with the ids that chain the updates.

        ``U`` is the last update told, so that a snapshot taken between two updates lies within the next one.
        """
        now = self.depth(symbol, DIFF_LEVELS)
        bids, asks = (dict(map(_pair, side)) for side in (now.bids, now.asks))
        before = self._books.get(symbol.name)
        self._books[symbol.name] = (now.update_id, bids, asks)
        if before is None or before[0] == now.update_id:
            return None
        return {
            "U": before[0],
            "u": now.update_id,
            "pu": before[0],
            "b": _difference(before[1], bids),
            "a": _difference(before[2], asks),
        }

    def follow_depth(self, symbol: Symbol) -> None:
        """Updates of a symbol's depth start from the book as it is now."""
        if symbol.name not in self._books:
            self.depth_update(symbol)

    def keep_depth(self, names: set[str]) -> None:
        """Forget the books of symbols whose depth nobody follows any more."""
        self._books = {name: book for name, book in self._books.items() if name in names}

    def agg_trades(self, symbol: Symbol, first: int) -> list[Json]:
        """Aggregate trades from an id on, oldest first (the newest 1,000 are kept)."""
        return [
            {
                "a": t.id,
                "p": plain(t.px),
                "q": plain(t.qty),
                "f": t.id,
                "l": t.id,
                "T": t.ms,
                "m": t.buyer_is_maker,
            }
            for t in self._leader(symbol).trades
            if t.id >= first
        ]

    def next_trade_id(self, symbol: Symbol) -> int:
        """The id that the next trade will have."""
        trades = self._leader(symbol).trades
        return trades[-1].id + 1 if trades else 1

    def klines(self, symbol: Symbol, interval: str, start_ms: int, end_ms: int) -> list[list[Any]]:
        """Klines in 12 fields; quote volumes at the bar's mean price, takers half on either side."""
        rows: list[list[Any]] = []
        for c in self._leader(symbol).klines(interval, start_ms, end_ms):
            quote = c.v * _mean(c)
            half, half_quote = plain(c.v / 2), plain((quote / 2).quantize(Decimal("0.00001")))
            rows.append(
                [
                    c.t,
                    plain(c.o),
                    plain(c.h),
                    plain(c.l),
                    plain(c.c),
                    plain(c.v),
                    c.T,
                    plain(quote.quantize(Decimal("0.00001"))),
                    c.n,
                    half,
                    half_quote,
                    "0",
                ]
            )
        return rows

    def binance_day(self, symbol: Symbol) -> Json:
        """24 h statistics."""
        bars = self._leader(symbol).klines("15m", self.now_ms - DAY_MS, LATEST)
        top = self._leader(symbol).top
        trades = self._leader(symbol).trades
        notional, base = _volumes(bars)
        last = trades[-1].px if trades else top.bid
        start = bars[0].o if bars else last
        change = last - start
        return {
            "symbol": symbol.name,
            "priceChange": plain(change),
            "priceChangePercent": f"{change / start * 100:.3f}",
            "weightedAvgPrice": plain((notional / base).quantize(Decimal("0.00000001"))) if base else "0",
            "lastPrice": plain(last),
            "lastQty": plain(trades[-1].qty) if trades else "0",
            "openPrice": plain(start),
            "highPrice": plain(max((b.h for b in bars), default=last)),
            "lowPrice": plain(min((b.l for b in bars), default=last)),
            "volume": plain(base),
            "quoteVolume": plain(notional.quantize(Decimal("0.01"))),
            "openTime": bars[0].t if bars else self.now_ms,
            "closeTime": self.now_ms,
            "firstId": trades[0].id if trades else 0,
            "lastId": trades[-1].id if trades else 0,
            "count": sum(b.n for b in bars),
        }

    def premium_index(self, symbol: Symbol) -> Json:
        """Mark and index price, and the running funding rate."""
        funding = self.binance_funding(symbol.coin)
        index = plain(self._market.oracle(symbol.coin))
        return {
            "symbol": symbol.name,
            "markPrice": plain(self._leader(symbol).mid),
            "indexPrice": index,
            "estimatedSettlePrice": index,
            "lastFundingRate": funding["fundingRate"],
            "interestRate": "0.00010000",
            "nextFundingTime": funding["nextFundingTime"],
            "time": self.now_ms,
        }

    def binance_funding_history(self, symbol: Symbol, start_ms: int, end_ms: int) -> list[Json]:
        """Rates every eight hours, oldest first: the sum of the local hourly ones."""
        period = 8 * HOUR_MS
        rows = self._market.funding_history(symbol.coin, 0, self.now_ms)
        sums: dict[int, Decimal] = {}
        for row in rows:
            time = -(-row.ms // period) * period
            sums[time] = sums.get(time, Decimal(0)) + row.rate
        closes = {c.T + 1: c.c for c in self._leader(symbol).klines("8h", 0, LATEST)}
        return [
            {
                "symbol": symbol.name,
                "fundingTime": ms,
                "fundingRate": plain(max(-RATE_CAP, min(RATE_CAP, rate)).quantize(Decimal("0.00000001"))),
                "markPrice": plain(closes.get(ms, self._leader(symbol).mid)),
            }
            for ms, rate in sums.items()
            if ms <= self.now_ms and start_ms <= ms <= end_ms
        ]

    def binance_open_interest(self, symbol: Symbol) -> str:
        """Open interest in coins: as many times the local one as the volume is."""
        local = self._market.open_interest(symbol.coin)
        ratio = Decimal(str(max(self._leader(symbol).volume_ratio, 0.01)))
        return plain((local / ratio).quantize(Decimal("0.001")))


def _mean(c: Candle) -> Decimal:
    return (c.o + c.h + c.l + c.c) / 4


def _volumes(bars: list[Candle]) -> tuple[Decimal, Decimal]:
    notional = sum((c.v * _mean(c) for c in bars), Decimal(0))
    return notional, sum((c.v for c in bars), Decimal(0))


def _difference(before: dict[str, str], after: dict[str, str]) -> list[list[str]]:
    changed = [[px, sz] for px, sz in after.items() if before.get(px) != sz]
    return changed + [[px, "0"] for px in before if px not in after]


def _pair(level: list[str]) -> tuple[str, str]:
    return level[0], level[1]
