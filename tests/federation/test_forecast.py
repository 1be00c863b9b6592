"""The shared volatility forecast: what it recovers, and that it beats a naive one where prices are at hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.federation.forecast import HOUR, PRIOR_DAILY_VOL, VolState, betas, daily_vol, learn, qlike, to_message

PANEL = Path(__file__).resolve().parents[2] / "../shared/data/hyperliquid_panel/hl_1h_ohlcv.parquet"


def feed(prices: dict[str, np.ndarray], start: int = 0) -> VolState:
    state = VolState()
    for hour in range(len(next(iter(prices.values())))):
        state = learn(state, (start + hour + 1) * HOUR + 5, {c: float(p[hour]) for c, p in prices.items()})
    return state


def test_volatility_and_beta_are_recovered() -> None:
    rng = np.random.default_rng(1)
    n = 2000
    btc, own = rng.normal(0, 0.006, n), rng.normal(0, 0.004, n)
    state = feed({"BTC": np.exp(np.cumsum(btc)), "SOL": np.exp(np.cumsum(1.5 * btc + own))})
    assert daily_vol(state.coins["BTC"]) == pytest.approx(0.006 * math.sqrt(24), rel=0.15)
    assert betas("SOL", state.coins["SOL"])[0] == pytest.approx(1.5, abs=0.15)
    assert betas("BTC", state.coins["BTC"])[0] == 1.0


def test_nothing_known_is_the_prior() -> None:
    state = learn(VolState(), HOUR, {"NEW": 3.0, "BAD": math.nan, "WORSE": -1.0})
    assert set(state.coins) == {"NEW"}
    assert daily_vol(state.coins["NEW"]) == pytest.approx(PRIOR_DAILY_VOL)
    assert daily_vol(None) == PRIOR_DAILY_VOL
    assert betas("NEW", state.coins["NEW"])[0] == 1.0


def test_an_hour_is_learnt_once_and_a_long_silence_is_left_out() -> None:
    state = feed({"BTC": np.array([100.0, 101.0])})
    assert learn(state, 2 * HOUR + 9, {"BTC": 500.0}) == state
    later = learn(state, 500 * HOUR, {"BTC": 500.0})
    assert later.coins["BTC"].fast == state.coins["BTC"].fast
    assert later.coins["BTC"].mark == 500.0


def test_the_message_names_every_coin() -> None:
    message = to_message(feed({"BTC": np.array([1.0, 2.0]), "ETH": np.array([1.0, 1.0])}), 3, 7)
    assert list(message.daily_vol) == ["BTC", "ETH"]
    assert message.version == 3 and message.ns == 7
    assert message.daily_vol["BTC"] > message.daily_vol["ETH"] > 0.0


def _closes() -> dict[str, np.ndarray]:
    if not PANEL.exists():
        pytest.skip(f"hourly prices are absent: {PANEL}")
    import pyarrow.parquet as pq

    coins = ["BTC", "ETH", "SOL", "DOGE", "HYPE", "AVAX", "LINK", "ARB"]
    table = pq.read_table(PANEL, columns=["coin", "ts", "close"], filters=[("coin", "in", coins)])
    names, ts, close = (table[name].to_numpy() for name in ("coin", "ts", "close"))
    return {
        coin: close[names == coin][np.argsort(ts[names == coin])].astype(float)[-3000:]
        for coin in coins
        if (names == coin).sum() > 1000
    }


def test_it_beats_yesterday_and_the_long_run_on_real_hours() -> None:
    losses: dict[str, list[float]] = {"ours": [], "yesterday": [], "long run": []}
    for close in _closes().values():
        squares = np.diff(np.log(close)) ** 2
        state = VolState()
        for hour in range(len(close) - 24):
            state = learn(state, (hour + 1) * HOUR, {"X": float(close[hour])})
            if hour < 480 or hour % 24:
                continue
            realised = float(squares[hour : hour + 24].sum())
            if realised <= 0.0:
                continue
            losses["ours"].append(qlike(realised, daily_vol(state.coins["X"]) ** 2))
            losses["yesterday"].append(qlike(realised, float(squares[hour - 24 : hour].sum()) + 1e-12))
            losses["long run"].append(qlike(realised, 24.0 * float(squares[:hour].mean())))
    ours, yesterday, long_run = (np.array(losses[name]) for name in ("ours", "yesterday", "long run"))
    assert len(ours) > 300
    for other in (yesterday, long_run):
        gain = other - ours
        assert gain.mean() > 2.0 * gain.std(ddof=1) / math.sqrt(len(gain))


ODD = st.floats(allow_nan=True, allow_infinity=True) | st.floats(1e-6, 1e6)
LOOKS = st.lists(
    st.tuples(st.integers(0, 3 * 24), st.dictionaries(st.sampled_from(("BTC", "ETH", "SOL")), ODD)), max_size=40
)


@given(LOOKS)
def test_whatever_the_prices_do_the_forecast_is_a_number_that_limits_can_rest_on(
    looks: list[tuple[int, dict[str, float]]],
) -> None:
    state, hour = VolState(), 0
    for hours, marks in looks:
        hour += hours
        after = learn(state, hour * HOUR, marks)
        assert state.coins.keys() <= after.coins.keys() <= state.coins.keys() | marks.keys()  # none is forgotten
        state = after
    for coin, found in state.coins.items():
        assert math.isfinite(daily_vol(found)) and daily_vol(found) > 0.0
        assert all(-5.0 <= beta <= 5.0 for beta in betas(coin, found))
    assert to_message(state, 1, 0).daily_vol.keys() == state.coins.keys()
