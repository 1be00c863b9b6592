"""The trend panel against the reference table, and against itself with gaps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from slipstream.core.signals.trend import TrendPanel

REFERENCE = Path(__file__).resolve().parents[3].parent / "shared" / "reference" / "math" / "13_small.json"


def test_momentum_is_the_reference() -> None:
    if not REFERENCE.exists():
        pytest.skip("the reference tables (../shared/reference) are not on this machine")
    wanted = json.loads(REFERENCE.read_text())["momentum"]
    t = np.arange(120)
    res = np.diff(np.cumsum(0.01 * np.sin(0.3 * t) + 0.002), prepend=0.0)
    res[0] = 0.002
    spans = [int(span) for span in wanted["z"]]
    panel = TrendPanel(["X"], spans, vol_span=64)
    for one in res:
        panel.update(np.array([one]))
    np.testing.assert_allclose(panel.momentum()[0], [wanted["z"][str(s)] for s in spans], rtol=1e-9)
    panel.warm_up = 1
    np.testing.assert_allclose(panel.strength()[0], sum(wanted["z"].values()), rtol=1e-9)


def test_a_missing_bar_changes_nothing_for_its_coin() -> None:
    rng = np.random.default_rng(7)
    returns = rng.standard_normal((300, 3)) * 0.01
    holes = returns.copy()
    holes[50:60, 1] = np.nan
    whole, gappy, alone = (TrendPanel(["A", "B", "C"], (2, 8)) for _ in range(3))
    for row, hole in zip(returns, holes, strict=True):
        whole.update(row)
        gappy.update(hole)
    for row in np.delete(returns, range(50, 60), axis=0):
        alone.update(row)
    np.testing.assert_array_equal(gappy.momentum()[0], whole.momentum()[0])
    np.testing.assert_array_equal(gappy.momentum()[1], alone.momentum()[1])
    assert gappy.count.tolist() == [300, 290, 300]


def test_white_noise_has_unit_variance_at_every_lookback() -> None:
    rng = np.random.default_rng(11)
    coins = [str(i) for i in range(400)]
    panel = TrendPanel(coins, (2, 8, 32), vol_span=512)
    for _ in range(2000):
        panel.update(rng.standard_normal(400) * 0.02)
    np.testing.assert_allclose(panel.momentum().std(axis=0), 1.0, atol=0.12)


def test_a_snapshot_continues_and_one_of_other_coins_is_refused() -> None:
    rng = np.random.default_rng(3)
    one, two = TrendPanel(["A", "B"], (2, 4)), TrendPanel(["A", "B"], (2, 4))
    for _ in range(20):
        one.update(rng.standard_normal(2))
    assert two.restore(one.snapshot())
    last = rng.standard_normal(2)
    one.update(last)
    two.update(last)
    np.testing.assert_array_equal(one.momentum(), two.momentum())
    np.testing.assert_array_equal(one.betas("A"), two.betas("A"))
    assert not TrendPanel(["A", "C"], (2, 4)).restore(one.snapshot())
    assert not TrendPanel(["A", "B"], (2, 8)).restore(one.snapshot())


def test_a_cold_coin_has_no_strength_and_the_others_do() -> None:
    panel = TrendPanel(["A", "B"], (2, 4), warm_up=3)
    for one in ([0.1, np.nan], [0.2, np.nan], [0.1, 0.1]):
        panel.update(np.array(one))
    strength = panel.strength()
    assert np.isfinite(strength[0]) and np.isnan(strength[1])
    assert panel.betas("A")[0] == 1.0
