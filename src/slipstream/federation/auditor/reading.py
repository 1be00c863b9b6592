"""What the venue showed, folded into books and known orders; what is new of it is news to the checks."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from slipstream.federation.auditor.books import Books, Line, fold_fills, fold_funding, open_books
from slipstream.federation.auditor.limits import AuditLimits
from slipstream.federation.auditor.memory import Account, SeenOrder
from slipstream.federation.auditor.observe import AccountView, OpenOrder, OrderChange
from slipstream.federation.auditor.roster import NOBODY, Roster
from slipstream.model.events import Fill
from slipstream.model.instrument import Side

ZERO = Decimal(0)
KEPT_ORDERS = 20_000
RESTING = frozenset({"open", "triggered"})


class FillNews(msgspec.Struct, frozen=True):
    """A new fill: whose, the line before it, and the pod's other positions at that moment."""

    pod: str
    by_breaker: bool
    fill: Fill
    before: Line
    positions: dict[str, Decimal]

    @property
    def after(self) -> Decimal:
        """The position after it."""
        return self.before.position + self.fill.sz * self.fill.side.sign

    @property
    def grows(self) -> bool:
        """Whether it makes the pod's position larger, or turns it round."""
        return abs(self.after) > abs(self.before.position) or self.after * self.before.position < 0


class OrderNews(msgspec.Struct, frozen=True):
    """An order seen for the first time."""

    pod: str
    by_breaker: bool
    order: SeenOrder
    reduce_only: bool


class News(msgspec.Struct, frozen=True):
    """What a cycle brought."""

    fills: tuple[FillNews, ...] = ()
    orders: tuple[OrderNews, ...] = ()


class _Orders:
    """The orders of an account while a view is folded in."""

    def __init__(self, account: Account, roster: Roster, prices: Mapping[str, Decimal]) -> None:
        self.known = dict(account.orders)
        self._prices = prices
        self.news: list[OrderNews] = []
        self._roster = roster
        self._account = account.books.account

    def see(self, row: OpenOrder | OrderChange, sz: Decimal, seen_ns: int, gone_ns: int) -> None:
        """An order was spoken of."""
        before = self.known.get(row.oid)
        mid = before.mid if before is not None else self._prices.get(row.coin, ZERO)
        self.known[row.oid] = SeenOrder(
            row.cloid, row.oid, row.coin, row.side, sz, row.placed_ns, seen_ns, gone_ns, mid
        )
        if before is None:
            self._tell(self.known[row.oid], row.reduce_only)

    def filled(self, fill: Fill, now_ns: int) -> None:
        """A fill names an order that nothing else did: it came and went between two looks."""
        if fill.oid not in self.known and not fill.liquidation:
            self.known[fill.oid] = SeenOrder(
                fill.cloid or "", fill.oid, fill.coin, fill.side, fill.sz, 0, fill.ns, fill.ns
            )
            self._tell(self.known[fill.oid], False)

    def _tell(self, order: SeenOrder, reduce_only: bool) -> None:
        owner = self._roster.owner(order.cloid, self._account)
        self.news.append(OrderNews(owner.pod, owner.by_breaker, order, reduce_only))


def _fold_orders(
    account: Account, view: AccountView, roster: Roster, limits: AuditLimits, prices: Mapping[str, Decimal]
) -> _Orders:
    orders = _Orders(account, roster, prices)
    newer = account.view is None or view.orders_ns > account.view.orders_ns
    if newer:
        listed = {row.oid for row in view.orders}
        for row in view.orders:
            known = orders.known.get(row.oid)
            if known is None or known.gone_ns <= view.orders_ns:
                orders.see(row, row.remaining, view.orders_ns, 0)
        for oid, order in list(orders.known.items()):
            if not order.gone_ns and oid not in listed and order.seen_ns < view.orders_ns:
                orders.known[oid] = msgspec.structs.replace(order, gone_ns=view.orders_ns)
    for change in sorted(view.changes, key=lambda c: c.ns):
        known = orders.known.get(change.oid)
        if change.status in RESTING:
            if known is None:
                orders.see(change, change.sz, change.ns, 0)
        elif change.status.endswith("Rejected"):
            continue  # never rested; its pod heard the refusal as well
        else:
            gone = known.gone_ns if known is not None and known.gone_ns else change.ns
            orders.see(change, change.sz, max(change.ns, known.seen_ns if known else 0), min(gone, change.ns))
    horizon = view.orders_ns - limits.keep_ns
    if len(orders.known) > KEPT_ORDERS or any(0 < o.gone_ns < horizon for o in orders.known.values()):
        alive = [(oid, o) for oid, o in orders.known.items() if not 0 < o.gone_ns < horizon]
        orders.known = dict(alive[-KEPT_ORDERS:])
    return orders


def _spread(before: Books, new: tuple[tuple[str, bool, Fill, Line], ...]) -> tuple[FillNews, ...]:
    """New fills with everything their pods held at that moment."""
    held: dict[str, dict[str, Decimal]] = {}
    out = []
    for pod, by_breaker, fill, line in new:
        now = held.get(pod)
        if now is None:
            now = {coin: track.line.position for coin, track in before.book(pod).items()}
        out.append(FillNews(pod, by_breaker, fill, line, now))
        held[pod] = now | {fill.coin: line.position + fill.sz * fill.side.sign}
    return tuple(out)


def read_account(
    account: Account, view: AccountView, roster: Roster, limits: AuditLimits, prices: Mapping[str, Decimal]
) -> tuple[Account, News]:
    """Fold one look at an account, at the newest prices. Funding rows wait until every fill before them has come."""
    books, new = fold_fills(account.books, view.fills, roster, limits.keep_ns)
    fills = _spread(account.books, new)
    rows = account.rows
    if view.fundings:
        known = {(row.coin, row.ns) for row in rows}
        rows += tuple(row for row in view.fundings if (row.coin, row.ns) not in known)
    if rows:
        due = [row for row in rows if row.ns + limits.grace_ns <= view.fills_ns]
        if due:
            books = fold_funding(books, due, limits.keep_ns)
            rows = tuple(row for row in rows if row.ns + limits.grace_ns > view.fills_ns)
    if not books.opened_ns and view.fills_ns >= view.state_ns:
        owner = roster.sole(view.account) or NOBODY
        books = open_books(books, view.positions, view.entries, view.state_ns, owner)
    orders = _fold_orders(account, view, roster, limits, prices)
    for item in fills:
        orders.filled(item.fill, view.fills_ns)
    account = Account(books=books, view=view, orders=orders.known, rows=rows)
    return account, News(fills, tuple(orders.news))


def increases(position: Decimal, side: Side, sz: Decimal) -> bool:
    """Whether an order could make a position larger or turn it round."""
    return position * side.sign >= 0 or sz > abs(position)


def nobody(news: News) -> tuple[FillNews, ...]:
    """Fills that no pod claims."""
    return tuple(item for item in news.fills if item.pod == NOBODY)
