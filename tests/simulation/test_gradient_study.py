"""The study: periods that do not overlap, intervals that hold, differences that pair what they should."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.simulation.gradient_study import Case, StudyTerms, daily, random_periods, rivals, study
from slipstream.simulation.vectorised import Costs, Plan

FREE = Costs(taker_fee=0.0, half_spread=0.0, impact=0.0)


def market(t: int = 6 * 200) -> Bars:
    """Coin UP gains 1 % a day and DOWN loses it, with a little noise."""
    rng = np.random.default_rng(1)
    moves = np.array([0.01, -0.01]) / 6 + rng.normal(0, 0.002, (t, 2))
    close = 100 * np.exp(np.cumsum(moves, axis=0))
    return Bars(
        coins=("DOWN", "UP")[::-1],
        opened=np.arange(t, dtype=np.int64) * 4 * HOUR_MS,
        hours=4.0,
        open=np.vstack([[[100.0, 100.0]], close[:-1]]),
        close=close,
        volume_usd=np.full((t, 2), 1e8),
        funding=np.zeros((t, 2)),
    )


def constant(bars: Bars, weights: list[float]) -> Plan:
    shape = bars.close.shape
    targets = {t: np.array(weights) for t in range(0, len(bars.opened), 6)}
    return Plan(targets=targets, sigma_day=np.full(shape, 0.02), daily_usd=np.full(shape, 1e9))


@given(
    first=st.integers(0, 50),
    length=st.integers(1, 40),
    count=st.integers(1, 12),
    more=st.integers(0, 100),
    seed=st.integers(0, 99),
)
def test_periods_do_not_overlap_and_stay_inside(first: int, length: int, count: int, more: int, seed: int) -> None:
    last = first + length * count + more
    spans = random_periods(first, last, length, count, np.random.default_rng(seed))
    assert all(b - a == length for a, b in spans)
    assert spans[0][0] >= first
    assert spans[-1][1] <= last
    assert all(one[1] <= two[0] for one, two in pairwise(spans))


def test_periods_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer or shorter"):
        random_periods(0, 99, 10, 10, np.random.default_rng(1))


def test_a_day_is_its_bars_compounded() -> None:
    np.testing.assert_allclose(daily(np.full(13, 0.01), 6), [1.01**6 - 1] * 2)


def test_rivals_have_the_same_hours_and_fraction() -> None:
    ours = Case("gradient", 0.1, 24, "equal")
    same, other = Case("random", 0.1, 24, "inverse_vol"), Case("random", 0.2, 24, "inverse_vol")
    long, late = Case("long", 0.0, 24, "equal"), Case("long", 0.0, 48, "equal")
    assert rivals(ours, [ours, same, other, long, late]) == [same, long]


def test_an_edge_is_found_its_interval_holds_it_and_the_seed_repeats_it() -> None:
    bars = market()
    plans = {
        Case("gradient", 0.1, 24, "equal"): constant(bars, [0.5, -0.5]),
        Case("gradient", 0.1, 24, "inverse_vol"): constant(bars, [0.25, -0.25]),
        Case("random", 0.1, 24, "inverse_vol"): constant(bars, [-0.5, 0.5]),
        Case("long", 0.0, 24, "equal"): constant(bars, [0.5, 0.5]),
    }
    terms = StudyTerms(periods=8, period_days=20, draws=200, costs=FREE)
    got = study(bars, plans, terms, np.random.default_rng(2))
    assert got == study(bars, plans, terms, np.random.default_rng(2))
    rows = {row.case: row for row in got.rows}
    best = rows[Case("gradient", 0.1, 24, "equal")]
    # 1 % a day in each half of the book, for 20 days
    assert best.usd.low < 1e6 * (np.exp(0.2) - 1) < best.usd.high * 1.02
    assert best.usd.low > 0.0
    assert best.against["random"].low > best.usd.low
    assert best.against["random"].estimate == pytest.approx(
        best.usd.estimate - rows[Case("random", 0.1, 24, "inverse_vol")].usd.estimate
    )
    assert rows[Case("random", 0.1, 24, "inverse_vol")].usd.high < 0.0
    assert rows[Case("long", 0.0, 24, "equal")].against == {}
    assert got.deflated > 0.9
