"""Paired tests against independent implementations, their size under the null, and corrections for many of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from slipstream.core.stats import bootstrap, paired, performance


@pytest.mark.parametrize("n", [3, 12, 60])
def test_ranks_and_t_are_scipys(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(0.2, 1.0, n), rng.normal(0.0, 1.0, n)
    assert paired.paired_t(a, b)[:2] == pytest.approx(tuple(stats.ttest_rel(a, b)), rel=1e-9)
    assert paired.wilcoxon(a, b)[:2] == pytest.approx(tuple(stats.wilcoxon(a, b, method="exact")), rel=1e-9)
    near = tuple(stats.wilcoxon(a, b, method="asymptotic"))
    assert paired.wilcoxon(a, b, exact=False)[:2] == pytest.approx(near, rel=1e-9)


def test_ties_and_zeros_use_the_corrected_normal() -> None:
    a = np.array([1, 2, 2, 3, 0, 5, 5, 5, -1, 2], dtype=float)
    b = np.array([0, 1, 3, 1, 0, 2, 2, 7, -3, 0], dtype=float)
    found = paired.wilcoxon(a, b)
    assert found[:2] == pytest.approx(tuple(stats.wilcoxon(a, b, method="asymptotic")), rel=1e-9)
    assert found.n == 9
    with pytest.raises(ValueError, match="ties"):
        paired.wilcoxon(a, b, exact=True)


def test_tests_reject_as_often_as_they_say() -> None:
    rng = np.random.default_rng(6)
    rejected = np.zeros(3)
    for _ in range(400):
        a, b = rng.normal(0.0, 1.0, (2, 40))
        forecasts = paired.diebold_mariano(a**2, b**2)
        rejected += [p < 0.05 for p in (paired.paired_t(a, b).p, paired.wilcoxon(a, b).p, forecasts.p_corrected)]
    assert (np.abs(rejected / 400 - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 400)).all()


def test_a_negative_variance_falls_back_to_bartlett() -> None:
    d = np.array([1.0, -1.0] * 15) + 0.01
    found = paired.diebold_mariano(d, np.zeros(30), 2)  # gamma_0 + 2 gamma_1 < 0
    assert math.isfinite(found.statistic) and found.statistic > 0.0
    assert paired.diebold_mariano(np.ones(9), np.ones(9)).p == 1.0
    assert paired.diebold_mariano(np.ones(9), np.zeros(9)).statistic == math.inf


def test_series_that_equal_each_other_differ_by_nothing() -> None:
    x = np.arange(5.0)
    assert paired.paired_t(x, x) == (0.0, 1.0, 4)
    assert paired.wilcoxon(x, x) == (0.0, 1.0, 0)
    with pytest.raises(ValueError, match="one length"):
        paired.paired_t(x, x[:-1])
    with pytest.raises(ValueError, match="place 1"):
        paired.wilcoxon([1.0, math.nan], [0.0, 0.0])
    with pytest.raises(ValueError, match="horizon"):
        paired.diebold_mariano(x, x + 1, 5)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_corrections_never_make_a_result_stronger(p: list[float]) -> None:
    holm, discovery = paired.holm(p), paired.false_discovery(p)
    assert (holm >= discovery - 1e-12).all() and (discovery >= np.array(p) - 1e-12).all() and (holm <= 1.0).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(holm[order]) >= 0.0).all() and (np.diff(discovery[order]) >= -1e-15).all()


def test_corrections_are_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(0).random(17) ** 3
    assert paired.holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert paired.false_discovery(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])
    with pytest.raises(ValueError, match="between 0 and 1"):
        paired.holm([0.1, 1.2])


def test_dependent_series_need_longer_blocks() -> None:
    rng = np.random.default_rng(9)
    noise, slow = rng.normal(0.0, 1.0, 1000), np.zeros(1000)
    for k in range(1, 1000):
        slow[k] = 0.8 * slow[k - 1] + noise[k]
    assert bootstrap.block_length(noise).stationary < 6.0 < 15.0 < bootstrap.block_length(slow).stationary
    assert bootstrap.block_length(np.ones(20)) == (1.0, 1.0)
    with pytest.raises(ValueError, match="at least 8"):
        bootstrap.block_length(noise[:7])


def test_other_measures_of_loss() -> None:
    assert performance.profit_factor([0.02, -0.01, 0.01]) == pytest.approx(3.0)
    assert performance.profit_factor([0.02, 0.01]) is None
    assert performance.dollar_drawdown([10.0, -4.0, -3.0, 5.0]) == pytest.approx(7.0)
    assert performance.dollar_drawdown([-4.0, -3.0]) == pytest.approx(7.0)
    assert performance.cornish_fisher_value_at_risk([0.01, 0.01, 0.01]) == pytest.approx(-0.01)
    assert performance.sharpe_error([0.01, 0.01], 365) is None
    fat = -np.abs(np.random.default_rng(1).standard_t(5, 2000)) * 0.01
    assert performance.cornish_fisher_value_at_risk(fat) > performance.normal_value_at_risk(fat)
