"""The report's pictures: SVG that takes its colours from the page, so that one drawing suits light, dark and paper.

Every picture is drawn wide and narrow; the page shows the one that fits. matplotlib is imported when first drawn.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from slipstream.core.portfolio.record import Array

# what matplotlib paints with, and the page's variable that stands there in the end
INK, FAINT, GRID = "#010101", "#020202", "#030303"
MAIN, SECOND, THIRD, GOOD, BAD = "#040404", "#050505", "#060606", "#070707", "#080808"
PALETTE = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    GRID: "var(--grid)",
    MAIN: "var(--main)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
    GOOD: "var(--good)",
    BAD: "var(--bad)",
}
LINES = (MAIN, SECOND, THIRD, GOOD, BAD, INK, FAINT)
SIZES = {"wide": (9.4, 3.0), "narrow": (4.3, 2.9)}
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a coin may be called $WIF$
    "font.size": 9.0,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "timezone": "UTC",
    "path.simplify": True,
    "path.simplify_threshold": 0.4,
}
SHOWN = 12  # coins at each end


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """One chart: two SVGs, a heading, and a sentence that says what is seen (also to those who cannot see it)."""

    title: str
    note: str
    wide: str
    narrow: str


def usd(value: float) -> str:
    """A short amount: 1.2 M, -340 k, 12."""
    size = abs(value)
    for scale, name in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if size >= scale * 0.9995:
            return _short(value / scale) + name
    return _short(value)


def _short(value: float) -> str:
    """Three digits, without zeros that say nothing."""
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text.replace("-", "−")


def plain(text: object, most: int = 60) -> str:
    """Text that may stand in a picture: one line, no control characters, not endless."""
    line = "".join(c if c.isprintable() else " " for c in str(text)).strip()
    return line if len(line) <= most else line[: most - 1] + "…"


def picture(
    title: str, note: str, draw: Callable[[Any, bool], None], *, rows: int | None = None, salt: str = ""
) -> Picture:
    """Draw twice. ``draw(axes, narrow)``; many ``rows`` of text make the picture taller."""
    drawn = {}
    for size, (width, height) in SIZES.items():
        tall = height if rows is None else max(1.6 if size == "wide" else height, 0.5 + 0.215 * rows)
        drawn[size] = _svg(draw, width, tall, f"{salt or title} {size}", size == "narrow")
    return Picture(title=title, note=note, **drawn)


def _svg(draw: Callable[[Any, bool], None], width: float, height: float, salt: str, narrow: bool) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = STYLE | {"svg.hashsalt": salt}
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height))
        FigureCanvasSVG(figure)
        figure.patch.set_alpha(0.0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0.0)
        draw(axes, narrow)
        # margins by what stands in them: a layout engine would draw everything twice
        above = 0.12 if axes.get_legend() is None else 0.1 + 0.2 * _rows(axes.get_legend())
        left = 0.16 + 0.075 * max([6, *(len(label.get_text()) for label in axes.get_yticklabels())])
        left += 0.16 if axes.get_ylabel() else 0.0
        figure.subplots_adjust(left / width, 0.26 / height, 1.0 - 0.24 / width, 1.0 - above / height)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    return _themed(out.getvalue())


def _rows(legend: Any) -> int:
    return -(-len(legend.get_texts()) // int(legend._ncols))


def _themed(svg: str) -> str:
    """The drawing alone, coloured by the page, without ids that other pictures on the page have too."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r' id="[A-Za-z0-9.]+_[0-9]+"', "", svg)  # figure_1, axes_1, patch_2 ...
    svg = re.sub(r"font: ([0-9.]+)px [^;\"]*", r"font-size: \1px", svg)
    for colour, variable in PALETTE.items():
        svg = svg.replace(colour, variable)
    return svg.strip()


# ---- axes -------------------------------------------------------------------------------------------------------


def dates(axes: Any, ends: Sequence[int], narrow: bool) -> Any:
    """Times for the x axis, whose labels are set."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator: Any = AutoDateLocator  # matplotlib's dates have no types
    formatter: Any = ConciseDateFormatter
    # with fewer than 7 there are spans (85 days, 25 months, 50 hours) that none of its steps would do for
    places = locator(minticks=3, maxticks=7 if narrow else 9)
    axes.xaxis.set_major_locator(places)
    axes.xaxis.set_major_formatter(formatter(places, show_offset=False))
    axes.grid(axis="x", visible=False)
    return np.asarray(ends, dtype="datetime64[ms]")


def money_axis(axis: Any) -> None:
    """Short amounts of USD on an axis."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(5 if axis.axis_name == "y" else 4))
    low, high = axis.get_view_interval()
    # where all ticks would round to one short amount they are written out
    close = high - low < 0.02 * max(abs(low), abs(high))
    digits = 2 if high - low < 5.0 else 0
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.{digits}f}" if close else usd(value)))


def share_axis(axis: Any) -> None:
    """Per cent on an axis."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axis.set_major_locator(MaxNLocator(5))
    axis.set_major_formatter(PercentFormatter(1.0))


def legend(axes: Any, narrow: bool, count: int, *, backwards: bool = False) -> None:
    """Names above the drawing, where they hide nothing."""
    handles, names = axes.get_legend_handles_labels()
    order = slice(None, None, -1 if backwards else 1)
    columns = max(1, min(count, 2 if narrow else 5))
    where = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.2}
    axes.legend(handles[order], names[order], ncols=columns, **where)


# ---- drawings ---------------------------------------------------------------------------------------------------


def curves(
    title: str, note: str, ends: Sequence[int], lines: Sequence[tuple[str, Any]], *, base: float | None = None
) -> Picture:
    """Amounts of USD over time; the first line is the one that matters. ``base``: a level to compare with."""

    def draw(axes: Any, narrow: bool) -> None:
        x = dates(axes, ends, narrow)
        if base is not None:
            axes.axhline(base, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
        for k, (name, values) in reversed(list(enumerate(lines))):
            style = {"linewidth": 1.8 if k == 0 else 1.2, "color": LINES[k % len(LINES)], "label": plain(name, 40)}
            axes.plot(x, values, zorder=4 - min(k, 2), **style)
        money_axis(axes.yaxis)
        if len(lines) > 1:
            legend(axes, narrow, len(lines), backwards=True)

    return picture(title, note, draw)


def under_water(title: str, note: str, ends: Sequence[int], falls: Array) -> Picture:
    """Distance below the former peak, per cent."""

    def draw(axes: Any, narrow: bool) -> None:
        x = dates(axes, ends, narrow)
        axes.fill_between(x, -falls, 0.0, color=BAD, alpha=0.22, linewidth=0)
        axes.plot(x, -falls, color=BAD, linewidth=1.1)
        share_axis(axes.yaxis)
        axes.set_ylim(top=0.0)
        deepest = int(falls.argmax())
        if falls[deepest] > 0.0:
            axes.plot([x[deepest]], [-falls[deepest]], marker="o", markersize=4.5, color=BAD)

    return picture(title, note, draw)


def exposure(title: str, note: str, ends: Sequence[int], gross: Any, net: Any) -> Picture:
    """Gross as an area, net as a line, USD."""

    def draw(axes: Any, narrow: bool) -> None:
        x = dates(axes, ends, narrow)
        axes.fill_between(x, gross, 0.0, color=MAIN, alpha=0.25, linewidth=0, label="gross", step="post")
        axes.plot(x, net, color=SECOND, linewidth=1.3, label="net", drawstyle="steps-post")
        axes.axhline(0.0, color=FAINT, linewidth=0.8)
        money_axis(axes.yaxis)
        legend(axes, narrow, 2)

    return picture(title, note, draw)


def amounts(title: str, note: str, ends: Sequence[int], values: Any) -> Picture:
    """A bar a period, USD."""

    def draw(axes: Any, narrow: bool) -> None:
        x = dates(axes, ends, narrow)
        axes.fill_between(x, values, 0.0, step="mid", color=MAIN, alpha=0.55, linewidth=0)
        money_axis(axes.yaxis)
        axes.set_ylim(bottom=0.0)

    return picture(title, note, draw)


def waterfall(title: str, note: str, parts: Sequence[tuple[str, float]], total: str) -> Picture:
    """Parts that add up to a total, one below the other."""

    def draw(axes: Any, narrow: bool) -> None:
        at, names, far = 0.0, [], 0.0
        for k, (name, value) in enumerate(parts):
            axes.barh(k, value, left=at, color=GOOD if value >= 0.0 else BAD, height=0.62)
            axes.plot([at + value] * 2, [k - 0.31, k + 1.31], color=FAINT, linewidth=0.7)
            far = max(far, at, at + value)
            _beside(axes, k, max(at, at + value), value)
            at += value
            names.append(plain(name, 24))
        axes.barh(len(parts), at, color=MAIN, height=0.62)
        _beside(axes, len(parts), max(at, 0.0), at)
        _named(axes, [*names, total], [0.0, at, *np.cumsum([value for _, value in parts])], narrow)

    return picture(title, note, draw, rows=len(parts) + 3)


def bars(title: str, note: str, rows: Sequence[tuple[str, float]]) -> Picture:
    """One bar a name, green or red, with its amount."""

    def draw(axes: Any, narrow: bool) -> None:
        values = [value for _, value in rows]
        axes.barh(range(len(rows)), values, color=[GOOD if v >= 0.0 else BAD for v in values], height=0.66)
        for k, value in enumerate(values):
            _beside(axes, k, max(value, 0.0), value)
        _named(axes, [plain(name, 22) for name, _ in rows], [0.0, *values], narrow)

    return picture(title, note, draw, rows=len(rows) + 2)


def _beside(axes: Any, row: int, x: float, value: float) -> None:
    text = f"{'+' if value > 0 else ''}{usd(value)}"
    axes.annotate(text, (x, row), xytext=(4, 0), textcoords="offset points", va="center", color=INK)


def _named(axes: Any, names: Sequence[str], reach: Sequence[float], narrow: bool) -> None:
    low, high = min(reach), max(reach)
    room = (high - low) or 1.0
    axes.set_xlim(low - 0.03 * room, high + (0.3 if narrow else 0.12) * room)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.grid(axis="y", visible=False)
    axes.axvline(0.0, color=FAINT, linewidth=0.8)
    money_axis(axes.xaxis)


def histogram(title: str, note: str, values: Any, marks: Sequence[tuple[str, float]], *, share: bool = True) -> Picture:
    """How often each size came, with named places."""

    def draw(axes: Any, narrow: bool) -> None:
        data = np.asarray(values, dtype=np.float64)
        low, high = (float(q) for q in np.quantile(data, [0.002, 0.998]))
        low, high = min([low, *(x for _, x in marks)]), max([high, *(x for _, x in marks)])
        high = high if high > low else low + 1e-9 + abs(low) * 1e-6
        count = min(60 if not narrow else 34, max(8, int(2 * data.size ** (1 / 3)) * 2))
        axes.hist(np.clip(data, low, high), bins=np.linspace(low, high, count), color=MAIN, alpha=0.6)
        for k, (name, x) in enumerate(marks):
            axes.axvline(x, color=LINES[(k + 1) % len(LINES)], linewidth=1.4, label=plain(name, 40))
        if share:
            share_axis(axes.xaxis)
        axes.grid(axis="x", visible=False)
        axes.set_ylabel("count")
        if marks:
            legend(axes, narrow, len(marks))

    return picture(title, note, draw)


def whiskers(
    title: str, note: str, rows: Sequence[tuple[str, float, float, float]], *, tones: Sequence[int] = ()
) -> Picture:
    """A dot with its interval for each ``(name, estimate, low, high)``, and a line at zero.

    ``tones`` gives each row its place among the lines' colours; without it all have the first.
    """
    if not rows or len(tones) not in (0, len(rows)):
        raise ValueError(f"whiskers need at least 1 row and a tone for each or none: {len(rows)} rows, {len(tones)}")

    def draw(axes: Any, narrow: bool) -> None:
        for k, (_, middle, low, high) in enumerate(rows):
            colour = LINES[tones[k] % len(LINES)] if tones else MAIN
            axes.plot([low, high], [k, k], color=colour, linewidth=1.2, solid_capstyle="round")
            axes.plot([middle], [k], marker="o", markersize=4, color=colour)
        reach = [0.0, *(row[2] for row in rows), *(row[3] for row in rows)]
        _named(axes, [plain(row[0], 24 if narrow else 44) for row in rows], reach, narrow)

    return picture(title, note, draw, rows=len(rows) + 2)
