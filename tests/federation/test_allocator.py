"""The allocator as a fold: what goes out, what is remembered, that a replay is the same to the byte."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from slipstream.federation.allocation import AllocationTerms
from slipstream.federation.allocator import (
    AllocatorState,
    AllocatorTerms,
    Input,
    Observation,
    Output,
    Outranked,
    Rebase,
    capacities,
    stage_of,
    step,
)
from slipstream.federation.capacity import walk
from slipstream.federation.evidence import HOUR
from slipstream.federation.life import Override
from slipstream.federation.mandate import LeaseTerms, PodTerms
from slipstream.federation.shortfall import OrderCost
from slipstream.federation.stress import StressTerms
from slipstream.model.mandate import Mandate, Stage
from slipstream.model.messages import Alert, Decision, Forecast, StageChange

S = 1_000_000_000
START = 480_000 * HOUR
CAPS = {Stage.INCUBATION: 0.3, Stage.MATURITY: 0.6, Stage.RETIREMENT: 0.0}
TERMS = AllocatorTerms(
    pods=(PodTerms("maker", ("BTC", "ETH"), 40_000, 20_000), PodTerms("trend", (), 60_000, 8_000)),
    allocation=AllocationTerms(stage_caps=CAPS),
    stress=StressTerms(max_loss=0.9, max_beta=3.0, max_correlation=1.0),
    lease=LeaseTerms(valid_ns=30 * S, renew_ns=8 * S, grace_ns=60 * S, actions=320),
    every_ns=15 * S,
)
MARKS = {"BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0}


def look(seconds: float, **changes: object) -> Observation:
    base = Observation(ns=START + int(seconds * S), equity=100_000.0, nets={"maker": 0.0, "trend": 0.0}, marks=MARKS)
    return replace(base, **changes)


def run(inputs: Sequence[Input], state: AllocatorState | None = None) -> tuple[AllocatorState, list[Output]]:
    state = state or AllocatorState()
    said: list[Output] = []
    for given_ in inputs:
        state, outputs = step(TERMS, state, given_)
        said += outputs
    return state, said


def of(said: Sequence[Output], kind: type) -> list:
    return [one for one in said if isinstance(one, kind)]


def test_orders_that_cost_too_much_demote_their_pod_once_there_are_enough_of_them() -> None:
    grown = replace(TERMS, pods=(replace(TERMS.pods[0], stage=Stage.GROWTH), TERMS.pods[1]))
    dear = (OrderCost(6.0, 1_000.0),) * 19  # 60 bp, the limit is 50
    state, said = step(grown, AllocatorState(), look(0, costs={"maker": dear}))
    assert not of(said, StageChange)
    state, said = step(grown, state, look(10, costs={"maker": dear[:1]}))
    (change,) = of(said, StageChange)
    assert (change.pod, change.before, change.after) == ("maker", Stage.GROWTH, Stage.EVALUATION)
    assert "shortfall 60.0 bp is beyond the limit of 50 bp" in change.why
    assert len(state.costs["maker"]) == 20


def test_the_funds_beta_is_of_what_every_pod_holds_over_equity() -> None:
    held = {"maker": {"BTC": 30_000.0}, "trend": {"BTC": -10_000.0, "SOL": 5_000.0}}
    _, said = run([look(0, positions=held)])
    (beta,) = [one for one in of(said, Decision) if one.kind == "beta"]
    # a coin that nobody knows yet has a beta of one, as BTC has
    assert beta.pod == "" and beta.after == pytest.approx(0.25)
    assert beta.reasons[0] == "to BTC +0.250"
    _, said = run([look(0, equity=0.0, positions=held)])
    assert [one.after for one in of(said, Decision) if one.kind == "beta"] == [None]


def test_the_first_look_lends_within_the_turnover_and_says_why() -> None:
    state, said = run([look(0)])
    assert sum(state.capital.values()) == pytest.approx(10_000)  # a tenth of equity a cycle
    mandates = of(said, Mandate)
    assert [one.pod for one in mandates] == ["maker", "trend"]
    assert mandates[0].coin_caps.keys() == {"BTC", "ETH"}
    assert mandates[1].coin_caps.keys() == {"BTC", "ETH", "SOL"}
    assert all(one.expires_ns == START + 30 * S for one in mandates)
    decisions = [one for one in of(said, Decision) if one.kind != "beta"]
    assert {one.pod for one in decisions} == {"maker", "trend"}
    decisions = [one for one in decisions if one.kind == "allocation"]
    assert all(one.reasons and one.after is not None for one in decisions)
    assert len(of(said, Forecast)) == 1


def test_a_fund_may_gain_and_lose_pods_between_two_sharings() -> None:
    alone = replace(TERMS, pods=TERMS.pods[:1])
    state, _ = step(alone, AllocatorState(), look(0))
    state, said = step(TERMS, state, look(1))
    assert [one.pod for one in of(said, Mandate)] == ["trend"], "a newcomer does not wait, nor stop the others"
    assert 0 < sum(state.capital.values()) <= 20_000 + 1
    state, said = step(alone, state, look(2))
    assert not of(said, Alert)


def test_an_allocator_that_lost_its_journal_goes_on_above_what_the_pods_obey() -> None:
    # pods take no mandate whose number is not above the one they know, and neither do auditor and breaker
    state, _ = run([look(0), Outranked(START + S, 500, 40)])
    _, said = run([look(9)], state)
    assert {one.pod: one.version for one in of(said, Mandate)} == {"maker": 501, "trend": 502}
    _, said = run([Override("maker", Stage.MATURITY, "ann", "as it was", START + 10 * S)], state)
    assert [one.version for one in of(said, StageChange)] == [41]
    again, _ = run([Outranked(START + 2 * S, 3, 3)], state)
    assert again.versions == 500, "it never goes back"


def test_leases_are_renewed_between_two_sharings_and_versions_only_grow() -> None:
    state, said = run([look(t) for t in range(0, 60, 2)])
    leases = [one for one in of(said, Mandate) if one.pod == "maker"]
    gaps = [(b.issued_ns - a.issued_ns) / S for a, b in itertools.pairwise(leases)]
    assert max(gaps) <= 8
    versions = [one.version for one in of(said, Mandate)]
    assert versions == sorted(set(versions))
    assert state.leases["maker"].gross_cap > leases[0].gross_cap


@pytest.mark.parametrize("bad", [{"equity": math.nan}, {"equity": -1.0}, {"marks": {}}])
def test_nothing_is_renewed_on_what_cannot_be_seen(bad: dict[str, object]) -> None:
    state, _ = run([look(0)])
    after, said = run([look(20, **bad)], state)
    assert after == state
    assert [type(one) for one in said] == [Alert]


def test_a_break_or_unseen_books_stop_growth() -> None:
    state, _ = run([look(0)])
    capital = dict(state.capital)
    state, said = run([look(15, blocked={"maker": "position/maker/BTC is halted"}, nets={"maker": 0.0})], state)
    assert state.capital["maker"] <= capital["maker"]
    assert state.capital["trend"] <= capital["trend"]
    why = {one.pod: " ".join(one.reasons) for one in of(said, Decision) if one.kind == "allocation"}
    assert "position/maker/BTC is halted" in why["maker"]
    assert "cannot be seen" in why["trend"]


def test_retirement_by_hand_takes_capital_home_and_is_told() -> None:
    state, _ = run([look(t) for t in range(0, 150, 15)])
    order = Override("trend", Stage.RETIREMENT, "ann", "no more edge", START + 150 * S)
    state, said = run([order], state)
    change = of(said, StageChange)[0]
    assert (change.pod, change.before, change.after, change.who) == (
        "trend",
        Stage.INCUBATION,
        Stage.RETIREMENT,
        "ann",
    )
    assert "no more edge" in change.why
    assert stage_of(TERMS, state, "trend") is Stage.RETIREMENT
    assert of(run([order], state)[1], StageChange) == []  # once
    before = state.capital["trend"]
    state, _ = run([look(151)], state)
    assert 0.0 < state.capital["trend"] < before
    state, said = run([look(151 + 15 * k) for k in range(1, 12)], state)
    assert state.capital["trend"] == 0.0
    assert state.leases["trend"].gross_cap == 0
    assert state.leases["trend"].stage is Stage.RETIREMENT
    assert max(state.leases["trend"].coin_caps.values()) == 0


def test_depth_becomes_a_cap_that_both_pods_share() -> None:
    thin = walk(
        "BTC",
        tuple((60_000 - 30 * k, 0.02) for k in range(1, 20)),
        tuple((60_000 + 30 * k, 0.02) for k in range(1, 20)),
    )
    state, _ = run([look(15 * t, samples=thin) for t in range(40)])
    cap = capacities(TERMS, state)["BTC"]
    assert 0.0 < cap < 20_000
    total = sum(float(lease.coin_caps["BTC"]) for lease in state.leases.values())
    assert 0.0 < total <= cap + 0.01


def test_a_drawdown_shrinks_and_a_rebase_lets_it_begin_anew() -> None:
    state, _ = run([look(15 * t) for t in range(10)])
    low, said = run([look(160, equity=78_000.0)], state)
    assert sum(low.capital.values()) == 0.0
    assert all(one.gross_cap == 0 for one in of(said, Mandate))
    again, said = run(
        [Rebase(START + 161 * S, 78_000.0, "ann", "the loss is accepted"), look(180, equity=78_000.0)], low
    )
    assert sum(again.capital.values()) > 0.0
    assert of(said, Decision)[0].reasons == ("the loss is accepted", "by ann")
    assert isinstance(run([Rebase(0, math.nan, "ann", "")], again)[1][0], Alert)


def test_stress_shrinks_limits_and_names_what_binds() -> None:
    terms = replace(TERMS, stress=StressTerms(max_loss=0.01))
    state, said = step(terms, AllocatorState(), look(0))
    stressed = [one for one in of(said, Decision) if one.kind == "stress"]
    assert len(stressed) == 1 and "loss" in stressed[0].text
    whole, _ = run([look(0)])
    assert state.grants["maker"].gross_cap < whole.grants["maker"].gross_cap
    assert state.capital == whole.capital


def test_a_better_record_ends_with_more_capital() -> None:
    rng = np.random.default_rng(5)
    state = AllocatorState()
    nets = {"maker": 0.0, "trend": 0.0}
    terms = replace(TERMS, allocation=replace(TERMS.allocation, prior_sharpe_sd=5.0))
    for hour in range(1500):
        for pod, sharpe in (("maker", 12.0), ("trend", -12.0)):
            lent = state.capital.get(pod, 0.0)
            nets[pod] += lent * (0.3 * sharpe / 8760 + 0.3 / math.sqrt(8760) * float(rng.standard_normal()))
        state, _ = step(terms, state, look(3600.0 * hour, nets=dict(nets), equity=100_000.0 + sum(nets.values())))
    assert state.capital["maker"] > 10 * state.capital["trend"]
    assert len(state.records["maker"].returns) > 1400


@st.composite
def lives(draw: st.DrawFn) -> list[Input]:
    inputs: list[Input] = []
    seconds = 0.0
    for _ in range(draw(st.integers(1, 25))):
        seconds += draw(st.sampled_from([0.0, 1.0, 8.0, 15.0, 3600.0, 9e5]))
        kind = draw(st.integers(0, 9))
        if kind == 0:
            after = draw(st.sampled_from([Stage.INCUBATION, Stage.MATURITY, Stage.RETIREMENT]))
            inputs.append(Override("trend", after, "x", "y", START + int(seconds * S)))
        elif kind == 1:
            inputs.append(Rebase(START + int(seconds * S), draw(st.floats(0, 1e6)), "x", "y"))
        else:
            wild = st.one_of(st.floats(-1e6, 1e6), st.just(math.nan))
            nets = draw(st.dictionaries(st.sampled_from(["maker", "trend"]), wild))
            held = draw(st.dictionaries(st.sampled_from(["BTC", "SOL"]), st.floats(-1e5, 1e5)))
            equity = draw(st.sampled_from([0.0, 50.0, 70_000.0, 100_000.0, 130_000.0, math.inf]))
            marks = {coin: px * draw(st.sampled_from([0.3, 1.0, 2.0])) for coin, px in MARKS.items()}
            inputs.append(look(seconds, nets=nets, equity=equity, marks=marks, positions={"maker": held}))
    return inputs


@settings(deadline=None, max_examples=80)
@given(lives())
def test_any_life_keeps_every_limit_and_replays_to_the_byte(inputs: list[Input]) -> None:
    state = AllocatorState()
    rows = []
    for one in inputs:
        state, outputs = step(TERMS, state, one)
        rows.append(msgspec.msgpack.encode(outputs))
        if (
            isinstance(one, Observation)
            and 0.0 < one.equity < math.inf
            and any(isinstance(o, Mandate) for o in outputs)
        ) and any(isinstance(o, Decision) and o.kind == "allocation" for o in outputs):
            assert sum(state.capital.values()) <= 0.9 * one.equity * (1 + 1e-9)
        for out in outputs:
            if isinstance(out, Mandate):
                assert Decimal(0) <= out.gross_cap <= Decimal(60_000)
                assert all(Decimal(0) <= cap <= Decimal(20_000) for cap in out.coin_caps.values())
                assert out.coin_caps and out.action_budget >= 1
            if isinstance(out, Forecast):
                assert all(0.0 < vol < math.inf for vol in out.daily_vol.values())
    state = AllocatorState()
    for one, row in zip(inputs, rows, strict=True):
        given_ = msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=Input)
        state, outputs = step(TERMS, state, given_)
        assert msgspec.msgpack.encode(outputs) == row
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=AllocatorState)
