"""What must hold of every sharing of capital, whatever is believed of the pods."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from slipstream.federation.allocation import AllocationTerms, AllocatorInput, PodView, allocate
from slipstream.federation.evidence import Strength
from slipstream.model.mandate import Stage

CAPS = {Stage.INCUBATION: 0.1, Stage.EVALUATION: 0.2, Stage.GROWTH: 0.4, Stage.MATURITY: 0.6, Stage.RETIREMENT: 0.0}
TERMS = AllocationTerms(stage_caps=CAPS)


def strength(sharpe: float = 0.0, error: float = math.inf, volatility: float = 0.3, hours: int = 0) -> Strength:
    return Strength(hours, float(hours), sharpe, error, volatility)


@st.composite
def pods(draw: st.DrawFn, pod: str) -> PodView:
    known = draw(st.booleans())
    found = strength(
        draw(st.floats(-30, 30)),
        draw(st.floats(1e-3, 100)) if known else math.inf,
        draw(st.floats(1e-3, 20)),
        draw(st.integers(3, 5000)) if known else 0,
    )
    return PodView(
        pod,
        draw(st.sampled_from(list(Stage))),
        found,
        draw(st.floats(0, 200_000)),
        draw(st.sampled_from([math.inf, 0.0, 5_000.0, 50_000.0])),
        draw(st.sampled_from(["", "", "", "position/a/BTC is REDUCING"])),
    )


@st.composite
def funds(draw: st.DrawFn, least: int = 0) -> AllocatorInput:
    n = draw(st.integers(least, 6))
    views = tuple(draw(pods(f"p{i}")) for i in range(n))
    rows = np.random.default_rng(draw(st.integers(0, 999))).normal(size=(8 + n, max(n, 1)))
    rows[:, 1:] += draw(st.sampled_from([0.0, 0.5, 50.0])) * rows[:, :1]  # 50: as good as identical
    corr = 0.98 * np.corrcoef(rows, rowvar=False).reshape(max(n, 1), max(n, 1))[:n, :n] + 0.02 * np.eye(n)
    np.fill_diagonal(corr, 1.0)
    equity = draw(st.sampled_from([0.0, 1.0, 1_000.0, 100_000.0, 1e9]))
    high = equity / draw(st.sampled_from([1.0, 0.95, 0.81, 0.5, 0.01]))
    return AllocatorInput(TERMS, equity, high, views, tuple(tuple(map(float, row)) for row in corr))


@settings(deadline=None, max_examples=300)
@given(funds())
def test_no_more_than_there_is_within_every_cap_and_never_nan(fund: AllocatorInput) -> None:
    found = allocate(fund)
    tiny = 1e-9 * max(1.0, fund.equity)
    assert len(found.shares) == len(fund.pods)
    assert sum(share.capital for share in found.shares) <= fund.equity * (1 - TERMS.reserve) + tiny
    for share, pod in zip(found.shares, fund.pods, strict=True):
        assert math.isfinite(share.capital) and share.capital >= 0.0
        assert share.reasons
        if pod.stage is not Stage.RETIREMENT:
            assert share.capital <= CAPS[pod.stage] * fund.equity + tiny
            assert share.capital <= pod.ceiling + tiny
        else:
            assert share.capital <= pod.before + tiny
        if pod.blocked:
            assert share.capital <= pod.before + tiny


@settings(deadline=None, max_examples=300)
@given(funds(least=1))
def test_growth_and_free_moves_stay_within_the_turnover(fund: AllocatorInput) -> None:
    found = allocate(fund)
    allowed = TERMS.max_turnover * fund.equity * (1 + 1e-9) + 1e-9
    assert found.turnover <= allowed
    grown = sum(max(0.0, s.capital - p.before) for s, p in zip(found.shares, fund.pods, strict=True))
    assert grown <= allowed
    # what no limit forced down moved within the turnover too
    start = [min(p.before, s.hard_cap) for s, p in zip(found.shares, fund.pods, strict=True)]
    over = sum(start)
    start = [x * min(1.0, found.budget / over) if over > 0 else 0.0 for x in start]
    assert sum(abs(s.capital - x) for s, x in zip(found.shares, start, strict=True)) <= allowed


@settings(deadline=None, max_examples=150)
@given(funds(least=2), st.randoms(use_true_random=False))
def test_the_order_of_pods_does_not_matter(fund: AllocatorInput, random: object) -> None:
    order = list(range(len(fund.pods)))
    random.shuffle(order)  # type: ignore[attr-defined]
    matrix = np.array(fund.correlation)[np.ix_(order, order)]
    turned = replace(
        fund,
        pods=tuple(fund.pods[i] for i in order),
        correlation=tuple(tuple(map(float, row)) for row in matrix),
    )
    first = {share.pod: share.capital for share in allocate(fund).shares}
    second = {share.pod: share.capital for share in allocate(turned).shares}
    for pod, capital in first.items():
        assert second[pod] == pytest.approx(capital, rel=1e-6, abs=1e-6 * max(1.0, fund.equity))


@settings(deadline=None, max_examples=200)
@given(funds(least=1), st.floats(1.0, 3.0))
def test_a_higher_stage_cap_never_costs_the_pod_capital(fund: AllocatorInput, factor: float) -> None:
    pod = replace(fund.pods[0], stage=Stage.GROWTH)
    fund = replace(fund, pods=(pod, *(replace(p, stage=Stage.EVALUATION) for p in fund.pods[1:])))
    raised = replace(TERMS, stage_caps={**CAPS, Stage.GROWTH: min(1.0, 0.2 * factor)})
    base = replace(TERMS, stage_caps={**CAPS, Stage.GROWTH: 0.2})
    before = allocate(replace(fund, terms=base)).shares[0].capital
    after = allocate(replace(fund, terms=raised)).shares[0].capital
    assert after >= before - 1e-9 * max(1.0, fund.equity)


def fund_of(*views: PodView, equity: float = 100_000.0, high: float = 0.0, corr: float = 0.3) -> AllocatorInput:
    matrix = np.full((len(views), len(views)), corr)
    np.fill_diagonal(matrix, 1.0)
    return AllocatorInput(TERMS, equity, high or equity, views, tuple(tuple(map(float, row)) for row in matrix))


def settled(fund: AllocatorInput, cycles: int = 40) -> dict[str, float]:
    """Capital after so many cycles of the same beliefs."""
    for _ in range(cycles):
        capital = {share.pod: share.capital for share in allocate(fund).shares}
        fund = replace(fund, pods=tuple(replace(p, before=capital[p.pod]) for p in fund.pods))
    return capital


def test_without_evidence_risk_is_equal() -> None:
    calm = PodView("calm", Stage.MATURITY, strength(volatility=0.2))
    wild = PodView("wild", Stage.MATURITY, strength(volatility=0.6))
    found = allocate(fund_of(calm, wild)).shares
    assert found[0].target == pytest.approx(60_000)  # the stage holds it: equal risk wants 67,500
    assert found[1].target == pytest.approx(22_500)
    assert "equal risk alone" in " ".join(found[0].reasons)
    assert "may have 60% of equity" in " ".join(found[0].reasons)


def test_identical_pods_share_alike() -> None:
    views = [PodView(f"p{i}", Stage.MATURITY, strength(2.0, 0.2, 0.3, 90_000)) for i in range(3)]
    capital = [share.capital for share in allocate(fund_of(*views, corr=0.999)).shares]
    assert capital == pytest.approx([capital[0]] * 3, rel=1e-6)


def test_proof_of_skill_earns_more_than_proof_of_none() -> None:
    good = PodView("good", Stage.MATURITY, strength(2.0, 0.2, 0.3, 200_000))
    bad = PodView("bad", Stage.MATURITY, strength(-2.0, 0.2, 0.3, 200_000))
    unknown = PodView("unknown", Stage.MATURITY, strength(volatility=0.3))
    found = settled(fund_of(good, bad, unknown))
    assert found["good"] > found["unknown"] > found["bad"]
    assert found["bad"] < 1.0


def test_the_drawdown_takes_capital_home_and_at_its_limit_all_of_it() -> None:
    pod = PodView("p", Stage.MATURITY, strength(), 50_000.0)
    kept = [allocate(fund_of(pod, high=100_000 / (1 - d))).shares[0].capital for d in (0.0, 0.1, 0.15, 0.2, 0.9)]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] > 50_000
    assert kept[3] == kept[4] == 0.0


def test_a_retired_pod_goes_home_by_steps() -> None:
    fund = fund_of(PodView("old", Stage.RETIREMENT, strength(), 35_000.0))
    seen = []
    for _ in range(5):
        share = allocate(fund).shares[0]
        seen.append(share.capital)
        fund = replace(fund, pods=(replace(fund.pods[0], before=share.capital),))
    assert seen == pytest.approx([25_000, 15_000, 5_000, 0, 0], abs=1e-6)
    assert "retired" in share.reasons[0]


def test_an_open_break_stops_growth_not_shrinking() -> None:
    blocked = PodView("p", Stage.MATURITY, strength(), 5_000.0, blocked="position/p/BTC is reducing")
    assert allocate(fund_of(blocked)).shares[0].capital <= 5_000.0
    assert allocate(fund_of(replace(blocked, stage=Stage.INCUBATION), equity=10_000.0)).shares[0].capital == 1_000.0


def test_small_moves_are_not_worth_their_cost() -> None:
    pod = PodView("p", Stage.INCUBATION, strength(volatility=0.1), 9_500.0)
    found = allocate(fund_of(pod)).shares[0]
    assert found.capital == 9_500.0
    assert "costs more than it gains" in " ".join(found.reasons)


def test_figures_that_are_none_are_refused() -> None:
    good = PodView("p", Stage.MATURITY, strength())
    with pytest.raises(ValueError, match="equity"):
        allocate(fund_of(good, equity=math.nan))
    with pytest.raises(ValueError, match="pod p"):
        allocate(fund_of(replace(good, strength=strength(sharpe=math.nan))))
    with pytest.raises(ValueError, match="pod p"):
        allocate(fund_of(replace(good, ceiling=math.nan)))
