"""Template's signals: what fell is long, what rose is short, and nothing is known before its time."""

from __future__ import annotations

import numpy as np

from slipstream.strategies.template.config import TemplateConfig
from slipstream.strategies.template.signals import Signals

COINS = ("A", "B", "C", "D")


def settings(**signal: object) -> TemplateConfig:
    values = {"bar_hours": 1, "lookback": 3, "vol_span": 8, "warm_up_bars": 10, "max_share": 1.0, **signal}
    return TemplateConfig.model_validate({"signal": values, "book": {"top_fraction": 0.25, "max_coin_weight": 1.0}})


def fed(bars: int, drift: tuple[float, ...], config: TemplateConfig | None = None) -> Signals:
    signals, rng = Signals(COINS, config or settings()), np.random.default_rng(4)
    closes = np.full(len(COINS), 100.0)
    for k in range(bars):
        calm = k < bars - 3
        closes = closes * np.exp(rng.normal(0.0, 0.01, len(COINS)) + (0.0 if calm else np.array(drift)))
        signals.update(closes.copy(), np.full(len(COINS), 1e6))
    return signals


def test_the_last_moves_are_faded() -> None:
    book = fed(60, (0.05, -0.05, 0.0, 0.0)).book()
    assert set(book.weights) == {"A", "B"} and book.weights["A"] < 0.0 < book.weights["B"]
    assert abs(book.net) < 1e-9 and abs(book.gross - 1.0) < 1e-9


def test_cold_and_silent_coins_are_left_out() -> None:
    assert not fed(9, (0.0,) * 4).book().weights, "not warm yet"
    signals = fed(60, (0.05, -0.05, 0.0, 0.0))
    signals.update(np.array([np.nan, 100.0, 100.0, 100.0]), np.full(4, 1e6))
    assert np.isnan(signals.scores()[0]) and "A" in signals.book().out


def test_what_trades_too_little_is_left_out() -> None:
    thin = fed(60, (0.05, -0.05, 0.0, 0.0), settings(trade_usd=1e6, max_share=0.001))
    assert not thin.book().weights and "more than" in thin.book().out["A"]
    assert thin.daily_usd()[0] == 24e6
