"""One trade has one price: optimiser, walk-forward, bar backtest, kernel over bars, capacity and shortfall agree."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.core.costs.calibrated import Calibrated, CoinCosts
from slipstream.core.costs.calibration import walk as walk_books
from slipstream.core.costs.model import TransactionCostModel
from slipstream.core.portfolio.cost_aware import solve_cost_aware
from slipstream.core.portfolio.covariance import FactorCovariance
from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.federation import capacity
from slipstream.federation.shortfall import Child, Parent, cost_of
from slipstream.federation.shortfall import shortfall as parted
from slipstream.model.commands import Place
from slipstream.model.instrument import Side
from slipstream.model.order import Tif
from slipstream.simulation.bars import BarTerms, BarVenue
from slipstream.simulation.vectorised import Costs, Plan, backtest
from slipstream.simulation.walk_forward import Forecasts, Market, WalkTerms, walk_forward

COINS = ("A", "B")
FEE = 4.5e-4


def calibrated(spread: float, impact: float) -> Calibrated:
    one = CoinCosts(
        half_spread=spread, half_spread_low=spread, half_spread_high=spread, impact=impact, impact_low=impact,
        impact_high=impact, rms=0.0, worst=0.0, r2=1.0, exponent=None, books=1000, dropped=0, minutes=100.0, first_ms=1,
        last_ms=2, depth_usd=1e6, notional_usd=(1e3, 1e6), cost_bp=(2.0, 2.0),
    )  # fmt: skip
    return Calibrated(coins={"A": one, "B": one}, fee=FEE)


def two_bars(price: float = 50.0) -> Bars:
    shape = (3, 2)
    return Bars(
        coins=COINS,
        opened=np.arange(3, dtype=np.int64) * HOUR_MS,
        hours=1.0,
        open=np.full(shape, price),
        close=np.full(shape, price),
        volume_usd=np.full(shape, 1e7),
        funding=np.zeros(shape),
        funding_gaps=np.zeros(shape, dtype=np.int64),
    )


@settings(max_examples=25, deadline=None)
@given(usd=st.floats(200.0, 400_000.0), spread=st.floats(0.0, 2e-3), impact=st.floats(0.0, 2e-6), sell=st.booleans())
def test_one_trade_has_one_price(usd: float, spread: float, impact: float, sell: bool) -> None:
    costs, capital, side = calibrated(spread, impact), 1_000_000.0, -1.0 if sell else 1.0
    model = costs.model()
    expected = float(model.of("A").usd(usd))
    assert expected == pytest.approx(usd * (FEE + spread) + impact * usd**1.5)

    # the bar backtest
    plan = Plan(
        targets={0: np.array([side * usd / capital, 0.0])}, sigma_day=np.ones((3, 2)), daily_usd=np.ones((3, 2))
    )
    result = backtest(two_bars(), plan, costs=Costs(calibrated=costs), capital=capital)
    assert result.costs_paid[0] == pytest.approx(expected, rel=1e-9)
    assert capital - result.equity[-1] == pytest.approx(expected, rel=1e-6)

    # the optimiser's objective, in weights
    fee, root = model.in_weights(capital, 2)
    weight = usd / capital
    assert capital * (fee[0] * weight + root[0] * weight**1.5) == pytest.approx(expected, rel=1e-9)

    # an order that arrives at the middle and is taken from the book: its shortfall is what the model expects
    mid = Decimal(50)
    size = Decimal(repr(usd)) / mid
    per_dollar = Decimal(repr(spread)) + Decimal(repr(impact)) * Decimal(repr(usd)).sqrt()
    px = mid * (1 + (-1 if sell else 1) * per_dollar)
    child = Child(size, px, size * mid * Decimal(repr(FEE)), mid)
    parent = Parent(
        coin="A", side=Side.SELL if sell else Side.BUY, size=size, decision_px=mid, arrival_px=mid, end_px=mid,
        fills=(child,),
    )  # fmt: skip
    assert float(parted(parent).total) == pytest.approx(expected, rel=1e-9)
    assert model.excess_bps(usd, cost_of(parent).usd, "A") == pytest.approx(0.0, abs=1e-6)

    # the kernel's venue: only its fee is of the price paid instead of the middle
    venue = BarVenue(COINS, BarTerms(capital=Decimal(repr(capital))).priced(model, COINS))
    venue.price("A", 50.0)
    before = venue.equity
    limit = mid * (Decimal("0.5") if sell else Decimal("1.5"))
    venue.take(Place("c", "A", Side.SELL if sell else Side.BUY, limit, size, Tif.IOC))
    assert len(venue.fills) == 1
    assert float(sum(venue.crossed[0])) + float(venue.fills[0].fee) == pytest.approx(expected, rel=5e-3, abs=1e-9)
    assert float(before - venue.equity) == pytest.approx(float(sum(venue.crossed[0]) + venue.fills[0].fee), rel=1e-9)

    # the capacity surface
    surface = capacity.Surface(1e4 * spread, 1e4 * impact, 0.0, 0.0, 9.0)
    assert surface.slippage_bp(usd) == pytest.approx(float(surface.model().bps(usd)), abs=1e-9)
    assert float(surface.model(FEE).usd(usd)) == pytest.approx(expected, rel=1e-9)


def test_the_walk_pays_the_model_and_decides_by_it() -> None:
    """A book from nothing: each trade of the first decision costs what the model says, in its parts."""
    model = TransactionCostModel(FEE, [1e-4, 5e-4, 2e-4], [1e-7, 3e-7, 0.0], ("A", "B", "C"))
    alpha, beta = np.array([[0.02, -0.01, 0.004]]), np.array([[1.0, 1.1, 0.9]])
    risk = FactorCovariance(0.02 * beta[0][:, None], np.full(3, 1e-3))
    market = Market(("A", "B", "C"), HOUR_MS * np.arange(1, 4), np.zeros((3, 3)), np.zeros((3, 3)))
    walk = walk_forward(market, Forecasts(np.array([0]), alpha, beta, risk), WalkTerms(costs=model, capital=5e5))
    fee, impact = model.in_weights(5e5, 3)
    chosen = solve_cost_aware(alpha[0], beta[0], risk, fee=fee, impact=impact, gross=1.0).weights
    parts = [float(part.sum()) for part in model.parts(5e5 * chosen)]
    assert [float(walk.record.costs[name].sum()) for name in ("fee", "spread", "impact")] == pytest.approx(
        parts, rel=1e-6
    )
    assert 5e5 - walk.record.equity[-1] == pytest.approx(float(model.usd(5e5 * chosen).sum()), rel=1e-6)


def test_part_of_a_trade_that_rests_pays_the_makers_fee_and_no_spread() -> None:
    model = TransactionCostModel(FEE, 2e-4, 1e-7).partly_passive(0.25, 1e-4)
    assert float(model.usd(1e4)) == pytest.approx(1e4 * (0.25 * 1e-4 + 0.75 * FEE + 0.75 * 2e-4) + 1e-7 * 1e6)
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        model.partly_passive(1.5, 0.0)


def test_an_order_whose_impact_goes_beyond_its_limit_fills_nothing() -> None:
    model = TransactionCostModel(FEE, 1e-4, 1e-6, ("A",)).of("A")
    venue = BarVenue(("A",), BarTerms().priced(model, ("A",)))
    venue.price("A", 50.0)
    venue.take(Place("c", "A", Side.BUY, Decimal("50.01"), Decimal(200), Tif.IOC))  # 1 bp + 1 bp beyond the middle
    assert venue.fills and float(venue.fills[0].px) == pytest.approx(50.0 * (1.0 + 2e-4))
    venue.take(Place("d", "A", Side.BUY, Decimal("50.01"), Decimal(20_000), Tif.IOC))
    assert len(venue.fills) == 1 and "d" in venue.ended
    with pytest.raises(ValueError, match="no costs are known for 1 of 2 coins, B"):
        BarTerms().priced(model, ("A", "B"))
    with pytest.raises(ValueError, match="an account pays one to the venue"):
        BarTerms().priced(TransactionCostModel([1e-4, 2e-4], 0.0, 0.0, COINS), COINS)


def test_the_two_walks_of_a_book_differ_by_less_than_a_hundredth_of_a_basis_point() -> None:
    """Calibration averages the price per coin bought, capacity the distance per dollar: the same to second order."""
    rng = np.random.default_rng(3)
    asks = [(100.01 + 0.01 * k, float(rng.uniform(5.0, 300.0))) for k in range(20)]
    bids = [(99.99 - 0.01 * k, float(rng.uniform(5.0, 300.0))) for k in range(20)]
    for sample in capacity.walk("X", bids, asks):
        if sample.notional not in capacity.SIZES:
            continue  # the shown depth itself: the one to the cent, the other just beyond
        per_side = []
        for levels, sign in ((asks, 1.0), (bids, -1.0)):
            px, sz = (np.array([[level[k] for level in levels]]) for k in (0, 1))
            per_side.append(sign * (float(walk_books(px, sz, np.array([sample.notional]))[0, 0]) / 100.0 - 1.0))
        assert sample.slippage_bp == pytest.approx(1e4 * max(per_side), abs=0.01)
