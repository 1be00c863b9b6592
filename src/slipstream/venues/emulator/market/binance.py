"""The leading exchange as its public feed shows it: best prices, depth, trades and candles, per symbol."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import exp

import msgspec
import numpy as np

from slipstream.model.grid import tick_of_units
from slipstream.model.instrument import Instrument
from slipstream.venues.emulator.market.candles import Candle, Candles, Rows
from slipstream.venues.emulator.market.universe import CoinSpec

KEPT_TRADES = 1_000
MOST_TRADES = 4  # told of one move; more are told as fewer, larger ones


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
    """One symbol of the leading exchange, driven by its log price. Prices are kept in units of its own tick."""

    def __init__(self, spec: CoinSpec, instrument: Instrument, history: dict[str, Rows], rng: np.random.Generator):
        self.symbol = symbol_of(spec.coin)
        self.decimals = spec.binance_decimals
        self.tick = Decimal(1).scaleb(-self.decimals)
        self.lot = instrument.lot
        self.volume_ratio = spec.volume_ratio
        self._spec = spec
        self._rng = rng
        self._instrument = instrument
        self._scale = 10**self.decimals
        self._lots_per_usd = 10.0**instrument.size_decimals / spec.px
        scaled = {name: rows.copy() for name, rows in history.items()}
        for rows in scaled.values():
            rows[:, 5] = (rows[:, 5] / spec.volume_ratio).astype(np.int64)
        self._candles = Candles(instrument, scaled)
        self._units = int(spec.px * self._scale)
        self.update = 1
        self.trades: list[AggTrade] = []
        self._trade_id = 1
        self._ms = 0
        self._sizes = self._fresh_sizes()

    def _fresh_sizes(self) -> tuple[int, int]:
        """Lots at the best bid and ask: log-normal around three twentieths of the local depth."""
        lots = self._spec.depth / 20.0 * 3.0 * self._lots_per_usd
        bid, ask = self._rng.standard_normal(2).tolist()
        return int(lots * exp(bid)) + 1, int(lots * exp(ask)) + 1

    @property
    def top(self) -> BookTop:
        """The best prices now: one tick apart."""
        bid, ask = (Decimal(units).scaleb(-self.decimals) for units in (self._units, self._units + 1))
        bid_size, ask_size = map(self._instrument.from_lots, self._sizes)
        return BookTop(self.symbol, bid, bid_size, ask, ask_size, self.update, self._ms)

    @property
    def mid(self) -> Decimal:
        """Middle of the best prices."""
        return (Decimal(2 * self._units + 1) / 2).scaleb(-self.decimals)

    def move(self, log_prices: Sequence[float], t0_ns: int, t1_ns: int) -> None:
        """Walk evenly spaced log prices, the last at the end of [t0, t1], with the trades in between."""
        units = max(1, int(exp(log_prices[-1]) * self._scale))
        self._ms = t1_ns // 1_000_000
        up = units > self._units
        if units != self._units or self._rng.random() < 0.5:
            self._units = units
            self._sizes = self._fresh_sizes()
            self.update += 1
        seconds = (t1_ns - t0_ns) / 1e9
        rate = self._spec.market_orders / 60.0 / max(self.volume_ratio, 0.05) * seconds
        drawn = int(self._rng.poisson(rate))
        if drawn > 0:
            usd = self._spec.volume / self.volume_ratio * seconds / 60.0 / rate
            count = min(MOST_TRADES if seconds <= 2.0 else 1, drawn)
            self._trade(log_prices, count, usd * drawn / count, up, t0_ns, t1_ns)

    def _trade(self, log_prices: Sequence[float], count: int, usd: float, up: bool, t0_ns: int, t1_ns: int) -> None:
        """``count`` trades of ``usd`` on average, log-normal, leaning towards the side the price moved to."""
        rng = self._rng
        draws = rng.random((2, count))
        times = np.sort((t0_ns + draws[0] * (t1_ns - t0_ns)).astype(np.int64))
        sizes = np.exp(1.2 * rng.standard_normal(count) - 0.72) * (usd * self._lots_per_usd)
        lots = sizes.astype(np.int64) + 1
        ticks = np.empty(count, np.int64)
        steps, span = len(log_prices), t1_ns - t0_ns
        lean = 0.65 if up else 0.35
        for k, (ns, quantity, luck) in enumerate(zip(times.tolist(), lots.tolist(), draws[1].tolist(), strict=True)):
            at = min(steps - 1, (ns - t0_ns) * steps // span)
            bid = self._units if at == steps - 1 else max(1, int(exp(log_prices[at]) * self._scale))
            buy = luck < lean
            units = bid + buy
            px, qty = Decimal(units).scaleb(-self.decimals), self._instrument.from_lots(quantity)
            self.trades.append(AggTrade(self.symbol, self._trade_id, px, qty, ns // 1_000_000, not buy))
            self._trade_id += 1
            ticks[k] = self._local_tick(units)
        del self.trades[:-KEPT_TRADES]
        self._candles.add_trades(times, ticks, lots)

    def _local_tick(self, units: int) -> int:
        """The place on the local price grid at or below one of the leader's own prices."""
        shift = self._instrument.price_decimals - self.decimals
        local = units * 10**shift if shift >= 0 else units // 10**-shift
        return tick_of_units(local, self._instrument.price_decimals)

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
            "sizes": list(self._sizes),
            "trades": msgspec.msgpack.encode(self.trades),
            "candles": self._candles.dump(),
            "generator": msgspec.json.encode(self._rng.bit_generator.state),
        }

    def restore(self, state: dict[str, object]) -> None:
        """Continue from `dump`."""
        fields = msgspec.convert(state, _LeaderState)
        self._units, self.update, self._trade_id = fields.units, fields.update, fields.trade_id
        self._ms = fields.ms
        self._sizes = (fields.sizes[0], fields.sizes[1])
        self.trades = msgspec.msgpack.decode(fields.trades, type=list[AggTrade])
        self._candles = Candles(self._instrument, Candles.parse(fields.candles))
        self._rng.bit_generator.state = msgspec.json.decode(fields.generator)


class _LeaderState(msgspec.Struct):
    units: int
    update: int
    trade_id: int
    ms: int
    sizes: list[int]
    trades: bytes
    candles: dict[str, bytes]
    generator: bytes
