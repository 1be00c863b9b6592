"""The market factor against the reference figures, its invariants, and that it never looks ahead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.core.factors.covariance import factor_covariance, price_funding_covariance, with_funding
from slipstream.core.factors.market import market_factor, rolling_factor
from slipstream.core.factors.timescale import aggregate, ahead, bars_in, trailing, window
from slipstream.core.factors.weights import METHODS, liquidity_weights
from slipstream.core.portfolio.shrinkage import sample_cov

REFERENCE = Path(__file__).resolve().parents[3] / "../shared/reference/math/09_portfolio.json"


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    if not REFERENCE.exists():
        pytest.skip(f"reference figures are absent: {REFERENCE}")
    found: dict[str, Any] = json.loads(REFERENCE.read_text())
    return found


@pytest.fixture
def sample() -> np.ndarray:
    t, j = np.arange(40)[:, None], np.arange(6)[None, :]
    wave = (0.5 + 0.2 * j) * np.sin(0.37 * t**2) + 0.6 * np.sin((1.1 + 0.61 * j) * t + j) + 0.2 * np.cos(2.7 * t + j)
    return 0.01 * wave


def noise(seed: int, bars: int, coins: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    market = 0.01 * rng.standard_normal(bars)
    return market[:, None] * rng.uniform(0.5, 1.5, coins) + 0.01 * rng.standard_normal((bars, coins))


@pytest.mark.parametrize("method", METHODS)
def test_weighted_factor_is_the_reference(figures: dict[str, Any], sample: np.ndarray, method: Any) -> None:
    given_, want = figures["vw_pca"], figures["vw_pca"]["results"][method]
    usd, price = np.array(given_["volume_usd"]), np.array(given_["price"])
    weights = liquidity_weights(usd / price, usd, method)
    assert weights == pytest.approx(np.array(want["w"]), rel=1e-12)
    found = market_factor(sample, weights)
    assert found.portfolio == pytest.approx(np.array(want["factor_portfolio"]), rel=1e-9)
    assert found.beta == pytest.approx(np.array(want["beta"]), rel=1e-9)
    assert found.share == pytest.approx(want["eig_share"][0], rel=1e-9)
    assert found.portfolio @ found.beta == pytest.approx(1.0, abs=1e-12)


def test_timescale_is_the_reference(figures: dict[str, Any]) -> None:
    want = figures["timescale"]
    t, j = np.arange(want["n_hours"])[:, None], np.arange(4)[None, :]
    hourly = 0.001 * np.sin(0.9 * t + j) + 0.0005 * np.cos(0.11 * t * (j + 1))
    assert len(aggregate(hourly, want["H"])) == want["bars"]
    bars = window(hourly, want["H"], want["K"])
    # the reference divides by K - 1
    assert sample_cov(bars) * want["K"] / (want["K"] - 1) == pytest.approx(np.array(want["window_cov"]), rel=1e-9)
    assert bars.sum(axis=0) == pytest.approx(hourly[-want["hours_needed"] :].sum(axis=0), abs=1e-15)


def test_redenomination_moves_only_the_base_unit_method() -> None:
    usd, price = np.array([1e9, 4e8, 1e7]), np.array([60_000.0, 3_000.0, 0.4])
    thousandfold = price * [1.0, 1.0, 1000.0]
    for method in METHODS:
        same = np.allclose(
            liquidity_weights(usd / price, usd, method), liquidity_weights(usd / thousandfold, usd, method)
        )
        assert same is (method != "sqrt")


@given(seed=st.integers(0, 10_000), coins=st.integers(2, 12), bars=st.integers(3, 40))
@settings(max_examples=40, deadline=None)
def test_factor_invariants(seed: int, coins: int, bars: int) -> None:
    returns = noise(seed, bars, coins)
    weights = np.random.default_rng(seed).uniform(0.1, 1.0, coins)
    found = market_factor(returns, weights)
    assert found.portfolio @ found.beta == pytest.approx(1.0, abs=1e-9)
    assert np.abs(found.portfolio).sum() == pytest.approx(1.0)
    assert found.portfolio.sum() >= 0.0
    # residuals have nothing of the factor left in them
    assert np.abs(found.residuals.T @ (found.factor - found.factor.mean())).max() < 1e-12


def test_rolling_is_the_window_by_window_factor_and_knows_nothing_later() -> None:
    returns = noise(1, 90, 9)
    returns[:40, 3] = np.nan
    returns[70, 5] = np.nan
    weights = np.random.default_rng(2).uniform(0.1, 1.0, returns.shape)
    found = rolling_factor(returns, weights, 30)
    for end in (35, 69, 75, 89):
        rows = returns[end - 29 : end + 1]
        held = np.isfinite(rows).all(axis=0)
        one = market_factor(rows[:, held], weights[end, held])
        assert found.beta[end, held] == pytest.approx(one.beta, rel=1e-9)
        assert np.isnan(found.beta[end, ~held]).all()
        assert found.factor[end] == pytest.approx(one.factor[-1], rel=1e-9)
        assert found.residual[end, held] == pytest.approx(rows[-1, held] - one.beta * one.factor[-1], abs=1e-12)
    assert np.isnan(found.beta[:29]).all()
    changed = returns.copy()
    changed[61:] *= -7.0
    again = rolling_factor(changed, weights, 30)
    np.testing.assert_array_equal(again.beta[:61], found.beta[:61])
    np.testing.assert_array_equal(again.residual[:61], found.residual[:61])


def test_sums_behind_and_ahead() -> None:
    x = np.arange(10.0)[:, None]
    x[4] = np.nan
    assert trailing(x, 3)[2, 0] == 3.0
    assert np.isnan(trailing(x, 3)[[0, 1, 4, 5, 6], 0]).all()
    assert ahead(x, 3)[0, 0] == 6.0
    assert np.isnan(ahead(x, 3)[[1, 2, 3, 7, 8, 9], 0]).all()
    assert ahead(x, 3)[6, 0] == 24.0
    assert bars_in(8, 4) == 2
    with pytest.raises(ValueError, match="not a whole number"):
        bars_in(6, 4)
    with pytest.raises(ValueError, match="need 30 rows, and there are 10"):
        window(x, 3, 10)


def test_covariance_of_a_factor_is_found_again() -> None:
    rng = np.random.default_rng(5)
    beta, own = rng.uniform(0.5, 1.5, 60), rng.uniform(1e-4, 4e-4, 60)
    market = 0.03 * rng.standard_normal(4_000)
    returns = np.outer(market, beta) + rng.standard_normal((4_000, 60)) * np.sqrt(own)
    found = factor_covariance(returns, np.ones(60), shrink=0.0)
    truth = 0.0009 * np.outer(beta, beta) + np.diag(own)
    assert np.linalg.norm(found.dense() - truth) < 0.05 * np.linalg.norm(truth)
    assert found.specific == pytest.approx(own, rel=0.15)
    w = rng.standard_normal(60)
    assert found.of(w) == pytest.approx(w @ found.dense() @ w, rel=1e-12)


def test_short_window_of_many_coins_can_be_solved() -> None:
    returns = noise(3, 30, 150)
    returns[:, 7] = 0.0
    cov = factor_covariance(returns, np.ones(150)).dense()
    assert np.linalg.eigvalsh(cov).min() > 0.0
    np.linalg.cholesky(cov)
    assert np.linalg.matrix_rank(sample_cov(returns)) < 30


def test_funding_terms_are_the_covariance_of_return_less_funding() -> None:
    returns = noise(4, 60, 5)
    funding = 1e-4 + 1e-4 * np.random.default_rng(6).standard_normal((60, 5))
    parts = price_funding_covariance(returns, funding)
    assert parts.total == pytest.approx(sample_cov(returns - funding), abs=1e-18)
    plain = factor_covariance(returns, np.ones(5), shrink=0.0)
    total = with_funding(plain, returns, funding)
    change = np.diag(parts.funding) - 2.0 * np.diag(parts.cross)
    assert total.specific - plain.specific == pytest.approx(change, rel=1e-6)


def test_bad_input_is_named() -> None:
    good = noise(1, 30, 4)
    with pytest.raises(ValueError, match="hold NaN"):
        market_factor(np.where(good == good[3, 2], np.nan, good), np.ones(4))
    with pytest.raises(ValueError, match="at least one of them positive"):
        market_factor(good, np.zeros(4))
    with pytest.raises(ValueError, match="there is no factor"):
        market_factor(np.zeros((30, 4)), np.ones(4))
    with pytest.raises(ValueError, match="not known; give one of sqrt, log, sqrt_dollar"):
        liquidity_weights(np.ones(3), np.ones(3), "root")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="negative"):
        liquidity_weights(-np.ones(3), np.ones(3), "sqrt")
    with pytest.raises(ValueError, match="at least 3"):
        rolling_factor(good, np.ones_like(good), 2)
    assert liquidity_weights(np.zeros(3), np.zeros(3), "log").tolist() == [0.0, 0.0, 0.0]
