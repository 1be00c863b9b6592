"""What one cycle of the auditor knows: the venue as read by address, and what the bus said since the last one."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from slipstream.model.events import Fill, FundingPayment
from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Mandate, Resume
from slipstream.model.messages import Beat, Configure, PodReport, StageChange


class OpenOrder(msgspec.Struct, frozen=True):
    """An order that rests on the venue. ``placed_ns`` is the venue's own time of it."""

    cloid: str
    oid: int
    coin: str
    side: Side
    px: Decimal
    remaining: Decimal
    placed_ns: int
    reduce_only: bool = False


class OrderChange(msgspec.Struct, frozen=True):
    """One order update of the venue: ``status`` is the venue's word (``open``, ``filled``, ``canceled`` ...)."""

    cloid: str
    oid: int
    coin: str
    side: Side
    px: Decimal
    sz: Decimal
    placed_ns: int
    status: str
    ns: int
    reduce_only: bool = False


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """One account as read by address. Each part says up to which venue time it is known.

    ``fills``, ``fundings`` and ``changes`` are those that are new since the last cycle (repeats do no harm);
    ``fills_ns``: every fill up to this time has been delivered, as far as a stream can tell; ``swept_ns``: up to here a
    second reading confirmed it (None: wherever the first did); ``changes_ns`` likewise for order updates, but
    only from ``changes_since_ns`` on: updates that were missed are not told again. ``entries`` are the venue's entry
    prices.
    """

    account: str
    equity: Decimal
    state_ns: int
    positions: dict[str, Decimal]
    entries: dict[str, Decimal]
    orders_ns: int
    orders: tuple[OpenOrder, ...]
    fills_ns: int
    fills: tuple[Fill, ...] = ()
    fundings: tuple[FundingPayment, ...] = ()
    changes_ns: int = 0
    changes_since_ns: int = 0
    changes: tuple[OrderChange, ...] = ()
    requests_used: int | None = None
    swept_ns: int | None = None

    @property
    def sure_ns(self) -> int:
        """Up to when fills were read twice."""
        return self.fills_ns if self.swept_ns is None else min(self.fills_ns, self.swept_ns)


class Addressed(msgspec.Struct, frozen=True, tag="addressed"):
    """A Halt or Resume with the target its topic named: a slug or ``all``."""

    target: str
    message: Halt | Resume


class Resolve(msgspec.Struct, frozen=True, tag="resolve"):
    """An operator closes a latched break. ``reason`` is kept with it."""

    break_id: str
    operator: str
    reason: str


Heard = PodReport | Mandate | StageChange | Beat | Addressed | Resolve | Configure


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """The input of one cycle. ``ns`` is venue time, ``wall_ns`` the auditor's wall clock.

    ``took_ns``: how long the last cycle took. ``marks`` are the venue's prices at ``marks_ns``. ``bus_since_ns``: since
    when the bus has been connected without a gap (0: it is lost). ``error``: why the venue could not be read.
    """

    ns: int
    wall_ns: int
    took_ns: int = 0
    accounts: tuple[AccountView, ...] = ()
    marks: dict[str, Decimal] = {}
    marks_ns: int = 0
    heard: tuple[Heard, ...] = ()
    bus_since_ns: int = 1
    error: str = ""
