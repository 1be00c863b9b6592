"""One pod on a full terminal: what it may do and why, its mandate, coins, orders and decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from slipstream.console.fund_state import FundState, PodView
from slipstream.console.reading import audited, halts_of, is_stale, reasons_of, report_age, stage_of, state_of
from slipstream.console.rows import (
    BREAK_COLUMNS,
    COIN_COLUMNS,
    DECISION_COLUMNS,
    MANDATE_COLUMNS,
    ORDER_COLUMNS,
    amount,
    break_rows,
    coin_rows,
    decision_rows,
    mandate_row,
    money,
    order_rows,
    span,
)
from slipstream.console.tables import style_of, table


def _head(state: FundState, pod: PodView, now_ns: int) -> Text:
    found, stage, age = state_of(state, pod, now_ns), stage_of(pod), report_age(pod, now_ns)
    word = found.value if found is not None else "unknown"
    out = Text(f"pod {pod.slug}  ", style="bold").append(word, style=style_of(word))
    out.append(f"  stage {stage.value if stage is not None else '-'}  phase {pod.phase or '-'}")
    old = " OLD" if age is not None and is_stale(age) else ""
    return out.append(
        f"  last word {span(age)} ago" + old if age is not None else "  it never spoke", style=style_of(old)
    )


def _money(state: FundState, pod: PodView) -> Text:
    report, shown = pod.report, audited(state, pod.slug)
    if report is None and shown is None:
        return Text("no figures", style="dim")
    parts = []
    if shown is not None:
        parts.append(
            f"audited  net {money(shown.net)}, gross {amount(shown.gross)}, net exposure {amount(shown.net_exposure)}, "
            f"orders {shown.open_orders}, maker {amount(shown.maker_volume)}, taker {amount(shown.taker_volume)}"
        )
    if report is not None:
        parts.append(
            f"said     net {money(report.net)} = realised {money(report.realised)} + unrealised "
            f"{money(report.unrealised)} - fees {amount(report.fees, 2)} + funding {money(report.funding)}, "
            f"gross {amount(report.gross)}, worst {amount(report.worst_gross)}, {report.fills} fills, "
            f"{report.actions} actions"
        )
    return Text("\n".join(parts))


def pod_page(state: FundState, slug: str, now_ns: int) -> RenderableType:
    """A pod's whole page."""
    pod = state.pods.get(slug) or PodView(slug)
    parts: list[RenderableType] = [_head(state, pod, now_ns)]
    parts += [Text(f"  {line}", style="yellow") for line in reasons_of(state, pod)]
    if pod.report is not None and pod.report.error:
        parts.append(Text(f"  first error: {pod.report.error}", style="bold red"))
    parts += [_money(state, pod), Text()]
    *lease, caps = mandate_row(state, pod, now_ns)
    parts.append(table("mandate", MANDATE_COLUMNS[1:-1], (tuple(lease[1:]),)))
    parts.append(Text(f"{MANDATE_COLUMNS[-1]}  {caps}", style="dim"))
    halts = [(p.halt.state.value, p.halt.who, p.target, p.halt.why, p.halt.clears) for p in halts_of(state, slug)]
    broken = tuple(row for row in break_rows(state, now_ns) if row[2] == slug)
    for title, columns, rows in (
        ("halts", ("state", "who", "whom", "why", "clears"), halts),
        ("open breaks", BREAK_COLUMNS, broken),
        ("coins", COIN_COLUMNS, coin_rows(state, pod)),
        ("orders", ORDER_COLUMNS, order_rows(pod)),
        ("decisions", DECISION_COLUMNS, decision_rows(state, slug)[:20]),
    ):
        if rows:
            parts += [Text(), table(title, columns, rows, last_wraps=title == "decisions")]
    if pod.ack is not None:
        parts += [Text(), Text(f"last acknowledged: {pod.ack.text}", style="dim")]
    return Group(*parts)


class PodScreen(Screen[None]):
    """A page that is drawn anew from the newest state; h, r and f act on this pod."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "back"),
        Binding("h", "app.order('halt', False)", "halt"),
        Binding("r", "app.order('resume', False)", "resume"),
        Binding("f", "app.order('flatten', False)", "flatten"),
        Binding("question_mark", "app.help", "help", key_display="?"),
        Binding("q", "app.quit", "quit"),
    ]

    def __init__(self, slug: str, now: Callable[[], tuple[FundState, int]]) -> None:
        super().__init__()
        self.slug = slug
        self._now = now

    def compose(self) -> ComposeResult:
        """One page that scrolls."""
        with VerticalScroll():
            yield Static(id="page")
        yield Footer()

    def on_mount(self) -> None:
        """Draw now and then."""
        self.draw()
        self.set_interval(0.5, self.draw)

    def draw(self) -> None:
        """The page from the newest state."""
        state, now_ns = self._now()
        self.query_one("#page", Static).update(pod_page(state, self.slug, now_ns))
