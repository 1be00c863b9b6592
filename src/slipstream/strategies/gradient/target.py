"""From bars to weights: the one computation that the backtest and the live pod share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.core.portfolio.books import Book, build_book
from slipstream.core.signals.trend import TrendPanel
from slipstream.strategies.gradient.config import GradientConfig

Array = npt.NDArray[np.float64]
VOLUME_DAYS = 7


class Signals:
    """What Gradient knows of its coins after each closed bar: closes, trend, and the volume of the last days."""

    def __init__(self, coins: Sequence[str], config: GradientConfig) -> None:
        self.coins = tuple(coins)
        self.config = config
        signal = config.signal
        self.panel = TrendPanel(
            self.coins, signal.lookbacks, vol_span=signal.vol_span, warm_up=min(signal.warm_up_bars, 1 << 30)
        )
        self._day = max(1, round(config.bars_per_day))
        self._close = np.full(len(self.coins), np.nan)
        self._volume = np.full((VOLUME_DAYS * self._day, len(self.coins)), np.nan)
        self.bars = 0

    def update(self, closes: Array, volumes_usd: Array) -> None:
        """One closed bar: close and traded USD by coin, shape (N,); NaN for a coin without that bar.

        A return spans one bar: after a gap the first close makes none.
        """
        seen = np.isfinite(closes) & (closes > 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            returns = np.log(np.where(seen, closes, np.nan) / self._close)
        self.panel.update(returns)
        self._close = np.where(seen, closes, np.nan)
        self._volume[self.bars % len(self._volume)] = np.where(seen, volumes_usd, 0.0)
        self.bars += 1

    def daily_usd(self) -> Array:
        """Median of the last days' traded USD by coin, shape (N,)."""
        days = min(VOLUME_DAYS, self.bars // self._day)
        if days == 0:
            return np.zeros(len(self.coins))
        last = [(self.bars - 1 - back) % len(self._volume) for back in range(days * self._day)]
        sums = self._volume[last].reshape(days, self._day, len(self.coins)).sum(axis=1)
        out: Array = np.median(sums, axis=0)
        return out

    def book(self) -> Book:
        """Target weights as of the last bar."""
        config, panel = self.config, self.panel
        beta_coin = config.book.beta_coin
        known = beta_coin in self.coins
        beta = panel.betas(beta_coin) if known else np.zeros(len(self.coins))
        terms = config.terms()
        # a coin without the last bar is not traded on: its strength is of another time
        strength = np.where(np.isfinite(self._close), panel.strength(), np.nan)
        return build_book(
            self.coins, strength, panel.vol, self.daily_usd(), beta, panel.covariance, terms, config.bars_per_day
        )

    def snapshot(self) -> dict[str, Any]:
        """Plain values to continue from."""
        return {
            "panel": self.panel.snapshot(),
            "close": [None if not np.isfinite(x) else float(x) for x in self._close],
            "volume": [[None if not np.isfinite(x) else float(x) for x in row] for row in self._volume],
            "bars": self.bars,
        }
