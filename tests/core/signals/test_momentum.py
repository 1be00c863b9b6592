"""Momentum and volatility of whole histories: the reference's values, and the streaming panel's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from slipstream.core.signals.momentum import log_returns, momentum, trend_strength
from slipstream.core.signals.trend import LOOKBACKS, TrendPanel
from slipstream.core.signals.volatility import ewma, ewma_volatility, halflife_of_span

REFERENCE = Path(__file__).resolve().parents[3] / "../shared/reference/math/13_small.json"


def test_reference_values() -> None:
    if not REFERENCE.is_file():
        pytest.skip("the reference values are not on this machine")
    want = json.loads(REFERENCE.read_text())
    level = np.cumsum(0.01 * np.sin(0.3 * np.arange(120)) + 0.002)
    r = np.diff(level, prepend=level[0] - 0.002)
    for span, z in want["momentum"]["z"].items():
        assert momentum(r, int(span))[-1] == pytest.approx(z, rel=1e-9)
        assert ewma(r, 2 / (int(span) + 1))[-1] == pytest.approx(want["momentum"]["ema"][span], rel=1e-9)
    var = want["ewma_var"]
    halflife = np.log(0.5) / np.log(var["lam"])
    assert ewma_volatility(var["r"], halflife) ** 2 == pytest.approx(var["v"], rel=1e-12)


def test_equals_the_streaming_panel_with_gaps_and_late_listings() -> None:
    rng = np.random.default_rng(3)
    r = rng.normal(0, 0.02, (900, 5))
    r[rng.random(r.shape) < 0.05] = np.nan
    r[:400, 2] = np.nan
    r[:, 4] = np.nan
    panel = TrendPanel([f"C{i}" for i in range(5)])
    whole = trend_strength(r)
    vol = ewma_volatility(r, halflife_of_span(64))
    for t, row in enumerate(r):
        panel.update(row)
        np.testing.assert_allclose(panel.strength(), whole[t], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(panel.vol, np.nan_to_num(vol[t]), rtol=1e-12, atol=1e-15)
    assert np.isfinite(whole[-1, :2]).all()
    assert np.isnan(whole[-1, 2])  # 500 bars less the gaps are fewer than the 512 asked for
    assert np.isnan(whole[:, 4]).all()


def test_white_noise_has_unit_variance_at_every_lookback() -> None:
    r = np.random.default_rng(5).normal(0, 0.01, 200_000)
    for span in LOOKBACKS[:7]:
        assert momentum(r, span, vol_span=1000)[5000:].std() == pytest.approx(1.0, abs=0.06)


def test_a_missing_bar_is_not_a_return_of_zero() -> None:
    closes = np.array([100.0, 101.0, np.nan, 105.0, 106.0])
    r = log_returns(closes)
    assert np.isfinite(r).tolist() == [False, True, False, False, True]
    held = ewma(r, 0.5)
    assert held[2] == held[3] == held[1]


def test_bad_parameters_are_refused() -> None:
    for call in (lambda: ewma([1.0], 0.0), lambda: ewma_volatility([1.0], 0.0), lambda: halflife_of_span(1.0)):
        with pytest.raises(ValueError, match="must be"):
            call()
