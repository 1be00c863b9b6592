"""Our orders against the venue's list of open ones."""

from __future__ import annotations

from collections.abc import Iterable

from slipstream.execution.orders import OrderTable
from slipstream.model.events import Ack
from slipstream.model.order import Order, OrderState


def reconcile(table: OrderTable, listed: Iterable[Order], ns: int, prefix: str) -> tuple[list[Order], list[str]]:
    """Compare with the venue's open orders as of ``ns``.

    Settles pending and unknown ones that are listed, doubts live ones that are not, notes foreign ones. Returns orders
    of our prefix that we do not know or thought ended (to cancel), and lines about what was found.
    """
    orphans: list[Order] = []
    foreign: list[Order] = []
    lines: list[str] = []
    seen = set()
    for order in listed:
        known = table.get(order.cloid) if order.cloid else None
        known = known or (table.of_oid(order.oid) if order.oid is not None else None)
        if known is None:
            foreign.append(order)
            if order.cloid.startswith(prefix):
                orphans.append(order)
                lines.append(f"order of ours that the journal does not know: {order.cloid}")
            continue
        cloid, state = known.order.cloid, known.order.state
        seen.add(cloid)
        if not state.is_live:
            if known.closed_ns < ns:
                orphans.append(order)
                foreign.append(order)
                lines.append(f"order that we hold for {state.value} still rests: {cloid}")
        elif state in (OrderState.PENDING, OrderState.UNKNOWN) and order.oid is not None:
            table.ack(Ack(cloid, order.oid, ns))
    for working in table.live():
        if working.order.cloid not in seen and working.order.created_ns < ns:
            table.doubt(working.order.cloid)
    table.foreign = tuple(foreign)
    return orphans, lines
