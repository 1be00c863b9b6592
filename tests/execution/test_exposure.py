"""Worst-case exposure against every combination of fills."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from slipstream.execution.exposure import worst_case, worst_size
from slipstream.model.instrument import Side

ORDERS = st.lists(st.tuples(st.sampled_from(list(Side)), st.integers(0, 9).map(Decimal)), max_size=6)


@given(st.integers(-9, 9).map(Decimal), ORDERS)
def test_no_combination_of_fills_lies_outside_and_both_ends_are_reached(
    position: Decimal, orders: list[tuple[Side, Decimal]]
) -> None:
    low, high = worst_case(position, orders)
    ends = [
        position
        + sum((side.sign * size for (side, size), taken in zip(orders, mask, strict=True) if taken), Decimal(0))
        for mask in product((False, True), repeat=len(orders))
    ]
    assert (low, high) == (min(ends), max(ends))
    assert worst_size(position, orders) == max(abs(end) for end in ends)
