"""An emulated venue along recorded bars: what a backtest reads, for a pod to trade on."""

from __future__ import annotations

import numpy as np

from slipstream.core.signals.bars import Bars
from slipstream.venues.emulator.clock import VenueClock
from slipstream.venues.emulator.exchange import Exchange, ExchangeSettings
from slipstream.venues.emulator.faults import Faults
from slipstream.venues.emulator.feed import Feed
from slipstream.venues.emulator.limits import Limits
from slipstream.venues.emulator.market.barred import BarMarket, BarRecord
from slipstream.venues.emulator.venue import Venue


def record_of(bars: Bars) -> BarRecord:
    """Bars as the emulator takes them. A coin without an open has no bar; missing funding has no rate."""
    high = bars.high if bars.high is not None else np.fmax(bars.open, bars.close)
    low = bars.low if bars.low is not None else np.fmin(bars.open, bars.close)
    rate = np.full(bars.close.shape, np.nan) if bars.funding is None else bars.funding / bars.hours
    if bars.funding_gaps is not None:
        rate = np.where(bars.funding_gaps > 0, np.nan, rate)
    known = np.isfinite(bars.open) & np.isfinite(bars.close)
    return BarRecord(
        coins=bars.coins,
        interval="1d" if bars.hours == 24 else f"{round(bars.hours)}h",
        opened=bars.opened,
        open=np.where(known, bars.open, np.nan),
        high=high,
        low=low,
        close=np.where(known, bars.close, np.nan),
        volume=np.nan_to_num(bars.volume_usd / bars.close),
        rate=rate,
    )


def barred_venue(bars: Bars, start_ns: int, seed: int = 7, rules: ExchangeSettings | None = None) -> Venue:
    """A venue, stepped by hand, that opens at a time within the bars. Raises ConfigError: coins that it does not know,
    a time outside the bars.
    """
    market = BarMarket(record_of(bars), seed, start_ns)
    exchange = Exchange(market.instruments, market, rules or ExchangeSettings(), start_ns)
    clock = VenueClock(start_ns)
    return Venue(exchange, Feed(market), clock, faults=Faults(seed), limits=Limits(False), pace="stepped")
