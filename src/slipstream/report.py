"""`slipstream report`: what a pod's journal says it earned, coin by coin. Reads only; safe while the pod runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from slipstream.execution.markouts import HORIZONS, Mids, Result, result
from slipstream.model.events import Bbo, Fill, FundingPayment
from slipstream.runtime.journal import SqliteJournal


def read_results(path: Path) -> tuple[list[Result], float, int]:
    """Results by coin, hours of venue time, sessions. Raises JournalError."""
    mids: defaultdict[str, Mids] = defaultdict(Mids)
    fills: defaultdict[str, dict[tuple[int, int], Fill]] = defaultdict(dict)
    payments: defaultdict[str, dict[int, FundingPayment]] = defaultdict(dict)
    first = last = 0
    with SqliteJournal(path, read_only=True) as journal:
        sessions = journal.sessions()
        began = sessions[0].ns if sessions else 0
        for _, event, _ in journal.read(0):
            if isinstance(event, Bbo) and event.venue == "hl":
                mids[event.coin].add(event)
                first, last = first or event.event_ns, event.event_ns
            elif isinstance(event, Fill) and event.ns >= began:
                fills[event.coin].setdefault((event.tid, event.oid), event)
            elif isinstance(event, FundingPayment) and event.ns >= began:
                payments[event.coin].setdefault(event.ns, event)
    found = [
        result(coin, sorted(fills[coin].values(), key=lambda f: f.ns), list(payments[coin].values()), mids[coin])
        for coin in sorted(mids)
    ]
    return found, (last - first) / 3.6e12, len(sessions)


def _bp(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def show(path: Path, console: Console) -> None:
    """Print the table."""
    results, hours, sessions = read_results(path)
    title = f"{path}: {sessions} sessions, {hours:.2f} hours of venue time"
    table = Table(title=title, caption="markouts in bp of the notional, by seconds after the fill; the rest in USD")
    columns: list[tuple[str, Callable[[Result], str]]] = [
        ("coin", lambda r: r.coin),
        ("fills", lambda r: str(r.fills)),
        ("volume", lambda r: f"{r.volume:,.0f}"),
        ("maker", lambda r: f"{r.maker_share:.0%}"),
        ("spread captured", lambda r: f"{r.spread_captured:+.2f}"),
        *((f"{h} s", lambda r, h=h: _bp(r.markouts[h])) for h in HORIZONS),
        ("gross PnL", lambda r: f"{r.gross_pnl:+.2f}"),
        ("fees", lambda r: f"{-r.fees:+.2f}"),
        ("funding", lambda r: f"{r.funding:+.4f}"),
        ("net PnL", lambda r: f"{r.net_pnl:+.2f}"),
        ("position", lambda r: f"{r.position:g}"),
        ("largest", lambda r: f"{r.max_position:g}"),
    ]
    for name, _ in columns:
        table.add_column(name, justify="left" if name == "coin" else "right", no_wrap=True)
    for row in results:
        table.add_row(*(text(row) for _, text in columns))
    table.add_section()
    net = sum(r.net_pnl for r in results)
    table.add_row("all", str(sum(r.fills for r in results)), f"{sum(r.volume for r in results):,.0f}")
    console.print(table)
    console.print(f"net PnL of all coins: {net:+.2f} USD", highlight=False)
