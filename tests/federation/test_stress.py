"""Every pod at its maximum at once: worst loads, common scales, correlations."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from slipstream.federation.stress import SHOCKS, Market, Maximum, StressTerms, stress, worst_load

LOOSE = StressTerms(max_beta=99.0, max_correlation=1.0, max_loss=1.0, vol_factor=1.0)
COINS = ("BTC", "ETH", "SOL", "DOGE")
MARKET = Market(
    {"BTC": 0.03, "ETH": 0.04, "SOL": 0.06, "DOGE": 0.07},
    {"BTC": (1.0, 0.7), "ETH": (1.2, 1.0), "SOL": (1.5, 1.2), "DOGE": (-0.2, 0.1)},
)


def test_the_worst_book_fills_the_heaviest_coins_first() -> None:
    pod = Maximum("a", 100.0, {"BTC": 80.0, "ETH": 50.0, "SOL": 30.0})
    assert worst_load(pod, {"BTC": 1.0, "ETH": -2.0, "SOL": 1.5}) == 50 * 2 + 30 * 1.5 + 20 * 1.0


def test_beta_shrinks_everyone_to_just_the_limit() -> None:
    pods = [Maximum("a", 100.0, {"SOL": 100.0}), Maximum("b", 100.0, {"BTC": 100.0})]
    found = stress(replace(LOOSE, max_beta=1.0), 200.0, MARKET, pods)
    assert found.binding == "beta to BTC"
    assert found.scales == pytest.approx({"a": 0.8, "b": 0.8})  # (150 + 100) / 200 = 1.25
    assert stress(replace(LOOSE, max_beta=1.25), 200.0, MARKET, pods).scales == {"a": 1.0, "b": 1.0}


def test_a_past_shock_binds_by_name() -> None:
    pods = [Maximum("a", 100.0, {"DOGE": 100.0})]
    found = stress(replace(LOOSE, max_loss=0.25), 100.0, MARKET, pods)
    assert found.scales["a"] == pytest.approx(0.5)
    assert found.binding == f"loss as on {SHOCKS[0].name}"


def test_volatility_scenarios_bind() -> None:
    pods = [Maximum("a", 100.0, {"DOGE": 100.0})]
    found = stress(replace(LOOSE, max_loss=0.7, vol_factor=20.0), 100.0, MARKET, pods)
    assert found.scales["a"] == pytest.approx(0.5)
    assert "20 daily deviations" in found.binding


def test_a_correlated_book_is_shrunk_where_it_leans() -> None:
    market = replace(MARKET, betas={**MARKET.betas, "DOGE": (0.0, 0.0)})
    long = Maximum("long", 100.0, {"BTC": 100.0, "DOGE": 100.0}, {"BTC": 10.0})
    odd = Maximum("odd", 100.0, {"DOGE": 100.0}, {"DOGE": -5.0})
    found = stress(replace(LOOSE, max_correlation=0.3), 1000.0, market, [long, odd])
    assert 0.0 < found.scales["long"] < 1.0
    assert found.scales["odd"] == 1.0
    assert "correlation to BTC" in found.binding
    # at the scale found the correlation is the limit
    shrunk = [replace(long, gross_cap=100.0 * found.scales["long"]), odd]
    again = {f.name: f.value for f in stress(LOOSE, 1000.0, market, shrunk).findings}
    assert again["correlation to BTC"] == pytest.approx(0.3, rel=1e-6)


def test_a_correlation_no_mixture_mends_makes_everything_smaller() -> None:
    alone = Maximum("a", 100.0, {"BTC": 100.0}, {"BTC": -3.0})
    found = stress(replace(LOOSE, max_correlation=0.9), 1000.0, MARKET, [alone])
    assert found.scales["a"] == pytest.approx(0.9)


def test_a_correlation_of_next_to_nothing_shrinks_nobody() -> None:
    alone = Maximum("a", 100.0, {"BTC": 100.0}, {"BTC": 1.0})
    odd = Maximum("odd", 100.0, {"DOGE": 100.0}, {"DOGE": 1.0})
    terms = replace(LOOSE, max_correlation=0.3, correlated_beta=0.25)
    for pods, beta in (([alone], 100.0), ([alone, odd], 100.0 - 0.2 * 100.0)):
        assert stress(terms, 4.0 * beta + 1.0, MARKET, pods).scales["a"] == 1.0
        just = stress(terms, 4.0 * beta - 1.0, MARKET, pods).scales["a"]
        assert 0.99 < just < 1.0  # no further than until the beta is small


def test_without_equity_nothing_is_allowed() -> None:
    assert stress(LOOSE, 0.0, MARKET, [Maximum("a", 1.0, {"BTC": 1.0})]).scales == {"a": 0.0}
    assert stress(LOOSE, 5.0, MARKET, []).scales == {}


@st.composite
def maxima(draw: st.DrawFn, pod: str) -> Maximum:
    usd = st.floats(0, 1e6)
    caps = draw(st.dictionaries(st.sampled_from(COINS), usd))
    held = draw(st.dictionaries(st.sampled_from(COINS), st.floats(-1e5, 1e5)))
    return Maximum(pod, draw(usd), caps, held)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 1), max_size=5).flatmap(lambda n: st.tuples(*(maxima(f"p{i}") for i in range(len(n))))))
def test_scaled_limits_pass_every_linear_scenario(pods: tuple[Maximum, ...]) -> None:
    terms = StressTerms()
    found = stress(terms, 100_000.0, MARKET, pods)
    assert all(0.0 <= scale <= 1.0 for scale in found.scales.values())
    shrunk = [
        Maximum(p.pod, p.gross_cap * s, {c: v * s for c, v in p.coin_caps.items()}, p.positions)
        for p, s in ((p, found.scales[p.pod]) for p in pods)
    ]
    for finding in stress(terms, 100_000.0, MARKET, shrunk).findings:
        if not finding.name.startswith("correlation"):
            assert finding.value <= finding.limit * (1 + 1e-9)
    assert bool(found.binding) == any(scale < 1.0 for scale in found.scales.values()) or not pods
