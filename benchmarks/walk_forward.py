"""A year of hourly decisions on 150 coins with full costs, against cvxpy (DPP, CLARABEL) and cvxportfolio.

    uv run --no-sync python benchmarks/walk_forward.py [--steps 60] [--rounds 3]

Ours walks all 8,760 hours, each with drift, funding, a full cost-aware optimisation and trading costs. The peers take a
stretch of ``--steps`` hours, and their time is multiplied up to a year: they do the same work at every hour, and the
printed ratio is of that extrapolation. cvxpy solves, in turns with ours, exactly the problems of our path, and every
objective is compared. cvxportfolio runs its own simulator on the same returns with a factor-risk single-period policy,
the same linear and 1.5-power costs and a leverage limit (no funding): the same size of work, not the same answers.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

import numpy as np
from optimiser import Peer

from slipstream.core.costs.model import TransactionCostModel
from slipstream.core.portfolio.cost_aware import problem, solve_problem
from slipstream.core.portfolio.covariance import FactorCovariance
from slipstream.simulation.walk_forward import HOUR_MS, Forecasts, Market, WalkTerms, walk_forward

HOURS, COINS, FACTORS = 8_760, 150, 5
COSTS = TransactionCostModel(fee=3.5e-4, spread=1e-4, impact=3e-7)


def world(hours: int) -> tuple[Market, Forecasts]:
    """Returns of a factor market, funding that persists, forecasts that change slowly."""
    rng = np.random.default_rng(11)
    loadings = 0.004 * rng.normal(1.0, 0.4, (COINS, FACTORS)) / np.sqrt(FACTORS)
    specific = (0.008 * np.exp(0.3 * rng.normal(size=COINS))) ** 2
    returns = rng.normal(size=(hours, FACTORS)) @ loadings.T + np.sqrt(specific) * rng.normal(size=(hours, COINS))
    alpha = np.empty((hours, COINS))
    alpha[0] = 1e-3 * rng.normal(size=COINS)
    for t in range(1, hours):
        alpha[t] = 0.95 * alpha[t - 1] + 1e-3 * np.sqrt(1 - 0.95**2) * rng.normal(size=COINS)
    beta = np.tile(loadings.sum(axis=1) / loadings.sum(axis=1).mean(), (hours, 1))
    stamps = HOUR_MS * np.arange(1, hours + 1, dtype=np.int64)
    market = Market(tuple(f"C{i}" for i in range(COINS)), stamps, returns, 1.25e-5 - 0.02 * alpha)
    return market, Forecasts(stamps - HOUR_MS, alpha, beta, FactorCovariance(loadings, specific))


def year(market: Market, forecasts: Forecasts) -> float:
    """Seconds of ours."""
    begin = time.perf_counter()
    walk_forward(market, forecasts, WalkTerms(costs=COSTS))
    return time.perf_counter() - begin


def by_cvxpy(peer: Peer, market: Market, forecasts: Forecasts, steps: int) -> tuple[float, float]:
    """(seconds, largest difference of objectives) over the first ``steps`` problems of our path."""
    assert isinstance(forecasts.covariance, FactorCovariance) and market.funding is not None
    held, equity, seconds, worst = np.zeros(COINS), 1e6, 0.0, 0.0
    for t in range(steps):
        fee, impact = COSTS.in_weights(equity, COINS)
        task = problem(
            forecasts.alpha[t],
            forecasts.beta[t],
            forecasts.covariance,
            fee=fee,
            impact=impact,
            held=held,
            gross=1.0,
        )
        begin = time.perf_counter()
        other = peer.solve(task)
        seconds += time.perf_counter() - begin
        found = solve_problem(task)
        worst = max(worst, abs(found.objective - task.objective(other)))
        paid = float(COSTS.usd((found.weights - held) * equity).sum())
        usd = found.weights * equity * (1.0 + market.returns[t])
        gain = float(found.weights @ market.returns[t]) * equity - float(usd @ market.funding[t])
        equity += gain - paid
        held = usd / equity
    return seconds, worst


def by_cvxportfolio(market: Market, forecasts: Forecasts, steps: int) -> float:
    """Seconds of its simulator over ``steps`` hours."""
    import cvxportfolio as cvx
    import pandas as pd

    assert isinstance(forecasts.covariance, FactorCovariance)
    index = pd.date_range("2024-01-01", periods=steps + 2, freq="h", tz="UTC")
    coins, c = list(market.coins), forecasts.covariance
    returns = pd.DataFrame(market.returns[: steps + 2], index=index, columns=coins)
    returns["cash"] = 0.0
    ones = pd.DataFrame(1.0, index=index, columns=coins)
    data = cvx.UserProvidedMarketData(
        returns=returns,
        volumes=ones * 1e8,
        prices=(1.0 + returns[coins]).cumprod() * 10.0,
        cash_key="cash",
        min_history=pd.Timedelta("0h"),
    )
    alpha = pd.DataFrame(forecasts.alpha[: steps + 2], index=index, columns=coins)
    exposure = pd.DataFrame(c.loadings.T, columns=coins)
    risk = cvx.FactorModelCovariance(
        F=exposure, d=pd.Series(c.specific, index=coins), Sigma_F=pd.DataFrame(np.eye(FACTORS))
    )
    volume, sigma = pd.Series(1e8, index=coins), pd.Series(1e-3, index=coins)
    spend = cvx.TransactionCost(a=4.5e-4, b=1.0, volume_hat=volume, sigma=sigma, exponent=1.5)
    beta = pd.Series(forecasts.beta[0], index=coins)
    policy = cvx.SinglePeriodOptimization(
        cvx.ReturnsForecast(alpha) - 0.5 * risk - spend,
        [cvx.LeverageLimit(1.0), cvx.FactorNeutral(beta)],
        solver="CLARABEL",
        include_cash_return=False,
    )
    charged = cvx.TransactionCost(a=4.5e-4, b=1.0, sigma=sigma, exponent=1.5)
    simulator = cvx.MarketSimulator(market_data=data, costs=[charged], cash_key="cash", round_trades=False)
    begin = time.perf_counter()
    simulator.backtest(policy, start_time=index[0], end_time=index[steps], initial_value=1e6)
    return time.perf_counter() - begin


def main() -> None:
    """In turns; the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    market, forecasts = world(HOURS)
    year(*world(50))
    peer = Peer(COINS, FACTORS)
    by_cvxpy(peer, market, forecasts, 1)
    ours, theirs, gap = [], [], 0.0
    for _ in range(options.rounds):
        ours.append(year(market, forecasts))
        seconds, worst = by_cvxpy(peer, market, forecasts, options.steps)
        theirs.append(seconds * HOURS / options.steps)
        gap = max(gap, worst)
    own, dpp = statistics.median(ours), statistics.median(theirs)
    print(f"ours: {own:.2f} s for {HOURS} hours of {COINS} coins (measured whole)")
    print(f"cvxpy DPP + CLARABEL: {dpp:.0f} s a year (from {options.steps} hours); ratio {dpp / own:.0f}x")
    print(f"largest difference of objectives on the same problems: {gap:.1e}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = by_cvxportfolio(market, forecasts, options.steps)
    print(f"cvxportfolio: {seconds * HOURS / options.steps:.0f} s a year (from {options.steps} hours), ", end="")
    print(f"ratio {seconds * HOURS / options.steps / own:.0f}x")


if __name__ == "__main__":
    main()
