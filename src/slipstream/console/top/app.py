"""`slipstream top`: listens on the bus, draws twice a second, and carries an operator's words to the fund.

Hearing and drawing are apart: messages are folded as they come, the screen is drawn on a timer, and an errand has a
connection of its own. A lost broker leaves the last figures standing, with their age; a fund that moved (a new run of
`slipstream up`) is found again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.widgets import DataTable, Footer, Static

from slipstream.console import errands
from slipstream.console.discovery import FundAddress
from slipstream.console.errands import Plan
from slipstream.console.fund_state import FundState, begin, filters, fold
from slipstream.console.fund_view import Figures
from slipstream.console.history import past_decisions, with_past
from slipstream.console.listening import operator_bus
from slipstream.console.reading import reasons_of
from slipstream.console.rows import (
    ALERT_COLUMNS,
    BREAK_COLUMNS,
    DECISION_COLUMNS,
    HALT_COLUMNS,
    POD_COLUMNS,
    alert_rows,
    break_rows,
    decision_rows,
    halt_rows,
    pod_rows,
    process_rows,
    span,
    when,
)
from slipstream.console.tables import style_of, table
from slipstream.console.top.pod_screen import PodScreen
from slipstream.console.top.prompts import HelpScreen, ReasonPrompt, SurePrompt
from slipstream.console.top.tables import RowTable
from slipstream.model.errors import SlipstreamError
from slipstream.model.mandate import TradingState
from slipstream.model.topics import ALL
from slipstream.runtime.bus.port import Bus

DRAW_EVERY = 0.5  # wall seconds
MOVED_AFTER = 5.0  # wall seconds without a broker after which the fund is looked for again
WIDE = 130  # columns from which troubles and decisions stand side by side
NOTES = {
    "halt": "orders are cancelled, positions stay, until it is resumed",
    "resume": "every halt up to now is cleared, whoever latched it",
    "flatten": "the breaker halts it and closes its positions at the market's price",
}
OBEY_S = {"halt": 10.0, "resume": 10.0, "flatten": 60.0}


class TopApp(App[None]):
    """The fund on a full terminal. ``find`` says where the fund is, now and again after the broker was lost."""

    TITLE = "slipstream top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #title { height: 1; background: $primary; color: $text; text-style: bold; padding: 0 1; }
    #fund { height: auto; max-height: 4; padding: 0 1; }
    #pods { height: auto; max-height: 40%; padding: 0 1; scrollbar-size-horizontal: 0; }
    #processes { height: auto; max-height: 3; padding: 0 1; }
    #lower { height: 1fr; }
    #left, #right { padding: 0 1; height: auto; width: 100%; }
    #lowerscroll { height: 1fr; }
    #said { height: auto; max-height: 4; padding: 0 1; background: $boost; }
    .-wide #grid { layout: grid; grid-size: 2; grid-gutter: 0 1; height: auto; }
    #grid { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h", "order('halt', False)", "halt"),
        Binding("r", "order('resume', False)", "resume"),
        Binding("f", "order('flatten', False)", "flatten"),
        Binding("H", "order('halt', True)", "halt all", show=False),
        Binding("R", "order('resume', True)", "resume all", show=False),
        Binding("F", "order('flatten', True)", "flatten all", show=False),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, find: Callable[[], FundAddress], *, now: Callable[[], int] = time.time_ns) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]
        self._find = find
        self._now = now
        self._address = find()
        self._bus: Bus | None = None
        self.state = self._fresh()
        self.said: tuple[str, ...] = ()

    def _fresh(self) -> FundState:
        return begin(self._address.realm, self._address.pods, speed=self._address.speed, since_ns=self._now())

    def compose(self) -> ComposeResult:
        """Money first, then pods, processes, what is broken, what was decided."""
        yield Static(id="title", markup=False)
        yield Static(id="fund", markup=False)
        yield RowTable(POD_COLUMNS, id="pods")
        yield Static(id="processes", markup=False)
        yield Static(id="said", markup=False)
        with VerticalScroll(id="lowerscroll"), Container(id="grid"):
            yield Static(id="left", markup=False)
            yield Static(id="right", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to listen and to draw."""
        self.query_one(RowTable).focus()
        self._begin()
        self.draw()
        self.set_interval(DRAW_EVERY, self.draw)
        self.set_interval(MOVED_AFTER, self._look_again)

    def _begin(self) -> None:
        self.state = self._fresh()
        self.run_worker(self._listen(), group="bus", exclusive=True)
        self.run_worker(self._remember(), group="past", exclusive=True)

    async def _listen(self) -> None:
        """Fold what comes, until the app ends or the fund has moved."""
        bus = operator_bus(self._address)
        await bus.subscribe(*filters(self._address.realm))
        async with bus:
            self._bus = bus
            async for received in bus.messages():
                self.state = fold(self.state, received)

    async def _remember(self) -> None:
        """What was decided before we came; journals are files, read beside the loop."""
        past = await asyncio.to_thread(past_decisions, self._address.run)
        self.state = with_past(self.state, past)

    def _look_again(self) -> None:
        """After the broker was away for long: has the fund moved to another run?"""
        lost = self._bus.lost_since if self._bus is not None else None
        if lost is None or time.monotonic() - lost < MOVED_AFTER:
            return
        try:
            address = self._find()
        except SlipstreamError as error:
            self._say(str(error))
            return
        if address != self._address:
            self._address = address
            self._say(f"the fund has moved: {address.source}")
            self._begin()

    def view(self) -> tuple[FundState, int]:
        """The newest state and the time."""
        return self.state, self._now()

    def draw(self) -> None:
        """The main screen from the newest state."""
        # behind another screen, or before the first and after the last moment of this one, there is nothing to draw on
        if self.screen is not self.screen_stack[0] or not self.query("#title, #right"):
            return
        state, now_ns = self.view()
        self.query_one("#title", Static).update(self._title(state, now_ns))
        self.query_one("#fund", Static).update(Figures(state, now_ns))
        self.query_one("#pods", RowTable).follow(pod_rows(state, now_ns))
        self.query_one("#processes", Static).update(processes_text(state, now_ns))
        said = self.query_one("#said", Static)
        said.display = bool(self.said)
        said.update("\n".join(self.said))
        self.query_one("#left", Static).update(trouble(state, now_ns))
        self.query_one("#right", Static).update(decided(state))

    def _title(self, state: FundState, now_ns: int) -> str:
        lost = self._bus.lost_since if self._bus is not None else 0.0
        away = "" if lost is None else f"  BROKER AWAY {span(time.monotonic() - lost)}" if lost else "  connecting"
        return f"fund {state.realm}  {when(state, now_ns)}{away}"

    def _say(self, text: str) -> None:
        self.said = (*self.said[-2:], text)
        if isinstance(self.screen, PodScreen):
            self.notify(text, markup=False)
        self.draw()

    def _target(self, everybody: bool) -> str | None:
        if everybody:
            return ALL
        if isinstance(self.screen, PodScreen):
            return self.screen.slug
        return self.query_one("#pods", RowTable).chosen

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter: the pod's page."""
        if event.row_key.value is not None:
            self.push_screen(PodScreen(event.row_key.value, self.view))

    def action_help(self) -> None:
        """The keys."""
        self.push_screen(HelpScreen())

    def action_order(self, name: str, everybody: bool) -> None:
        """Ask why, before a flatten ask again, then do it."""
        target = self._target(everybody)
        if target is None:
            self._say("no pod was heard yet")
            return

        def told(why: str | None) -> None:
            if why is None:
                return
            if name == "flatten":
                question = f"Really close every position of {target}?"
                self.push_screen(SurePrompt(question, target), lambda sure: self._go(name, target, why, bool(sure)))
            else:
                self._go(name, target, why, True)

        self.push_screen(ReasonPrompt(f"{name} {target}", NOTES[name]), told)

    def _go(self, name: str, target: str, why: str, sure: bool) -> None:
        if not sure:
            self._say(f"{name} {target}: left alone")
            return
        plans: dict[str, Callable[[], Plan]] = {
            "halt": lambda: errands.halting(target, why, TradingState.HALTED),
            "resume": lambda: errands.resuming(target, why),
            "flatten": lambda: errands.flattening(target, why),
        }
        self._say(f"{name} {target}: said, waiting")
        self.run_worker(self._errand(name, target, plans[name]()), group="errands")

    async def _errand(self, name: str, target: str, plan: Plan) -> None:
        try:
            done = await errands.run(self._address, plan, OBEY_S[name])
        except SlipstreamError as error:
            self._say(f"{name} {target}: {error}")
            return
        for answer in done.answers:
            word = "obeyed" if answer.obeyed else f"NOT OBEYED in {OBEY_S[name]:g} s"
            self._say(f"{name} {answer.whom}: {word}, {answer.text}{f' ({done.trouble})' if done.trouble else ''}")


def processes_text(state: FundState, now_ns: int) -> Text:
    """Every process and the age of its last beat, in a line or two."""
    out = Text()
    for name, word, beat, _pid in process_rows(state, now_ns):
        out.append(f"{name} ").append(f"DEAD ({beat})" if word == "dead" else beat, style=style_of(word)).append("  ")
    return out


def trouble(state: FundState, now_ns: int) -> RenderableType:
    """What is broken, who is held and why, errors and alerts."""
    held = [(pod.slug, line) for pod in state.pods.values() for line in reasons_of(state, pod)]
    sections = (
        ("open breaks", BREAK_COLUMNS, break_rows(state, now_ns)),
        ("held back", ("pod", "why"), held),
        ("halts in force", HALT_COLUMNS, halt_rows(state)),
        ("errors and alerts", ALERT_COLUMNS, alert_rows(state)[:8]),
    )
    parts = [table(title, columns, rows) for title, columns, rows in sections if rows]
    return Group(*parts) if parts else Text("no break is open, nobody is held back, no error", style="green")


def decided(state: FundState) -> RenderableType:
    """The last decisions with their reasons."""
    rows = decision_rows(state)[:20]
    return table("last decisions", DECISION_COLUMNS, rows) if rows else Text("no decision was heard yet", style="dim")
