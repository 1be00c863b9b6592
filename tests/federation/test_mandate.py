"""Leases: within grants, shrinking at once, growing by steps, renewed in time."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from slipstream.federation.mandate import Grant, LeaseTerms, PodTerms, ceiling, grants, is_due, issue, scaled
from slipstream.model.mandate import Stage, TradingState

S = 1_000_000_000
TERMS = LeaseTerms(valid_ns=30 * S, renew_ns=8 * S, grace_ns=60 * S, actions=100)
GRANT = Grant("a", Stage.GROWTH, 1000.0, 2000.0, {"BTC": 1500.0, "ETH": 500.0}, 50)


def test_a_lease_grows_by_steps_and_shrinks_at_once() -> None:
    lease = issue(None, GRANT, 1, 0, TERMS)
    seen = [lease.gross_cap]
    for version in range(2, 6):
        lease = issue(lease, GRANT, version, version * S, TERMS)
        seen.append(lease.gross_cap)
    assert seen == [500, 1000, 1500, 2000, 2000]
    assert lease.coin_caps == {"BTC": Decimal("1500.00"), "ETH": Decimal("500.00")}
    less = issue(lease, scaled(GRANT, 0.1), 6, 6 * S, TERMS)
    assert less.gross_cap == 200 and less.coin_caps["BTC"] == 150


def test_a_lease_ends_by_itself() -> None:
    lease = issue(None, GRANT, 1, 100 * S, TERMS)
    assert lease.state_at(129 * S) is TradingState.ACTIVE
    assert lease.state_at(130 * S) is TradingState.REDUCING
    assert lease.state_at(190 * S) is TradingState.HALTED


def test_when_a_lease_is_due() -> None:
    lease = issue(None, GRANT, 1, 0, replace(TERMS, grow_step=1.0))
    assert is_due(None, GRANT, 0, TERMS)
    assert not is_due(lease, GRANT, 7 * S, TERMS)
    assert is_due(lease, GRANT, 8 * S, TERMS)
    assert is_due(lease, replace(GRANT, capital=999.0), 1, TERMS)
    assert is_due(lease, scaled(GRANT, 0.99), 1, TERMS)
    assert is_due(lease, replace(GRANT, coin_caps={"BTC": 1500.0}), 1, TERMS)
    assert is_due(lease, replace(GRANT, stage=Stage.RETIREMENT), 1, TERMS)
    assert not is_due(lease, replace(GRANT, gross_cap=9e9), 1, TERMS)  # growth waits for its turn


def test_capacity_is_shared_between_pods_and_bounds_gross() -> None:
    pods = (PodTerms("a", ("BTC",), 5000.0, 5000.0), PodTerms("b", (), 9000.0, 3000.0))
    found = grants(
        pods,
        {"a": 2000.0, "b": 1000.0},
        {"a": Stage.GROWTH, "b": Stage.GROWTH},
        ("BTC", "ETH"),
        {"BTC": 3000.0},
        leverage=2.0,
        actions=100,
    )
    assert found[0].coin_caps == {"BTC": pytest.approx(2000.0)}
    assert found[0].gross_cap == pytest.approx(2000.0)
    assert found[1].coin_caps == {"BTC": pytest.approx(1000.0), "ETH": pytest.approx(2000.0)}
    assert found[1].gross_cap == 2000.0
    assert [one.actions for one in found] == [58, 41]
    assert ceiling(pods[0], ("BTC", "ETH"), {"BTC": 3000.0}) == 3000.0
    assert ceiling(pods[1], ("BTC", "ETH"), {}) == 6000.0


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(1, 1e6), st.floats(1, 1e6)), min_size=1, max_size=6),
    st.floats(0, 1e6),
    st.floats(0, 1),
)
def test_no_cap_is_ever_exceeded(pods: list[tuple[float, float, float]], capacity: float, scale: float) -> None:
    terms = tuple(PodTerms(f"p{i}", ("BTC", "ETH"), gross, coin) for i, (_, gross, coin) in enumerate(pods))
    capital = {f"p{i}": lent for i, (lent, _, _) in enumerate(pods)}
    stages = dict.fromkeys(capital, Stage.GROWTH)
    found = grants(terms, capital, stages, (), {"BTC": capacity}, leverage=2.0, actions=1000)
    assert sum(one.coin_caps["BTC"] for one in found) <= capacity * (1 + 1e-9)
    assert sum(one.actions for one in found) <= 1000 + len(found)
    for one, pod in zip(found, terms, strict=True):
        assert one.gross_cap <= min(pod.gross_cap, 2.0 * capital[pod.pod]) * (1 + 1e-12)
        assert max(one.coin_caps.values()) <= pod.coin_cap
        lease = issue(None, one, 1, 0, TERMS)
        for version in range(2, 9):
            lease = issue(lease, one, version, version, TERMS)
            assert float(lease.gross_cap) <= one.gross_cap
        less = issue(lease, scaled(one, scale), 9, 9, TERMS)
        assert float(less.gross_cap) <= one.gross_cap * scale + 1e-9
        assert all(float(less.coin_caps[c]) <= cap * scale + 1e-9 for c, cap in one.coin_caps.items())
