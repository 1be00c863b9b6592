"""Funding's arithmetic against the reference figures, and forecasts that earn what they must."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slipstream.core.funding import forecast
from slipstream.core.funding.settlement import (
    BASE_HOURLY,
    HOURS_A_YEAR,
    ar1_r2,
    breakeven_hours,
    cash_flows,
    hourly_rate,
    position_pnl,
    premium,
)
from slipstream.core.stats.goodness import combined_r2, score

REFERENCE = Path(__file__).resolve().parents[3] / "../shared/reference/math/12_funding.json"


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    if not REFERENCE.exists():
        pytest.skip(f"reference figures are absent: {REFERENCE}")
    found: dict[str, Any] = json.loads(REFERENCE.read_text())
    return found


def test_rates_are_the_reference(figures: dict[str, Any]) -> None:
    for row in figures["hl"]["table"]:
        assert float(hourly_rate(row["premium"])) == pytest.approx(row["hourly"], rel=1e-9)
    for row in figures["hl"]["premium"]:
        got = premium(row["impact_bid"], row["impact_ask"], row["oracle"])
        assert got == pytest.approx(row["premium"], rel=1e-9, abs=1e-18)
    golden = figures["hl"]["golden"]
    assert float(hourly_rate(golden["premium"])) == pytest.approx(golden["settled"], abs=golden["tol"])
    assert pytest.approx(figures["hl"]["apr_at_base_simple"]) == BASE_HOURLY * HOURS_A_YEAR
    assert pytest.approx(figures["hl"]["apr_at_base_compound"], rel=1e-9) == (1 + BASE_HOURLY) ** HOURS_A_YEAR - 1


def test_payments_are_the_reference(figures: dict[str, Any]) -> None:
    for row in figures["accrual"]:
        oracle, rate = np.array(row["hours"]).T
        flows = cash_flows(row["q"], oracle, rate)
        assert flows == pytest.approx(np.array(row["cash"]), rel=1e-9)
        assert flows.sum() == pytest.approx(row["total"], rel=1e-9)
    for row in figures["perp_pnl"]:
        flows = cash_flows(row["q"], *np.array(row["hours"]).T)
        got = position_pnl(row["q"], row["p0"], row["pH"], float(flows.sum()), row["fee"])
        assert got == pytest.approx(row["pnl"], rel=1e-9)
    for row in figures["breakeven"]:
        assert breakeven_hours(row["f"], row["fee_bps"] / 1e4) == pytest.approx(row["hours"])


def test_combined_r2_is_the_reference(figures: dict[str, Any]) -> None:
    want, t = figures["r2"], np.arange(200)
    price, paid_hat = 0.01 * np.sin(1.3 * t**2), 2e-4 + 1.5e-4 * np.sin(0.05 * (t - 1))
    price_hat = 0.0005 * np.sin(1.3 * t**2) + 0.0005 * np.cos(t)
    paid = 2e-4 + 1.5e-4 * np.sin(0.05 * t) + 2e-5 * np.sin(2.1 * t**2)
    assert score(price, price_hat, price.mean()).r2 == pytest.approx(want["R2_alpha"], rel=1e-9)
    assert score(paid, paid_hat, paid.mean()).r2 == pytest.approx(want["R2_funding"], rel=1e-9)
    assert combined_r2(price, price_hat, paid, paid_hat) == pytest.approx(want["R2_combined_raw"], rel=1e-9)
    a, f = price.std(), paid.std()
    mixed = combined_r2(price / a, price_hat / a, paid / f, paid_hat / f)
    assert mixed == pytest.approx(want["R2_combined_zscored"], rel=1e-9)


def test_ar1_yardstick_is_the_reference_and_the_regression_reaches_it(figures: dict[str, Any]) -> None:
    for row in figures["funding_ar1_r2"]:
        assert ar1_r2(row["phi"], row["H"]) == pytest.approx(row["r2"], rel=1e-9)
    rng, phi = np.random.default_rng(7), 0.9
    rates = np.zeros((6000, 30))
    for t in range(1, len(rates)):
        rates[t] = phi * rates[t - 1] + 1e-5 * rng.standard_normal(30)
    half = 3000
    features = forecast.ewma_features(rates, (1, 8))
    for hours in (4, 12):
        target = forecast.carry(rates, hours)
        model = forecast.fit(features[:, : half - hours], target[: half - hours], hours, (1, 8))
        got = score(target[half:], model.predict(features[:, half:]), forecast.constant_rate(target[: half - hours]))
        assert got.r2 == pytest.approx(ar1_r2(phi, hours), abs=0.03)


def test_target_is_after_the_hour_and_features_are_up_to_it() -> None:
    rates = np.arange(12.0)[:, None]
    assert forecast.carry(rates, 4)[3, 0] == 4 + 5 + 6 + 7
    later = rates.copy()
    later[7:] = 99.0
    np.testing.assert_array_equal(forecast.ewma_features(rates)[:, :7], forecast.ewma_features(later)[:, :7])
    assert forecast.ewma_features(rates, (1,))[0, 5, 0] == 5.0
    assert np.isnan(forecast.ewma_features(rates, (4,), warm_up=3)[0, :3]).all()
    assert forecast.last_rate(rates, 8)[2, 0] == 16.0


def test_regression_is_least_squares_and_bears_a_repeated_column() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((500, 3)) * [1.0, 1e-6, 10.0]
    y = 0.3 + x @ [2.0, 5e5, -0.1] + 0.01 * rng.standard_normal(500)
    y[7] = np.nan
    known = np.isfinite(y)
    want = np.linalg.lstsq(np.c_[np.ones(500), x][known], y[known], rcond=None)[0]
    assert forecast.regress(x, y) == pytest.approx(want, rel=1e-9)
    doubled = forecast.regress(np.c_[x, x[:, 0], np.ones(500)], y)
    assert doubled[1] == pytest.approx(doubled[4], rel=1e-6)
    assert doubled[1] + doubled[4] == pytest.approx(want[1], rel=1e-6)
    assert doubled[5] == 0.0


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="too few for 8 coefficients"):
        forecast.fit(np.zeros((7, 5, 2)), np.zeros((5, 2)), 8)
    with pytest.raises(ValueError, match="at least 1 hour"):
        forecast.ewma_features(np.zeros((5, 2)), (0,))
    with pytest.raises(ValueError, match="never differs"):
        _ = score(np.ones(5), np.ones(5), 1.0).r2
    with pytest.raises(ValueError, match="the model has 2"):
        forecast.FundingModel(8, (1, 2), np.ones(2), 0.0).predict(np.ones((3, 4)))
    with pytest.raises(ValueError, match="no target is known"):
        forecast.constant_rate([np.nan])
