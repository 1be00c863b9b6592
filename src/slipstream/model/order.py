"""An order and its state machine.

::

    PENDING ──► OPEN ──► PARTIAL ──► FILLED
       │         │ │        │ ▲
       │         │ └────────┼─┼──► CANCELED
       ├──► REJECTED        │ │
       └──► UNKNOWN ────────┴─┴──► any of the above, once two independent reads agree

PENDING: the intent is in the journal, the request may be on the wire. UNKNOWN: sent, outcome not known; its exposure
counts as filled and as not filled, whichever is worse. FILLED, CANCELED and REJECTED are final, except that a fill
that raced a cancel may still arrive: it adds to `filled` and never reopens the order.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import msgspec

from slipstream.model.errors import IllegalTransition
from slipstream.model.instrument import Side


class Tif(Enum):
    """Time in force, as the venue spells it. ALO is post-only."""

    GTC = "Gtc"
    IOC = "Ioc"
    ALO = "Alo"


class OrderState(Enum):
    """Where an order is in its life."""

    PENDING = "pending"
    UNKNOWN = "unknown"
    OPEN = "open"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"

    @property
    def is_final(self) -> bool:
        """Whether nothing rests any more and no further state follows."""
        return self in FINAL

    @property
    def is_live(self) -> bool:
        """Whether the venue may still fill the order."""
        return self not in FINAL


FINAL = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED})

_EDGES: dict[OrderState, frozenset[OrderState]] = {
    OrderState.PENDING: frozenset(OrderState) - {OrderState.PENDING},
    OrderState.UNKNOWN: frozenset(OrderState) - {OrderState.PENDING, OrderState.UNKNOWN},
    OrderState.OPEN: frozenset({OrderState.PARTIAL, OrderState.FILLED, OrderState.CANCELED, OrderState.UNKNOWN}),
    OrderState.PARTIAL: frozenset({OrderState.PARTIAL, OrderState.FILLED, OrderState.CANCELED, OrderState.UNKNOWN}),
    OrderState.FILLED: frozenset(),
    OrderState.CANCELED: frozenset({OrderState.FILLED}),
    OrderState.REJECTED: frozenset(),
}


class Order(msgspec.Struct, frozen=True):
    """One order as its owner knows it. Prices and sizes are Decimal; times are ns."""

    cloid: str
    coin: str
    side: Side
    px: Decimal
    sz: Decimal
    tif: Tif
    reduce_only: bool = False
    state: OrderState = OrderState.PENDING
    oid: int | None = None
    filled: Decimal = Decimal(0)
    created_ns: int = 0
    reason: str = ""

    @property
    def remaining(self) -> Decimal:
        """What may still fill: the unfilled size of a live order, zero of a final one."""
        return self.sz - self.filled if self.state.is_live else Decimal(0)

    def moved(self, state: OrderState, **changes: object) -> Order:
        """The order in another state. Raises IllegalTransition along an edge that does not exist."""
        if state is not self.state and state not in _EDGES[self.state]:
            raise IllegalTransition(f"order {self.cloid}: {self.state.value} -> {state.value}")
        return msgspec.structs.replace(self, state=state, **changes)
