"""Facts of markets that were made to have them."""

from __future__ import annotations

import dataclasses
import math
from functools import cache

import numpy as np
import pytest

from slipstream.lob.flow.hawkes import arrivals_into, count_variance, new_hawkes
from slipstream.simulation.market.blocks import block_edges, block_sums, of_values, ratio
from slipstream.simulation.market.observed import DEPTH_DTYPE, PRINT_DTYPE, QUOTE_DTYPE, Observed
from slipstream.simulation.market.stylised import (
    INTERVALS_S,
    RESPONSE_S,
    SIGN_LAGS,
    WINDOWS_S,
    Facts,
    measure,
)
from slipstream.simulation.market.terms import Grid

SECONDS = 3_000
STEP_MS = 100
SECOND = 1_000_000_000
SIGMA = 2e-5  # per square root of a second
EXCITED = (0.4, 0.9, 1.5)


def made(follow: float = 0.0, seed: int = 1) -> Observed:
    """Quotes every 0.1 s around a random walk, one tick apart or now and then two; takers are a Hawkes process.

    A taker's sign is that of the taker before with probability 0.8; with ``follow`` the price goes its way by so much.
    """
    rng = np.random.default_rng(seed)
    n = SECONDS * 1000 // STEP_MS
    times, kinds = np.empty(20_000), np.empty(20_000, np.int64)
    count = arrivals_into(new_hawkes(*EXCITED, seed), float(SECONDS), times, kinds)
    ns = (times[:count] * 1e9).astype(np.int64)
    signs = np.cumprod(np.where(rng.random(count) < 0.8, 1, -1))
    logs = np.cumsum(rng.standard_normal(n)) * SIGMA * math.sqrt(STEP_MS / 1000)
    np.add.at(logs, np.minimum(n - 1, ns // (STEP_MS * 1_000_000) + 1), 0.0)
    moved = np.zeros(n)
    np.add.at(moved, np.minimum(n - 1, ns // (STEP_MS * 1_000_000) + 1), signs * follow)
    quotes = np.zeros(n, QUOTE_DTYPE)
    quotes["ns"] = np.arange(n) * STEP_MS * 1_000_000
    quotes["bid"] = np.round(np.exp(logs + np.cumsum(moved)) * 1e8)
    quotes["ask"] = quotes["bid"] + np.where(rng.random(n) < 0.25, 2, 1)
    prints = np.zeros(count, PRINT_DTYPE)
    prints["ns"], prints["side"], prints["lots"], prints["tick"] = ns, signs, rng.lognormal(3.0, 1.0, count) + 1, 10**8
    depth = np.zeros(SECONDS, DEPTH_DTYPE)
    depth["ns"] = np.arange(SECONDS) * SECOND
    depth["bid_lots"], depth["ask_lots"] = np.arange(1, 21), np.arange(3, 23)
    return Observed(
        name="made",
        grid=Grid(lot=2.0, tick_size=1e-8),
        begin_ns=0,
        end_ns=SECONDS * SECOND,
        quotes=quotes,
        prints=prints,
        depth=depth,
    )


@cache
def facts(follow: float = 0.0) -> Facts:
    return measure(made(follow), np.random.default_rng(1))


def test_spread_and_depth() -> None:
    found = facts()
    value, low, high = found.spread_ticks.one()
    assert value == pytest.approx(1.25, abs=0.03) and low < 1.25 < high and high - low < 0.1
    assert found.spread_ticks.value[1:4] == pytest.approx([0.75, 0.25, 0.0], abs=0.03)
    assert found.depth_usd.value == pytest.approx(2.0 * np.arange(2, 22), rel=2e-3)  # lots of 2 at a price of 1
    assert found.quote_ms.value == pytest.approx([STEP_MS] * 5)


def test_a_random_walk_has_a_flat_signature_and_no_memory() -> None:
    found = facts()
    exact = SIGMA * 1e4 * math.sqrt(60.0)
    assert found.signature.value == pytest.approx([exact] * len(INTERVALS_S), rel=0.1)
    assert (found.signature.low < exact).mean() >= 0.6 and (found.signature.high > exact).mean() >= 0.6
    inside = (found.returns.low < 0.0) & (found.returns.high > 0.0)
    assert inside.mean() > 0.7 and np.abs(found.returns.value).max() < 0.08
    assert found.kurtosis.value == pytest.approx([3.0, 3.0], abs=0.6)


def test_signs_have_the_memory_they_were_given() -> None:
    found = facts()
    exact = 0.6 ** SIGN_LAGS[:4].astype(float)  # 2 x 0.8 - 1 to the power of the lag
    assert found.signs.value[:4] == pytest.approx(exact, abs=0.06)
    assert abs(found.signs.value[-1]) < 0.12


def test_bunching_is_that_of_the_process() -> None:
    found = facts()
    mu, alpha, beta = EXCITED
    rate = mu / (1.0 - alpha / beta)
    exact = [count_variance(mu, alpha, beta, w) / (rate * w) for w in WINDOWS_S]
    assert found.fano.value == pytest.approx(exact, rel=0.25)
    assert (found.fano.value > 1.5).all()  # Poisson would have 1
    assert found.trades.value[1] == pytest.approx(rate * 60.0, rel=0.1)


def test_the_response_is_found_where_there_is_one() -> None:
    at = int(np.flatnonzero(RESPONSE_S == 0.5)[0])
    still, moved = facts().response.one(at), facts(5e-6).response.one(at)
    assert still[1] < 0.0 < still[2] or abs(still[0]) < 0.02
    assert moved[0] > 0.05 and moved[1] > 0.04  # 0.05 bp an order, and those of its side that follow


def test_another_sample_lies_within_the_interval_of_this_one() -> None:
    """Intervals of a figure from five markets of one law: most of them hold its mean."""
    found = [measure(made(seed=seed), np.random.default_rng(seed)) for seed in range(2, 7)]
    values = [one.signature.one(2) for one in found]
    centre = float(np.mean([value for value, _, _ in values]))
    assert sum(low <= centre <= high for _, low, high in values) >= 4
    assert all(high - low < 0.2 * value for value, low, high in values)


def test_blocks_add_up() -> None:
    rng = np.random.default_rng(1)
    edges = block_edges(0, 3_600 * SECOND)
    assert len(edges) == 61 and edges[-1] == 3_600 * SECOND
    assert len(block_edges(0, 60 * SECOND)) == 21
    ns = np.sort(rng.integers(0, 3_600 * SECOND, 5_000))
    x = rng.standard_normal(5_000) + 2.0
    sums = block_sums(ns, x, edges)
    assert sums.sum() == pytest.approx(x.sum())
    mean = ratio(sums, block_sums(ns, np.ones(5_000), edges), rng)
    error = 1.96 / math.sqrt(5_000)
    assert mean.value[0] == pytest.approx(x.mean())
    assert mean.high[0] - mean.low[0] == pytest.approx(2.0 * error, rel=0.35)
    middle = of_values(ns, x, edges, lambda some: [float(np.median(some))], rng)
    assert middle.low[0] < np.median(x) < middle.high[0]


def test_too_little_is_refused() -> None:
    short = dataclasses.replace(made(), quotes=made().quotes[:20])
    with pytest.raises(ValueError, match="made: 20 quotes in 3000 s: at least 50 are needed"):
        measure(short, np.random.default_rng(1))


def test_without_trades_there_is_no_figure_of_them() -> None:
    silent = dataclasses.replace(made(), prints=np.zeros(0, PRINT_DTYPE))
    found = measure(silent, np.random.default_rng(1))
    assert found.trades.value.tolist() == [0.0, 0.0, 0.0]
    assert (
        np.isnan(found.signs.value).all()
        and np.isnan(found.response.value).all()
        and np.isnan(found.taken_usd.value).all()
    )
