"""From bars to weights: the one computation that the backtest and the live pod share.

The score of a coin is minus its recent move: the EWMA of its returns over ``lookback`` bars, in units of its own
volatility (`slipstream.core.signals.trend`). Long the highest scores, short the lowest, in equal dollar volatility.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from slipstream.core.portfolio.books import Book, build_book
from slipstream.core.signals.trend import TrendPanel
from slipstream.strategies.template.config import TemplateConfig

Array = npt.NDArray[np.float64]
VOLUME_DAYS = 7


class Signals:
    """What Template knows of its coins after each closed bar."""

    def __init__(self, coins: Sequence[str], config: TemplateConfig) -> None:
        self.coins = tuple(coins)
        self.config = config
        signal = config.signal
        self.panel = TrendPanel(self.coins, (signal.lookback,), vol_span=signal.vol_span, warm_up=signal.warm_up_bars)
        self._close = np.full(len(self.coins), np.nan)
        self._volume = np.zeros((round(VOLUME_DAYS * config.bars_per_day), len(self.coins)))
        self.bars = 0

    def update(self, closes: Array, volumes_usd: Array) -> None:
        """One closed bar: close and traded USD by coin, shape (N,); NaN closes where a coin has none.

        A return spans one bar: after a gap the first close makes none.
        """
        self.panel.update(np.log(closes / self._close))
        self._close = closes
        self._volume[self.bars % len(self._volume)] = np.where(np.isfinite(closes), volumes_usd, 0.0)
        self.bars += 1

    def daily_usd(self) -> Array:
        """Mean traded USD of the last days, by coin, shape (N,)."""
        held = min(self.bars, len(self._volume))
        total: Array = self._volume.sum(axis=0)
        return total * (self.config.bars_per_day / held) if held else total

    def scores(self) -> Array:
        """Minus the recent move, in units of volatility, shape (N,); NaN for a coin that is cold or lacks this bar."""
        return np.where(np.isfinite(self._close), -self.panel.strength(), np.nan)

    def book(self) -> Book:
        """Target weights as of the last bar."""
        return build_book(
            self.coins,
            self.scores(),
            self.panel.vol,
            self.daily_usd(),
            np.zeros(len(self.coins)),
            self.panel.covariance,
            self.config.terms(),
            self.config.bars_per_day,
        )
