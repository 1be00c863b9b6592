"""A page in chapters: everything it is given stands in it, escaped, and the table of a terminal is aligned."""

from __future__ import annotations

import pytest

from slipstream.research.report.chapters import Chapter, Tile, chapters_html, chapters_markdown, columns
from slipstream.research.report.charts import whiskers

ROWS = ({"H": "4 h", "figure": "a <b>", "inside": "yes"}, {"H": "8 h", "figure": "c | d", "inside": "NO"})
NASTY = "<svg onload=alert(1)>"


def chapters() -> tuple[Chapter, ...]:
    drawn = whiskers("Ratios", "with intervals", [("one", 1.0, 0.5, 1.5), ("two", -1.0, -2.0, 0.0)], tones=[0, 1])
    return (
        Chapter(
            title="First", lines=("A sentence.",), pictures=(drawn,), tables=(ROWS,), words=("figure",),
            judged="inside", grouped=True,
        ),
        Chapter(title="Second", links=(("a report", "backtests/carry/report.html"),), said=(NASTY,), tables=((),)),
    )  # fmt: skip


def test_the_page_holds_everything_and_trusts_nothing() -> None:
    page = chapters_html("Title & more", "about", "verdict", chapters(), (Tile("tile", "12", "note"),))
    for part in ("Title &amp; more", "about", "verdict", "<b>12</b>", "A sentence.", "a &lt;b&gt;", "Second"):
        assert part in page
    assert '<td class="yes">yes</td>' in page and '<td class="no">NO</td>' in page
    assert '<tr class="new">' in page and page.count("<tr") == 3
    assert '<a href="backtests/carry/report.html">a report</a>' in page
    assert "<svg onload" not in page and "&lt;svg onload" in page
    assert page.count("<svg") == 2 and "var(--second)" in page
    assert "<script" not in page and "default-src 'none'" in page


def test_markdown_and_terminal_have_the_same_rows() -> None:
    text = chapters_markdown("Title", "about", "verdict", chapters())
    assert "## First" in text and "**verdict**" in text
    assert "| 4 h | a &lt;b&gt; | yes |" in text and "| 8 h | c \\| d | NO |" in text
    assert "[a report](backtests/carry/report.html)" in text
    assert columns(ROWS) == ["H    figure  inside", "4 h  a <b>   yes", "8 h  c | d   NO"]
    assert columns(()) == []


def test_a_tone_for_each_row_or_none() -> None:
    with pytest.raises(ValueError, match="a tone for each or none"):
        whiskers("a", "b", [("one", 1.0, 0.5, 1.5)], tones=[0, 1])
