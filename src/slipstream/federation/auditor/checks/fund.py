"""An account as a whole: is its position the sum of attributed fills, does everything on it belong to somebody."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from slipstream.federation.auditor.books import Books
from slipstream.federation.auditor.case import ZERO, Finding
from slipstream.federation.auditor.limits import AuditLimits
from slipstream.federation.auditor.memory import Account
from slipstream.federation.auditor.reading import News
from slipstream.federation.auditor.roster import NOBODY, Roster
from slipstream.model.breaks import BreakKind
from slipstream.model.events import Fill


def check_positions(account: Account, limits: AuditLimits, prices: dict[str, Decimal]) -> list[Finding]:
    """FUND_POSITION: the venue's position of a coin is not what all fills up to its time make.

    Fills of the state's own moment may lie on either side of it.
    """
    view, books = account.view, account.books
    if view is None or not books.opened_ns or view.fills_ns + limits.grace_ns < view.state_ns:
        return []
    found = []
    for coin in sorted(view.positions.keys() | books.coins()):
        held = view.positions.get(coin, ZERO)
        possible = _sums(books, coin, view.state_ns - limits.order_grace_ns)
        if held not in possible:
            off = min((held - p for p in possible), key=abs)
            found.append(
                Finding(
                    kind=BreakKind.FUND_POSITION,
                    pod="",
                    subject=coin,
                    size=abs(off),
                    unit=coin,
                    usd=abs(off) * prices.get(coin, ZERO),
                    evidence=(
                        f"the venue says {held} {coin} at {view.state_ns}; all known fills make {held - off}",
                        *(f"{p or 'nobody'}: {books.track(p, coin).line.position}" for p in sorted(books.owners)),
                    ),
                )
            )
    return found


def _sums(books: Books, coin: str, since_ns: int) -> set[Decimal]:
    """The account's position after every prefix of the fills since a time, whoever made them."""
    steps: list[Fill] = []
    total = ZERO
    for pod in books.owners:
        track = books.track(pod, coin)
        total += track.line.position
        for step in reversed(track.steps):
            if step.fill.ns <= since_ns:
                break
            steps.append(step.fill)
    out = {total}
    for fill in sorted(steps, key=lambda f: (f.ns, f.tid), reverse=True):
        total -= fill.sz * fill.side.sign
        out.add(total)
    return out


def check_unclaimed(account: Account, news: News, roster: Roster, since_ns: int) -> Iterator[Finding]:
    """ORDER_UNCLAIMED: orders and fills of no known pod."""
    view = account.view
    if view is None:
        return
    for row in view.orders:
        if roster.owner(row.cloid, view.account).pod == NOBODY:
            yield Finding(
                kind=BreakKind.ORDER_UNCLAIMED,
                pod="",
                subject=str(row.oid),
                size=row.remaining,
                unit=row.coin,
                usd=row.remaining * row.px,
                evidence=(
                    f"{row.side.name.lower()} {row.remaining} {row.coin} at {row.px}, oid {row.oid}, "
                    f"cloid {row.cloid or 'none'}: no pod of the fund owns it",
                ),
            )
    for item in news.fills:
        if item.pod == NOBODY and item.fill.ns > since_ns:
            fill = item.fill
            yield Finding(
                kind=BreakKind.ORDER_UNCLAIMED,
                pod="",
                subject=f"fills {fill.coin}",
                size=fill.sz,
                unit=fill.coin,
                usd=fill.sz * fill.px,
                proven=True,
                evidence=(
                    f"fill {fill.tid}: {fill.side.name.lower()} {fill.sz} {fill.coin} at {fill.px}, "
                    f"cloid {fill.cloid or 'none'}{', a liquidation' if fill.liquidation else ''}",
                ),
            )
