"""The backtest of weights: by hand, without look-ahead, and with every dollar accounted for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.simulation.vectorised import DEFAULT_RATE, Costs, FundingMissing, Plan, Result, backtest

FREE = Costs(taker_fee=0.0, half_spread=0.0, impact=0.0)


def make(seed: int, t: int = 40, n: int = 4) -> tuple[Bars, Plan]:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.02, (t, n)), axis=0))
    opened = np.vstack([close[:1], close[:-1]]) * np.exp(rng.normal(0, 0.002, (t, n)))
    bars = Bars(
        coins=tuple(f"C{i}" for i in range(n)),
        opened=np.arange(t, dtype=np.int64) * 4 * HOUR_MS,
        hours=4.0,
        open=opened,
        close=close,
        volume_usd=rng.uniform(1e6, 2e6, (t, n)),
        funding=rng.normal(0, 1e-4, (t, n)),
        funding_gaps=np.zeros((t, n), dtype=np.int64),
    )
    targets = {k: rng.normal(0, 0.3, n) for k in range(0, t, 5)}
    return bars, Plan(targets=targets, sigma_day=np.full((t, n), 0.05), daily_usd=np.full((t, n), 1e7))


def by_hand(open_: list[float], close: list[float], funding: list[float]) -> Bars:
    t = len(open_)
    return Bars(
        coins=("A",),
        opened=np.arange(t, dtype=np.int64) * 4 * HOUR_MS,
        hours=4.0,
        open=np.array(open_).reshape(-1, 1),
        close=np.array(close).reshape(-1, 1),
        volume_usd=np.full((t, 1), 1e6),
        funding=np.array(funding).reshape(-1, 1),
    )


def flat(bars: Bars, targets: dict[int, list[float]]) -> Plan:
    return Plan(
        targets={k: np.array(v) for k, v in targets.items()},
        sigma_day=np.full(bars.close.shape, 0.04),
        daily_usd=np.full(bars.close.shape, 1e6),
    )


def test_by_hand() -> None:
    bars = by_hand([100, 102, 110], [100, 108, 121], [9.0, 0.001, 0.002])
    got = backtest(bars, flat(bars, {0: [0.5]}), capital=10_000, costs=Costs())
    # 50 units decided at 100, bought at 102: 5,100 USD; day's volume 1 M
    cost = 5100 * (0.00045 + 0.0002 + 0.04 * np.sqrt(5100 / 1e6))
    first = 10_000 + 50 * 6 - cost - 0.001 * 50 * 105
    second = first + 50 * 13 - 0.002 * 50 * 115.5
    np.testing.assert_allclose(got.equity, [10_000, first, second], rtol=1e-12)
    assert got.turnover[1] == pytest.approx(0.51)
    assert got.weights[2, 0] == pytest.approx(50 * 121 / second)
    assert got.worst_share == pytest.approx(0.0051)


def test_trades_at_the_close_when_asked() -> None:
    bars = by_hand([100, 102, 110], [100, 108, 121], [0.0, 0.0, 0.0])
    got = backtest(bars, flat(bars, {0: [0.5]}), capital=10_000, costs=FREE, execute="close")
    np.testing.assert_allclose(got.equity, [10_000, 10_000, 10_000 + 50 * 13])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(2, 38), execute=st.sampled_from(["open", "close"]))
def test_what_comes_after_changes_nothing_before(seed: int, cut: int, execute: str) -> None:
    bars, plan = make(seed)
    rng = np.random.default_rng(seed + 1)

    def changed(x: np.ndarray) -> np.ndarray:
        y = x.copy()
        y[cut:] = y[cut:] * rng.uniform(0.5, 2.0, y[cut:].shape)
        y[cut:][rng.random(y[cut:].shape) < 0.2] = np.nan
        return y

    other = replace(
        bars, open=changed(bars.open), close=changed(bars.close), funding=np.nan_to_num(changed(bars.funding))
    )
    late = replace(
        plan,
        targets={k: v if k < cut else np.where(np.isfinite(other.close[k]), -v, 0.0) for k, v in plan.targets.items()},
    )
    a: Result = backtest(bars, plan, execute=execute)  # type: ignore[arg-type]
    b: Result = backtest(other, late, execute=execute)  # type: ignore[arg-type]
    np.testing.assert_array_equal(a.equity[:cut], b.equity[:cut])
    np.testing.assert_array_equal(a.weights[:cut], b.weights[:cut])
    assert not np.array_equal(a.equity[cut:], b.equity[cut:])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_dollar_belongs_to_a_coin(seed: int) -> None:
    bars, plan = make(seed)
    got = backtest(bars, plan, capital=50_000)
    assert got.coin_pnl.sum() == pytest.approx(got.equity[-1] - 50_000, abs=1e-6)
    assert (got.costs_paid >= 0).all()


def test_no_funding_is_refused_unless_said() -> None:
    bars, plan = make(1)
    bare = replace(bars, funding=None, funding_gaps=None)
    with pytest.raises(FundingMissing, match="none"):
        backtest(bare, plan)
    np.testing.assert_array_equal(
        backtest(bare, plan, funding="none").equity, backtest(bars, plan, funding="none").equity
    )


def test_a_missing_settlement_is_charged_and_counted() -> None:
    bars = by_hand([100, 100], [100, 100], [0.0, 0.0])
    bars = replace(bars, funding_gaps=np.array([[0], [4]]))
    got = backtest(bars, flat(bars, {0: [1.0]}), capital=1000, costs=FREE)
    assert got.funding_gaps == 4
    assert got.equity[-1] == pytest.approx(1000 - 1000 * 4 * 1.25e-5)


def test_a_delisted_coin_is_closed_at_its_last_price_and_reported() -> None:
    nan = float("nan")
    bars = by_hand([100, 100, 90, *[nan] * 14], [100, 100, 80, *[nan] * 14], [0.0] * 17)
    got = backtest(bars, flat(bars, {0: [0.5]}), capital=1000, costs=FREE)
    (closing,) = got.closings
    assert (closing.coin, closing.bar, closing.usd) == ("A", 14, 400.0)  # 12 bars of 4 h without a price
    assert got.equity[-1] == 900.0
    assert got.weights[13, 0] > 0.0
    assert got.weights[14, 0] == 0.0


def test_ruin_ends_the_account() -> None:
    bars = by_hand([100, 100, 10, 10], [100, 100, 10, 20], [0.0] * 4)
    got = backtest(bars, flat(bars, {0: [2.0], 2: [2.0]}), capital=1000, costs=FREE)
    assert got.equity[2] == got.equity[3] < 0.0
    assert got.returns[3] == 0.0


def test_a_target_without_a_price_is_refused() -> None:
    bars, plan = make(2)
    close = bars.close.copy()
    close[5, 1] = np.nan
    with pytest.raises(ValueError, match=r"bar 5 holds C1"):
        backtest(replace(bars, close=close), plan)


def test_costs_and_funding_by_bar_add_up_to_those_by_coin() -> None:
    bars, plan = make(5)
    got = backtest(bars, plan, capital=50_000.0, costs=Costs(maker_share=0.3))
    assert set(got.costs) == {"fee", "spread", "impact"} and all((part >= 0.0).all() for part in got.costs.values())
    assert sum(float(part.sum()) for part in got.costs.values()) == pytest.approx(float(got.costs_paid.sum()))
    assert float(got.funding.sum()) == pytest.approx(-float(got.funding_paid.sum()))
    assert (got.costs["fee"] > 0.0).sum() == len(plan.targets)


def test_a_rate_that_is_not_a_number_is_a_settlement_that_is_missing() -> None:
    """Not a rate of 0: four hours at the base rate, counted, whether or not the reader counted them."""
    rates = [0.0, 0.0, float("nan")]
    plain = by_hand([100, 100, 100], [100, 100, 100], rates)
    counted = replace(plain, funding_gaps=np.array([[0], [0], [4]]))
    for bars in (plain, counted, replace(plain, funding_gaps=np.zeros((3, 1), dtype=np.int64))):
        got = backtest(bars, flat(bars, {0: [0.5]}), capital=10_000, costs=FREE)
        assert got.funding[2] == pytest.approx(-5_000 * 4 * DEFAULT_RATE) and got.funding_gaps == 4


def test_an_account_that_is_ruined_at_an_open_does_not_come_back_at_the_close() -> None:
    bars = by_hand([100, 100, 250, 100, 100], [100, 100, 100, 100, 100], [0.0] * 5)
    got = backtest(bars, flat(bars, {0: [-1.0], 2: [1.0]}), capital=10_000, costs=FREE)
    assert (got.equity[2:] == -5_000.0).all() and (got.weights[2:] == 0.0).all()
    assert got.coin_pnl.sum() == pytest.approx(-15_000.0) and got.turnover[3:].sum() == 0.0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), maker=st.sampled_from([0.0, 0.4]), holes=st.sampled_from([0.0, 0.1]))
def test_equity_changes_by_price_and_funding_less_costs_bar_by_bar(seed: int, maker: float, holes: float) -> None:
    """From positions alone, to 1e-9 of equity: what was held at the open and traded there, coin by coin."""
    bars, plan = make(seed)
    rng = np.random.default_rng(seed + 7)
    gone = rng.random(bars.close.shape) < holes
    gone[0] = False
    bars = replace(bars, open=np.where(gone, np.nan, bars.open), close=np.where(gone, np.nan, bars.close))
    plan = replace(plan, targets={t: np.where(gone[t], 0.0, w) for t, w in plan.targets.items()})
    capital = 50_000.0
    got = backtest(bars, plan, capital=capital, costs=Costs(maker_share=maker), delist_hours=1e6)
    mark, units, equity = bars.close[0].copy(), np.zeros(4), capital
    for t in range(len(bars.opened)):
        start = equity
        at_open = np.where(gone[t], mark, bars.open[t])
        if t and t - 1 in plan.targets:
            wanted = plan.targets[t - 1] * got.equity[t - 1] / mark
        else:
            wanted = units
        price = float(units @ (at_open - mark))
        wanted = np.where(gone[t], units, wanted)
        usd = np.abs(wanted - units) * at_open
        linear = maker * 0.00015 + (1 - maker) * (0.00045 + 0.0002)
        costs = float((usd * linear + usd * 0.05 * np.sqrt(usd / 1e7)).sum())
        units = wanted
        mark = np.where(gone[t], mark, bars.close[t])
        price += float(units @ (mark - at_open))
        middle = np.where(gone[t], mark, (bars.open[t] + bars.close[t]) / 2.0)
        assert bars.funding is not None
        funding = -float((units * middle) @ bars.funding[t])
        equity = start + price + funding - costs
        assert got.equity[t] == pytest.approx(equity, abs=1e-9 * capital)
        assert got.funding[t] == pytest.approx(funding, abs=1e-9 * capital)
        assert sum(part[t] for part in got.costs.values()) == pytest.approx(costs, abs=1e-9 * capital)
        assert got.turnover[t] * start == pytest.approx(float(usd.sum()), abs=1e-9 * capital)
