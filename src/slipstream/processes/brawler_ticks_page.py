"""The page of `slipstream research brawler-ticks`: money with intervals beside naive makers, and what it is made of."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from slipstream.core.stats.bootstrap import Interval, block_length, interval
from slipstream.model.errors import ConfigError
from slipstream.processes.tick_chapters import judged, markout_chapter, queue_chapter, quote_chapter, split_chapter
from slipstream.processes.tick_sweep import TickSweep
from slipstream.processes.tick_sweep_report import sweep_chapters
from slipstream.research.report.chapters import Chapter, Tile, chapters_html, chapters_markdown
from slipstream.research.report.charts import whiskers
from slipstream.research.report.page import amount, number
from slipstream.simulation.tick.markouts import markouts
from slipstream.simulation.tick.queue_stats import queue_stats
from slipstream.simulation.tick.record import TickRecord
from slipstream.simulation.tick.split import split
from slipstream.simulation.tick.told import Floats, Told

MINUTE_NS = 60_000_000_000
ABOUT = "Brawler tick by tick, beside a naive maker of the same width, size and bounds, and beside doing nothing."


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """One coin's profit, the naive maker's, and their difference minute by minute, USD with 95 % intervals."""

    coin: str
    fills: int
    traded: float
    own: Interval
    naive: Interval
    apart: Interval


def read_growth(path: Path) -> tuple[dict[str, str], ...]:
    """A table of text with a heading. Raises ConfigError, OSError."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or any(None in row or None in row.values() for row in rows):
        raise ConfigError(f"--growth {path}: a heading and rows as long as it are needed")
    return tuple(rows)


def minutes(told: Told) -> Floats:
    """Profit by minute, (minutes, coins)."""
    places = (told.samples.ns - told.samples.ns[0]) // MINUTE_NS
    last = np.append(np.flatnonzero(np.diff(places) > 0), places.size - 1)
    out: Floats = np.diff(told.samples.pnl[last], axis=0, prepend=np.zeros((1, len(told.coins))))
    return out


def summed(values: Floats, rng: np.random.Generator) -> Interval:
    """The sum of a series with its interval by resampling blocks; none below 8 values."""
    if values.size < 8:
        return Interval(float(values.sum()), np.nan, np.nan)
    return interval(values, lambda x: float(x.sum()), rng, mean_block=block_length(values).stationary)


def beside(own: Told, naive: Told, rng: np.random.Generator) -> tuple[Beside, ...]:
    """Every coin, then all together. Raises ValueError for runs of different markets or times."""
    if own.coins != naive.coins:
        raise ValueError(f"runs of {own.coins} and {naive.coins} cannot be compared")
    ours, theirs = minutes(own), minutes(naive)
    if ours.shape != theirs.shape:
        raise ValueError(f"runs of {len(ours)} and {len(theirs)} minutes cannot be compared")
    columns = [(coin, ours[:, k], theirs[:, k], own.fills.market == k) for k, coin in enumerate(own.coins)]
    if len(columns) > 1:
        columns.append(("all", ours.sum(axis=1), theirs.sum(axis=1), np.ones(own.fills.count, np.bool_)))
    return tuple(
        Beside(
            coin=coin,
            fills=int(of.sum()),
            traded=float(own.fills.usd[of].sum()),
            own=summed(a, rng),
            naive=summed(b, rng),
            apart=summed(a - b, rng),
        )
        for coin, a, b, of in columns
    )


def beside_chapter(title: str, rows: Sequence[Beside], hours: float) -> Chapter:
    """Money of every coin, with intervals, beside the naive maker and nothing."""
    table = tuple(
        {
            "coin": one.coin,
            "fills": f"{one.fills:,}",
            "traded, USD": f"{one.traded:,.0f}",
            "Brawler, USD": amount(one.own.estimate, 2),
            "95 %": _range(one.own),
            "naive, USD": amount(one.naive.estimate, 2),
            "95 % ": _range(one.naive),
            "Brawler less naive": amount(one.apart.estimate, 2),
            " 95 %": _range(one.apart),
        }
        for one in rows
    )
    lines = (
        f"Profit after fees and funding over {number(hours, 2)} hours, positions at the mid. Doing nothing earns 0. "
        "Intervals resample blocks of minutes: they say what this time could have given, not what another day would.",
    )
    known = [one for one in rows if np.isfinite(one.own.low)]
    drawn = [
        (f"{one.coin}: {who}", *found) for one in known for who, found in (("Brawler", one.own), ("naive", one.naive))
    ]
    note = "dots: what was earned; lines: 95 % intervals"
    pictures = (whiskers(f"{title}: profit, USD", note, drawn, tones=[0, 1] * len(known)),) if drawn else ()
    return Chapter(title=title, lines=lines, pictures=pictures, tables=(table,))


def _range(found: Interval) -> str:
    return f"{amount(found.low, 2)} to {amount(found.high, 2)}" if np.isfinite(found.low) else "–"


def verdict(found: Mapping[str, Sequence[Beside]]) -> str:
    """A sentence a market: whether the profit, and the lead over the naive maker, can be told from nothing."""
    out = []
    for name, rows in found.items():
        whole = rows[-1]
        against = "ahead of" if whole.apart.low > 0.0 else "behind" if whole.apart.high < 0.0 else "not told apart from"
        sure = (
            "a gain"
            if whole.own.low > 0.0
            else "a loss"
            if whole.own.high < 0.0
            else "neither a gain nor a loss for sure"
        )
        out.append(
            f"{name.capitalize()}: {amount(whole.own.estimate, 2)} USD, {sure}; {against} the naive maker "
            f"({amount(whole.naive.estimate, 2)} USD)."
        )
    return " ".join(out)


def write_page(
    runs: Mapping[str, tuple[TickRecord, TickRecord]],
    found: TickSweep,
    growth: Sequence[Mapping[str, str]],
    folder: Path,
    seed: int,
) -> Path:
    """``report.html`` and ``report.md`` in a folder that is made if it is not there. Raises OSError."""
    rng = np.random.Generator(np.random.PCG64(seed))
    rows = {name: beside(own.told, naive.told, rng) for name, (own, naive) in runs.items()}
    chapters: list[Chapter] = []
    for name, (own, _) in runs.items():
        chapters.append(beside_chapter(f"{name.capitalize()} market", rows[name], own.told.hours))
        chapters += [msgspec.structs.replace(one, title=f"{one.title}: {name}") for one in _details(own.told, rng)]
    chapters += sweep_chapters(found)
    if growth:
        chapters.append(Chapter(title="How time and memory grow", tables=(tuple(growth),)))
    for name, (own, naive) in runs.items():
        said_of = (*own.assumptions, f"beside it: {naive.assumptions[0]}", *own.findings)
        chapters.append(Chapter(title=f"What was assumed and found: {name}", said=said_of))
    tiles = [
        Tile(f"{name}, USD", amount(part[-1].own.estimate, 2), _range(part[-1].own)) for name, part in rows.items()
    ]
    title = "Brawler tick by tick"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.html").write_text(chapters_html(title, ABOUT, verdict(rows), chapters, tiles), encoding="utf-8")
    (folder / "report.md").write_text(chapters_markdown(title, ABOUT, verdict(rows), chapters), encoding="utf-8")
    return folder / "report.html"


def _details(told: Told, rng: np.random.Generator) -> list[Chapter]:
    if not told.fills.count:
        return [queue_chapter(queue_stats(told))]
    horizon = judged(told)
    return [
        split_chapter(split(told, horizon), told.fills.horizons_ns[horizon] / 1e9),
        markout_chapter(markouts(told.fills, rng)),
        queue_chapter(queue_stats(told)),
        quote_chapter(told),
    ]
