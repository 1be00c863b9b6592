"""One pod before the checks: what it says, what it was granted, what the venue shows of it. And what a check finds."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from slipstream.federation.auditor.books import Book, Track
from slipstream.federation.auditor.limits import AuditLimits
from slipstream.federation.auditor.memory import Account, HeardReport, Marks, Pod
from slipstream.federation.auditor.reading import FillNews, OrderNews
from slipstream.federation.auditor.roster import PodSpec
from slipstream.model.breaks import BreakKind, Level

ZERO = Decimal(0)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found in one cycle. ``usd``: what it is worth, if that can be said.

    ``proven``: the venue alone shows it, nothing in flight could explain it: it is a break at once. ``latched``: only
    an operator closes it. ``level``: where it begins. ``sure``: not if a fill that a stream lost could explain it.
    """

    kind: BreakKind
    pod: str
    subject: str
    size: Decimal
    unit: str
    evidence: tuple[str, ...]
    usd: Decimal = ZERO
    proven: bool = False
    latched: bool = False
    level: Level = Level.WARN
    sure: bool = True


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One pod in one cycle.

    ``started_ns``: when the auditor first began; what is older is not judged. ``awake_ns``: since when it has looked
    without a gap. ``doubtful``: coins whose position on the venue our own fills do not explain just now.
    ``judged``: the newest report that holds nothing our own reading has not reached; ``judged_orders``: the newest made
    before the venue's orders were last read. Both None while the pod is not running.
    """

    limits: AuditLimits
    ns: int
    spec: PodSpec
    pod: Pod
    account: Account
    fills: tuple[FillNews, ...]
    orders: tuple[OrderNews, ...]
    marks: tuple[Marks, ...]
    bus_since_ns: int
    started_ns: int
    awake_ns: int
    doubtful: frozenset[str] = frozenset()
    judged: HeardReport | None = None
    judged_orders: HeardReport | None = None

    @property
    def slug(self) -> str:
        """The pod's name."""
        return self.spec.slug

    @property
    def book(self) -> Book:
        """Its coins, as the venue shows them."""
        return self.account.books.book(self.spec.slug)

    @property
    def fills_ns(self) -> int:
        """Up to when every fill is known to us."""
        return self.account.view.fills_ns if self.account.view is not None else 0

    @property
    def surely(self) -> Case:
        """The same, judged by the newest report whose fills were read twice; itself if that is the one."""
        view = self.account.view
        known = newest_known(self.pod, view.sure_ns) if view is not None else None
        return self if known is self.judged else msgspec.structs.replace(self, judged=known)

    def hears(self, ns: int) -> bool:
        """Whether the bus has been heard without a gap since a moment before ``ns``."""
        return 0 < self.bus_since_ns <= ns - self.limits.obey_ns and ns >= self.awake_ns

    def track(self, coin: str) -> Track:
        """One coin of its books."""
        return self.book.get(coin, Track())

    def px(self, coin: str) -> Decimal:
        """The venue's newest price of a coin, 0 if unknown."""
        return self.marks[-1].px.get(coin, ZERO) if self.marks else ZERO

    def prices(self, coin: str, newest: int = 0) -> tuple[Decimal, ...]:
        """The venue's prices of a coin in the last moments; only the ``newest`` so many, if not 0."""
        return tuple([m.px[coin] for m in self.marks[-newest:] if coin in m.px])

    def lowest(self, coin: str) -> Decimal:
        """The lowest of them, 0 if unknown."""
        return min(self.prices(coin), default=ZERO)

    def positions_around(self, coin: str, ns: int) -> tuple[Decimal, ...]:
        """Every position the pod may have believed in at a time, given what may have been in flight."""
        return tuple(line.position for line in self.track(coin).lines_since(ns - self.limits.grace_ns))


def newest_known(pod: Pod, fills_ns: int) -> HeardReport | None:
    """The newest report whose account events are all within what was read up to ``fills_ns``."""
    if pod.not_running_ns:
        return None
    return next((h for h in reversed(pod.reports) if min(h.report.as_of_ns, h.made_ns) <= fills_ns), None)


def newest_before(pod: Pod, orders_ns: int) -> HeardReport | None:
    """The newest report made up to ``orders_ns``."""
    if pod.not_running_ns:
        return None
    return next((h for h in reversed(pod.reports) if h.made_ns <= orders_ns), None)
