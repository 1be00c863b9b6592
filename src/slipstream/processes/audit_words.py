"""What the venue shows and the bus says, in the auditor's words."""

from __future__ import annotations

import msgspec

from slipstream.federation.auditor.auditor import WHO
from slipstream.federation.auditor.observe import AccountView, Addressed, Heard, OpenOrder, OrderChange, Resolve
from slipstream.model.mandate import Halt, Mandate, Resume
from slipstream.model.messages import Beat, Configure, PodReport, StageChange
from slipstream.runtime.bus.port import Received
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.reader import Look

OPERATOR = "operator"


def view_of(account: str, look: Look) -> AccountView:
    """A look at an account in the auditor's words."""
    return AccountView(
        account=account,
        equity=look.equity,
        state_ns=look.state_ns,
        positions=look.positions,
        entries=look.entries,
        orders_ns=look.orders_ns,
        orders=tuple(
            OpenOrder(
                row.cloid or "",
                row.oid,
                row.coin,
                wire.side_of(row.side),
                row.limit_px,
                row.sz,
                row.timestamp * wire.MS,
                row.reduce_only,
            )
            for row in look.orders
        ),
        fills_ns=look.fills_ns,
        fills=look.fills,
        fundings=look.fundings,
        changes_ns=look.updates_ns,
        changes_since_ns=look.updates_since_ns,
        changes=tuple(_change(update) for update in look.updates),
        requests_used=look.requests_used,
        swept_ns=look.swept_ns,
    )


def _change(update: wire.OrderUpdate) -> OrderChange:
    order = update.order
    return OrderChange(
        order.cloid or "",
        order.oid,
        order.coin,
        wire.side_of(order.side),
        order.limit_px,
        order.orig_sz,
        order.timestamp * wire.MS,
        update.status,
        update.status_timestamp * wire.MS,
        order.reduce_only,
    )


def heard_from(received: Received) -> Heard | None:
    """A message of the bus in the auditor's words; None for what it does not weigh, its own halts included.

    The topic says who spoke, because its writer alone may write there: words in another's name are not heard.

    An operator's Configure to ``auditor`` with the value ``resolve`` closes the break it names.
    """
    message = received.message
    if isinstance(message, Halt | Resume):
        return _halt_from(received.topic, message)
    if isinstance(message, Configure):
        named = message.values.get("resolve")
        return Resolve(named, message.who, message.why) if named is not None and message.pod == WHO else None
    if isinstance(message, PodReport):
        return message if received.topic.endswith(f"/pod/{message.pod}/report") else None
    if isinstance(message, Beat):
        return message if received.topic.endswith(f"/beat/{message.process}") else None
    return message if isinstance(message, Mandate | StageChange) else None


def _halt_from(topic: str, message: Halt | Resume) -> Addressed | None:
    """As pods take it: a writer speaks for itself alone; only the operator clears what others have latched."""
    writer, target = topic.rsplit("/", 2)[1:]
    if writer == WHO or (message.who.partition(":")[0] != writer and writer != OPERATOR):
        return None
    if isinstance(message, Resume) and writer != OPERATOR:
        message = msgspec.structs.replace(message, whose=writer)
    return Addressed(target, message)
