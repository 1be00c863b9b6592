"""Implementation shortfall: by hand, and its identity."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.execution.shortfall import Shortfall, shortfall

D = Decimal
prices = st.decimals(1, 1000, places=3)
parts = st.lists(st.tuples(st.decimals("0.01", 5, places=2), prices, st.decimals(-1, 1, places=4)), max_size=6)


def test_by_hand() -> None:
    got = shortfall(D(10), D(100), D(101), D(104), [(D(4), D("101.5"), D("0.2")), (D(2), D(102), D("0.1"))])
    assert (got.delay, got.execution, got.opportunity, got.fees) == (D(6), D(4), D(16), D("0.3"))
    assert got.total == D("26.3") and got.bps == pytest.approx(263.0)
    assert Shortfall().bps == 0.0


@given(st.sampled_from([1, -1]), prices, prices, prices, parts, st.decimals(0, 9, places=2))
def test_the_parts_are_paper_profit_less_real_profit(
    sign: int, decision: D, arrival: D, end: D, fills: list[tuple[D, D, D]], more: D
) -> None:
    size = sum((sz for sz, _, _ in fills), D(0)) + more
    got = shortfall(sign * size, decision, arrival, end, fills)
    if not size:
        sign = 1
    paper = sign * size * (end - decision)
    real = sum((sign * sz * (end - px) - fee for sz, px, fee in fills), D(0))
    assert got.total == paper - real
    assert got.plus(got).total == 2 * got.total
