"""Rows as a rich table, and the colours of words and figures."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from slipstream.console.rows import Row

_WORD_STYLE = {
    "ready": "green",
    "running": "green",
    "active": "green",
    "failed": "bold red",
    "halted": "bold red",
    "alive": "green",
    "warn": "yellow",
    "reducing": "yellow",
    "breaker": "bold red",
    "dead": "bold red",
    "lost": "bold red",
    "error": "bold red",
}
_WORDS = ("pod", "stage", "state", "coin", "side", "cloid", "process", "level", "break", "time", "who", "decision")
_LEFT = frozenset((*_WORDS, "what", "whom", "why", "clears", "detail", "coin caps"))


def is_right(column: str) -> bool:
    """Whether a column holds numbers."""
    return column not in _LEFT


def style_of(cell: str) -> str:
    """The colour of a word or figure: what is well green, what is off yellow, what is broken or old red."""
    if cell.endswith(" OLD"):
        return "red"
    # money with cents and durations: a sign is good or bad; exposure has its sign without cents
    if len(cell) > 1 and cell[0] in "+-" and cell[1].isdigit() and (cell[-3:-2] == "." or cell[-1].isalpha()):
        return "green" if cell[0] == "+" else "red"
    return _WORD_STYLE.get(cell, "")


def table(title: str, columns: Sequence[str], rows: Sequence[Row], *, last_wraps: bool = False) -> Table:
    """Rows under their names; where the terminal is too narrow the last column is shortened, or wraps."""
    out = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    last = len(columns) - 1
    for number, name in enumerate(columns):
        width = None if number == last else max(len(name), *(len(row[number]) for row in rows), 0)
        # only the last column has no fixed width, so that rich takes what is missing from it and from no other
        out.add_column(name, justify="right" if is_right(name) else "left", width=width, overflow="fold")
    for row in rows:
        cells = [Text(cell, style=style_of(cell)) for cell in row]
        if not last_wraps:
            cells[last].no_wrap, cells[last].overflow = True, "ellipsis"
        out.add_row(*cells)
    return out
