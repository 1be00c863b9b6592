"""The walk's account attacked: every dollar, every settlement, every stamp, whatever the data lack."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slipstream.core.costs.model import TransactionCostModel
from slipstream.core.portfolio.covariance import FactorCovariance
from slipstream.simulation.vectorised import DEFAULT_RATE
from slipstream.simulation.walk_forward import Forecasts, Market, Walk, WalkTerms, walk_forward

HOUR = 3_600_000


def world(seed: int, t: int = 60, n: int = 6, every: int = 4) -> tuple[Market, Forecasts]:
    rng = np.random.default_rng(seed)
    beta = rng.normal(1.0, 0.2, n)
    returns = 0.004 * rng.normal(size=(t, 1)) * beta + 0.01 * rng.normal(size=(t, n))
    funding = 1.25e-5 + 3e-5 * rng.normal(size=(t, n))
    risk = FactorCovariance(np.ascontiguousarray(0.004 * beta[:, None]), np.full(n, 1e-4))
    stamps = np.arange(0, t, every, dtype=np.int64)
    alpha = 0.004 * rng.normal(size=(len(stamps), n))
    market = Market(tuple(f"C{i}" for i in range(n)), HOUR * np.arange(1, t + 1, dtype=np.int64), returns, funding)
    return market, Forecasts(HOUR * stamps, alpha, np.tile(beta, (len(stamps), 1)), risk)


def check_account(market: Market, walk: Walk, costs: TransactionCostModel, capital: float) -> None:
    """Equity from weights alone: price, funding and the price of every trade, to 1e-9 of equity, period by period.

    A decision at every stamp, so that the weights after each are the book that the next period finds.
    """
    record = walk.record
    equity = np.concatenate([[capital], record.equity])
    funding = np.zeros_like(market.returns) if market.funding is None else market.funding
    opening = (0.0, 0.0)
    held = np.zeros(len(market.coins))
    for t in range(-1, len(market.stamps)):
        before = held
        paid = received = 0.0
        if t >= 0:
            moves, rates = np.nan_to_num(market.returns[t]), np.where(held != 0.0, funding[t], 0.0)
            gain = float(held @ moves)
            before = held * (1.0 + moves)
            received = -float(before @ np.nan_to_num(rates))
            assert record.funding[t] == pytest.approx(received, abs=1e-9 * capital)
        if t + 1 < len(walk.weights):
            # the first trade is paid out of the capital, and stands in the first period's account
            after = walk.weights[t + 1] * (equity[t + 1] if t >= 0 else capital - _first_cost(walk, costs, capital))
            paid = float(costs.usd(after - before).sum())
            traded = float(np.abs(after - before).sum())
            held = after
        else:
            traded, held = 0.0, before
        if t < 0:
            opening = (paid, traded)
            continue
        charged = sum(float(part[t]) for part in record.costs.values())
        extra = opening if t == 0 else (0.0, 0.0)
        assert charged == pytest.approx(paid + extra[0], abs=1e-9 * capital)
        assert record.turnover[t] == pytest.approx(traded + extra[1], abs=1e-8 * capital)
        assert equity[t + 1] - equity[t] == pytest.approx(gain + received - charged, abs=1e-9 * equity[t])


def _first_cost(walk: Walk, costs: TransactionCostModel, capital: float) -> float:
    """The cost c of going from nothing to weights w of ``capital - c``."""
    cost = 0.0
    for _ in range(50):
        cost = float(costs.usd(walk.weights[0] * (capital - cost)).sum())
    return cost


@settings(max_examples=25, deadline=None)
@example(seed=2043, impact=0.0, lots=False, holes=0.1, capital=5e4, kind="data")  # nothing may trade, one is stuck
@given(
    seed=st.integers(0, 10_000),
    impact=st.sampled_from([0.0, 5e-7, 3e-6]),
    lots=st.booleans(),
    holes=st.sampled_from([0.0, 0.1]),
    capital=st.sampled_from([5e4, 1e6]),
    kind=st.sampled_from(["data", "none"]),
)
def test_equity_changes_by_price_and_funding_less_costs(
    seed: int, impact: float, lots: bool, holes: float, capital: float, kind: str
) -> None:
    market, forecasts = world(seed, t=24, every=1)
    rng = np.random.default_rng(seed + 1)
    gone = rng.random(market.returns.shape) < holes
    assert market.funding is not None
    market = replace(market, returns=np.where(gone, np.nan, market.returns))
    market = replace(market, funding=market.funding if kind == "data" else None)
    alpha = np.where(rng.random(forecasts.alpha.shape) < holes, np.nan, forecasts.alpha)
    costs = TransactionCostModel(3e-4, rng.uniform(0.0, 4e-4, 6), impact * rng.uniform(0.5, 1.0, 6))
    terms = WalkTerms(
        capital=capital, costs=costs, funding=kind, cap=0.4,  # type: ignore[arg-type]
        lot_usd=rng.uniform(5.0, 50.0, 6) if lots else None,
    )  # fmt: skip
    walk = walk_forward(market, replace(forecasts, alpha=alpha), terms)
    check_account(market, walk, costs, capital)
    record = walk.record
    assert record.turnover.sum() > 0.0
    assert sum(record.coin_pnl.values()) == pytest.approx(record.equity[-1] - capital, abs=1e-9 * capital)


def test_funding_is_paid_by_longs_and_received_by_shorts_at_the_value_of_the_settlement() -> None:
    """Two coins, one long and one short, at 100 and 50: prices move first, then funding is paid on what that made."""
    returns = np.array([[0.10, -0.20]])
    market = Market(("L", "S"), np.array([HOUR]), returns, np.array([[1e-3, 2e-3]]))
    risk = FactorCovariance(np.zeros((2, 1)), np.ones(2))
    forecasts = Forecasts(np.array([0]), np.array([[1.0, -1.0]]), np.array([[1.0, 1.0]]), risk)
    record = walk_forward(market, forecasts, WalkTerms(capital=1_000.0)).record
    assert record.funding[0] == pytest.approx(-500.0 * 1.10 * 1e-3 + 500.0 * 0.80 * 2e-3)
    assert record.equity[0] == pytest.approx(1_000.0 + 50.0 + 100.0 + record.funding[0])


def test_a_forecast_made_within_the_first_period_is_refused() -> None:
    """It would earn what happened before it was made."""
    market, forecasts = world(1, t=8)
    market = replace(market, stamps=8 * HOUR * np.arange(1, 9))
    late = replace(forecasts, stamps=np.array([4, 16]) * HOUR)
    with pytest.raises(ValueError, match=r"decision of 1970-01-01T04.* nor the start of the first, 1970-01-01T00"):
        walk_forward(market, late, WalkTerms())
    early = replace(forecasts, stamps=np.array([-8, 16]) * HOUR)
    with pytest.raises(ValueError, match="nor the start of the first"):
        walk_forward(market, early, WalkTerms())


def test_periods_that_are_missing_are_refused() -> None:
    market, forecasts = world(1)
    assert market.funding is not None
    keep = np.ones(60, dtype=bool)
    keep[[5, 6]] = False
    holes = Market(market.coins, market.stamps[keep], market.returns[keep], market.funding[keep])
    with pytest.raises(ValueError, match=r"uneven: 1970-01-01T05.* is followed by 1970-01-01T08.* give every period"):
        walk_forward(holes, forecasts, WalkTerms())


@pytest.mark.parametrize("hours", [1, 8])
def test_a_missing_settlement_is_charged_for_as_long_as_the_period_lasts(hours: int) -> None:
    market = Market(("A", "B"), np.array([hours * HOUR]), np.zeros((1, 2)), np.full((1, 2), np.nan))
    risk = FactorCovariance(np.zeros((2, 1)), np.ones(2))
    forecasts = Forecasts(np.array([0]), np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), risk)
    record = walk_forward(market, forecasts, WalkTerms(capital=1_000.0, funding="default")).record
    assert record.funding[0] == pytest.approx(-1_000.0 * DEFAULT_RATE * hours)


def test_a_coin_that_stands_still_without_funding_data_is_charged_the_base_rate_and_told() -> None:
    market, forecasts = world(2)
    assert market.funding is not None
    returns, funding = market.returns.copy(), market.funding.copy()
    returns[9:11, 0] = funding[9:11, 0] = np.nan
    walk = walk_forward(replace(market, returns=returns, funding=funding), forecasts, WalkTerms())
    assert walk.weights[2, 0] != 0.0
    assert any("2 settlements of coins that stood still are missing" in line for line in walk.record.findings)
    free = walk_forward(replace(market, returns=returns), forecasts, WalkTerms(funding="none"))
    held = walk.weights[2, 0] * walk.record.equity[7] * (1.0 + market.returns[8, 0])
    others = list(range(1, 6))
    usd = walk.weights[2, others] * walk.record.equity[7] * np.prod(1.0 + market.returns[8:10, others], axis=0)
    assert walk.record.funding[9] == pytest.approx(-held * DEFAULT_RATE - float(usd @ funding[9, others]), rel=1e-9)
    assert (free.record.funding == 0.0).all()


def test_a_coin_that_cannot_be_traded_never_ends_the_walk() -> None:
    """Two coins, one of them silent, at full leverage: no neutral book is within the bound, and the walk goes on."""
    for seed in range(30):
        market, forecasts = world(seed, t=40, n=2)
        returns = market.returns.copy()
        returns[9:12, 0] = np.nan
        costs = TransactionCostModel(3e-4, 1e-4, 5e-7)
        walk = walk_forward(replace(market, returns=returns), forecasts, WalkTerms(costs=costs))
        assert np.isfinite(walk.record.equity).all()
        units = (
            walk.weights[2:4, 0] * walk.record.equity[[7, 11]] / np.cumprod(1 + np.nan_to_num(returns[:, 0]))[[7, 11]]
        )
        assert units[0] == pytest.approx(units[1], rel=1e-9)  # and what could not be traded was not


def test_lots_hold_no_coin_without_a_forecast_and_tell_what_they_exceed() -> None:
    market, forecasts = world(3, n=8)
    alpha = forecasts.alpha.copy()
    alpha[5:, 2] = np.nan
    lots = np.random.default_rng(1).uniform(5e3, 4e4, 8)
    terms = WalkTerms(costs=TransactionCostModel(3e-4, 1e-4, 5e-7), lot_usd=lots, capital=2e5, cap=0.2)
    walk = walk_forward(market, replace(forecasts, alpha=alpha), terms)
    assert (walk.weights[:5, 2] != 0.0).any() and (walk.weights[5:, 2] == 0.0).all()
    assert np.abs(walk.weights).max() > 0.21
    assert any(line.startswith("a coin's weight was beyond its bound after") for line in walk.record.findings)
    fine = walk_forward(market, forecasts, replace(terms, lot_usd=lots / 1e4))
    assert not any("beyond its bound" in line for line in fine.record.findings)


def test_what_was_lost_beyond_the_account_is_told() -> None:
    market, forecasts = world(5, t=40, n=4)
    held = walk_forward(market, forecasts, WalkTerms(gross=5.0)).weights[3]
    returns = market.returns.copy()
    returns[13] = np.where(held > 0.0, -0.9, 6.0)
    record = walk_forward(replace(market, returns=returns), forecasts, WalkTerms(gross=5.0)).record
    beyond = -(record.capital + sum(record.coin_pnl.values()))
    assert beyond > 0.0 and any(f"{beyond:,.0f} USD that were lost beyond it" in line for line in record.findings)


def test_no_future_row_is_read_whatever_is_missing() -> None:
    """Everything after a stamp is replaced, silences and settlements too: nothing before it changes."""
    for seed in range(5):
        market, forecasts = world(seed)
        assert market.funding is not None
        rng = np.random.default_rng(seed)
        returns, funding, alpha = market.returns.copy(), market.funding.copy(), forecasts.alpha.copy()
        cut = 32
        returns[cut:] = rng.normal(0.0, 0.05, returns[cut:].shape)
        returns[cut:][rng.random(returns[cut:].shape) < 0.3] = np.nan
        funding[cut:] = rng.normal(0.0, 1e-3, funding[cut:].shape)
        alpha[cut // 4 + 1 :] = rng.normal(size=alpha[cut // 4 + 1 :].shape)
        for costs in (TransactionCostModel(3e-4, 1e-4, 5e-7), None):
            terms = WalkTerms(costs=costs, delist_hours=3)
            one = walk_forward(market, forecasts, terms)
            other = walk_forward(
                replace(market, returns=returns, funding=funding), replace(forecasts, alpha=alpha), terms
            )
            assert (one.record.equity[:cut] == other.record.equity[:cut]).all()
            assert (one.weights[: cut // 4 + 1] == other.weights[: cut // 4 + 1]).all()
            assert (one.record.turnover[:cut] == other.record.turnover[:cut]).all()


def test_without_impact_a_larger_account_earns_the_same_share() -> None:
    market, forecasts = world(4)
    costs = TransactionCostModel(3e-4, 1e-4, 0.0)
    small, large = (walk_forward(market, forecasts, WalkTerms(costs=costs, capital=usd)) for usd in (1e4, 1e8))
    assert large.record.equity / 1e8 == pytest.approx(small.record.equity / 1e4, rel=1e-7)
