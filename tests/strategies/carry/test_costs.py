"""Carry weighs the costs of recorded books where it is given them, and remembers them with its session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from slipstream.core.costs.calibrated import Calibrated, CoinCosts, CostsError, encode
from slipstream.strategies.carry.config import CarryConfig
from slipstream.strategies.carry.target import Bounds, Signals

COINS = ("A", "B", "C")


def costs_of(folder: Path, coins: tuple[str, ...]) -> Path:
    found = {}
    for k, coin in enumerate(coins, 1):
        found[coin] = CoinCosts(
            half_spread=1e-4 * k, half_spread_low=0.0, half_spread_high=1e-3, impact=1e-7 * k, impact_low=0.0,
            impact_high=1e-6, rms=0.0, worst=0.0, r2=1.0, exponent=0.5, books=1000, dropped=0, minutes=100.0,
            first_ms=1, last_ms=2, depth_usd=1e6, notional_usd=(1e3, 1e6), cost_bp=(2.0, 2.0),
        )  # fmt: skip
    path = folder / "costs.json"
    path.write_bytes(encode(Calibrated(coins=found, fee=3e-4)))
    return path


def warm(config: CarryConfig) -> Signals:
    signals, rng = Signals(COINS, config), np.random.default_rng(1)
    price = np.full(3, 100.0)
    for _ in range(200):
        price = price * np.exp(0.01 * rng.normal(size=3))
        signals.update(price, np.full(3, 1e8), np.full(3, 1e-5))
    return signals


def test_the_optimiser_weighs_what_the_file_says(tmp_path: Path) -> None:
    signals = warm(CarryConfig(costs=costs_of(tmp_path, COINS)))
    chosen = np.array([True, False, True])
    fee, spread, impact = signals._costs(chosen).spread_over(2)
    assert fee == pytest.approx([3e-4, 3e-4]) and spread == pytest.approx([1e-4, 3e-4])
    assert impact == pytest.approx([1e-7, 3e-7])
    plain = warm(CarryConfig())
    fee, spread, impact = plain._costs(chosen).spread_over(2)
    assert fee == pytest.approx(4.5e-4) and spread == pytest.approx(2e-4)
    assert impact == pytest.approx(plain.features.sigma_day()[chosen] / np.sqrt(plain.features.daily_usd()[chosen]))


def test_a_coin_without_costs_is_not_held_and_is_told_why(tmp_path: Path) -> None:
    signals = warm(CarryConfig(costs=costs_of(tmp_path, COINS[:2])))
    out, _ = signals._bounds(np.full(3, 0.01), Bounds(20_000.0, 1.0, np.ones(3)))
    assert list(out) == ["C"] and "knows no costs of it" in out["C"]


def test_the_session_keeps_what_the_file_said(tmp_path: Path) -> None:
    path = costs_of(tmp_path, COINS)
    config = CarryConfig(costs=path)
    said = config.public()
    path.unlink()
    again = CarryConfig(**said)
    assert again.calibrated() is not None and again.public() == said
    with pytest.raises(CostsError, match="make one with slipstream costs calibrate"):
        config.calibrated()
    assert "costs_text" not in CarryConfig().public() and CarryConfig().calibrated() is None
