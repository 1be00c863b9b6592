"""The parts of a shortfall: by hand, and the same in both accounts that are made of them."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from slipstream.core.costs.shortfall import Parts, parts
from slipstream.execution import shortfall as of_targets
from slipstream.federation import shortfall as of_parents
from slipstream.model.instrument import Side

D = Decimal
prices = st.decimals(1, 1000, places=3)
fills = st.lists(st.tuples(st.decimals("0.01", 5, places=2), prices, st.none() | prices), max_size=6)


def test_by_hand() -> None:
    got = parts(1, D(10), D(6), D(4) * D("101.5") + D(2) * D(102), decision=D(100), arrival=D(101), end=D(104))
    assert got == Parts(delay=D(6), execution=D(4), opportunity=D(16))
    assert parts(-1, D(2), D(2), D(200), decision=D(100), arrival=D(99), end=D(90)) == Parts(D(2), D(-2), D(0))


@given(st.sampled_from(list(Side)), prices, prices, prices, fills, st.decimals("0.01", 9, places=2))
def test_a_strategys_account_and_the_funds_agree(
    side: Side, decision: D, arrival: D, end: D, filled: list[tuple[D, D, D | None]], more: D
) -> None:
    size = sum((sz for sz, _, _ in filled), D(0)) + more
    children = tuple(of_parents.Child(sz, px, D("0.1"), mid) for sz, px, mid in filled)
    parent = of_parents.Parent(
        coin="A", side=side, size=size, decision_px=decision, arrival_px=arrival, end_px=end, fills=children
    )
    fund = of_parents.shortfall(parent)
    own = of_targets.shortfall(side.sign * size, decision, arrival, end, [(sz, px, D("0.1")) for sz, px, _ in filled])
    assert (own.delay, own.execution, own.opportunity) == (fund.delay, fund.spread + fund.impact, fund.opportunity)
    assert own.total == fund.total == of_parents.paper_less_real(parent) and own.wanted == fund.notional
