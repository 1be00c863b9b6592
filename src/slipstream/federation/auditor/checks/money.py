"""A report's totals: do they follow from its own lines and prices, are the prices the venue's, is the funding right.

Marks move between a report and its audit, so profits and exposures are worked out at the report's own prices, and the
prices are held against what the venue showed in the moments around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from slipstream.federation.auditor.case import ZERO, Case, Finding
from slipstream.federation.auditor.checks.lines import nothing, said_of
from slipstream.model.breaks import BreakKind
from slipstream.model.messages import PodReport

FLYING = 4  # funding rows of a coin that may be in flight at once
MOMENTS = 12  # looks whose prices a report may have used


def check_totals(case: Case) -> Iterator[Finding]:
    """PNL, FEES, FUNDING and EXPOSURE: the totals against the lines, at the report's prices."""
    heard = case.judged
    if heard is None:
        return
    report, slack = heard.report, case.limits.pnl_usd
    held = [line for line in report.lines if line.position]
    exact = case.limits.money_usd
    rows = [
        (BreakKind.PNL, "realised", report.realised, sum((x.realised for x in report.lines), ZERO), slack),
        (BreakKind.FEES, "", report.fees, sum((x.fees for x in report.lines), ZERO), exact),
        (BreakKind.FUNDING, "", report.funding, sum((x.funding for x in report.lines), ZERO), exact),
        (BreakKind.PNL, "net", report.net, report.realised + report.unrealised - report.fees + report.funding, slack),
    ]
    if all(x.coin in report.marks for x in held):
        worth = {x.coin: x.position * report.marks[x.coin] for x in held}
        open_profit = sum((worth[x.coin] - x.position * x.average_px for x in held), ZERO)
        gross = sum((abs(w) for w in worth.values()), ZERO)
        rows += [
            (BreakKind.PNL, "unrealised", report.unrealised, open_profit, slack),
            (BreakKind.EXPOSURE, "gross", report.gross, gross, slack),
            (BreakKind.EXPOSURE, "net", report.net_exposure, sum(worth.values(), ZERO), slack),
        ]
        if report.worst_gross is not None and report.worst_gross < gross - slack:
            rows.append((BreakKind.EXPOSURE, "worst", report.worst_gross, gross, slack))
    for kind, what, told, truth, forgiven in rows:
        if abs(told - truth) > forgiven:
            yield Finding(
                kind=kind,
                pod=case.slug,
                subject=what,
                size=abs(told - truth),
                unit="USD",
                usd=abs(told - truth),
                evidence=(f"the report says {what or kind.value} {told}; its own lines and prices make {truth}",),
            )


def check_marks(case: Case) -> Iterator[Finding]:
    """PNL: prices in a report that are not the venue's."""
    heard = case.judged
    if heard is None:
        return
    for line in heard.report.lines:
        if not line.position:
            continue
        seen = case.prices(line.coin, MOMENTS)
        told = heard.report.marks.get(line.coin)
        if told is None:
            yield _price(case, line.coin, abs(line.position) * case.px(line.coin), "no price for a coin that is held")
        elif seen:
            low, high = min(seen) * (1 - case.limits.mark_band), max(seen) * (1 + case.limits.mark_band)
            if not low <= told <= high:
                off = max(low - told, told - high)
                text = f"price {told}; the venue's lay between {min(seen)} and {max(seen)}"
                yield _price(case, line.coin, off * abs(line.position), text)


def _price(case: Case, coin: str, usd: Decimal, text: str) -> Finding:
    return Finding(
        kind=BreakKind.PNL,
        pod=case.slug,
        subject=f"{coin} price",
        size=usd,
        unit="USD",
        usd=usd,
        evidence=(f"{coin}: {text}",),
    )


def check_funding(case: Case) -> Iterator[Finding]:
    """FUNDING: a coin's funding must be the pod's part of the venue's rows; of those in flight any may be missing."""
    heard = case.judged
    if heard is None:
        return
    said = said_of(heard.report.lines)
    due_ns = heard.made_ns - case.limits.funding_grace_ns
    waiting = {row.coin for row in case.account.rows}
    for coin in sorted(said.keys() | case.book.keys()):
        if coin in waiting:
            continue
        told = (said.get(coin) or nothing(coin)).funding
        track = case.track(coin)
        forgiven = case.limits.money_usd + track.slack
        possible = [track.funding]
        for share in reversed(track.shares[-FLYING:]):
            if share.ns <= due_ns:
                break
            possible += [truth - share.usdc for truth in possible]
        if all(abs(told - truth) > forgiven for truth in possible):
            nearest = min(possible, key=lambda truth: abs(told - truth))
            yield Finding(
                kind=BreakKind.FUNDING,
                pod=case.slug,
                subject=coin,
                size=abs(told - nearest),
                unit="USD",
                usd=abs(told - nearest),
                evidence=(
                    f"the pod reports {told} USD of funding on {coin}; its part of the venue's rows is {nearest}",
                ),
            )


def check_volumes(case: Case) -> Iterator[Finding]:
    """INTENT: reported maker and taker volumes that the venue's fills do not make."""
    heard = case.judged
    if heard is None or not _has_volumes(heard.report):
        return
    due_ns = heard.made_ns - case.limits.grace_ns
    spans = [track.lines_since(due_ns) for track in case.book.values()]
    for what, told, low, high in (
        (
            "maker",
            heard.report.maker_volume,
            sum((s[0].maker for s in spans), ZERO),
            sum((s[-1].maker for s in spans), ZERO),
        ),
        (
            "taker",
            heard.report.taker_volume,
            sum((s[0].taker for s in spans), ZERO),
            sum((s[-1].taker for s in spans), ZERO),
        ),
    ):
        off = max(low - told, told - high)
        if off > case.limits.pnl_usd:
            yield Finding(
                kind=BreakKind.INTENT,
                pod=case.slug,
                subject=f"{what} volume",
                size=off,
                unit="USD",
                usd=off,
                evidence=(f"{what} volume: {told} USD reported, {low} to {high} on the venue",),
            )


def _has_volumes(report: PodReport) -> bool:
    return bool(report.maker_volume or report.taker_volume or any(line.fills for line in report.lines))
