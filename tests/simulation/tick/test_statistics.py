"""Markouts, the split of profit and the queue figures, against accounts that are kept beside them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.simulation.tick.markouts import markouts, of_group
from slipstream.simulation.tick.queue_stats import quartiles, queue_stats
from slipstream.simulation.tick.split import split
from tests.simulation.tick.made import HORIZONS, told


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    fills=st.integers(0, 60),
    markets=st.integers(1, 3),
    horizon=st.integers(0, len(HORIZONS) - 1),
    closed=st.booleans(),
)
def test_the_parts_add_up_to_the_change_of_equity(
    seed: int, fills: int, markets: int, horizon: int, closed: bool
) -> None:
    run = told(seed, fills, markets, seconds=60)
    parts = split(run, horizon, closed=closed)
    for k, one in enumerate(parts[:markets]):
        assert one.total == pytest.approx(run.samples.pnl[-1, k], abs=1e-9)
    assert parts[-1].total == pytest.approx(run.samples.pnl[-1].sum(), abs=1e-9)


def test_a_fill_inside_the_mid_captured_spread_and_what_followed_is_told_apart() -> None:
    run = told(7, 400, 1, edge=3.0)
    at_short, at_long = split(run, 0)[0], split(run, 2)[0]
    assert at_short.spread == pytest.approx(at_long.spread) and at_short.total == pytest.approx(at_long.total)
    assert at_short.spread / at_short.traded * 1e4 == pytest.approx(3.0, abs=0.05)
    assert abs(at_short.adverse) < abs(at_long.adverse)  # a longer look, a longer walk
    assert at_long.adverse + at_long.inventory == pytest.approx(at_short.adverse + at_short.inventory)


def test_markouts_begin_at_the_edge_and_their_intervals_hold_the_truth_of_a_walk() -> None:
    run = told(3, 3_000, 2, edge=2.0)
    found = markouts(run.fills, np.random.Generator(np.random.PCG64(1)), draws=200)
    of_all = [one for one in found if one.who == "all"]
    assert [one.horizon_s for one in of_all] == [0.0, 0.1, 1.0, 10.0]
    assert of_all[0].mean.estimate == pytest.approx(2.0, abs=0.02)
    for one in of_all:  # the walk has no drift: whatever the horizon, the edge is all there is
        assert one.mean.low - 0.1 < 2.0 < one.mean.high + 0.1
        assert one.mean.low < one.mean.estimate < one.mean.high and one.weighted.low < one.weighted.high
    assert of_all[0].missing == 0 and of_all[-1].missing == np.isnan(run.fills.marks[:, -1]).sum() > 0
    assert {one.who for one in found} == {"all", "maker", "taker", "maker buys", "maker sells"}


def test_fills_whose_marks_look_over_the_same_time_are_one_observation() -> None:
    held = 0
    for seed in range(24):  # all buys: what the walk did is in every one of them, and on average it did nothing
        run = told(seed, 1_500, 1)
        bought = run.fills.of(run.fills.side > 0)
        mean = of_group("buys", bought, np.random.Generator(np.random.PCG64(1)), 100)[-1].mean
        held += mean.low <= 0.0 <= mean.high
    assert held >= 16  # 9 where blocks are as short as the spreads captured would have them
    # forty seconds are four times ten: no interval, however many fills
    short = markouts(told(3, 500, 1, seconds=40).fills, np.random.Generator(np.random.PCG64(1)))[3]
    assert short.fills > 300 and np.isnan(short.mean.low) and np.isfinite(short.mean.estimate)


def test_a_markout_by_hand() -> None:
    run = told(5, 3, 1)
    one = next(m for m in markouts(run.fills, np.random.Generator(np.random.PCG64(1))) if m.horizon_s == 1.0)
    f = run.fills
    gains = f.side * (f.marks[:, 1] - f.px)
    assert one.mean.estimate == pytest.approx(np.nanmean(gains / f.px) * 1e4)
    assert one.weighted.estimate == pytest.approx(np.nansum(gains * f.size) / f.usd[np.isfinite(gains)].sum() * 1e4)
    assert np.isnan(one.mean.low)  # three fills have no interval


def test_a_market_that_traded_without_a_book_cannot_be_split() -> None:
    run = told(5, 20, 1)
    run.samples.bid[:] = np.nan
    with pytest.raises(ValueError, match="C0 has fills but no mid"):
        split(run, 0)
    with pytest.raises(ValueError, match="horizon 3"):
        split(told(5, 20, 1), 3)


def test_queue_figures_by_hand() -> None:
    run = told(11, 50, 2)
    first, second, both = queue_stats(run)
    assert both.fills == 50 == first.fills + second.fills and both.places == 51 and both.cancels == 1
    assert both.accepted == 50 and both.filled == pytest.approx(0.5) and both.orders_filled == 1.0
    assert both.refused == {"place: would cross": 1} and second.refused == {}
    assert both.news.middle == pytest.approx(0.005) and 0.0 < both.wait.low < both.wait.high < 1.0
    assert both.requests_an_hour == pytest.approx(52 * 6.0)
    assert both.ahead.count == 50 and both.ahead.middle == pytest.approx(np.median(run.fills.queue * run.fills.px))
    assert np.isnan(quartiles(np.array([np.nan])).middle)


def test_sizes_of_several_coins_are_added_up_by_their_worth() -> None:
    run = told(11, 50, 2)
    size = np.where(run.requests.market == 0, 10.0, 1.0) * run.requests.size
    run.samples.bid[:, 1] *= 1e6
    run.samples.ask[:, 1] *= 1e6
    first, second, both = queue_stats(replace(run, requests=replace(run.requests, size=size)))
    assert first.filled == pytest.approx(0.05) and second.filled == pytest.approx(0.5)
    assert both.filled == pytest.approx(0.5, rel=1e-3)


def test_the_part_that_is_filled_by_what_lay_ahead() -> None:
    run = told(12, 80, 1)
    ahead = run.requests.ahead
    only_short = np.where(ahead <= np.nanmedian(ahead), run.requests.order, -1)
    (found,) = queue_stats(replace(run, requests=replace(run.requests, order=only_short)))
    assert found.joined.count == 80 and found.joined.middle == pytest.approx(np.nanmedian(ahead))
    short = np.argsort(ahead[:80])[:40]
    makers = run.fills.maker[short]
    assert found.by_queue == pytest.approx((makers[:20].mean(), makers[20:].mean(), 0.0, 0.0))
    (moved,) = queue_stats(replace(run, requests=replace(run.requests, exch_ns=run.requests.exch_ns + 1)))
    assert moved.by_queue == (0.0,) * 4, "filled from the place it had then, not from one that it left"
    first = replace(run, requests=replace(run.requests, ahead=np.where(np.isfinite(ahead), 0.0, np.nan)))
    assert queue_stats(first)[0].by_queue == pytest.approx((run.fills.maker.mean(),) * 4), "equal queues, equal parts"


def test_no_fills_no_figures() -> None:
    run = told(1, 0, 1)
    assert markouts(run.fills, np.random.Generator(np.random.PCG64(1))) == ()
    (only,) = queue_stats(run)
    assert only.joined.count == 0 and np.isnan(only.by_queue).all() and len(only.by_queue) == 4
    assert only.fills == 0 and np.isnan(only.filled) and np.isnan(only.orders_a_fill)
