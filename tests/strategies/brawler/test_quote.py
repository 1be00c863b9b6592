"""The arithmetic: reference values, properties, and that compiled and plain code are one."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.model.grid import price_of_tick
from slipstream.strategies.brawler.quote import (
    Situation,
    Terms,
    compiled_quote,
    hit_probability,
    quote,
    staying_loss,
)

TERMS = Terms(8e-4, 1.5, 7e-4, 0.00015, 10.0, 0.0, 1.0, 10.0, 2)
NOW = Situation(100.0, 0.02, 4e-4, 0.0, 0.0, 0.0, 0, 0, 0.0, 0.0, 0.0005)

terms = st.builds(
    Terms,
    base_spread=st.floats(1e-5, 0.05),
    k=st.floats(0.0, 10.0),
    skew=st.floats(0.0, 0.02),
    fee=st.floats(-0.0001, 0.0005),
    max_inventory=st.floats(0.001, 1e4),
    tick_size=st.sampled_from([0.0, 0.0, 0.01, 0.5, 1.0]),
    tolerance=st.floats(0.0, 20.0),
    horizon=st.floats(0.1, 600.0),
    decimals=st.integers(0, 6),
)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """A plausible market around some price, touch and resting quotes included."""
    mid = draw(st.floats(0.5, 200_000.0))
    near = st.floats(0.98, 1.02)
    bid = mid * draw(near)
    ask = bid * (1.0 + draw(st.floats(1e-5, 0.01)))
    return Situation(
        cex_mid=mid,
        basis=mid * draw(st.floats(-0.01, 0.01)),
        sigma=draw(st.floats(0.0, 0.005)),
        inventory=draw(st.floats(-1e4, 1e4)),
        best_bid=draw(st.sampled_from([0.0, bid])),
        best_ask=draw(st.sampled_from([0.0, ask])),
        bid_tick=draw(st.integers(0, 400_000)),
        ask_tick=draw(st.integers(0, 400_000)),
        bid_size=draw(st.floats(0.0, 100.0)),
        ask_size=draw(st.floats(0.0, 100.0)),
        request_cost=draw(st.floats(0.0, 0.1)),
    )


@pytest.mark.parametrize(
    ("inventory", "bid", "ask"),
    [(0.0, 99.94, 100.10), (5.0, 99.91, 100.06), (-10.0, 100.02, 100.17)],
)
def test_reference_values(inventory: float, bid: float, ask: float) -> None:
    """mid 100, basis 2 bp, base 8 bp, k 1.5, sigma 4 bp, skew of one half spread at full inventory."""
    out = quote(TERMS, NOW._replace(inventory=inventory))
    assert (price_of_tick(out.bid_tick, 2), price_of_tick(out.ask_tick, 2)) == (bid, ask)


@given(terms, situations())
@settings(max_examples=400, deadline=None)
def test_compiled_is_plain(some: Terms, now: Situation) -> None:
    """To the last bit, prices, losses and decisions."""
    assert tuple(compiled_quote(some, now)) == tuple(quote(some, now))


@given(terms, situations())
@settings(max_examples=300, deadline=None)
def test_never_crosses_the_touch_nor_itself(some: Terms, now: Situation) -> None:
    out = quote(some, now)
    if now.best_ask > 0.0 and out.bid_tick > 0:
        assert price_of_tick(out.bid_tick, some.decimals) < now.best_ask
    if now.best_bid > 0.0 and out.ask_tick > 0:
        assert price_of_tick(out.ask_tick, some.decimals) > now.best_bid
    assert out.ask_tick == 0 or out.bid_tick < out.ask_tick
    # rounding only ever moves away from the market
    if out.bid_tick > 0:
        assert price_of_tick(out.bid_tick, some.decimals) <= (out.centre - out.spread / 2.0) * (1.0 + 1e-9) + 1e-6
    if out.ask_tick > 0:
        assert price_of_tick(out.ask_tick, some.decimals) >= (out.centre + out.spread / 2.0) * (1.0 - 1e-9) - 1e-6


@given(terms, situations(), st.floats(0.0, 1e4))
@settings(max_examples=300, deadline=None)
def test_more_inventory_never_raises_a_quote(some: Terms, now: Situation, more: float) -> None:
    base, heavy = quote(some, now), quote(some, now._replace(inventory=now.inventory + more))
    assert heavy.centre <= base.centre
    assert heavy.bid_tick <= base.bid_tick
    if heavy.ask_tick > 0:
        assert heavy.ask_tick <= base.ask_tick
    # the sign: long leans down, short leans up
    flat = quote(some, now._replace(inventory=0.0)).centre
    assert (base.centre - flat) * now.inventory <= 0.0


@given(terms, situations(), st.floats(0.0, 0.01))
@settings(max_examples=300, deadline=None)
def test_more_sigma_never_narrows(some: Terms, now: Situation, more: float) -> None:
    calm = quote(some, now)
    wild = quote(some, now._replace(sigma=now.sigma + more))
    assert wild.spread >= calm.spread
    assert wild.bid_tick <= calm.bid_tick
    if calm.ask_tick > 0:
        assert wild.ask_tick >= calm.ask_tick


@given(terms, situations())
@settings(max_examples=300, deadline=None)
def test_a_move_needs_both_distance_and_loss(some: Terms, now: Situation) -> None:
    out = quote(some, now)
    for tick, resting, loss, move in (
        (out.bid_tick, now.bid_tick, out.bid_loss, out.move_bid),
        (out.ask_tick, now.ask_tick, out.ask_loss, out.move_ask),
    ):
        assert loss >= 0.0
        if resting == 0:
            assert move  # nothing rests: a request is needed anyway
        elif move:
            step = max(price_of_tick(tick + 1, some.decimals) - price_of_tick(tick, some.decimals), some.tick_size)
            gap = abs(price_of_tick(tick, some.decimals) - price_of_tick(resting, some.decimals))
            assert gap > some.tolerance * step
            assert loss > now.request_cost


def test_a_dear_request_keeps_the_quote_and_a_cheap_one_moves_it() -> None:
    rests = NOW._replace(best_bid=100.0, best_ask=100.03, bid_tick=9998, ask_tick=10010, bid_size=1.0, ask_size=1.0)
    cheap, dear = quote(TERMS, rests), quote(TERMS, rests._replace(request_cost=10.0))
    assert cheap.bid_tick == 9994
    assert cheap.move_bid and not dear.move_bid
    assert not cheap.move_ask  # it is where it should be
    assert 0.0 < cheap.bid_loss < 0.04  # at most what is given away: four ticks on one coin


def test_a_quote_left_behind_misses_its_edge() -> None:
    """Two ticks too far out on a wide spread: what is lost is edge times the missed chance."""
    near, far = (staying_loss(r, 0.05, 0.05, 0.0, 0.1, 2.0) for r in (0.05, 0.15))
    assert near == 0.0
    expected = 0.05 * 2.0 * (hit_probability(0.05, 0.1) - hit_probability(0.15, 0.1))
    assert far == pytest.approx(expected)
    assert staying_loss(0.15, 0.05, -0.01, 0.0, 0.1, 2.0) == 0.0  # no edge, nothing to miss


def test_coarse_tick() -> None:
    out = quote(TERMS._replace(tick_size=0.05), NOW)
    assert (price_of_tick(out.bid_tick, 2), price_of_tick(out.ask_tick, 2)) == (99.90, 100.10)


@pytest.mark.parametrize("z", [0.01, 0.3, 1.0, 2.0, 3.5])
def test_hit_probability_is_the_reflection_principle(z: float) -> None:
    assert hit_probability(z * 7.0, 7.0) == pytest.approx(math.erfc(z / math.sqrt(2.0)), abs=6e-4)


def test_hit_probability_at_the_ends() -> None:
    assert hit_probability(0.0, 1.0) == 1.0
    assert hit_probability(-5.0, 0.0) == 1.0
    assert hit_probability(1.0, 0.0) == 0.0
    assert hit_probability(1e300, 1e-300) == 0.0
