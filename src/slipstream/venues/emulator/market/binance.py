"""The leading exchange as its public feed shows it: best prices, depth, trades and candles, per symbol."""

from __future__ import annotations

from decimal import Decimal
from math import exp, log

import msgspec
import numpy as np

from slipstream.model.grid import price_of_tick
from slipstream.model.instrument import Instrument
from slipstream.venues.emulator.market.candles import Candle, Candles, Rows
from slipstream.venues.emulator.market.universe import CoinSpec

KEPT_TRADES = 1_000


class BookTop(msgspec.Struct, frozen=True):
    """Best prices and sizes of a symbol; ``update`` grows with every change."""

    symbol: str
    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal
    update: int
    ms: int


class AggTrade(msgspec.Struct, frozen=True):
    """A trade; ``buyer_is_maker`` means the aggressor sold."""

    symbol: str
    id: int
    px: Decimal
    qty: Decimal
    ms: int
    buyer_is_maker: bool


def symbol_of(coin: str) -> str:
    """Binance's name of a coin's USDT perp (kPEPE is 1000PEPEUSDT)."""
    return f"1000{coin[1:]}USDT" if coin[:1] == "k" and coin[1:].isupper() else f"{coin}USDT"


class Leader:
    """One symbol of the leading exchange, driven by its log price."""

    def __init__(self, spec: CoinSpec, instrument: Instrument, history: dict[str, Rows], rng: np.random.Generator):
        self.symbol = symbol_of(spec.coin)
        self.decimals = spec.binance_decimals
        self.tick = Decimal(1).scaleb(-self.decimals)
        self.lot = instrument.lot
        self.volume_ratio = spec.volume_ratio
        self._spec = spec
        self._rng = rng
        self._instrument = instrument
        scaled = {name: rows.copy() for name, rows in history.items()}
        for rows in scaled.values():
            rows[:, 5] = (rows[:, 5] / spec.volume_ratio).astype(np.int64)
        self._candles = Candles(instrument, scaled)
        self._units = int(spec.px * 10**self.decimals)
        self.update = 1
        self.trades: list[AggTrade] = []
        self._trade_id = 1
        self._ms = 0
        self._sizes = self._fresh_sizes()

    def _fresh_sizes(self) -> tuple[Decimal, Decimal]:
        usd = self._spec.depth / 20.0 * 3.0
        draws = np.exp(self._rng.standard_normal(2)) * usd / self._spec.px
        bid, ask = (self._instrument.round_size(Decimal(float(d))) + self.lot for d in draws)
        return bid, ask

    @property
    def top(self) -> BookTop:
        """The best prices now: one tick apart."""
        bid, ask = (Decimal(units).scaleb(-self.decimals) for units in (self._units, self._units + 1))
        return BookTop(self.symbol, bid, self._sizes[0], ask, self._sizes[1], self.update, self._ms)

    @property
    def mid(self) -> Decimal:
        """Middle of the best prices."""
        return (Decimal(2 * self._units + 1) / 2).scaleb(-self.decimals)

    def move(self, log_px: float, t0_ns: int, t1_ns: int) -> None:
        """Bring the symbol to a log price at the end of [t0, t1], with the trades in between."""
        units = int(exp(log_px) * 10**self.decimals)
        self._ms = t1_ns // 1_000_000
        up = units > self._units
        if units != self._units or self._rng.random() < 0.5:
            self._units = max(1, units)
            self._sizes = self._fresh_sizes()
            self.update += 1
        rate = self._spec.market_orders / 60.0 / max(self.volume_ratio, 0.05) * (t1_ns - t0_ns) / 1e9
        count = min(8, int(self._rng.poisson(rate)))
        if count == 0:
            return
        self._trade(count, rate, up, t0_ns, t1_ns)

    def _trade(self, count: int, rate: float, up: bool, t0_ns: int, t1_ns: int) -> None:
        top = self.top
        whole = self._spec.volume / self.volume_ratio * (t1_ns - t0_ns) / 60e9
        times = np.sort(self._rng.integers(t0_ns, t1_ns, count))
        shares = np.exp(1.2 * self._rng.standard_normal(count) - 0.72) * whole / max(rate, count)
        buys = self._rng.random(count) < (0.65 if up else 0.35)
        ticks, lots = [], []
        for ns, usd, buy in zip(times.tolist(), shares.tolist(), buys.tolist(), strict=True):
            px = top.ask if buy else top.bid
            qty = self._instrument.round_size(Decimal(usd) / px) + self.lot
            self.trades.append(AggTrade(self.symbol, self._trade_id, px, qty, ns // 1_000_000, not buy))
            self._trade_id += 1
            ticks.append(self._instrument.to_tick(self._instrument.quantise(px, "ROUND_FLOOR")))
            lots.append(self._instrument.to_lots(qty))
        del self.trades[:-KEPT_TRADES]
        self._candles.add_trades(times, np.array(ticks), np.array(lots))

    def depth(self, levels: int) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
        """(bids, asks) of up to ``levels`` prices; a price keeps its size while it stays in the book."""
        top = self.top
        sides: list[list[tuple[Decimal, Decimal]]] = [[(top.bid, top.bid_size)], [(top.ask, top.ask_size)]]
        for k in range(1, levels):
            for side, units in ((0, self._units - k), (1, self._units + 1 + k)):
                if units < 1:
                    continue
                mixed = (units * 0x9E3779B97F4A7C15 + side) & 0xFFFFFFFFFFFFFFFF
                share = 0.2 + (mixed >> 40) / (1 << 24)
                usd = self._spec.depth / 20.0 * 2.0 * share
                size = self._instrument.round_size(Decimal(usd / self._spec.px)) + self.lot
                sides[side].append((Decimal(units).scaleb(-self.decimals), size))
        return sides[0], sides[1]

    def klines(self, interval: str, start_ms: int, end_ms: int) -> list[Candle]:
        """Candles of the symbol. Raises KeyError on an unknown interval."""
        return self._candles.between(interval, start_ms, end_ms)

    def dump(self) -> dict[str, object]:
        """Plain values for `restore`."""
        return {
            "units": self._units,
            "update": self.update,
            "trade_id": self._trade_id,
            "ms": self._ms,
            "sizes": [str(size) for size in self._sizes],
            "trades": msgspec.msgpack.encode(self.trades),
            "candles": self._candles.dump(),
            "generator": msgspec.json.encode(self._rng.bit_generator.state),
        }

    def restore(self, state: dict[str, object]) -> None:
        """Continue from `dump`."""
        fields = msgspec.convert(state, _LeaderState)
        self._units, self.update, self._trade_id = fields.units, fields.update, fields.trade_id
        self._ms = fields.ms
        self._sizes = (Decimal(fields.sizes[0]), Decimal(fields.sizes[1]))
        self.trades = msgspec.msgpack.decode(fields.trades, type=list[AggTrade])
        self._candles = Candles(self._instrument, Candles.parse(fields.candles))
        self._rng.bit_generator.state = msgspec.json.decode(fields.generator)


class _LeaderState(msgspec.Struct):
    units: int
    update: int
    trade_id: int
    ms: int
    sizes: list[str]
    trades: bytes
    candles: dict[str, bytes]
    generator: bytes


def log_price(tick: int, instrument: Instrument) -> float:
    """Log of a tick's price."""
    return log(price_of_tick(tick, instrument.price_decimals))
