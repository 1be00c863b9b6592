"""The whole fund on a terminal, from a FundState: one line for logs, one screen for people, one break explained.

Pure functions to rich renderables and lines of text.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
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
