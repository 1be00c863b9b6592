"""Hourly returns from nets and capital: alignment, gaps, how much they are worth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.federation.evidence import HOUR, Record, aligned, correlation, effective_size, observe, strength


def watch(steps: list[tuple[float, float, float]]) -> Record:
    """Looks at (hours, net, capital)."""
    record = None
    for hours, net, capital in steps:
        record = observe(record, int(hours * HOUR), net, capital)
    assert record is not None
    return record


def test_a_return_is_the_change_of_net_on_the_capital_of_that_hour() -> None:
    record = watch([(10.0, 5.0, 0), (10.5, 7.0, 1000), (11.0, 15.0, 3000), (12.0, 5.0, 2000)])
    assert record.first_hour == 10
    assert record.returns == pytest.approx((10 / 2000, -10 / 2000))


def test_hours_unseen_keep_the_mean_and_do_not_calm_the_record() -> None:
    record = watch([(10.0, 0.0, 0), (11.0, 10.0, 1000), (15.0, 50.0, 1000)])
    assert record.returns == pytest.approx((0.01, 0.0, 0.0, 0.0, 0.04))
    assert record.first_hour == 10


def test_a_long_silence_begins_anew_and_old_looks_change_nothing() -> None:
    record = watch([(10.0, 0.0, 0), (11.0, 10.0, 1000), (999.0, 50.0, 1000)])
    assert record.returns == ()
    assert observe(record, 998 * HOUR, 1e9, 1000) == record


def test_no_capital_is_no_return() -> None:
    assert watch([(1.0, 0, 0), (2.0, 0, 0), (3.0, 0.5, 0)]).returns == ()
    assert watch([(1.0, 0, 0), (2.0, 1, 100), (3.0, 2, 0)]).returns == pytest.approx((0.01, 0.0))


def test_only_common_hours_are_compared() -> None:
    old = Record(20, 0, 0, 0, first_hour=10, returns=tuple(float(i) for i in range(10)))
    young = Record(20, 0, 0, 0, first_hour=16, returns=(0.6, 0.7, 0.8, 0.9))
    rows = aligned({"old": old, "young": young}, ["young", "old"])
    assert rows.tolist() == [[0.6, 6.0], [0.7, 7.0], [0.8, 8.0], [0.9, 9.0]]
    assert aligned({"old": old}, ["old", "none"]).shape == (0, 2)


def test_autocorrelation_makes_evidence_thinner() -> None:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(4000)
    slow = np.zeros(4000)
    for i in range(1, 4000):
        slow[i] = 0.5 * slow[i - 1] + noise[i]
    assert effective_size(noise.tolist()) == pytest.approx(4000, rel=0.1)
    assert effective_size(slow.tolist()) == pytest.approx(4000 / 3, rel=0.2)  # (1 - rho) / (1 + rho)
    assert effective_size((-slow[1:] * (-1.0) ** np.arange(3999)).tolist()) <= 3999


def test_strength_recovers_a_known_sharpe_ratio() -> None:
    rng = np.random.default_rng(2)
    hourly = 0.3 / math.sqrt(8760)
    returns = rng.standard_normal(8760) * hourly + 2.0 * 0.3 / 8760
    found = strength(returns.tolist(), prior_vol=0.3)
    assert abs(found.sharpe - 2.0) < 3 * found.error
    assert found.error == pytest.approx(1.0, rel=0.15)  # one year
    assert found.volatility == pytest.approx(0.3, rel=0.05)


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1), max_size=40))
def test_strength_is_always_a_number(returns: list[float]) -> None:
    found = strength(returns, prior_vol=0.4)
    assert math.isfinite(found.sharpe) and found.error > 0 and 0 < found.volatility < math.inf
    assert 0 <= found.effective <= max(1, len(returns))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 99), st.integers(0, 60), st.integers(1, 6))
def test_correlation_can_always_be_solved(seed: int, n: int, p: int) -> None:
    rows = np.repeat(np.random.default_rng(seed).normal(size=(n, 1)), p, axis=1)  # identical pods
    found = correlation(rows, prior=0.3, prior_hours=72)
    np.linalg.cholesky(found)
    assert np.diag(found) == pytest.approx(np.ones(p))


def test_what_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        observe(None, 0, math.nan, 1.0)
