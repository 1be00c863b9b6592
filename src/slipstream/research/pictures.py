"""Small charts as SVG text, and a page that holds them: no script, no style sheet, nothing to fetch."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

Point = tuple[float, float]
WIDTH, LEFT, RIGHT = 900, 240, 20


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
    return [low + (high - low) * k / (count - 1) for k in range(count)]


def line(title: str, values: Sequence[float], labels: tuple[str, str], *, height: int = 260) -> str:
    """One line over evenly spaced places; ``labels`` stand under its ends."""
    if len(values) < 2:
        raise ValueError("a line needs at least 2 values")
    low, high = min(values), max(values)
    high = high if high > low else low + 1.0
    wide, top, foot = WIDTH - 100 - RIGHT, 34, height - 30
    step = max(1, len(values) // 1500)
    shown = [*range(0, len(values), step), len(values) - 1]
    points = " ".join(
        f"{100 + wide * i / (len(values) - 1):.1f},{foot - (foot - top) * (values[i] - low) / (high - low):.1f}"
        for i in shown
    )
    grid = "".join(
        f'<line x1="100" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        f'<text x="92" y="{y + 4:.1f}" text-anchor="end">{v:,.0f}</text>'
        for v in _ticks(low, high)
        for y in [foot - (foot - top) * (v - low) / (high - low)]
    )
    ends = (
        f'<text x="100" y="{height - 8}">{escape(labels[0])}</text>'
        f'<text x="{WIDTH - RIGHT}" y="{height - 8}" text-anchor="end">{escape(labels[1])}</text>'
    )
    drawn = f'<polyline points="{points}" fill="none" stroke="#1463a5" stroke-width="1.5"/>'
    return _svg(title, grid + drawn + ends, height)


def whiskers(title: str, rows: Sequence[tuple[str, float, float, float]]) -> str:
    """A dot with its interval for each ``(name, estimate, low, high)``, and a line at zero."""
    if not rows:
        raise ValueError("whiskers need at least 1 row")
    low, high = min(0.0, *(row[2] for row in rows)), max(0.0, *(row[3] for row in rows))
    high = high if high > low else low + 1.0
    height = 60 + 18 * len(rows)

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)

    parts = [f'<line x1="{x(0):.1f}" x2="{x(0):.1f}" y1="30" y2="{height - 26}" stroke="#999"/>']
    for k, (name, middle, least, most) in enumerate(rows):
        y = 44 + 18 * k
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
            f'<line x1="{x(least):.1f}" x2="{x(most):.1f}" y1="{y}" y2="{y}" stroke="#1463a5"/>'
            f'<circle cx="{x(middle):.1f}" cy="{y}" r="4" fill="#1463a5"/>'
        )
    parts += [f'<text x="{x(v):.1f}" y="{height - 8}" text-anchor="middle">{v:,.4g}</text>' for v in _ticks(low, high)]
    return _svg(title, "".join(parts), height)


def _svg(title: str, body: str, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="10" y="18" font-size="14" font-weight="bold">{escape(title)}</text>{body}</svg>'
    )


def page(title: str, charts: Sequence[str], text: str) -> str:
    """A whole HTML page: charts, then plain text as it stands."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><body>'
        f"<h1>{escape(title)}</h1>{''.join(f'<p>{chart}</p>' for chart in charts)}<pre>{escape(text)}</pre>"
        "</body></html>\n"
    )
