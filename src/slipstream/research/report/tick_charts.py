"""Pictures of what happens tick by tick: quotes around the market, inventory, markouts by horizon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.portfolio.record import Array
from slipstream.research.report.charts import (
    BAD,
    FAINT,
    GOOD,
    LINES,
    MAIN,
    SECOND,
    Picture,
    dates,
    legend,
    money_axis,
    picture,
    plain,
)

POINTS = 1_200  # of a line: more are not seen, and make a page heavy
FILLS = 600  # marks of fills in a picture


class Quotes(msgspec.Struct, frozen=True, kw_only=True):
    """What quotes did for a while: times ms UTC, prices (NaN: none); fills by time, price, and whether we bought."""

    ends: npt.NDArray[np.int64]
    mid: Array
    own_bid: Array
    own_ask: Array
    fill_ends: npt.NDArray[np.int64]
    fill_px: Array
    bought: npt.NDArray[np.bool_]


def thinned(count: int, most: int) -> npt.NDArray[np.int64]:
    """Places of at most so many of ``count``, evenly, the last one among them."""
    if count <= most:
        return np.arange(count, dtype=np.int64)
    return np.unique(np.linspace(0, count - 1, most).astype(np.int64))


def quotes(title: str, note: str, seen: Quotes) -> Picture:
    """Mid, own quotes as steps, fills as triangles: up for bought."""
    kept, marked = thinned(seen.ends.size, POINTS), thinned(seen.fill_ends.size, FILLS)

    def draw(axes: Any, narrow: bool) -> None:
        x = dates(axes, seen.ends[kept].tolist(), narrow)
        axes.plot(x, seen.mid[kept], color=FAINT, linewidth=1.0, label="mid", drawstyle="steps-post")
        axes.plot(x, seen.own_ask[kept], color=SECOND, linewidth=0.9, label="our ask", drawstyle="steps-post")
        axes.plot(x, seen.own_bid[kept], color=MAIN, linewidth=0.9, label="our bid", drawstyle="steps-post")
        when = np.asarray(seen.fill_ends[marked], dtype="datetime64[ms]")
        for bought, name, sign, colour in ((True, "bought", "^", GOOD), (False, "sold", "v", BAD)):
            of = seen.bought[marked] == bought
            if of.any():
                axes.plot(when[of], seen.fill_px[marked][of], sign, color=colour, markersize=4.5, label=name, zorder=5)
        axes.ticklabel_format(axis="y", useOffset=False, style="plain")
        legend(axes, narrow, 5)

    return picture(title, note, draw, salt=title)


def steps(title: str, note: str, ends: Sequence[int], lines: Sequence[tuple[str, Array]]) -> Picture:
    """Amounts of USD held over time, one line a name, with a line at zero."""
    kept = thinned(len(ends), POINTS)

    def draw(axes: Any, narrow: bool) -> None:
        x = dates(axes, [ends[k] for k in kept], narrow)
        axes.axhline(0.0, color=FAINT, linewidth=0.8)
        for k, (name, values) in enumerate(lines):
            style = {"linewidth": 1.1, "color": LINES[k % len(LINES)], "label": plain(name, 24)}
            axes.plot(x, values[kept], drawstyle="steps-post", **style)
        money_axis(axes.yaxis)
        if len(lines) > 1:
            legend(axes, narrow, len(lines))

    return picture(title, note, draw, salt=title)


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """Estimates by horizon with their bounds; NaN bounds are not drawn."""

    name: str
    middle: Array
    low: Array
    high: Array


def bands(title: str, note: str, names: Sequence[str], rows: Sequence[Band], unit: str) -> Picture:
    """Lines over named places, each with its interval around it, and a line at zero."""

    def draw(axes: Any, narrow: bool) -> None:
        x = np.arange(len(names))
        axes.axhline(0.0, color=FAINT, linewidth=0.8)
        for k, band in enumerate(rows):
            colour = LINES[k % len(LINES)]
            axes.fill_between(x, band.low, band.high, color=colour, alpha=0.16, linewidth=0)
            axes.plot(
                x, band.middle, color=colour, linewidth=1.5, marker="o", markersize=3.5, label=plain(band.name, 24)
            )
        axes.set_xticks(x, list(names))
        axes.set_ylabel(unit)
        axes.grid(axis="x", visible=False)
        legend(axes, narrow, len(rows))

    return picture(title, note, draw, salt=title)
