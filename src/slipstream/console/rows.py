"""The fund as rows of text: one truth for the terminal views and the commands. A figure that is old says its age.

Functions of a FundState and the wall's clock (``now_ns``). A row has a cell for each name in its ``*_COLUMNS``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from slipstream.console.fund_state import FundState, PodView
from slipstream.console.reading import (
    Sums,
    audit_age,
    audited,
    beat_age,
    coins_of,
    halts_in_force,
    is_dead,
    is_stale,
    lease_left,
    open_breaks,
    process_names,
    report_age,
    speed_of,
    stage_of,
    state_of,
    sums_of,
    venue_ns,
)
from slipstream.model.breaks import Break
from slipstream.model.instrument import Side

Row = tuple[str, ...]
POD_COLUMNS = ("pod", "stage", "state", "net", "said", "gross", "net exp", "ord", "lease", "age")
COIN_COLUMNS = ("coin", "position", "audited", "avg px", "mark", "net", "fees", "funding", "fills", "volume")
ORDER_COLUMNS = ("coin", "side", "px", "remaining", "oid", "cloid")
PROCESS_COLUMNS = ("process", "state", "beat", "pid")
BREAK_COLUMNS = ("level", "age", "pod", "break", "size")
DECISION_COLUMNS = ("time", "who", "pod", "decision")
ALERT_COLUMNS = ("time", "level", "what")
HALT_COLUMNS = ("whom", "state", "who", "why", "clears")
MANDATE_COLUMNS = ("pod", "version", "obeyed", "stage", "capital", "gross cap", "used", "actions", "left", "coin caps")
DASH = "-"


def money(value: Decimal | None, places: int = 2) -> str:
    """USD with a sign and thousands separators, or a dash."""
    return DASH if value is None else f"{value:+,.{places}f}"


def amount(value: Decimal | None, places: int = 0) -> str:
    """USD without a sign for what is positive, or a dash."""
    return DASH if value is None else f"{value:,.{places}f}"


def short(value: Decimal | None) -> str:
    """A size or price in at most seven figures, or a dash."""
    return DASH if value is None else f"{float(value):.7g}"


def span(value: float | None) -> str:
    """Seconds in the largest fitting unit: ``4s``, ``12m``, ``3h``, ``2d``; a dash where not known."""
    if value is None:
        return DASH
    size = abs(value)
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if size >= 2 * length:
            return f"{value / length:.0f}{unit}"
    return f"{value:.0f}s"


def clock(ns: int) -> str:
    """A venue time of day."""
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%H:%M:%S") if ns else DASH


def when(state: FundState, now_ns: int) -> str:
    """The venue's time and speed, and how old the newest word is if it is old."""
    at = venue_ns(state, now_ns)
    if not at:
        return "venue time unknown: nothing was heard"
    text = datetime.fromtimestamp(at / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    silent = (now_ns - state.heard_ns) / 1e9
    late = f"  LAST WORD {span(silent)} AGO" if is_stale(silent) else ""
    return f"{text} at {speed_of(state):.3g}x{late}"


def fund_pairs(state: FundState, now_ns: int) -> tuple[tuple[str, str], ...]:
    """The fund's figures with their names, the most important first."""
    sums: Sums = sums_of(state)
    age = audit_age(state, now_ns)
    source = f"audited {span(age)} ago" if age is not None else "as reported: no audit was heard"
    return (
        ("equity", amount(sums.equity, 2)),
        ("PnL after costs", money(sums.net)),
        ("reported", money(sums.net_reported)),
        ("gross", amount(sums.gross)),
        ("net", amount(sums.net_exposure)),
        ("beta", DASH if sums.beta is None else f"{sums.beta:+.2f}"),
        ("fees", amount(sums.fees, 2)),
        ("funding", money(sums.funding)),
        ("fills", DASH if sums.fills is None else f"{sums.fills:,}"),
        ("figures", source + (" OLD" if age is not None and is_stale(age) else "")),
    )


def pod_row(state: FundState, pod: PodView, now_ns: int) -> Row:
    """A pod: PnL as audited beside what it says itself."""
    report, shown = pod.report, audited(state, pod.slug)
    found, stage = state_of(state, pod, now_ns), stage_of(pod)
    word = found.value if found is not None else "unknown"
    if pod.phase not in ("", "running"):
        word = pod.phase
    elif is_dead(state, pod.slug, now_ns):
        word = "dead"
    gross = shown.gross if shown is not None else report.gross if report is not None else None
    net = shown.net_exposure if shown is not None else report.net_exposure if report is not None else None
    age = report_age(pod, now_ns)
    return (
        pod.slug,
        stage.value if stage is not None else DASH,
        word,
        money(shown.net) if shown is not None else DASH,
        money(report.net) if report is not None else DASH,
        amount(gross),
        amount(net),
        str(len(report.orders)) if report is not None else DASH,
        span(lease_left(state, pod, now_ns)),
        span(age) + (" OLD" if age is not None and is_stale(age) else ""),
    )


def pod_rows(state: FundState, now_ns: int) -> tuple[Row, ...]:
    """Every pod."""
    return tuple(pod_row(state, pod, now_ns) for pod in state.pods.values())


def coin_rows(state: FundState, pod: PodView) -> tuple[Row, ...]:
    """A pod's coins: its own position beside the audited one."""
    out = []
    for view in coins_of(state, pod):
        line = view.said or view.audited
        assert line is not None  # a coin is listed because somebody speaks of it
        unrealised = line.position * ((view.mark or line.average_px) - line.average_px)
        out.append(
            (
                view.coin,
                f"{view.said.position:f}" if view.said is not None else DASH,
                f"{view.audited.position:f}" if view.audited is not None else DASH,
                short(line.average_px) if line.position else DASH,
                short(view.mark),
                money(line.realised + unrealised - line.fees + line.funding),
                amount(line.fees, 2),
                money(line.funding),
                str(line.fills),
                amount(line.volume),
            )
        )
    return tuple(out)


def order_rows(pod: PodView) -> tuple[Row, ...]:
    """A pod's live orders, as it reports them."""
    orders = pod.report.orders if pod.report is not None else ()
    return tuple(
        (
            order.coin,
            ("buy" if order.side is Side.BUY else "sell") + (" reduce" if order.reduce_only else ""),
            f"{order.px:f}",
            f"{order.remaining:f}",
            str(order.oid) if order.oid else "unacknowledged",
            order.cloid,
        )
        for order in sorted(orders, key=lambda o: (o.coin, o.side.value, o.px))
    )


def process_rows(state: FundState, now_ns: int) -> tuple[Row, ...]:
    """Every process by its beats."""
    out = []
    for name in process_names(state):
        view = state.processes.get(name)
        word = "dead" if is_dead(state, name, now_ns) else "alive" if view is not None else "unheard"
        age = beat_age(state, name, now_ns)
        out.append((name, word, "never" if age is None else span(age), str(view.beat.pid) if view else DASH))
    return tuple(out)


def break_row(state: FundState, found: Break, now_ns: int) -> Row:
    """A break on one line; its age is venue time."""
    age = found.age_ns(venue_ns(state, now_ns) or found.last_ns) / 1e9
    return (found.level.value, span(max(0.0, age)), found.pod or "fund", found.id, f"{found.size:f} {found.unit}")


def break_rows(state: FundState, now_ns: int) -> tuple[Row, ...]:
    """Open breaks, the worst first."""
    return tuple(break_row(state, b, now_ns) for b in open_breaks(state))


def decision_rows(state: FundState, pod: str = "") -> tuple[Row, ...]:
    """Decisions with their reasons, the newest first; of one pod if it is named."""
    found = [h for h in reversed(state.decisions) if not pod or h.decision.pod == pod]
    rows = []
    for heard in found:
        said = heard.decision
        why = f" ({'; '.join(said.reasons)})" if said.reasons else ""
        rows.append((clock(said.ns), heard.process, said.pod or "fund", said.text + why))
    return tuple(rows)


def alert_rows(state: FundState) -> tuple[Row, ...]:
    """Errors of pods that are still theirs, then alerts, the newest first."""
    errors = [
        (clock(pod.report.ns), "error", f"{pod.slug}: {pod.report.error}")
        for pod in state.pods.values()
        if pod.report is not None and pod.report.error
    ]
    alerts = [(clock(a.ns), a.level, a.title + (f": {a.body}" if a.body else "")) for a in reversed(state.alerts)]
    return (*errors, *alerts)


def halt_rows(state: FundState) -> tuple[Row, ...]:
    """Halts in force: whom, who, why and how each clears."""
    return tuple((p.target, p.halt.state.value, p.halt.who, p.halt.why, p.halt.clears) for p in halts_in_force(state))


def mandate_row(state: FundState, pod: PodView, now_ns: int) -> Row:
    """A pod's lease and how much of it is used."""
    given, report = pod.mandate, pod.report
    obeyed = str(report.mandate_version) if report is not None else DASH
    if given is None:
        return (pod.slug, DASH, obeyed, *([DASH] * 6), "no mandate was heard")
    used = report.worst_gross if report is not None else None
    share = DASH if used is None or not given.gross_cap else f"{used / given.gross_cap:.0%}"
    left = lease_left(state, pod, now_ns)
    caps = " ".join(f"{coin}:{cap:,.0f}" for coin, cap in sorted(given.coin_caps.items()))
    return (
        pod.slug,
        str(given.version),
        obeyed,
        given.stage.value,
        amount(given.capital),
        amount(given.gross_cap),
        share,
        str(given.action_budget),
        "expired" if left is not None and left <= 0 else span(left),
        caps or DASH,
    )


def mandate_rows(state: FundState, now_ns: int) -> tuple[Row, ...]:
    """Every pod's lease."""
    return tuple(mandate_row(state, pod, now_ns) for pod in state.pods.values())
