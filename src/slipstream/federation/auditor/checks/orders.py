"""Orders that rest against orders that a pod reports, by cloid.

A pod counts an order before it sends it, so an order that the venue had before a report was made must be in that
report, and an order that the venue no longer has must leave the reports once the news of its end has had time to
arrive.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from slipstream.federation.auditor.case import ZERO, Case, Finding
from slipstream.federation.auditor.memory import HeardReport
from slipstream.model.breaks import BreakKind
from slipstream.model.cloid import pod_prefix
from slipstream.model.messages import OrderLine


def check_hidden(case: Case) -> Iterator[Finding]:
    """ORDER_HIDDEN: rests since before the report and is not in it."""
    view, heard = case.account.view, case.judged_orders
    if view is None or heard is None:
        return
    report, prefix = heard.report, pod_prefix(case.slug)
    said = {order.cloid for order in report.orders}
    for row in view.orders:
        if row.cloid[:10].lower() != prefix or row.cloid in said:
            continue
        seen = case.account.orders.get(row.oid)
        ended = seen is not None and seen.gone_ns > 0
        if ended or row.placed_ns + case.limits.order_grace_ns > heard.made_ns:
            continue
        yield Finding(
            kind=BreakKind.ORDER_HIDDEN,
            pod=case.slug,
            subject=row.cloid,
            size=row.remaining,
            unit=row.coin,
            usd=row.remaining * row.px,
            evidence=(
                f"the venue holds {row.side.name.lower()} {row.remaining} {row.coin} at {row.px}, oid {row.oid}, "
                f"since {row.placed_ns}",
                f"report {report.seq} of {report.ns} does not list it",
            ),
        )


def check_phantom(case: Case) -> Iterator[Finding]:
    """ORDER_PHANTOM: reported although it ended, was never there, or is another order than the venue's."""
    view, heard = case.account.view, case.judged_orders
    if view is None or heard is None:
        return
    resting = {row.oid: row for row in view.orders}
    cloids = {row.cloid for row in view.orders}
    for line in heard.report.orders:
        row = resting.get(line.oid)
        if row is not None:
            if (row.cloid, row.coin, row.side, row.px) != (line.cloid, line.coin, line.side, line.px):
                yield _phantom(case, line, f"the venue's is {row.side.name.lower()} {row.coin} at {row.px}")
        elif line.cloid in cloids:
            continue  # being modified: the same intent under a new oid
        elif line.oid == 0:
            since = case.pod.pending.get(line.cloid, case.ns)
            if case.ns - since > case.limits.pending_ns:
                yield _phantom(case, line, f"unacknowledged since {since}, and not on the venue")
        else:
            yield from _gone(case, heard, line)


def _gone(case: Case, heard: HeardReport, line: OrderLine) -> Iterator[Finding]:
    """An acknowledged order that does not rest: since when, and could the pod know?"""
    seen = case.account.orders.get(line.oid)
    if seen is None:
        if _would_be_known(case, heard, line):
            yield _phantom(case, line, "the venue has never spoken of it")
    elif seen.gone_ns and seen.gone_ns + case.limits.grace_ns <= heard.made_ns:
        yield _phantom(case, line, f"it ended on the venue at {seen.gone_ns}")


def _would_be_known(case: Case, heard: HeardReport, line: OrderLine) -> bool:
    """Whether an order that rested shortly before a report would have been seen.

    It would by its updates, if none was missed since a grace before the report: an order that ended earlier must have
    left the report. Else only if it has been reported for longer than a look and a grace.
    """
    view = case.account.view
    if view is None:
        return False
    if view.changes_since_ns + case.limits.grace_ns <= heard.made_ns <= view.changes_ns:
        return True
    longer = heard.made_ns - 2 * case.limits.grace_ns
    earlier = [h.report for h in case.pod.reports if h.made_ns <= longer and h.report.run == heard.report.run]
    return any(order.oid == line.oid for said in earlier for order in said.orders)


def _phantom(case: Case, line: OrderLine, text: str) -> Finding:
    remaining: Decimal = line.remaining
    return Finding(
        kind=BreakKind.ORDER_PHANTOM,
        pod=case.slug,
        subject=line.cloid,
        size=remaining,
        unit=line.coin,
        usd=remaining * line.px if line.px.is_finite() else ZERO,
        evidence=(
            f"the pod reports {line.side.name.lower()} {remaining} {line.coin} at {line.px}, oid {line.oid}",
            text,
        ),
    )
