"""A report's lines against the books of the same moment: fills, positions, fees, profits.

Fills younger than the grace before a report may or may not be in it. The pod's own count of fills says how many it has;
everything else must then agree to the last digit, so nothing can hide in what is in flight. Messages may overtake each
other: if the first so many do not fit, those are tried that leave out up to three and hold as many later ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations

from slipstream.federation.auditor.books import Line, Track
from slipstream.federation.auditor.case import ZERO, Case, Finding
from slipstream.model.breaks import BreakKind, Level
from slipstream.model.messages import CoinLine

SHOWN = 5
OVERTAKEN = 3


def said_of(lines: tuple[CoinLine, ...]) -> dict[str, CoinLine]:
    """A report's lines by coin."""
    return {line.coin: line for line in lines}


def nothing(coin: str) -> CoinLine:
    """What a pod says of a coin that it does not mention."""
    return CoinLine(coin, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, 0)


def check_lines(case: Case) -> Iterator[Finding]:
    """FILL_MISSING, FILL_FORGED, POSITION, FEES, PNL and ENTRY, a coin at a time."""
    heard = case.judged
    if heard is None or not case.account.books.opened_ns:
        return
    said = said_of(heard.report.lines)
    due_ns = heard.made_ns - case.limits.grace_ns
    for coin in sorted(said.keys() | case.book.keys()):
        line = said.get(coin) or nothing(coin)
        track = case.track(coin)
        possible = track.lines_since(due_ns)
        place = line.fills - possible[0].fills
        if place < 0:
            yield _missing(case, track, line, -place)
        elif place >= len(possible):
            if coin not in case.doubtful:
                yield _forged(case, possible[-1], line)
        else:
            true = possible[place] if _fits(possible[place], line) else _overtaken(track, due_ns, place, line)
            yield from _compare_money(case, true or possible[place], line)
            if true is not None:
                continue
        yield from _compare_position(case, possible, place, line)


def _fits(true: Line, line: CoinLine) -> bool:
    """Whether the sums that do not depend on the order of fills agree."""
    return (true.position, true.fees, true.volume) == (line.position, line.fees, line.volume)


def _overtaken(track: Track, due_ns: int, place: int, line: CoinLine) -> Line | None:
    """The line after ``place`` of the fills in flight, if others than the first make what the pod says."""
    flying = [step for step in track.steps if step.fill.ns > due_ns]
    if not flying:
        return None
    base = flying[0].before
    for left_out in range(1, min(OVERTAKEN, len(flying) - place) + 1):
        near = flying[: place + left_out]
        for gone in combinations(range(len(near)), left_out):
            if len(near) - 1 in gone:
                continue
            kept = [step.fill for i, step in enumerate(near) if i not in gone]
            moved = sum((f.sz * f.side.sign for f in kept), ZERO)
            if base.position + moved != line.position:
                continue
            true = base
            for fill in kept:
                true = true.filled(fill)
            if _fits(true, line):
                return true
    return None


def _missing(case: Case, track: Track, line: CoinLine, count: int) -> Finding:
    lost = [step.fill for step in track.steps if step.before.fills >= line.fills][:SHOWN]
    rows = [f"the venue has {track.line.fills} fills of {line.coin}, the pod's report {line.fills}"]
    rows += [f"venue: {f.side.name.lower()} {f.sz} at {f.px}, tid {f.tid}, oid {f.oid}, {f.ns}" for f in lost]
    worth = abs(track.line.volume - line.volume)
    return Finding(
        kind=BreakKind.FILL_MISSING,
        pod=case.slug,
        subject=line.coin,
        size=Decimal(count),
        unit="fills",
        usd=worth,
        evidence=tuple(rows),
    )


def _forged(case: Case, newest: Line, line: CoinLine) -> Finding:
    return Finding(
        kind=BreakKind.FILL_FORGED,
        pod=case.slug,
        subject=line.coin,
        size=Decimal(line.fills - newest.fills),
        unit="fills",
        usd=abs(line.volume - newest.volume),
        latched=True,
        level=Level.HALTED,
        evidence=(
            f"the pod reports {line.fills} fills of {line.coin} for {line.volume} USD",
            f"the venue has {newest.fills} for {newest.volume} USD, all read up to {case.fills_ns}",
        ),
    )


def _compare_position(case: Case, possible: tuple[Line, ...], place: int, line: CoinLine) -> Iterator[Finding]:
    expected = possible[place].position if 0 <= place < len(possible) else None
    if line.position == expected or (expected is None and any(line.position == p.position for p in possible)):
        return
    if expected is None and place >= len(possible) and line.coin in case.doubtful:
        return
    truth = expected if expected is not None else possible[-1].position
    usd = abs(line.position - truth) * case.px(line.coin)
    # a pod that admits fewer fills may have lost them with its stream: its own sweep mends that, and only time tells
    hidden = line.position == 0 and usd >= case.limits.big_usd and place >= 0
    yield Finding(
        kind=BreakKind.POSITION,
        pod=case.slug,
        subject=line.coin,
        size=abs(line.position - truth),
        unit=line.coin,
        usd=usd,
        latched=hidden,
        level=Level.HALTED if hidden else Level.WARN,
        evidence=(
            f"the pod reports {line.position} {line.coin} after {line.fills} fills",
            f"its fills on the venue make {truth}",
        ),
    )


def _compare_money(case: Case, true: Line, line: CoinLine) -> Iterator[Finding]:
    """Figures of a line whose fills agree in number. Cash follows from them whatever their order was."""
    exact = case.limits.money_usd
    cash = line.realised - line.average_px * line.position
    rows = (
        (BreakKind.FEES, "fees", line.fees, true.fees, exact),
        (BreakKind.PNL, "cash", cash, true.cash, case.limits.pnl_usd),
        (
            BreakKind.ENTRY,
            "entry value",
            line.average_px * line.position,
            true.entry * line.position,
            case.limits.pnl_usd + case.limits.entry_share * abs(true.entry * line.position),
        ),
    )
    for kind, what, told, truth, slack in rows:
        if abs(told - truth) > slack:
            yield Finding(
                kind=kind,
                pod=case.slug,
                subject=f"{line.coin} {what}" if kind is BreakKind.PNL else line.coin,
                size=abs(told - truth),
                unit="USD",
                usd=abs(told - truth),
                evidence=(f"{line.coin} {what}: the pod reports {told}, {line.fills} fills on the venue make {truth}",),
            )
    if abs(line.volume - true.volume) > case.limits.pnl_usd:
        more = line.volume > true.volume
        yield Finding(
            kind=BreakKind.FILL_FORGED if more else BreakKind.FILL_MISSING,
            pod=case.slug,
            subject=line.coin,
            size=abs(line.volume - true.volume),
            unit="USD",
            usd=abs(line.volume - true.volume),
            latched=more,
            level=Level.HALTED if more else Level.WARN,
            evidence=(f"{line.fills} fills of {line.coin}: {line.volume} USD reported, {true.volume} on the venue",),
        )
