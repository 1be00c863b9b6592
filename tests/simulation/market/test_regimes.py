"""Hidden regimes, lags and leads are found where they were put, and not where they were not."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from slipstream.simulation.market.lead_lag import lead_lag, pursuit
from slipstream.simulation.market.observed import DEPTH_DTYPE, PRINT_DTYPE, QUOTE_DTYPE, Observed
from slipstream.simulation.market.regimes import fit_regimes
from slipstream.simulation.market.terms import Grid

Floats = npt.NDArray[np.float64]
MS = 1_000_000


def market(name: str, logs: Floats, step_ms: int) -> Observed:
    """A market of which only the price matters, on a very fine grid."""
    quotes = np.zeros(len(logs), QUOTE_DTYPE)
    quotes["ns"] = np.arange(len(logs)) * step_ms * MS
    quotes["bid"] = np.round(np.exp(logs) * 1e9)
    quotes["ask"] = quotes["bid"] + 1
    end = int(quotes["ns"][-1])
    return Observed(
        name=name,
        grid=Grid(lot=1.0, tick_size=1e-7),
        begin_ns=0,
        end_ns=end,
        quotes=quotes,
        prints=np.zeros(0, PRINT_DTYPE),
        depth=np.zeros(0, DEPTH_DTYPE),
    )


def test_two_regimes_are_found() -> None:
    rng = np.random.default_rng(6)
    state, states = 0, []
    for _ in range(4000):
        if rng.random() < (0.02 if state == 0 else 0.05):
            state = 1 - state
        states.append(state)
    hidden = np.array(states)
    returns = rng.standard_normal(4000) * np.where(hidden == 1, 3e-4, 1e-4) * math.sqrt(10.0)
    found, wild = fit_regimes(returns, 10.0)
    assert found.worth_it and found.gain > 500.0
    assert found.volatility == pytest.approx((1e-4, 3e-4), rel=0.08)
    assert found.stay_s == pytest.approx((500.0, 200.0), rel=0.35)
    assert found.share_wild == pytest.approx(hidden.mean(), abs=0.06)
    assert ((wild > 0.5) == (hidden == 1)).mean() > 0.93


def test_one_regime_is_not_taken_for_two() -> None:
    found, _ = fit_regimes(np.random.default_rng(7).standard_normal(2000), 1.0)
    assert not found.worth_it and found.gain < 10.0


@pytest.mark.parametrize(("returns", "words"), [(np.ones(10), "at least 60"), (np.zeros(100), "never moves")])
def test_returns_that_say_nothing_are_refused(returns: Floats, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit_regimes(returns, 1.0)


@pytest.mark.parametrize("lag_s", [0.1, 0.5, 2.0])
def test_a_price_that_follows_its_value_is_told_by_its_variances(lag_s: float) -> None:
    t = np.array([0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0])
    found = pursuit(t, 4e-10 * (t + lag_s * np.expm1(-t / lag_s)))
    assert found.volatility == pytest.approx(2e-5, rel=1e-4) and found.lag_s == pytest.approx(lag_s, rel=1e-3)


def test_a_simulated_pursuit_is_found() -> None:
    rng = np.random.default_rng(3)
    step, lag = 0.05, 0.8
    value = np.cumsum(rng.standard_normal(400_000)) * 1e-4 * math.sqrt(step)
    price, at = np.empty_like(value), 0.0
    for k, v in enumerate(value.tolist()):
        at += (v - at) * -math.expm1(-step / lag)
        price[k] = at
    t = np.array([0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0])
    seen = [float(np.mean((price[int(x / step) :] - price[: -int(x / step)]) ** 2)) for x in t]
    found = pursuit(t, seen)
    assert found.volatility == pytest.approx(1e-4, rel=0.05) and found.lag_s == pytest.approx(lag, rel=0.1)
    with pytest.raises(ValueError, match="does not move"):
        pursuit(t, np.zeros(7))


@pytest.mark.parametrize("steps", [0, 4, 12])
def test_who_leads_and_by_how_much(steps: int) -> None:
    rng = np.random.default_rng(5)
    logs = np.cumsum(rng.standard_normal(12_000)) * 2e-5
    late = np.concatenate([np.zeros(steps), logs[: len(logs) - steps]])
    noise, keep = np.zeros(len(logs)), math.exp(-0.1 / 20.0)
    for k in range(1, len(noise)):
        noise[k] = keep * noise[k - 1] + 2e-6 * rng.standard_normal()
    found = lead_lag(market("here", late + 1e-3 + noise, 100), market("there", logs, 100))
    assert found.lag_s == pytest.approx(steps * 0.1) and found.correlation > 0.9
    assert found.anchor == "there" and found.basis_mean == pytest.approx(1e-3, abs=2e-4)
    back = lead_lag(market("there", logs, 100), market("here", late, 100))
    assert back.lag_s == pytest.approx(-steps * 0.1)


def test_markets_that_never_met_have_no_lead() -> None:
    first, second = market("a", np.zeros(700), 100), market("b", np.zeros(300), 100)
    with pytest.raises(ValueError, match="a and b overlap by 30 s: a minute is needed"):
        lead_lag(first, second)
