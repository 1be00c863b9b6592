"""What a market remembers of its coins: candles, hourly funding, and the leading exchange's symbols."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from slipstream.model.instrument import Instrument
from slipstream.venues.emulator.market import history
from slipstream.venues.emulator.market.binance import Leader
from slipstream.venues.emulator.market.candles import Candle, Candles
from slipstream.venues.emulator.market.funding_book import FundingBook, FundingRow
from slipstream.venues.emulator.market.universe import CoinSpec


class Chronicle:
    """Months of seeded history that end where a market begins, and what the market adds to it."""

    def __init__(
        self, specs: Sequence[CoinSpec], instruments: Sequence[Instrument], seed: int, start_ns: int, days: int
    ) -> None:
        """History of ``days`` days before ``start_ns``; each path ends at its spec's price."""
        self.specs = specs
        self.instruments = instruments
        streams = iter(np.random.SeedSequence(seed).spawn(2 + 2 * len(specs)))
        start_ms = start_ns // 1_000_000
        paths = history.minute_paths(np.random.default_rng(next(streams)), specs, days * 1_440)
        premium = history.premium_paths(np.random.default_rng(next(streams)), len(specs), days * 24)
        self.premium = premium[:, -1]  # each coin's premium over the index when the market opens, a fraction
        self.candle_store: dict[str, Candles] = {}
        self.leaders: dict[str, Leader] = {}
        self.funding = FundingBook()
        for i, (spec, perp) in enumerate(zip(specs, instruments, strict=True)):
            bars = history.candles(np.random.default_rng(next(streams)), spec, perp, paths[i], start_ms)
            self.candle_store[spec.coin] = Candles(perp, bars)
            self.leaders[spec.coin] = Leader(spec, perp, bars, np.random.default_rng(next(streams)))
            self.funding.fill(spec.coin, premium[i], start_ms)

    def cex_mid(self, coin: str) -> Decimal:
        """The leader's perp mid."""
        return self.leaders[coin].mid

    def printed(self, coin: str, trades: Any) -> None:
        """Hear the tape (rows of a book's fill ring): candles grow."""
        self.candle_store[coin].add_trades(trades["ns"], trades["tick"], trades["lots"])

    def record_funding(self, coin: str, rate: Decimal, premium: Decimal, ns: int) -> None:
        """Hear an hour's rate."""
        self.funding.add(coin, FundingRow(ns // 1_000_000, rate, premium))

    def candles(self, coin: str, interval: str, start_ms: int, end_ms: int) -> list[Candle]:
        """Candles that open in [start, end]. Raises KeyError on an unknown coin or interval."""
        return self.candle_store[coin].between(interval, start_ms, end_ms)

    def funding_history(self, coin: str, start_ms: int, end_ms: int) -> list[FundingRow]:
        """Hourly rates in [start, end], oldest first. Raises KeyError on an unknown coin."""
        return self.funding.between(coin, start_ms, end_ms)

    def dump_chronicle(self) -> bytes:
        """Everything, for `restore_chronicle`."""
        return msgspec.msgpack.encode(
            {
                "leaders": [leader.dump() for leader in self.leaders.values()],
                "candles": [store.dump() for store in self.candle_store.values()],
                "funding": self.funding.dump(),
            }
        )

    def restore_chronicle(self, data: bytes) -> None:
        """Continue from a dump of a market of the same coins."""
        state = msgspec.msgpack.decode(data)
        for leader, dump in zip(self.leaders.values(), state["leaders"], strict=True):
            leader.restore(dump)
        for perp, dump in zip(self.instruments, state["candles"], strict=True):
            self.candle_store[perp.coin] = Candles(perp, Candles.parse(dump))
        self.funding = FundingBook.load(state["funding"])
