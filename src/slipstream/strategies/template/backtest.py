"""What Template would have decided over a history of bars, by the signals that trade live."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.strategies.template.config import TemplateConfig
from slipstream.strategies.template.signals import Signals

Array = npt.NDArray[np.float64]


class Decisions(msgspec.Struct, frozen=True):
    """``targets`` maps a bar to the weights (N,) decided at its close, multiples of equity.

    ``sigma_day`` and ``daily_usd`` (T, N) are a day's volatility and traded USD as known at each close.
    """

    targets: dict[int, Array]
    sigma_day: Array
    daily_usd: Array


def decisions(bars: Bars, config: TemplateConfig) -> Decisions:
    """The book at every rebalance. Nothing after a bar changes what was decided at its close."""
    signals = Signals(bars.coins, config)
    sigma, usd = np.zeros(bars.close.shape), np.zeros(bars.close.shape)
    targets: dict[int, Array] = {}
    every = max(round(config.trade.rebalance_hours * HOUR_MS), round(bars.hours * HOUR_MS))
    for t, opened in enumerate(bars.opened):
        signals.update(bars.close[t], bars.volume_usd[t])
        sigma[t], usd[t] = signals.panel.vol * config.bars_per_day**0.5, signals.daily_usd()
        if (int(opened) + round(bars.hours * HOUR_MS)) % every == 0:
            book = signals.book()
            if book.weights or targets:
                targets[t] = np.array([book.weights.get(coin, 0.0) for coin in bars.coins])
    return Decisions(targets, sigma, usd)
