"""The public face: pandas in and out, a whole backtest, and what bad input is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slipstream.core.costs.calibrated import Calibrated, CoinCosts, encode
from slipstream.core.portfolio.covariance import FactorCovariance
from slipstream.core.portfolio.record import BacktestRecord
from slipstream.model.errors import ConfigError
from slipstream.portfolio import (
    BacktestConfig,
    FundingMissing,
    TransactionCostModel,
    optimize_portfolio,
    optimize_portfolio_with_costs,
    run_backtest,
)
from slipstream.research.report.figures import report

COINS = ["BTC", "ETH", "SOL", "DOGE", "ARB", "OP"]
CONFIG = BacktestConfig(H=8, start_date="2024-01-02", end_date="2024-01-20", initial_capital=1e6, leverage=1.0)


def inputs(knows: float = 0.0) -> dict[str, Any]:
    """Forecasts every 8 hours, returns every hour; ``knows`` of the next 8 hours' return is in the forecast."""
    rng = np.random.default_rng(4)
    hours = pd.date_range("2024-01-01", periods=600, freq="h", tz="UTC")
    beta = pd.Series(rng.normal(1.0, 0.2, 6), index=COINS)
    moves = 0.004 * rng.normal(size=(600, 1)) * beta.to_numpy() + 0.006 * rng.normal(size=(600, 6))
    returns = pd.DataFrame(moves, index=hours, columns=COINS)
    ahead = returns[::-1].rolling(8).sum()[::-1].shift(-1).fillna(0.0)
    stamps = hours[::8]
    alpha = knows * ahead.loc[stamps] + 0.002 * rng.normal(size=(len(stamps), 6))
    funding = pd.DataFrame(1.25e-5, index=hours, columns=COINS)
    return {
        "alpha_price": alpha,
        "alpha_funding": pd.DataFrame(1e-4, index=stamps, columns=COINS),
        "beta": beta,
        "S": pd.DataFrame(8 * (0.004**2 * np.outer(beta, beta) + 0.006**2 * np.eye(6)), index=COINS, columns=COINS),
        "realized_returns": returns,
        "realized_funding": funding,
    }


def test_the_seeds_call() -> None:
    result = run_backtest(config=CONFIG, **inputs(knows=1.0))
    assert isinstance(result.record, BacktestRecord)
    assert result.sharpe_ratio() > 5.0
    assert 0.0 <= result.max_drawdown() < 0.1
    assert f"{result.sharpe_ratio():.2f} {result.max_drawdown():.2%}"
    weights = result.weights()
    assert (np.diff(weights.index.asi8) == np.diff(weights.index.asi8)[0]).all()
    assert weights.index[0] == pd.Timestamp("2024-01-02", tz="UTC")
    assert np.datetime64(int(result.record.stamps[-1]), "ms") == np.datetime64("2024-01-21T00")
    assert len(result.record.stamps) == 19 * 24


def test_columns_in_another_order_change_nothing() -> None:
    good = inputs(knows=0.3)
    turned = {name: table[COINS[::-1]] if name.startswith(("alpha", "real")) else table for name, table in good.items()}
    turned["S"], turned["beta"] = good["S"].loc[COINS[::-1], COINS[::-1]], good["beta"][::-1]
    one, other = (run_backtest(CONFIG, **x).record.equity for x in (good, turned))
    assert one == pytest.approx(other, rel=1e-8)


def test_covariance_by_stamp_and_as_factors() -> None:
    good = inputs(knows=0.3)
    whole = run_backtest(CONFIG, **good).record.equity
    by_stamp = good | {"S": dict.fromkeys(good["alpha_price"].index, good["S"])}
    assert run_backtest(CONFIG, **by_stamp).record.equity == pytest.approx(whole, rel=1e-9)
    factor = FactorCovariance(8**0.5 * 0.004 * good["beta"].to_numpy()[:, None], np.full(6, 8 * 0.006**2))
    assert run_backtest(CONFIG, **good | {"S": factor}).record.equity == pytest.approx(whole, rel=1e-7)


def test_costs_can_only_be_told_by_the_model() -> None:
    good = inputs(knows=0.3)
    dear = run_backtest(CONFIG, **good, costs=TransactionCostModel(5e-3, 0.0, 0.0)).record
    cheap = run_backtest(CONFIG, **good, costs=TransactionCostModel(1e-5, 0.0, 0.0)).record
    assert dear.turnover.sum() < 0.5 * cheap.turnover.sum()
    free = run_backtest(BacktestConfig(H=8, use_costs=False), **good)
    assert all((part == 0.0).all() for part in free.record.costs.values())
    assert np.abs(free.weights()).sum(axis=1).to_numpy() == pytest.approx(1.0)


def costs_file(folder: Path) -> Path:
    """Costs of the six coins, and of one more, in another order."""
    found = {
        coin: CoinCosts(
            half_spread=1e-4 * k,
            half_spread_low=0.0,
            half_spread_high=1e-3,
            impact=1e-7 * k,
            impact_low=0.0,
            impact_high=1e-6,
            rms=0.0,
            worst=0.0,
            r2=1.0,
            exponent=0.5,
            books=1000,
            dropped=0,
            minutes=100.0,
            first_ms=1,
            last_ms=2,
            depth_usd=1e6,
            notional_usd=(1e3, 1e6),
            cost_bp=(2.0, 2.0),
        )
        for k, coin in enumerate([*COINS, "XRP"], 1)
    }
    path = folder / "costs.json"
    path.write_bytes(encode(Calibrated(coins=found, fee=3e-4)))
    return path


def test_a_file_of_costs_is_taken_by_optimiser_and_walk(tmp_path: Path) -> None:
    good, path = inputs(knows=1.0), costs_file(tmp_path)
    named = TransactionCostModel(3e-4, 1e-4 * np.arange(1, 7), 1e-7 * np.arange(1, 7), COINS)
    by_file = run_backtest(CONFIG, **good, costs=path).record
    assert by_file.equity == pytest.approx(run_backtest(CONFIG, **good, costs=named).record.equity, rel=1e-12)
    assert by_file.turnover.sum() > 0.0
    alpha = good["alpha_price"].iloc[3]
    one, other = (
        optimize_portfolio_with_costs(alpha, good["beta"], good["S"], None, costs) for costs in (str(path), named)
    )
    assert np.abs(one).sum() > 0.0 and one.to_numpy() == pytest.approx(other.to_numpy(), abs=1e-12)
    with pytest.raises(ValueError, match="the costs are of coins by name, alpha has none"):
        optimize_portfolio_with_costs(alpha.to_numpy(), good["beta"].to_numpy(), good["S"].to_numpy(), None, path)
    with pytest.raises(ConfigError, match="make one with slipstream costs calibrate"):
        run_backtest(CONFIG, **good, costs=tmp_path / "none.json")


def test_one_sharpe_ratio_here_and_in_the_report() -> None:
    result = run_backtest(CONFIG, **inputs(knows=1.0))
    kept = report(result.record, np.random.default_rng(1))
    assert result.sharpe_ratio() == next(r.value for r in kept.ratios if r.name == "Sharpe ratio")


def test_a_start_within_a_period_waits_for_its_end() -> None:
    """Returns of 8 hours, a start at 04:00: the first decision is at 08:00, and nothing earns what was before it."""
    good = inputs(knows=1.0)
    eight = good["realized_returns"].rolling(8).sum().iloc[8::8]
    cut = {k: good[k] for k in ("beta", "S", "alpha_price", "alpha_funding")}
    cut |= {"realized_returns": eight, "realized_funding": eight * 0.0 + 1e-4}
    config = BacktestConfig(H=8, start_date="2024-01-02T04:00", end_date="2024-01-20")
    result = run_backtest(config, **cut)
    assert result.weights().index[0] == pd.Timestamp("2024-01-02T08:00", tz="UTC")
    assert result.record.equity[0] < 1e6 and result.record.funding[0] == 0.0  # what the first trade cost


def test_series_in_series_out_by_name() -> None:
    good = inputs()
    alpha = good["alpha_price"].iloc[3]
    w = optimize_portfolio(alpha, good["beta"][::-1], good["S"])
    assert list(w.index) == COINS
    assert w @ good["beta"] == pytest.approx(0.0, abs=1e-12)
    named = TransactionCostModel(np.full(6, 1e-4), coins=COINS[::-1])
    v = optimize_portfolio_with_costs(alpha, good["beta"], good["S"], w_old=w, costs=named, cap=0.2)
    assert np.abs(v).max() <= 0.2 + 1e-12
    with pytest.raises(ValueError, match="beta and alpha differ in coins: BTC, XRP"):
        optimize_portfolio(alpha, good["beta"].rename({"BTC": "XRP"}), good["S"])


def _turned(table: pd.DataFrame) -> pd.DataFrame:
    return table[::-1]


def _doubled(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table.iloc[:5], table.iloc[4:]])


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("realized_returns", _turned, "realized_returns: stamp .* is out of order"),
        ("realized_returns", _doubled, "stamp 2024-01-01T04:00:00.000 UTC .row 5. is double"),
        ("alpha_price", lambda t: t.rename(columns={"OP": "XRP"}), "differ in coins: OP, XRP"),
        ("alpha_price", lambda t: t.drop(t.index[20]), "alpha_funding has 75 stamps, alpha_price 74"),
        ("alpha_price", lambda t: t.to_numpy(), "must be a DataFrame"),
        ("alpha_funding", lambda t: t.reset_index(drop=True), "small whole numbers"),
        ("realized_returns", lambda t: t.astype(object).replace(t.iloc[0, 0], "n/a"), "something that is no number"),
        ("S", lambda t: t * 0.0 + 1.0, "covariance is singular"),
        ("S", lambda t: t.replace(t.iloc[0, 1], np.nan), r"covariance holds nan at \(0, 1\)"),
        ("beta", lambda t: t.to_numpy()[:4], r"beta has shape \(4,\)"),
    ],
)
def test_bad_input_says_what_where_and_how(name: str, change: Any, words: str) -> None:
    bad = inputs()
    with pytest.raises(ValueError, match=words):
        run_backtest(CONFIG, **bad | {name: change(bad[name])})


def test_missing_funding_and_missing_forecasts() -> None:
    bad = inputs()
    with pytest.raises(FundingMissing):
        run_backtest(CONFIG, **bad | {"realized_funding": None})
    gap = {k: bad[k].drop(bad[k].index[20]) for k in ("alpha_price", "alpha_funding")}
    with pytest.raises(ValueError, match="forecasts are missing after 2024-01-07T08"):
        run_backtest(CONFIG, **bad | gap)


def test_config_is_checked() -> None:
    with pytest.raises(ValueError, match="is after end_date"):
        BacktestConfig(start_date="2024-02-01", end_date="2024-01-01")
    with pytest.raises(ValueError, match="is not a date such as"):
        BacktestConfig(start_date="yesterday")
    with pytest.raises(ValueError, match="no realised return between"):
        run_backtest(BacktestConfig(start_date="2030-01-01"), **inputs())
