"""The order state machine: legal edges only, and finality that only a late fill may touch."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.model.errors import IllegalTransition
from slipstream.model.instrument import Side
from slipstream.model.order import Order, OrderState, Tif


def order(state: OrderState = OrderState.PENDING) -> Order:
    return Order("0x" + "0" * 32, "BTC", Side.BUY, Decimal(100), Decimal(2), Tif.ALO, state=state)


def test_life_of_a_filled_order() -> None:
    o = order().moved(OrderState.OPEN, oid=7)
    o = o.moved(OrderState.PARTIAL, filled=Decimal(1))
    assert o.remaining == 1
    o = o.moved(OrderState.FILLED, filled=Decimal(2))
    assert (o.oid, o.remaining, o.state.is_final) == (7, 0, True)


def test_unknown_can_become_anything_but_pending() -> None:
    for state in set(OrderState) - {OrderState.PENDING, OrderState.UNKNOWN}:
        assert order(OrderState.UNKNOWN).moved(state).state is state
    with pytest.raises(IllegalTransition, match="unknown -> pending"):
        order(OrderState.UNKNOWN).moved(OrderState.PENDING)


def test_a_late_fill_may_complete_a_cancelled_order_and_nothing_else_may() -> None:
    assert order(OrderState.CANCELED).moved(OrderState.FILLED).state is OrderState.FILLED
    for state in (OrderState.OPEN, OrderState.PARTIAL, OrderState.REJECTED, OrderState.UNKNOWN):
        with pytest.raises(IllegalTransition):
            order(OrderState.CANCELED).moved(state)


@given(st.lists(st.sampled_from(list(OrderState)), max_size=12))
def test_no_path_leads_from_a_final_state_back_to_life(path: list[OrderState]) -> None:
    o = order()
    ended = False
    for state in path:
        try:
            o = o.moved(state)
        except IllegalTransition:
            continue
        ended = ended or o.state.is_final
        assert not (ended and o.state.is_live)
