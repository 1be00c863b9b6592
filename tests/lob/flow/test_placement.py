"""Limit orders come where they should, and leave as often as they should."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from slipstream.lob.book import BUY, GTC, SELL
from slipstream.lob.flow.placement import power_law, set_cancels, set_limits
from slipstream.lob.flow.record import new_flows
from slipstream.simulation.market.books import Markets
from slipstream.simulation.market.terms import FlowTerms, Grid

SECOND = 1_000_000_000
ME = 1


def still_market(limits: tuple[float, ...], cancels: tuple[float, ...] = (), *, join: bool = False) -> Markets:
    """A market whose best prices, 1000 and 1001, are orders of ours too large to go."""
    terms = FlowTerms(
        grid=Grid(lot=1.0, tick_size=1.0),
        limits=limits,
        cancels=cancels,
        limits_join=join,
        open_bid=1_000,
        open_ask=1_001,
    )
    markets = Markets([terms], 11)
    book = markets.book(0)
    book.place(1, ME, BUY, 1_000, 1_000_000, GTC, 0)
    book.place(2, ME, SELL, 1_001, 1_000_000, GTC, 0)
    return markets


def test_distances_follow_the_table() -> None:
    rates = power_law(2.0, 0.7, 8)
    assert rates[0] == 2.0
    assert rates[3] == pytest.approx(2.0 / 4.0**0.7)
    markets = still_market(tuple(rates))
    markets.advance(100 * SECOND)
    book = markets.book(0)
    for side in (BUY, SELL):
        touch = 1_000 if side > 0 else 1_001
        seen = np.array([book.level_count(touch - side * j) for j in range(8)])
        seen[0] -= 1  # ours
        assert seen.sum() == pytest.approx(100.0 * rates.sum(), abs=4.0 * math.sqrt(100.0 * rates.sum()))
        assert stats.chisquare(seen, rates / rates.sum() * seen.sum()).pvalue > 1e-3


def test_orders_that_join_count_from_their_own_side() -> None:
    markets = still_market((1.0,), join=True)
    markets.advance(50 * SECOND)
    book = markets.book(0)
    assert book.level_count(1_000) > 20
    assert book.level_count(1_001) > 20
    assert book.order_count() == book.level_count(1_000) + book.level_count(1_001)


def test_orders_leave_at_the_rate_of_their_distance() -> None:
    """Arrivals lambda, a rate theta for each order: M/M/infinity, so the counts are Poisson of mean lambda / theta."""
    lam, theta = (4.0, 3.0, 2.0), (0.5, 0.2, 0.1)
    markets = still_market(lam, theta)
    markets.advance(100 * SECOND)
    counts = []
    for _ in range(400):
        markets.advance(20 * SECOND)
        book = markets.book(0)
        row = [book.level_count(1_000 - j) + book.level_count(1_001 + j) for j in range(3)]
        counts.append([row[0] - 2, *row[1:]])
    seen = np.array(counts)
    for j in range(3):
        mean = 2.0 * lam[j] / theta[j]
        looks = 400.0 * min(1.0, 20.0 * theta[j] / 2.0)
        assert abs(seen[:, j].mean() - mean) < 4.0 * math.sqrt(mean / looks), j
        assert seen[:, j].var() == pytest.approx(mean, rel=0.35), j


@pytest.mark.parametrize(
    ("rates", "says"),
    [
        ((), "a row of 1 to 128"),
        ((1.0,) * 129, "a row of 1 to 128"),
        ((1.0, -0.5), "entry 1 is -0.5"),
        ((math.nan,), "nan"),
    ],
)
def test_tables_that_are_none_are_refused(rates: tuple[float, ...], says: str) -> None:
    flow = new_flows()[0]
    with pytest.raises(ValueError, match=says):
        set_limits(flow, rates)
    with pytest.raises(ValueError, match=says):
        set_cancels(flow, rates)
