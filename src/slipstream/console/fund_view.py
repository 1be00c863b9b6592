"""The fund on a terminal: what runs, what it is worth, quotes against the book, the latest fills and notes.

Pure functions to rich renderables and lines of text: ``fund_line`` and ``fund_screen`` from a FundState (the fund,
from the bus), ``headline`` and ``render`` from plain values (a pod's ``GET /status``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from slipstream.console.fund_state import FundState
from slipstream.console.reading import open_breaks, reasons_of, venue_ns
from slipstream.console.rows import (
    ALERT_COLUMNS,
    BREAK_COLUMNS,
    DECISION_COLUMNS,
    HALT_COLUMNS,
    POD_COLUMNS,
    PROCESS_COLUMNS,
    alert_rows,
    break_rows,
    clock,
    decision_rows,
    fund_pairs,
    halt_rows,
    pod_rows,
    process_rows,
    span,
    when,
)
from slipstream.console.tables import style_of, table
from slipstream.model.breaks import Break

Status = Mapping[str, Any]
_STATE_STYLE = {"ready": "green", "running": "green", "active": "green", "failed": "bold red", "halted": "bold red"}


def number(value: object) -> Decimal | None:
    """A plain value as a Decimal, or None where there is none to show."""
    if value is None:
        return None
    try:
        out = Decimal(str(value))
    except InvalidOperation:
        return None
    return out if out.is_finite() else None


def money(value: object, places: int = 2) -> str:
    """USD with a sign and thousands separators, or a dash."""
    amount = number(value)
    return "-" if amount is None else f"{amount:+,.{places}f}"


def net_pnl(coin: Status) -> Decimal:
    """Realised and unrealised PnL of a coin, less fees, plus funding received."""
    realised, unrealised, fees, funding = (
        number(coin.get(name)) or Decimal(0) for name in ("realised", "unrealised", "fees", "funding")
    )
    return realised + unrealised - fees + funding


def _clock(ns: object) -> str:
    value = number(ns)
    return "-" if value is None else datetime.fromtimestamp(float(value) / 1e9, UTC).strftime("%H:%M:%S")


def totals(pods: Sequence[Status]) -> dict[str, Decimal]:
    """Sums over pods and coins: equity, gross, net PnL, fees, funding, fills."""
    out = dict.fromkeys(("equity", "gross", "net", "fees", "funding", "fills"), Decimal(0))
    for pod in pods:
        kernel = pod.get("kernel") or {}
        out["equity"] += number(kernel.get("equity")) or 0
        out["gross"] += number(kernel.get("gross")) or 0
        for coin in (kernel.get("coins") or {}).values():
            out["net"] += net_pnl(coin)
            for name in ("fees", "funding", "fills"):
                out[name] += number(coin.get(name)) or 0
    return out


def _process_table(lines: Sequence[tuple[str, str, str]]) -> Table:
    table = Table(box=None, expand=True, pad_edge=False)
    table.add_column("process", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("detail", ratio=1, overflow="ellipsis", no_wrap=True)
    for name, state, detail in lines:
        table.add_row(name, Text(state, style=_STATE_STYLE.get(state, "yellow")), detail)
    return table


def _best(coin: Status, side: str) -> str:
    prices = [Decimal(o["px"]) for o in coin.get("orders", []) if o["side"] == side]
    if not prices:
        return "-"
    return str(max(prices) if side == "B" else min(prices))


def _coin_table(pod: Status) -> Table:
    table = Table(box=None, expand=True, pad_edge=False)
    columns = ("coin", "book bid", "our bid", "our ask", "book ask", "fair", "position", "fills", "volume")
    for name in (*columns, "fees", "funding", "net PnL", "state"):
        table.add_column(name, justify="left" if name in ("coin", "state") else "right", no_wrap=True)
    kernel = pod.get("kernel") or {}
    quotes = (kernel.get("strategy") or {}).get("symbols") or {}
    for name, coin in (kernel.get("coins") or {}).items():
        quote = quotes.get(name) or {}
        suspended = quote.get("suspended") or coin.get("blocked") or ""
        net = net_pnl(coin)
        table.add_row(
            name,
            _plain(quote.get("hl_bid")),
            _best(coin, "B"),
            _best(coin, "A"),
            _plain(quote.get("hl_ask")),
            _plain(quote.get("fair")),
            str(coin.get("position", "-")),
            str(coin.get("fills", 0)),
            f"{number(coin.get('volume')) or 0:,.0f}",
            money(coin.get("fees")),
            money(coin.get("funding"), 4),
            Text(money(net), style="green" if net >= 0 else "red"),
            Text(str(suspended)[:40] if suspended else "quoting", style="yellow" if suspended else "green"),
        )
    return table


def _plain(value: object) -> str:
    amount = number(value)
    return "-" if amount is None else f"{float(amount):.7g}"


def _feed_table(pod: Status, rows: int) -> Table:
    table = Table.grid(expand=True, padding=(0, 2))
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    fills = [
        f"{_clock(f.get('ns'))}  {f.get('coin')} {'buy ' if f.get('side') == 'B' else 'sell'} "
        f"{f.get('sz')} @ {f.get('px')}  fee {f.get('fee')}"
        for f in list(pod.get("fills") or [])[-rows:]
    ]
    notes = [
        f"{_clock(n.get('ns'))}  {n.get('text') or n.get('topic')} {n.get('field.coin') or n.get('coin') or ''}"
        for n in list(pod.get("notes") or [])[-rows:]
    ]
    table.add_row(Text("latest fills", style="bold"), Text("notes", style="bold"))
    for i in range(max(len(fills), len(notes))):
        table.add_row(fills[i] if i < len(fills) else "", notes[i] if i < len(notes) else "")
    return table


def headline(venue: Status, pods: Sequence[Status]) -> str:
    """The fund on one line."""
    sums = totals(pods)
    stamp = number(venue.get("time"))
    when = "-" if stamp is None else datetime.fromtimestamp(float(stamp) / 1e3, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"venue time {when} at {_plain(venue.get('speed'))}x   equity {sums['equity']:,.2f}   "
        f"gross {sums['gross']:,.2f}   net PnL {money(sums['net'])} (fees {money(-sums['fees'])}, "
        f"funding {money(sums['funding'], 4)})   fills {int(sums['fills'])}"
    )


def render(venue: Status, processes: Sequence[tuple[str, str, str]], pods: Sequence[Status]) -> RenderableType:
    """The whole view."""
    parts: list[RenderableType] = [
        Panel(Text(headline(venue, pods)), title="fund", border_style="cyan"),
        Panel(_process_table(processes), title="processes"),
    ]
    for pod in pods:
        kernel = pod.get("kernel") or {}
        state = str(kernel.get("state", pod.get("phase", "?")))
        reasons = "; ".join(map(str, kernel.get("reasons") or []))
        title = f"pod {pod.get('pod')}  {state}" + (f" ({reasons})" if reasons else "")
        if pod.get("error"):
            title += f"  first error: {pod['error']}"
        parts.append(Panel(Group(_coin_table(pod), Text(), _feed_table(pod, 8)), title=title[:160]))
    return Group(*parts)


def fund_line(state: FundState, now_ns: int) -> str:
    """The whole fund on one line, for logs and pipes."""
    figures = "  ".join(f"{name} {value}" for name, value in fund_pairs(state, now_ns))
    breaks = open_breaks(state)
    broken = f"  breaks {len(breaks)} (worst {breaks[0].level.value}: {breaks[0].id})" if breaks else "  no breaks"
    return f"venue time {when(state, now_ns)}  {figures}{broken}"


class Figures:
    """The fund's figures with their names, as many lines as the width needs; no name leaves its value."""

    def __init__(self, state: FundState, now_ns: int) -> None:
        self._pairs = fund_pairs(state, now_ns)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fill lines one after the other."""
        line = Text()
        for name, value in self._pairs:
            if line and len(line) + 2 + len(name) + 1 + len(value) > options.max_width:
                yield line
                line = Text()
            line.append("  " if line else "").append(f"{name} ", style="dim")
            line.append(value, style=style_of(value) or "bold")
        yield line


def fund_screen(
    state: FundState, now_ns: int, *, decisions: int = 5, processes: Sequence[tuple[str, str, str]] = ()
) -> RenderableType:
    """The whole fund: money, pods and why they are held, processes, breaks, halts, errors, the last decisions.

    ``processes`` (name, state, detail) are those of a supervisor; without them beats tell who is alive.
    """
    parts: list[RenderableType] = [
        Text(f"fund {state.realm}  venue time {when(state, now_ns)}", style="bold"),
        Figures(state, now_ns),
        Text(),
        table("pods", POD_COLUMNS, pod_rows(state, now_ns)),
    ]
    held = [(pod.slug, reason) for pod in state.pods.values() for reason in reasons_of(state, pod)]
    parts.extend(
        Text(f"  {slug}: {reason}", style="yellow", overflow="ellipsis", no_wrap=True) for slug, reason in held
    )
    if processes:
        parts += [Text(), table("processes", ("process", "state", "detail"), list(processes))]
    else:
        parts += [Text(), table("processes", PROCESS_COLUMNS, process_rows(state, now_ns))]
    for title, columns, rows in (
        ("open breaks", BREAK_COLUMNS, break_rows(state, now_ns)),
        ("halts in force", HALT_COLUMNS, halt_rows(state)),
        ("errors and alerts", ALERT_COLUMNS, alert_rows(state)[:decisions]),
        ("last decisions", DECISION_COLUMNS, decision_rows(state)[:decisions]),
    ):
        if rows:
            parts += [Text(), table(title, columns, rows)]
    return Group(*parts)


def explain_break(state: FundState, found: Break, now_ns: int) -> RenderableType:
    """One break whole."""
    age = max(0.0, found.age_ns(venue_ns(state, now_ns) or found.last_ns) / 1e9)
    out = Table.grid(padding=(0, 2))
    out.add_column(style="dim", no_wrap=True)
    out.add_column(overflow="fold")
    out.add_row("break", found.id)
    out.add_row(
        "kind", f"{found.kind.value} of {found.pod or 'the fund'}" + (f", {found.subject}" if found.subject else "")
    )
    out.add_row("size", f"{found.size:f} {found.unit}")
    out.add_row("level", Text(found.level.value, style=style_of(found.level.value)))
    out.add_row(
        "stands" if found.is_open else "stood",
        f"{span(age)}, first {clock(found.first_ns)}, last {clock(found.last_ns)}",
    )
    for line in found.evidence:
        out.add_row("evidence", line)
    if found.is_open:
        out.add_row("clears", found.clears)
    else:
        out.add_row("closed", f"{clock(found.resolved_ns)} by {found.resolved_by}")
    return out
