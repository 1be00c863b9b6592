"""The portfolio's functions against input that means nothing: each refuses it by name, and none gives a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slipstream.portfolio import (
    BacktestConfig,
    FundingMissing,
    SingularCovariance,
    optimize_portfolio,
    optimize_portfolio_with_costs,
    run_backtest,
)

N = 5
RNG = np.random.default_rng(4)
FACTORS = RNG.normal(size=(N, N))
S = FACTORS @ FACTORS.T / N + 0.1 * np.eye(N)
ALPHA, BETA = RNG.normal(0.0, 0.01, N), RNG.uniform(0.5, 1.5, N)
COINS = list("ABCDE")
STAMPS = pd.date_range("2025-01-01", periods=40, freq="8h", tz="UTC")
RETURNS = pd.DataFrame(RNG.normal(0.0, 0.01, (40, N)), STAMPS, COINS)
FORECAST = pd.DataFrame(RNG.normal(0.0, 0.001, (40, N)), STAMPS, COINS)
FUNDING = pd.DataFrame(1e-5, STAMPS, COINS)
OPTIMISERS: tuple[Callable[..., Any], ...] = (optimize_portfolio, optimize_portfolio_with_costs)


def put(values: Any, place: Any, value: float) -> Any:
    out = np.array(values, dtype=np.float64)
    out[place] = value
    return out


@pytest.mark.parametrize("optimise", OPTIMISERS)
@pytest.mark.parametrize(
    ("alpha", "beta", "covariance", "said"),
    [
        (put(ALPHA, 1, np.nan), BETA, S, "alpha holds nan at asset 1"),
        (ALPHA, put(BETA, 2, np.inf), S, "beta of asset 2"),
        (ALPHA, BETA, put(S, (0, 0), np.nan), r"covariance holds nan at \(0, 0\)"),
        (ALPHA, BETA, S + np.triu(np.ones((N, N)), 1), "not symmetric"),
        (ALPHA, BETA, S[:3, :3], "covariance"),
        (ALPHA, BETA[:3], S, r"beta has shape \(3,\)"),
        (np.outer(ALPHA, ALPHA), BETA, S, "alpha has shape"),
        (None, BETA, S, "alpha has shape"),
        (["x"] * N, BETA, S, "not numbers"),
        (pd.Series(ALPHA, list("AACDE")), BETA, S, "names a coin twice"),
        (pd.Series(ALPHA, COINS), pd.Series(BETA, list("ABCDX")), S, "differ in coins: E, X"),
    ],
)
def test_an_optimiser_refuses(optimise: Callable[..., Any], alpha: Any, beta: Any, covariance: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        optimise(alpha, beta, covariance)


@pytest.mark.parametrize("optimise", OPTIMISERS)
@pytest.mark.parametrize("covariance", [S * 0.0, np.ones((N, N)), -S, S[np.ix_([0, 0, 1, 2, 3], [0, 0, 1, 2, 3])]])
def test_a_singular_covariance_is_named(optimise: Callable[..., Any], covariance: Any) -> None:
    with pytest.raises(SingularCovariance):
        optimise(ALPHA, BETA, covariance)


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"leverage": -1.0}, "must be above 0"),
        ({"leverage": np.nan}, "must be above 0"),
        ({"capital": 0.0}, "positive amount of USD"),
        ({"cap": -0.1}, "cap must be numbers from 0 up"),
        ({"cap": np.nan}, "cap must be numbers from 0 up"),
        ({"w_old": put(ALPHA, 0, np.nan)}, "held weights holds nan"),
        ({"w_old": ALPHA[:2]}, r"held weights has shape \(2,\)"),
    ],
)
def test_terms_that_mean_nothing(terms: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        optimize_portfolio_with_costs(ALPHA, BETA, S, **terms)


def backtest(config: BacktestConfig | None = None, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "alpha_price": FORECAST,
        "alpha_funding": FUNDING,
        "beta": pd.Series(BETA, COINS),
        "S": pd.DataFrame(S * 1e-4, COINS, COINS),
        "realized_returns": RETURNS,
        "realized_funding": FUNDING,
        **changes,
    }
    return run_backtest(config or BacktestConfig(H=8), **given)


def cell(table: pd.DataFrame, value: Any) -> pd.DataFrame:
    out = table.copy()
    out.iloc[20, 1] = value
    return out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"realized_returns": cell(RETURNS, np.inf)}, "infinite for B in row 20"),
        ({"realized_returns": cell(RETURNS, -1.0)}, "return of B at 2025-01-07T16:00"),
        ({"realized_returns": cell(RETURNS, 250.0)}, "are these percentages, or prices"),
        ({"realized_returns": RETURNS * np.nan}, "no number at all"),
        ({"realized_returns": RETURNS.iloc[::-1]}, "out of order"),
        ({"realized_returns": pd.concat([RETURNS, RETURNS.iloc[-1:]])}, "double"),
        ({"realized_returns": RETURNS.reset_index(drop=True)}, "small whole numbers"),
        ({"realized_returns": cell(RETURNS.astype(object), "x")}, "no number"),
        ({"realized_funding": cell(FUNDING, 1.25)}, "funding of B at 2025-01-07T16:00.* rates are fractions"),
        ({"alpha_price": FORECAST.drop(STAMPS[9]), "alpha_funding": FUNDING.drop(STAMPS[9])}, "forecasts are missing"),
        ({"funding": "maybe"}, "say data, default or none"),
        ({"delist_hours": np.nan}, "delist_hours nan"),
        ({"lot_usd": -1.0}, "lot_usd"),
    ],
)
def test_a_backtest_refuses(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        backtest(**changes)


def test_missing_funding_is_refused_unless_told_and_a_delisted_coin_is_reported() -> None:
    with pytest.raises(FundingMissing, match="lacks 1 settlements, first B"):
        backtest(realized_funding=cell(FUNDING, np.nan))
    with pytest.raises(FundingMissing, match="no realised funding"):
        backtest(realized_funding=None)
    told = backtest(realized_funding=cell(FUNDING, np.nan), funding="default")
    assert any("1 settlements were missing" in line for line in told.record.findings)
    gone = RETURNS.copy()
    gone.iloc[20:, 0] = np.nan
    found = backtest(BacktestConfig(H=8, use_costs=False), realized_returns=gone).record.findings
    assert any("A" in line for line in found), found
