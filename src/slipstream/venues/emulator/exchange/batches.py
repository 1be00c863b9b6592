"""Order batches and their TP/SL groupings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from slipstream.venues.emulator.exchange import checks
from slipstream.venues.emulator.exchange.floor import Floor
from slipstream.venues.emulator.exchange.orders import build, place, place_waiting
from slipstream.venues.emulator.exchange.refusal import OrderRefused, RequestRefused
from slipstream.venues.emulator.exchange.registry import withdraw
from slipstream.venues.emulator.exchange.wire import Order, OrderWire
from slipstream.venues.emulator.state import Account, Status, VenueOrder


def place_batch(floor: Floor, account: Account, action: Order) -> list[Any]:
    """Every order of a batch in turn; one status each. Raises RequestRefused if the batch makes no sense."""
    if not action.orders:
        raise RequestRefused("Orders are empty.")
    if action.grouping == "normalTpsl":
        return _with_children(floor, account, action)
    if action.grouping == "positionTpsl":
        return _position_pair(floor, account, action)
    if floor.settings.tick_error_fails_batch:
        error = _first_shape_error(floor, account, action)
        if error is not None:
            return [{"error": error} for _ in action.orders]
    return [_single(floor, account, wire, action) for wire in action.orders]


def _single(floor: Floor, account: Account, wire: OrderWire, action: Order) -> Any:
    try:
        order = build(floor, account, wire, action.builder, is_position=False)
    except OrderRefused as refusal:
        return {"error": f"{refusal.text} asset={wire.a}"}
    if order.trigger is None:
        return place(floor, account, order)
    return place_waiting(floor, account, order, floor.contexts[order.coin].mark, armed=True)


def _first_shape_error(floor: Floor, account: Account, action: Order) -> str | None:
    for wire in action.orders:
        try:
            order = build(floor, account, wire, action.builder, is_position=False)
            checks.check_shape(floor, floor.instruments[order.coin], order)
        except OrderRefused as refusal:
            return f"{refusal.text} asset={wire.a}"
    return None


def _with_children(floor: Floor, account: Account, action: Order) -> list[Any]:
    """[parent, children...]: the children wait until the parent has filled and die with it if it never does."""
    parent_wire, *child_wires = action.orders
    same = all(c.t.trigger and c.r and c.a == parent_wire.a and c.b != parent_wire.b for c in child_wires)
    if parent_wire.t.trigger is not None or not 1 <= len(child_wires) <= 2 or not same:
        raise RequestRefused("Unexpected number of trigger orders")
    try:
        parent = build(floor, account, parent_wire, action.builder, is_position=False)
        children = [build(floor, account, wire, action.builder, is_position=False) for wire in child_wires]
        for child in children:
            checks.check_shape(floor, floor.instruments[child.coin], child)
            checks.check_trigger(child, parent.limit_px)
    except OrderRefused as refusal:
        return [{"error": f"{refusal.text} asset={parent_wire.a}"} for _ in action.orders]
    link(parent, children)
    # Children are enlisted first, so that a parent that fills at once finds them to wake.
    answers = [place_waiting(floor, account, child, parent.limit_px, armed=False) for child in children]
    answer = place(floor, account, parent)
    told = [_child_answer(floor, account, parent, c, a, answer) for c, a in zip(children, answers, strict=True)]
    return [answer, *told]


def _child_answer(
    floor: Floor, account: Account, parent: VenueOrder, child: VenueOrder, answer: Any, parents: Any
) -> Any:
    if "error" in answer:
        return answer
    if child.oid in floor.triggers.get(child.coin, {}):
        return "waitingForTrigger"
    if parent.oid in account.open_orders:
        return "waitingForFill"
    if child.oid in account.open_orders:
        withdraw(floor, child, Status.CANCELED)
    return parents


def link(parent: VenueOrder | None, orders: list[VenueOrder]) -> None:
    """Make orders the legs of one TP/SL pair, children of a parent if there is one."""
    for order in orders:
        order.siblings = [o.oid for o in orders if o is not order]
        order.parent = parent.oid if parent else None
    if parent is not None:
        parent.children = [o.oid for o in orders]


def _position_pair(floor: Floor, account: Account, action: Order) -> list[Any]:
    """TP and SL of the whole position: size 0 follows it."""
    if not 1 <= len(action.orders) <= 2 or any(wire.t.trigger is None or not wire.r for wire in action.orders):
        raise RequestRefused("Unexpected number of trigger orders")
    orders: list[VenueOrder] = []
    try:
        for wire in action.orders:
            order = build(floor, account, wire, action.builder, is_position=True)
            order.sz = order.orig_sz = Decimal(0)
            orders.append(order)
    except OrderRefused as refusal:
        return [{"error": f"{refusal.text} asset={wire.a}"} for wire in action.orders]
    link(None, orders)
    answers: list[Any] = []
    for order in orders:
        answer = place_waiting(floor, account, order, floor.contexts[order.coin].mark, armed=True)
        answers.append(answer if "error" in answer else "waitingForTrigger")
    return answers
