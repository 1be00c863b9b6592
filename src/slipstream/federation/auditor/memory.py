"""What the auditor remembers between cycles. Frozen: a cycle makes a new memory."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from slipstream.federation.auditor.books import Books
from slipstream.federation.auditor.observe import AccountView
from slipstream.model.breaks import Break, Level
from slipstream.model.events import FundingPayment
from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Mandate
from slipstream.model.messages import Flatten, PodReport, StageChange


class HeardReport(msgspec.Struct, frozen=True):
    """A report and when it was heard, venue time and wall time.

    ``made_ns``: when it was made, as far as its own word is believed: not after it was heard, nor long before.
    """

    report: PodReport
    ns: int
    wall_ns: int
    made_ns: int


class Granted(msgspec.Struct, frozen=True):
    """A mandate and when it was heard."""

    mandate: Mandate
    ns: int


class Standing(msgspec.Struct, frozen=True):
    """A halt in force and when it was first heard."""

    halt: Halt
    ns: int


class Traded(msgspec.Struct, frozen=True):
    """A pod's own fill, for its maker share: worth in USD."""

    worth: Decimal
    crossed: bool


class Pulse(msgspec.Struct, frozen=True):
    """When a sender was last heard, and how far its clocks lag ours: (venue ns, wall ns), the newest two."""

    ns: int
    lags: tuple[tuple[int, int], ...]


class Marks(msgspec.Struct, frozen=True):
    """The venue's prices at a time."""

    ns: int
    px: dict[str, Decimal]


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard from and for a pod.

    ``reports`` are the newest few, oldest first; ``run_ns``: when their run was first heard, ``restarted_ns``: the same
    if another run was heard before. ``old`` counts reports heard again since the newest, ``old_ns`` is when the first
    and the last of them came; ``backwards`` is what a newer report contradicted. ``pending``: unacknowledged orders
    and since when. ``halts`` by writer and generation, ``cleared`` by writer (empty: everybody's). ``actions``:
    placements since the newest mandate was heard, ``flow``: its last fills.
    """

    reports: tuple[HeardReport, ...] = ()
    run_ns: int = 0
    restarted_ns: int = 0
    old: int = 0
    old_ns: tuple[int, int] = (0, 0)
    old_text: str = ""
    backwards: str = ""
    not_running_ns: int = 0
    mandates: tuple[Granted, ...] = ()
    stage: StageChange | None = None
    halts: dict[str, Standing] = {}
    cleared: dict[str, int] = {}
    actions: int = 0
    flow: tuple[Traded, ...] = ()
    pending: dict[str, int] = {}

    @property
    def newest(self) -> PodReport | None:
        """The newest report."""
        return self.reports[-1].report if self.reports else None

    def mandates_between(self, start_ns: int, end_ns: int) -> tuple[Granted, ...]:
        """Mandates that may have ruled in a span: one does from its issue on, its forerunner until it is heard.

        An allocator that could not write its journal at once sends what it issued a while ago.
        """
        heard = [i for i, g in enumerate(self.mandates) if max(g.mandate.issued_ns, g.ns) <= start_ns]
        return tuple(g for g in self.mandates[heard[-1] if heard else 0 :] if g.mandate.issued_ns <= end_ns)


class SeenOrder(msgspec.Struct, frozen=True):
    """An order that the venue spoke of. ``gone_ns`` 0 while it rests; ``placed_ns`` 0 if only its fills are known.

    ``mid``: the coin's price when it was first seen, 0 if unknown.
    """

    cloid: str
    oid: int
    coin: str
    side: Side
    sz: Decimal
    placed_ns: int
    seen_ns: int
    gone_ns: int = 0
    mid: Decimal = Decimal(0)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One account: books, what was last read of it, orders seen, funding rows that wait for their fills."""

    books: Books
    view: AccountView | None = None
    orders: dict[int, SeenOrder] = {}
    rows: tuple[FundingPayment, ...] = ()


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """A difference that was seen: how often in a row, since when, and the break that it became, if it did."""

    first_ns: int
    last_ns: int
    seen: int
    missed: int = 0
    latched: bool = False
    began: Level = Level.WARN
    broken: Break | None = None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. ``awake_ns``: since when cycles have followed each other without a gap.

    ``pulses`` by ``beat/<process>`` and ``report/<pod>``, ``halted``: what this auditor has stopped, ``flattens``:
    by target, its orders that stand, ``doubted``:
    accounts whose fills should be read again now."""

    cycle: int = 0
    started_ns: int = 0
    awake_ns: int = 0
    ns: int = 0
    wall_ns: int = 0
    pods: dict[str, Pod] = {}
    accounts: dict[str, Account] = {}
    pulses: dict[str, Pulse] = {}
    marks: tuple[Marks, ...] = ()
    tracked: dict[str, Tracked] = {}
    halted: dict[str, Level] = {}
    flattens: dict[str, Flatten] = {}
    generation: int = 0
    doubted: tuple[str, ...] = ()
