"""Every order of the pod, keyed by cloid and oid: the state machine of `slipstream.model.order` applied to events.

- An order counts from the moment its Place is registered (before it is sent) until its end is known.
- No answer within the pending timeout, or an answer Unknown, makes it UNKNOWN: it is read by cloid until settled and
  its exposure counts all the while. It is never sent again.
- A fill is accepted in every state. One that comes after the end adds to ``filled`` and never reopens the order.
- An order that ended with more filled than we have seen, or with a total nobody told, still *owes* fills: they count
  as exposure until they arrive or a complete account state shows that none is missing.
- The end of an oid that was superseded is ignored.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from slipstream.execution.exposure import Open
from slipstream.execution.settings import KernelConfig
from slipstream.model.cloid import Cloid, parse_cloid
from slipstream.model.commands import Cancel, Command, Modify, Place, Query
from slipstream.model.events import Ack, Closed, Fill, Reject, Unknown
from slipstream.model.order import Order, OrderState, Tif

ZERO = Decimal(0)
KEPT = 10_000  # ended orders remembered, so that late events find their owner


class Working(msgspec.Struct, frozen=True):
    """An order and what we are doing about it.

    ``cancel_ns`` is when its cancel was sent (0: none under way); ``replaces`` the cloid it takes the place of;
    ``claimed`` the total the venue says was filled; ``doubt`` asks for a read; ``next_query_ns`` when.
    """

    order: Order
    key: Cloid
    cancel_ns: int = 0
    replaces: str = ""
    claimed: Decimal | None = None
    closed_ns: int = 0
    doubt: bool = False
    queries: int = 0
    next_query_ns: int = 0

    @property
    def is_quote(self) -> bool:
        """Whether a quote put it there (slice 0); the children of a Target have slices from 1 on."""
        return self.key.slice == 0

    @property
    def owed(self) -> Decimal:
        """What may still fill although the order ended."""
        if self.order.state.is_live:
            return ZERO
        if self.order.state is OrderState.REJECTED:
            return ZERO
        total = self.order.sz if self.claimed is None else self.claimed
        return max(ZERO, total - self.order.filled)


def _pending(place: Place, now_ns: int, replaces: str = "") -> Working:
    order = Order(
        place.cloid, place.coin, place.side, place.px, place.sz, place.tif, place.reduce_only, created_ns=now_ns
    )
    return Working(order, parse_cloid(place.cloid), replaces=replaces)


def _with(working: Working, order: Order, **changes: object) -> Working:
    return msgspec.structs.replace(working, order=order, **changes)


class OrderTable:
    """Live orders by coin, ended ones while they may matter, foreign ones as the venue lists them."""

    def __init__(self, config: KernelConfig) -> None:
        self._config = config
        self._live: dict[str, dict[str, Working]] = {}
        self._ended: OrderedDict[str, Working] = OrderedDict()
        self._owing: dict[str, Working] = {}
        self._by_oid: OrderedDict[int, str] = OrderedDict()
        self.foreign: tuple[Order, ...] = ()

    def get(self, cloid: str) -> Working | None:
        """The order of a cloid, live or ended, or None."""
        ended = self._ended.get(cloid)
        if ended is not None:
            return ended
        return next((orders[cloid] for orders in self._live.values() if cloid in orders), None)

    def of_oid(self, oid: int) -> Working | None:
        """The order of an oid, or None."""
        cloid = self._by_oid.get(oid)
        return None if cloid is None else self.get(cloid)

    def live(self, coin: str | None = None) -> list[Working]:
        """Live orders of a coin, or of all, oldest first."""
        if coin is not None:
            return list(self._live.get(coin, {}).values())
        return [working for orders in self._live.values() for working in orders.values()]

    def coins(self) -> set[str]:
        """Coins in which orders live, owe fills, or are foreign."""
        coins = {coin for coin, orders in self._live.items() if orders}
        coins |= {working.order.coin for working in self._owing.values()}
        return coins | {order.coin for order in self.foreign}

    def open_sizes(self, coin: str) -> Iterator[Open]:
        """Everything that may still fill in a coin."""
        for working in self._live.get(coin, {}).values():
            yield working.order.side, working.order.remaining
        for working in self._owing.values():
            if working.order.coin == coin:
                yield working.order.side, working.owed
        for order in self.foreign:
            if order.coin == coin:
                yield order.side, order.remaining

    def owes(self, coin: str) -> bool:
        """Whether an order of a coin ended with fills that have not come: our position there is not the venue's."""
        return any(working.order.coin == coin for working in self._owing.values())

    def register(self, command: Command, now_ns: int) -> None:
        """Note a command that is about to be sent; also how a journal's commands are folded at start-up."""
        if isinstance(command, Place):
            self._put(_pending(command, now_ns))
        elif isinstance(command, Modify):
            self._put(_pending(command.new, now_ns, command.cloid))
            self._mark_cancel(command.cloid, now_ns)
        elif isinstance(command, Cancel):
            self._mark_cancel(command.cloid, now_ns)
        elif isinstance(command, Query):
            self._mark_query(command.cloid, now_ns)

    def begin(self, now_ns: int) -> None:
        """A process starts: every order that lives by the journal is in doubt until the venue tells of it."""
        for working in self.live():
            order = working.order
            if order.state is OrderState.PENDING:
                order = order.moved(OrderState.UNKNOWN, reason="the process that sent it ended")
            order = msgspec.structs.replace(order, created_ns=now_ns)
            self._put(Working(order, working.key, doubt=True))
        self._owing.clear()  # nothing is placed before a complete account state, which settles what was owed
        self.foreign = ()

    def _mark_cancel(self, cloid: str, now_ns: int) -> None:
        working = self.get(cloid)
        if working is not None and working.order.state.is_live:
            self._put(msgspec.structs.replace(working, cancel_ns=max(now_ns, 1)))

    def _mark_query(self, cloid: str, now_ns: int) -> None:
        working = self.get(cloid)
        if working is None or not working.order.state.is_live:
            return
        pause = min(self._config.query_backoff_ns << min(working.queries, 16), self._config.query_backoff_max_ns)
        order = working.order
        if order.state is OrderState.PENDING:
            order = order.moved(OrderState.UNKNOWN, reason="no answer")
        changes = {"doubt": True, "queries": working.queries + 1, "next_query_ns": now_ns + pause}
        self._put(_with(working, order, **changes))

    def _put(self, working: Working) -> None:
        order = working.order
        if order.oid is not None:
            self._by_oid[order.oid] = order.cloid
            if len(self._by_oid) > 2 * KEPT:
                self._by_oid.popitem(last=False)
        if order.state.is_live:
            self._live.setdefault(order.coin, {})[order.cloid] = working
            return
        self._live.get(order.coin, {}).pop(order.cloid, None)
        self._ended[order.cloid] = working
        if working.owed > ZERO:
            self._owing[order.cloid] = working
        else:
            self._owing.pop(order.cloid, None)
        if len(self._ended) > KEPT:
            self._ended.popitem(last=False)

    def ack(self, event: Ack) -> str | None:
        """The order rests. Returns what is odd about it, or None."""
        working = self.get(event.cloid)
        if working is None:
            return f"acknowledged, but not ours or long gone: {event.cloid}"
        order = working.order
        if not order.state.is_live:
            if order.state is OrderState.REJECTED:
                return f"acknowledged after it was rejected: {event.cloid}"
            return None
        if order.oid is not None and event.oid < order.oid:
            return None
        settled = working.doubt or order.state is OrderState.UNKNOWN
        if order.state in (OrderState.PENDING, OrderState.UNKNOWN):
            order = order.moved(OrderState.PARTIAL if order.filled else OrderState.OPEN)
        order = msgspec.structs.replace(order, oid=event.oid)
        if settled:
            self._put(_with(working, order, doubt=False, queries=0, cancel_ns=0))
        else:
            self._put(_with(working, order))
        return None

    def reject(self, event: Reject) -> str | None:
        """The order never rested. Returns what is odd about it, or None."""
        working = self.get(event.cloid)
        if working is None:
            return None
        order = working.order
        if working.replaces:
            self.doubt(working.replaces)
        if not order.state.is_live:
            return None
        if order.oid is None and not order.filled:
            self._put(_with(working, order.moved(OrderState.REJECTED, reason=event.reason)))
            return None
        if working.queries == 0:
            self.doubt(event.cloid)
            return f"rejected although it rested: {event.cloid}: {event.reason}"
        if order.state is not OrderState.UNKNOWN:
            order = order.moved(OrderState.UNKNOWN)
        ended = order.moved(OrderState.CANCELED, reason=event.reason)
        self._put(_with(working, ended, closed_ns=event.ns))
        return f"the venue no longer knows an order that rested: {event.cloid}: {event.reason}"

    def doubt(self, cloid: str) -> None:
        """Something about a live order does not add up (a refused cancel, say): have its state read."""
        working = self.get(cloid)
        if working is not None and working.order.state.is_live:
            self._put(msgspec.structs.replace(working, doubt=True))

    def unknown(self, event: Unknown) -> None:
        """A request about the order got no answer."""
        working = self.get(event.cloid)
        if working is None or not working.order.state.is_live:
            return
        order = working.order
        if order.state is not OrderState.UNKNOWN:
            order = order.moved(OrderState.UNKNOWN, reason=event.reason)
        self._put(_with(working, order, doubt=True))

    def fill(self, event: Fill) -> str | None:
        """A fill that the ledger counted. Returns what is odd about it, or None."""
        working = (self.get(event.cloid) if event.cloid is not None else None) or self.of_oid(event.oid)
        if working is None:
            return None
        order = working.order
        filled = order.filled + event.sz
        oid = order.oid if order.oid is not None else event.oid
        odd = f"filled {filled} of {order.sz}: {order.cloid}" if filled > order.sz else None
        if order.state is OrderState.REJECTED:
            odd = f"filled after it was rejected: {order.cloid}"
            order = msgspec.structs.replace(order, filled=filled, oid=oid)
        elif filled >= order.sz:
            order = order.moved(OrderState.FILLED, filled=filled, oid=oid)
        elif order.state.is_live and order.state is not OrderState.UNKNOWN:
            order = order.moved(OrderState.PARTIAL, filled=filled, oid=oid)
        else:
            order = msgspec.structs.replace(order, filled=filled, oid=oid)
        self._put(_with(working, order))
        return odd

    def closed(self, event: Closed) -> str | None:
        """The order rests no more. Returns what is odd about it, or None."""
        working = self.get(event.cloid)
        if working is None:
            return None
        order = working.order
        if order.oid is not None and event.oid and event.oid < order.oid:
            return None
        claimed = order.sz if event.status == "filled" and event.filled is None else event.filled
        if working.claimed is not None:
            claimed = working.claimed if claimed is None else max(claimed, working.claimed)
        if order.state is OrderState.REJECTED:
            return f"closed ({event.status}) after it was rejected: {order.cloid}" if claimed else None
        if order.state.is_live:
            state = OrderState.FILLED if event.status == "filled" else OrderState.CANCELED
            order = order.moved(state, reason=event.status, oid=order.oid if order.oid is not None else event.oid)
        self._put(_with(working, order, claimed=claimed, closed_ns=max(event.ns, working.closed_ns)))
        return None

    def due_queries(self, now_ns: int) -> list[Working]:
        """Live orders whose state must be read now: unknown, doubtful, or silent for too long."""
        silent_ns = now_ns - self._config.pending_timeout_ns
        due = []
        for working in self.live():
            order = working.order
            silent = order.state is OrderState.PENDING and order.created_ns <= silent_ns
            # a cancel, or an Ioc that should have ended, without an end
            silent = silent or 0 < working.cancel_ns <= silent_ns
            silent = silent or (order.tif is Tif.IOC and order.created_ns <= silent_ns)
            if (silent or working.doubt or order.state is OrderState.UNKNOWN) and working.next_query_ns <= now_ns:
                due.append(working)
        return due

    def settle(self, ns: int, *, complete: bool) -> None:
        """Forget owed fills: untold ones once they had time to come, all once a complete account state shows none."""
        for cloid, working in list(self._owing.items()):
            told = working.claimed is not None
            if (complete and working.closed_ns <= ns) or (not told and working.closed_ns + self._config.linger_ns < ns):
                del self._owing[cloid]
