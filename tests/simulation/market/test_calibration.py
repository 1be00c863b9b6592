"""A simulated market is calibrated as if it had been recorded, and its figures come back; large orders leave traces."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pytest

from slipstream.lob.flow.hawkes import stationary_rates
from slipstream.model.errors import ConfigError
from slipstream.simulation.market.aims import BUYERS, aims
from slipstream.simulation.market.calibration import Calibration, calibrate, corrected
from slipstream.simulation.market.first_terms import paced
from slipstream.simulation.market.market_file import decode_market, encode_market
from slipstream.simulation.market.metaorder import Metaorders, metaorders
from slipstream.simulation.market.observed import Observed
from slipstream.simulation.market.terms import Arrivals, FlowTerms, Grid, Makers, Size, Takers, Value
from slipstream.simulation.market.watched_flow import simulate

TRUE = FlowTerms(
    grid=Grid(lot=0.01, decimals=4),
    arrivals=Arrivals(mu=(0.4, 0.4), alpha=((0.5, 0.1), (0.1, 0.5)), beta=((1.5, 1.5), (1.5, 1.5))),
    takers=Takers(size=Size.of_median(400.0, 1.5, 100_000.0), reach=18),
    limits=(0.6,),
    limits_join=True,
    limit_size=Size(mean=3_000.0, cv=1.0, quote=True),
    cancels=(0.3, 0.3, 2.5, 2.5, 2.5, 2.5, 2.5, 0.3),
    makers=Makers(levels=20, level_size=20_000.0, parts=3.0, spread=2.0, lag=0.5, learning=3e-6, learning_size=400.0),
    value=Value(px=200.0, volatility=5e-5, basis_seconds=120.0),
    step_ns=150_000_000,
)


@cache
def recording() -> Observed:
    return simulate(TRUE, 1.0, 3, name="truth")


@cache
def found() -> Calibration:
    return calibrate(recording(), np.random.default_rng(2), rounds=4, hours=1.0)


def test_takers_are_told_from_poisson_and_their_figures_come_back() -> None:
    takers = found().takers
    assert takers.free.prefers_hawkes and takers.alike.prefers_hawkes and takers.free.gain > 200.0
    assert takers.alike.radius == pytest.approx(0.4, abs=0.12)  # 0.6 / 1.5
    assert sum(takers.alike.counts) / 3600.0 == pytest.approx(2 * 0.4 / 0.6, rel=0.1)
    fitted = max(one.distance for one in takers.free.goodness)
    assert fitted < 0.5 * max(one.distance for one in takers.free.poisson_goodness)


def test_sizes_and_regimes_come_back() -> None:
    market = found()
    assert market.sizes.median == pytest.approx(400.0, rel=0.15) and market.sizes.sigma == pytest.approx(1.5, abs=0.15)
    assert market.regimes is None  # it had one
    assert market.rates is None  # quotes and trades only


def test_the_calibrated_market_resembles_what_it_was_made_from() -> None:
    near = {aim.name: aim.simulated / aim.recorded for aim in found().aims}
    assert len(near) == 11
    assert all(0.6 < times < 1.6 for times in near.values()), near
    assert near["mean spread, ticks"] == pytest.approx(1.0, abs=0.15)
    for name in ("market orders a minute", "trades a market order", "share of buyers among market orders"):
        assert near[name] == pytest.approx(1.0, abs=0.1), name


def test_trades_a_minute_come_back_within_the_scatter_of_seeds() -> None:
    """Eight half hours of the truth and of what was calibrated on an hour of it: prints and what they were worth."""
    rates = []
    for terms, first in ((TRUE, 40), (found().terms, 60)):
        some = [simulate(terms, 0.5, seed) for seed in range(first, first + 8)]
        rates.append([(len(one.prints), float((one.prints["lots"] * one.prints["tick"]).sum())) for one in some])
    truth, made = (np.array(rows) for rows in rates)
    gap = made.mean(axis=0) / truth.mean(axis=0) - 1.0
    scatter = np.hypot(*(rows.std(axis=0, ddof=1) / rows.mean(axis=0) for rows in (truth, made)))
    assert abs(gap[0]) < 3.0 * scatter[0] / 8**0.5 + 0.03  # the hour itself is known to a few hundredths
    assert abs(gap[1]) < 3.0 * scatter[1] / 8**0.5 + 0.1
    assert (scatter < 0.5).all()


def test_rates_of_the_two_sides_are_what_was_asked_for() -> None:
    wanted = np.array([0.9, 0.5])
    uneven = paced(TRUE.arrivals, wanted)
    assert uneven.alpha == TRUE.arrivals.alpha
    assert stationary_rates(uneven.mu, uneven.alpha, uneven.beta) == pytest.approx(wanted)
    one_sided = paced(TRUE.arrivals, np.array([1.0, 0.01]))  # no rates of these arrivals are so uneven
    assert stationary_rates(one_sided.mu, one_sided.alpha, one_sided.beta).sum() == pytest.approx(1.01)


def test_corrections_go_the_right_way() -> None:
    want = aims(recording())
    had = {name: 2.0 * value for name, value in want.items()} | {BUYERS: 0.9 * want[BUYERS]}
    terms = corrected(TRUE, want, had)
    assert (
        terms.value.volatility < TRUE.value.volatility
        and terms.arrivals.mu[1] < terms.arrivals.mu[0] < TRUE.arrivals.mu[0]
    )
    assert terms.makers.level_size < TRUE.makers.level_size and terms.makers.spread < TRUE.makers.spread
    assert terms.makers.learning < TRUE.makers.learning and terms.step_ns > TRUE.step_ns
    same = corrected(TRUE, want, want)
    assert same == TRUE


def test_the_seed_decides() -> None:
    first, again = (simulate(TRUE, 0.05, 5) for _ in range(2))
    other = simulate(TRUE, 0.05, 6)
    assert np.array_equal(first.quotes, again.quotes) and np.array_equal(first.prints, again.prints)
    assert not np.array_equal(first.quotes[:50], other.quotes[:50])
    assert first.begin_ns <= first.quotes["ns"][0] and first.quotes["ns"][-1] <= first.end_ns + 100_000_000
    assert (np.diff(first.quotes["ns"]) > 0).all() and (first.quotes["ask"] > first.quotes["bid"]).all()
    assert len(first.depth) == 180


@cache
def worked(learning: float) -> Metaorders:
    terms = msgspec.structs.replace(TRUE, makers=msgspec.structs.replace(TRUE.makers, learning=learning))
    volume = float(recording().prints["lots"].sum()) / recording().seconds
    return metaorders(terms, volume, range(24), shares=(0.1, 0.4), work_s=30.0)


def test_a_large_order_moves_a_market_that_learns_and_the_larger_the_more() -> None:
    told = worked(1e-5)
    small, large = told.impacts
    half = len(told.times_s) // 2 - 1
    assert large.path[half] > 4.0 * large.error[half] > 0.0
    assert large.path[half] > small.path[half] > 0.0
    assert 0.2 < told.exponent < 0.9  # the root of its size, about
    assert 0.0 < told.left < 1.0
    assert large.filled > 0.99 and large.cost > small.cost > 0.0


def test_a_market_that_is_deaf_keeps_no_trace_of_it() -> None:
    told = worked(0.0)
    ends = told.impacts[-1].path[-1], told.impacts[-1].error[-1]
    assert abs(ends[0]) < 4.0 * ends[1] + 1e-9
    assert told.impacts[-1].path[-1] < 0.3 * worked(1e-5).impacts[-1].path[-1]


def test_a_file_brings_the_market_back() -> None:
    data = encode_market(found())
    assert decode_market(data, "x.json") == found()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{}", "x.json: version None of a calibrated market; this release reads 1"),
        (b'{"slipstream_market": 7}', "version 7"),
        (b"nothing", "x.json: not a calibrated market"),
        (b'{"slipstream_market": 1, "market": {"name": 3}}', r"x.json: .*market.name"),
    ],
)
def test_a_file_that_is_none_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        decode_market(data, "x.json")


@pytest.mark.parametrize(("hours", "block"), [(0.0, 1), (1.0, 0)])
def test_no_time_is_no_simulation(hours: float, block: int) -> None:
    with pytest.raises(ValueError, match="hours must be positive"):
        simulate(TRUE, hours, 1, block_ns=block)


def test_too_few_paths_are_refused() -> None:
    with pytest.raises(ValueError, match="impact needs 8 paths"):
        metaorders(TRUE, 1.0, range(4))
