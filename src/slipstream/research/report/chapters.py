"""A page of several chapters in the reports' look: verdict, tiles, then sentences, pictures and tables by chapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from slipstream.research.report.charts import Picture
from slipstream.research.report.page import plain_markdown, rendered

Rows = Sequence[Mapping[str, str]]


class Tile(NamedTuple):
    """One large figure: what it is, its value, and what to know of it."""

    name: str
    value: str
    note: str = ""


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """``tables`` have rows of the same keys; ``words`` are keys whose cells are text, ``judged`` the key whose cells
    say yes or something worse, and lines stand between groups of one first value if ``grouped``. ``links`` are (name,
    relative path); ``said`` is a list of sentences below everything.
    """

    title: str
    lines: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Rows, ...] = ()
    words: tuple[str, ...] = ()
    judged: str = ""
    grouped: bool = False
    links: tuple[tuple[str, str], ...] = ()
    said: tuple[str, ...] = ()


def chapters_html(title: str, about: str, verdict: str, chapters: Sequence[Chapter], tiles: Sequence[Tile] = ()) -> str:
    """The page; nothing is fetched and nothing runs. Everything that is not a picture of ours is escaped."""
    return rendered("chapters.html.j2", title=title, about=about, verdict=verdict, chapters=chapters, tiles=tiles)


def chapters_markdown(title: str, about: str, verdict: str, chapters: Sequence[Chapter]) -> str:
    """The same words and tables for a terminal or a pull request."""
    return "\n".join([f"# {title}", "", about, "", f"**{verdict}**", *_lines(chapters)]) + "\n"


def appended_markdown(page: str, chapters: Sequence[Chapter]) -> str:
    """A page of Markdown with chapters behind it."""
    return "\n".join([page.rstrip("\n"), *_lines(chapters)]) + "\n"


def _lines(chapters: Sequence[Chapter]) -> list[str]:
    out: list[str] = []
    for one in chapters:
        out += ["", f"## {one.title}", *(part for line in one.lines for part in ("", line))]
        for rows in one.tables:
            out += ["", *_table(rows)]
        if one.links:
            out += ["", " · ".join(f"[{name}]({target})" for name, target in one.links)]
        if one.said:
            out += ["", *(f"- {line}" for line in one.said)]
    return out


def _table(rows: Rows) -> list[str]:
    if not rows:
        return []
    cells = [list(rows[0]), *(list(row.values()) for row in rows)]
    lines = ["| " + " | ".join(map(plain_markdown, row)) + " |" for row in cells]
    return [lines[0], "|" + "---|" * len(cells[0]), *lines[1:]]


def columns(rows: Rows) -> list[str]:
    """The table for a terminal, columns aligned."""
    if not rows:
        return []
    cells = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
