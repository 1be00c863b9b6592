"""Risk figures against the reference values, and the bootstrap against its closed form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slipstream.core.stats import bootstrap, performance

REFERENCE = Path(__file__).resolve().parents[3] / "../shared/reference/math/11_risk_metrics.json"


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    if not REFERENCE.is_file():
        pytest.skip("the reference values are not on this machine")
    return json.loads(REFERENCE.read_text())  # type: ignore[no-any-return]


def test_figures_equal_the_reference(reference: dict[str, Any]) -> None:
    r, want = reference["series"]["r"], reference["metrics"]
    got = performance.performance(r, 365)
    pairs = {
        "mean": got.mean,
        "sd_ddof1": got.sd,
        "sharpe": got.sharpe,
        "sortino": got.sortino,
        "cagr": got.cagr,
        "max_drawdown": got.max_drawdown,
        "calmar": got.calmar,
        "var_hist": got.var95,
        "cvar_hist": got.cvar95,
        "var_normal": performance.normal_value_at_risk(r),
        "cvar_normal": performance.normal_expected_shortfall(r),
        "total_return": got.total_return,
        "vol_ann": got.vol_ann,
        "hit": got.hit,
    }
    for name, value in pairs.items():
        assert value == pytest.approx(want[name], rel=1e-9), name


def test_drawdown_says_where(reference: dict[str, Any]) -> None:
    fall = performance.drawdown(reference["series"]["r"])
    want = reference["metrics"]
    # the reference counts the starting 1 as place 0
    assert {fall.peak, fall.peak + 1} & {want["dd_peak_index"]}
    assert {fall.trough, fall.trough + 1} & {want["dd_trough_index"]}
    assert fall.recovered is want["recovered"]


def test_bootstrap_variance_equals_the_closed_form(reference: dict[str, Any]) -> None:
    r = np.asarray(reference["series"]["r"])
    closed = bootstrap.variance_of_mean(r, 5.0)
    assert closed == pytest.approx(reference["stationary_bootstrap"]["var_of_mean_closed"], rel=1e-9)
    rng = np.random.default_rng(7)
    means = [r[bootstrap.indices(r.size, 5.0, rng)].mean() for _ in range(20_000)]
    assert np.var(means) == pytest.approx(closed, rel=0.05)


def test_a_rising_series_has_no_calmar_and_no_fall() -> None:
    got = performance.performance([0.01, 0.02, 0.01], 365)
    assert (got.max_drawdown, got.calmar, got.sortino) == (0.0, None, None)


def test_a_first_loss_counts_from_the_start() -> None:
    assert performance.drawdown([-0.1, 0.05, 0.05]) == pytest.approx((0.1, -1, 0, False))


def test_interval_covers_and_is_reproducible() -> None:
    hits = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x = rng.normal(0.3, 1.0, 200)
        found = bootstrap.interval(x, lambda v: float(v.mean()), rng, mean_block=1.0, draws=200)
        hits += found.low <= 0.3 <= found.high
    assert 88 <= hits <= 99


@pytest.mark.parametrize("bad", [[], [0.1], [0.1, float("nan")], [[0.1, 0.2]]])
def test_bad_series_are_refused(bad: list[Any]) -> None:
    with pytest.raises(ValueError, match="return"):
        performance.performance(bad, 365)
