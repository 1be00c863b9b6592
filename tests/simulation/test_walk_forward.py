"""The walk forward against arithmetic done by hand, and against what must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from slipstream.core.costs.model import TransactionCostModel
from slipstream.core.portfolio.cost_aware import solve_cost_aware
from slipstream.core.portfolio.covariance import FactorCovariance
from slipstream.simulation.vectorised import FundingMissing
from slipstream.simulation.walk_forward import Forecasts, Market, WalkTerms, walk_forward

HOUR = 3_600_000


def world(t: int = 120, n: int = 12, seed: int = 3) -> tuple[Market, Forecasts]:
    rng = np.random.default_rng(seed)
    beta = rng.normal(1.0, 0.2, n)
    returns = 0.004 * rng.normal(size=(t, 1)) * beta + 0.01 * rng.normal(size=(t, n))
    funding = 1.25e-5 + 3e-5 * rng.normal(size=(t, n))
    stamps = HOUR * np.arange(1, t + 1, dtype=np.int64)
    covariance = FactorCovariance(np.ascontiguousarray(0.004 * beta[:, None]), np.full(n, 1e-4))
    alpha = 0.004 * rng.normal(size=(t // 4, n))
    forecasts = Forecasts(HOUR * np.arange(0, t, 4, dtype=np.int64), alpha, np.tile(beta, (t // 4, 1)), covariance)
    return Market(tuple(f"C{i}" for i in range(n)), stamps, returns, funding), forecasts


COSTS = TransactionCostModel(fee=3e-4, spread=1e-4, impact=5e-7)


def by_hand(market: Market, forecasts: Forecasts, costs: TransactionCostModel, capital: float) -> np.ndarray:
    """The same account, written once more in plain numpy with the optimiser called for each decision."""
    n = len(market.coins)
    usd, equity, out = np.zeros(n), capital, []
    for t in range(-1, len(market.stamps)):
        if t >= 0:
            equity += float(usd @ market.returns[t])
            usd = usd * (1.0 + market.returns[t])
            assert market.funding is not None
            equity -= float(usd @ market.funding[t])
        now = 0 if t < 0 else market.stamps[t]
        for at in np.flatnonzero(forecasts.stamps == now):
            fee, impact = costs.in_weights(equity, n)
            found = solve_cost_aware(
                forecasts.alpha[at], forecasts.beta[at], forecasts.covariance, fee=fee, impact=impact,
                held=usd / equity, gross=1.0,
            )  # fmt: skip
            wanted = found.weights * equity
            equity -= float(costs.usd(wanted - usd).sum())
            usd = wanted
        if t >= 0:
            out.append(equity)
    return np.array(out)


def test_the_walk_is_the_account_done_by_hand() -> None:
    market, forecasts = world()
    walk = walk_forward(market, forecasts, WalkTerms(costs=COSTS))
    hand = by_hand(market, forecasts, COSTS, 1e6)
    assert np.abs(walk.record.equity / hand - 1.0).max() < 1e-7
    assert np.abs(walk.beta).max() < 1e-4  # what costs take from equity after the solve


def test_every_dollar_is_accounted_for() -> None:
    market, forecasts = world()
    record = walk_forward(market, forecasts, WalkTerms(costs=COSTS)).record
    assert sum(record.coin_pnl.values()) == pytest.approx(record.equity[-1] - record.capital, abs=1e-6)
    assert all(values.sum() > 0.0 for values in record.costs.values())
    assert record.funding.sum() != 0.0
    rate = record.costs["fee"].sum() / record.turnover.sum()
    assert rate == pytest.approx(3e-4)


def test_one_coin_pays_the_funding_of_the_reference() -> None:
    # 10 coins at 100, 101, 99 with these rates: -0.2475 for a long, its opposite for a short
    price = np.array([100.0, 101.0, 99.0])
    returns = np.column_stack([np.concatenate([[0.0], price[1:] / price[:-1] - 1.0]), np.zeros(3)])
    funding = np.column_stack([[1e-4, -5e-5, 2e-4], np.zeros(3)])
    market = Market(("A", "B"), HOUR * np.arange(1, 4), returns, funding)
    cov = FactorCovariance(np.zeros((2, 1)), np.ones(2))
    for side in (1.0, -1.0):
        forecasts = Forecasts(np.array([0]), np.array([[side, 0.0]]), np.array([[0.0, 1.0]]), cov)
        record = walk_forward(market, forecasts, WalkTerms(capital=1000.0)).record
        assert record.gross[0] == pytest.approx(1000.0)
        assert record.funding.sum() == pytest.approx(-0.2475 * side)


def test_the_future_changes_nothing_before_it() -> None:
    market, forecasts = world()
    whole = walk_forward(market, forecasts, WalkTerms(costs=COSTS))
    returns, alpha = market.returns.copy(), forecasts.alpha.copy()
    returns[60:], alpha[16:] = -0.5 * returns[60:], -alpha[16:]
    other = walk_forward(replace(market, returns=returns), replace(forecasts, alpha=alpha), WalkTerms(costs=COSTS))
    assert (whole.record.equity[:60] == other.record.equity[:60]).all()
    assert (whole.record.equity[60:] != other.record.equity[60:]).all()


def test_a_forecast_that_knows_pays_and_one_that_is_late_does_not() -> None:
    market, forecasts = world(400, 12)
    sums = market.returns.reshape(100, 4, 12).sum(axis=1)
    knows = walk_forward(market, replace(forecasts, alpha=sums), WalkTerms()).record
    late = walk_forward(market, replace(forecasts, alpha=np.vstack([np.zeros((1, 12)), sums[:-1]])), WalkTerms()).record
    assert knows.returns.mean() > 0.002
    assert abs(late.returns.mean()) < 3.0 * late.returns.std() / 20.0


def test_lots_are_whole_and_beta_is_kept() -> None:
    market, forecasts = world()
    lots = np.random.default_rng(1).uniform(20.0, 2_000.0, 12)
    walk = walk_forward(market, forecasts, WalkTerms(costs=COSTS, lot_usd=lots, capital=200_000.0))
    first = walk.weights[0] * 200_000.0
    paid = sum(float(v[0]) for v in walk.record.costs.values())
    held = first * (200_000.0 - paid) / 200_000.0 / lots
    assert np.abs(held - np.rint(held)).max() < 1e-6
    assert np.abs(held).max() > 1.0
    assert np.abs(walk.beta).max() < 5e-3
    free = walk_forward(market, forecasts, WalkTerms(costs=COSTS, capital=200_000.0))
    assert np.abs(walk.record.equity / free.record.equity - 1.0).max() < 0.02


def test_a_delisted_coin_is_closed_and_reported() -> None:
    market, forecasts = world()
    returns = market.returns.copy()
    returns[40:, 3] = np.nan
    walk = walk_forward(replace(market, returns=returns), forecasts, WalkTerms(costs=COSTS, delist_hours=6))
    assert any(text.startswith("C3 fell silent and was closed") for text in walk.record.findings)
    decided = (walk.decided > HOUR * 46).nonzero()[0]
    assert walk.weights[decided[0] - 3, 3] != 0.0
    assert (walk.weights[decided, 3] == 0.0).all()
    assert np.abs(walk.weights[decided] @ forecasts.beta[0]).max() < 1e-4


def test_funding_that_is_missing_is_refused_unless_told() -> None:
    market, forecasts = world()
    assert market.funding is not None
    holes = market.funding.copy()
    holes[5, 2] = np.nan
    with pytest.raises(FundingMissing, match=r"lacks 1 settlements, first C2 at 1970-01-01T06:00"):
        walk_forward(replace(market, funding=holes), forecasts, WalkTerms())
    with pytest.raises(FundingMissing, match='funding="none"'):
        walk_forward(replace(market, funding=None), forecasts, WalkTerms())
    filled = walk_forward(replace(market, funding=holes), forecasts, WalkTerms(funding="default"))
    assert "1 settlements were missing" in filled.record.findings[0]
    none = walk_forward(replace(market, funding=None), forecasts, WalkTerms(funding="none"))
    assert (none.record.funding == 0.0).all()


def test_a_coin_without_forecast_is_not_held() -> None:
    market, forecasts = world()
    alpha = forecasts.alpha.copy()
    alpha[10:, 5] = np.nan
    for costs in (COSTS, None):
        walk = walk_forward(market, replace(forecasts, alpha=alpha), WalkTerms(costs=costs))
        assert (walk.weights[:10, 5] != 0.0).any()
        assert (walk.weights[10:, 5] == 0.0).all()
        assert np.abs(walk.beta).max() < 1e-4


def test_ruin_ends_the_walk() -> None:
    market, forecasts = world()
    held = walk_forward(market, forecasts, WalkTerms(gross=5.0)).weights[5]
    returns = market.returns.copy()
    returns[20] = np.where(held > 0.0, -0.9, 60.0)
    lost = walk_forward(replace(market, returns=returns), forecasts, WalkTerms(gross=5.0)).record
    assert (lost.equity[20:] == 0.0).all()
    assert any("lost everything" in text for text in lost.findings)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m, f: (replace(m, stamps=m.stamps[::-1].copy()), f), "unsorted or double"),
        (lambda m, f: (replace(m, returns=m.returns[:-1]), f), "realised returns has shape"),
        (lambda m, f: (replace(m, returns=m.returns - 1.5), f), "simple returns are fractions above -1"),
        (lambda m, f: (m, replace(f, stamps=f.stamps + 7)), "is not the end of a period"),
        (lambda m, f: (m, replace(f, alpha=f.alpha / 0.0)), "alpha is infinite"),
    ],
)
def test_bad_input_says_what_and_where(change: object, words: str) -> None:
    market, forecasts = world(24, 4)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=words):
        walk_forward(*change(market, forecasts), WalkTerms())  # type: ignore[operator]
