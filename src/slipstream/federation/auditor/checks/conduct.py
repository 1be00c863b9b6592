"""What a pod did on the venue against what it was allowed, fill by fill and order by order: its reports play no part.

Each of these is shown by the venue alone. What may have been in flight when a permission changed is forgiven for
``obey_ns``; where a mandate changed, the wider one of that moment counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from slipstream.federation.auditor.case import ZERO, Case, Finding
from slipstream.federation.auditor.reading import FillNews, OrderNews, increases
from slipstream.model.breaks import BreakKind, Level
from slipstream.model.cloid import pod_prefix
from slipstream.model.mandate import Mandate, TradingState

STRICT = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


class Act(msgspec.Struct, frozen=True):
    """One fill or one new order of a pod, by its own hand. ``grows``: it enlarges the position, or can.

    ``placed_ns``: for a fill, when its order was placed, if that is known.
    """

    coin: str
    ns: int
    sz: Decimal
    usd: Decimal
    grows: bool
    text: str
    cloid: str
    placed_ns: int = 0
    is_fill: bool = False


def mandates_around(case: Case, ns: int, placed_ns: int = 0) -> tuple[Mandate, ...]:
    """Mandates that a pod may rightly have obeyed at a time; all that we missed count where we did not listen.

    ``placed_ns``: for a fill, when its order was placed. An order may rest on under a mandate that has narrowed since.
    """
    end_ns = max(ns, case.awake_ns if ns < case.awake_ns else 0) + case.limits.obey_ns
    granted = case.pod.mandates_between((placed_ns or ns) - case.limits.obey_ns, end_ns)
    return tuple(g.mandate for g in granted)


def check_caps(case: Case) -> Iterator[Finding]:
    """CAP_EXCEEDED: the worst position of all since the last look, rebuilt fill by fill.

    Only fills that enlarge a position count: a price that rises is not the pod's doing. They are valued at the lowest
    price of the last moments and of the time their order was placed, so that an order sized at an earlier price is not
    held against its pod.
    """
    band, wide = 1 + case.limits.cap_band, 1 + case.limits.gross_band
    for news in case.fills:
        order = case.account.orders.get(news.fill.oid)
        mandates = mandates_around(case, news.fill.ns, order.placed_ns if order is not None else 0)
        if news.by_breaker or not news.grows or not mandates or news.fill.ns <= case.started_ns:
            continue
        coin = news.fill.coin
        then = (order.mid,) if order is not None and order.mid else ()
        px = min((news.fill.px, *then, *case.prices(coin)))
        worth = abs(news.after) * px
        caps = [m.coin_caps.get(coin) if m.coin_caps else m.gross_cap for m in mandates]
        known = [cap for cap in caps if cap is not None]
        if known and worth > max(known) * band:
            yield _exceeded(case, news, coin, worth, max(known))
        others = [abs(p) * case.lowest(c) for c, p in news.positions.items() if c != coin and p]
        gross, cap = worth + sum(others, ZERO), max(m.gross_cap for m in mandates)
        if gross > cap * wide:
            yield _exceeded(case, news, "gross", gross, cap)


def _exceeded(case: Case, news: FillNews, subject: str, worth: Decimal, cap: Decimal) -> Finding:
    over = worth - cap
    return Finding(
        kind=BreakKind.CAP_EXCEEDED,
        pod=case.slug,
        subject=subject,
        size=over,
        unit="USD",
        usd=over,
        proven=True,
        latched=True,
        level=Level.HALTED if over > cap / 2 else Level.REDUCING,
        evidence=(
            f"{_told(news)} made {news.after} {news.fill.coin}",
            f"{subject}: {worth:.2f} USD against a cap of {cap} USD",
        ),
    )


def check_coins(case: Case) -> Iterator[Finding]:
    """FOREIGN_COIN: orders or fills in a coin that neither the config nor the mandate grants."""
    static = set(case.spec.coins)
    for act in acts(case):
        mandates = mandates_around(case, act.ns, act.placed_ns) if case.hears(act.ns) else ()
        granted = not mandates or any(not m.coin_caps or act.coin in m.coin_caps for m in mandates)
        if (static and act.coin not in static) or (not granted and act.grows):
            yield Finding(
                kind=BreakKind.FOREIGN_COIN,
                pod=case.slug,
                subject=act.coin,
                size=act.sz,
                unit=act.coin,
                usd=act.usd,
                proven=True,
                latched=True,
                level=Level.HALTED,
                evidence=(act.text, f"{act.coin} is not granted to {case.slug}"),
            )


def check_lease(case: Case) -> Iterator[Finding]:
    """LEASE_EXPIRED: exposure increased after the lease's end."""
    for act in acts(case):
        if not _dated(case, act):
            continue
        mandates = mandates_around(case, act.ns) if act.grows and case.hears(act.ns) else ()
        end = max((m.expires_ns for m in mandates), default=act.ns)
        if act.ns <= end + case.limits.obey_ns or _sent_before(case, act, end + case.limits.obey_ns):
            continue
        yield Finding(
            kind=BreakKind.LEASE_EXPIRED,
            pod=case.slug,
            subject="",
            size=Decimal(act.ns - end) / 1_000_000_000,
            unit="s",
            usd=act.usd,
            proven=True,
            latched=True,
            level=Level.HALTED,
            evidence=(act.text, f"mandate {mandates[-1].version} had ended at {end}"),
        )


def halted_at(case: Case, ns: int) -> tuple[TradingState, str, int]:
    """The strictest halt that must have been obeyed at a time, its words, and since when it had to be."""
    due = [s for s in case.pod.halts.values() if s.ns + case.limits.obey_ns <= ns]
    if not due:
        return TradingState.ACTIVE, "", 0
    worst = max(due, key=lambda standing: STRICT[standing.halt.state])
    halt = worst.halt
    return halt.state, f"{halt.state.value} by {halt.who}: {halt.why}", worst.ns + case.limits.obey_ns


def check_halts(case: Case) -> Iterator[Finding]:
    """HALT_IGNORED: orders placed, or fills of orders placed, after a halt that forbids them.

    One alone may have been on its way for long: it halts its pod. Two are obstinacy.
    """
    found = []
    for act in acts(case):
        if not _dated(case, act):
            continue
        state, words, since_ns = halted_at(case, act.ns)
        forbidden = state is TradingState.HALTED or (state is TradingState.REDUCING and act.grows)
        if forbidden and not _sent_before(case, act, since_ns):
            found.append((act, words))
    for act, words in found:
        yield Finding(
            kind=BreakKind.HALT_IGNORED,
            pod=case.slug,
            subject="",
            size=Decimal(len(found)),
            unit="acts",
            usd=act.usd,
            proven=True,
            latched=True,
            level=Level.BREAKER if len(found) > 1 else Level.HALTED,
            evidence=(act.text, words),
        )


def check_left_over(case: Case) -> Iterator[Finding]:
    """HALT_IGNORED, LEASE_EXPIRED: orders that rest long after a halt, or a lease's grace, that wants them gone."""
    view = case.account.view
    if view is None:
        return
    late_ns = view.orders_ns - case.limits.cancel_ns
    halted = [s.ns for s in case.pod.halts.values() if s.halt.state is TradingState.HALTED and s.ns <= late_ns]
    if halted:
        yield from _resting(case, BreakKind.HALT_IGNORED, min(halted))
    lease = case.pod.mandates[-1].mandate if case.pod.mandates else None
    if lease is not None and case.hears(late_ns) and lease.state_at(late_ns) is TradingState.HALTED:
        yield from _resting(case, BreakKind.LEASE_EXPIRED, lease.expires_ns + lease.grace_ns)


def _resting(case: Case, kind: BreakKind, since_ns: int) -> Iterator[Finding]:
    """Own orders from before a time that are there still."""
    left = [o for o in case.account.orders.values() if not o.gone_ns and o.cloid and _is_ours(case, o.cloid)]
    left = [o for o in left if o.placed_ns <= since_ns + case.limits.obey_ns]
    if left:
        yield Finding(
            kind=kind,
            pod=case.slug,
            subject="resting",
            size=Decimal(len(left)),
            unit="orders",
            usd=sum((o.sz * case.px(o.coin) for o in left), ZERO),
            evidence=tuple(f"{o.cloid} {o.side.name.lower()} {o.sz} {o.coin} still rests" for o in left[:5]),
        )


def _dated(case: Case, act: Act) -> bool:
    """Whether an act may be judged by its own time. A fill may not where its order was placed before: the order was
    judged, at its placing. Nor where that may be so: nobody heard order updates then, and the venue could not be asked.
    """
    view = case.account.view
    if not act.is_fill:
        return True
    return not act.placed_ns and view is not None and 0 < view.changes_since_ns <= act.ns


def _sent_before(case: Case, act: Act, ns: int) -> bool:
    """Whether a report made by a time lists the order: it was on its way already."""
    early = [h.report for h in case.pod.reports if h.made_ns <= ns]
    return any(order.cloid == act.cloid for report in early for order in report.orders)


def _is_ours(case: Case, cloid: str) -> bool:
    return cloid[:10].lower() == pod_prefix(case.slug)


def _may_increase(case: Case, news: OrderNews) -> bool:
    """Whether an order was an increase whatever of its pod's fills was in flight when it was placed."""
    order = news.order
    if news.reduce_only:
        return False
    believed = case.positions_around(order.coin, order.placed_ns)
    return all(increases(position, order.side, order.sz) for position in believed)


def _told(news: FillNews) -> str:
    fill = news.fill
    return f"fill {fill.tid} at {fill.ns}: {fill.side.name.lower()} {fill.sz} {fill.coin} at {fill.px}"


def acts(case: Case) -> Iterator[Act]:
    """What the pod itself did since the last look and since the auditor began: fills and orders."""
    for fill in case.fills:
        if not fill.by_breaker and fill.fill.ns > case.started_ns:
            known = case.account.orders.get(fill.fill.oid)
            placed_ns = known.placed_ns if known is not None else 0
            worth = fill.fill.sz * fill.fill.px
            yield Act(
                fill.fill.coin,
                fill.fill.ns,
                fill.fill.sz,
                worth,
                fill.grows,
                _told(fill),
                fill.fill.cloid or "",
                placed_ns,
                True,
            )
    for news in case.orders:
        order = news.order
        if not news.by_breaker and order.placed_ns > case.started_ns:
            text = f"order {order.oid} placed at {order.placed_ns}: {order.side.name.lower()} {order.sz} {order.coin}"
            worth = order.sz * case.px(order.coin)
            yield Act(order.coin, order.placed_ns, order.sz, worth, _may_increase(case, news), text, order.cloid)
