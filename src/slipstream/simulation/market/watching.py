"""Rows of a tape, watched: best prices as they change, trades, samples of depth, what comes and what leaves.

A book of levels is kept from the rows. Where a best price is told that lies beyond the other side's, the levels that
it passed are gone. Comings and goings are counted on DEPTH rows alone (best prices tell the same change a second time):
an increase came; a decrease left, as far as no trade at that level explains it. What shows up deeper than anything
known of its side came into sight, not into the book. Of books that are told as snapshots only net changes are seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from slipstream.lob.record import sources_mark
from slipstream.lob.replay.rows import BEST, CLEAR, DEPTH, KIND, L3_ROW_DTYPE, MORE, ROW_DTYPE, TRADE
from slipstream.simulation.market.observed import (
    DEPTH_DTYPE,
    DISTANCES,
    LEVELS,
    PRINT_DTYPE,
    QUOTE_DTYPE,
    TALLY_DTYPE,
    Observed,
    Records,
)
from slipstream.simulation.market.terms import Grid

SPAN = 1 << 17  # ticks in sight, around the first price
SIGHT = 4096  # ticks searched for the next level
JOINED_NS = 60_000_000  # logs of orders tell the fills of one taker one by one, some tens of ms apart
_WALK_DTYPE = np.dtype(
    [
        (sources_mark(Path(__file__).parent), np.int64),
        ("base", np.int64),
        ("best", np.int64, (2,)),  # level of the best bid, of the best ask, or -1
        ("outer", np.int64, (2,)),  # deepest level that DEPTH rows tell, or -1
        ("begin_ns", np.int64),
        ("sample_ns", np.int64),
        ("every_ns", np.int64),
        ("now_ns", np.int64),
        ("fresh", np.int64),  # a snapshot follows: nothing comes or leaves
        ("quotes", np.int64),
        ("prints", np.int64),
        ("samples", np.int64),
        ("outside", np.int64),
        ("sizes", np.int64),
        ("size_sum", np.float64),
        ("size_squares", np.float64),
        ("last", np.int64, (4,)),
        ("lots", np.int64, (2, SPAN)),  # the book
        ("told", np.int64, (2, SPAN)),  # what DEPTH rows alone say
        ("credit", np.int64, (2, SPAN)),  # traded and not yet seen to leave
    ]
)


@njit(cache=True)
def _find(w: Any, s: int, start: int) -> int:
    """The best level of a side at or beyond ``start``, or -1 if there is none in sight."""
    step = -1 if s == 0 else 1
    level = start
    for _ in range(SIGHT):
        if level < 0 or level >= SPAN:
            return -1
        if w.lots[s, level] > 0:
            return level
        level += step
    return -1


@njit(cache=True)
def _set(w: Any, s: int, level: int, lots: int) -> None:
    """Let a level of the book hold so much, and the best price follow; a side never passes the other."""
    w.lots[s, level] = lots
    better = -1 if s == 1 else 1
    if lots > 0 and (w.best[s] < 0 or (level - w.best[s]) * better > 0):
        w.best[s] = level
    elif lots == 0 and level == w.best[s]:
        w.best[s] = _find(w, s, level)
    other = 1 - s
    while lots > 0 and w.best[other] >= 0 and (level - w.best[other]) * better >= 0:
        w.lots[other, w.best[other]] = 0
        w.best[other] = _find(w, other, w.best[other])


@njit(cache=True)
def _tally(w: Any, tally: Any, s: int, level: int, lots: int) -> None:
    """Count what a DEPTH row changes."""
    before = w.told[s, level]
    change = lots - before
    w.told[s, level] = lots
    deeper = 1 if s == 1 else -1
    new_outer = w.outer[s] < 0 or (level - w.outer[s]) * deeper > 0
    if lots > 0 and new_outer:
        w.outer[s] = level
    elif lots == 0 and level == w.outer[s]:
        at = level
        for _ in range(SIGHT):
            at -= deeper
            if at < 0 or at >= SPAN or w.told[s, at] > 0:
                break
        w.outer[s] = at if 0 <= at < SPAN else -1
    explained = min(w.credit[s, level], max(0, -change))
    w.credit[s, level] = 0
    other = w.best[1 - s]
    distance = (level - other) * deeper
    if w.fresh != 0 or new_outer or other < 0 or distance < 1 or distance > DISTANCES:
        return
    row = tally[distance - 1]
    if change > 0:
        row.came += 1
        row.came_lots += change
        w.sizes += 1
        w.size_sum += np.log(change)
        w.size_squares += np.log(change) ** 2
    elif change + explained < 0:
        row.left += 1
        row.left_lots -= change + explained


@njit(cache=True)
def _sample(w: Any, depth: Any, tally: Any) -> None:
    """Write down the depth as it stands."""
    row = depth[w.samples]
    row.ns = w.sample_ns
    w.samples += 1
    for s in range(2):
        level = w.best[s]
        rank = 0
        while rank < LEVELS and level >= 0:
            if s == 0:
                row.bid_lots[rank] = w.lots[s, level]
            else:
                row.ask_lots[rank] = w.lots[s, level]
            rank += 1
            level = _find(w, s, level + (1 if s == 1 else -1))
        other = w.best[1 - s]
        for i in range(DISTANCES if other >= 0 else 0):
            at = other + (i + 1) * (1 if s == 1 else -1)
            if 0 <= at < SPAN:
                tally[i].present_lots += w.told[s, at]


@njit(cache=True)
def _quote(w: Any, quotes: Any) -> None:
    """Write the best prices down if they, or what rests there, changed."""
    bid = w.best[0]
    ask = w.best[1]
    if bid < 0 or ask < 0:
        return
    if bid == w.last[0] and ask == w.last[2] and w.lots[0, bid] == w.last[1] and w.lots[1, ask] == w.last[3]:
        return
    w.last[0], w.last[1], w.last[2], w.last[3] = bid, w.lots[0, bid], ask, w.lots[1, ask]
    row = quotes[w.quotes]
    row.ns = w.now_ns
    row.bid, row.bid_lots = w.base + bid, w.last[1]
    row.ask, row.ask_lots = w.base + ask, w.last[3]
    w.quotes += 1


@njit(cache=True)
def _apply(w: Any, row: Any, prints: Any, tally: Any) -> None:
    """One row."""
    kind = row.kind & KIND
    if kind == TRADE:
        out = prints[w.prints]
        out.ns, out.lots, out.tick, out.side = row.exch_ns, row.lots, row.tick, row.side
        w.prints += 1
    if kind != TRADE and kind != DEPTH and kind != BEST and kind != CLEAR:
        return
    s = 0 if row.side > 0 else 1
    level = row.tick - w.base
    if kind == CLEAR:
        w.fresh = 1
        whole = row.tick < 0
        end = level if not whole else (0 if s == 0 else SPAN - 1)
        while w.best[s] >= 0 and (w.best[s] >= end if s == 0 else w.best[s] <= end):
            _set(w, s, w.best[s], 0)
        low, high = (max(0, end), SPAN) if s == 0 else (0, min(SPAN, end + 1))
        if not whole:  # so much at once is another message
            low, high = max(low, end - SIGHT), min(high, end + SIGHT)
        for at in range(low, high):
            w.told[s, at] = 0
            w.credit[s, at] = 0
        if whole:
            w.outer[s] = -1
        return
    if level < 0 or level >= SPAN:
        w.outside += 1
        return
    if kind == TRADE:
        w.credit[1 - s, level] += row.lots
    elif kind == DEPTH:
        _tally(w, tally, s, level, row.lots)
        _set(w, s, level, row.lots)
    else:
        while w.best[s] >= 0 and (w.best[s] > level if s == 0 else w.best[s] < level):
            _set(w, s, w.best[s], 0)
        _set(w, s, level, row.lots)


@njit(cache=True)
def _watch(ws: Any, rows: Any, start: int, quotes: Any, prints: Any, depth: Any, tally: Any) -> int:
    """Rows from ``start`` on; the row after the last done: earlier than all where the samples are full."""
    w = ws[0]
    for i in range(start, len(rows)):
        row = rows[i]
        if w.begin_ns < 0 and w.best[0] >= 0 and w.best[1] >= 0:
            w.begin_ns = row.exch_ns
            w.sample_ns = row.exch_ns
        while w.begin_ns >= 0 and w.sample_ns < row.exch_ns:
            if w.samples == len(depth):
                return i
            _sample(w, depth, tally)
            w.sample_ns += w.every_ns
        w.now_ns = row.exch_ns
        _apply(w, row, prints, tally)
        if row.kind & MORE == 0:
            w.fresh = 0
            _quote(w, quotes)
    return len(rows)


def watch(name: str, grid: Grid, chunks: Iterable[Records], every_ns: int = 1_000_000_000) -> Observed:
    """What the chunks of rows of one market show, depth sampled every ``every_ns``; memory: what was seen, a chunk.

    Raises ValueError for no rows, for rows that go back in time, and where the price left the range in sight.
    """
    ws = np.zeros(1, _WALK_DTYPE)
    w = ws[0]
    w["best"] = w["outer"] = w["begin_ns"] = -1
    w["every_ns"] = every_ns
    tally = np.zeros(DISTANCES, TALLY_DTYPE)
    kept: dict[str, list[Records]] = {"quotes": [], "prints": [], "depth": []}
    first, last, count, orders = 0, 0, 0, False
    for rows in chunks:
        if not len(rows):
            continue
        if rows.dtype == L3_ROW_DTYPE:
            orders, rows = True, _plain(rows)
        times = rows["exch_ns"]
        if np.any(np.diff(times) < 0) or (count and times[0] < last):
            raise ValueError(f"{name}: rows go back in time; put them in order by their exchange's clock")
        if not count:
            first = int(times[0])
            ticks = rows["tick"][rows["tick"] > 0]
            w["base"] = max(0, int(np.median(ticks)) - SPAN // 2) if len(ticks) else 0
        last, count = int(times[-1]), count + len(rows)
        _watch_chunk(ws, rows, kept, tally)
    if not count:
        raise ValueError(f"{name}: no rows")
    if int(w["outside"]) > count // 2:
        raise ValueError(f"{name}: {w['outside']} of {count} rows lie beyond {SPAN} ticks around the first price")
    quotes, prints, depth = (np.concatenate(kept[key]) for key in ("quotes", "prints", "depth"))
    return Observed(
        name=name,
        grid=grid,
        begin_ns=int(w["begin_ns"]) if w["begin_ns"] >= 0 else first,
        end_ns=last,
        quotes=quotes,
        prints=prints,
        depth=depth,
        tally=tally if bool(tally["came"].any()) else None,
        orders=orders,
        joined_ns=JOINED_NS if orders else 0,
        size_log=(int(w["sizes"]), float(w["size_sum"]), float(w["size_squares"])),
    )


def _plain(rows: Records) -> Records:
    """Rows of orders as rows of levels: one compilation serves both."""
    out = np.empty(len(rows), ROW_DTYPE)
    for name in ROW_DTYPE.names or ():
        out[name] = rows[name]
    return out


def _watch_chunk(ws: Records, rows: Records, kept: dict[str, list[Records]], tally: Records) -> None:
    w = ws[0]
    done = 0
    quotes, prints = np.zeros(len(rows), QUOTE_DTYPE), np.zeros(len(rows), PRINT_DTYPE)
    while done < len(rows):
        depth = np.zeros(4096, DEPTH_DTYPE)
        w["quotes"] = w["prints"] = w["samples"] = 0
        done = _watch(ws, rows, done, quotes, prints, depth, tally)
        kept["quotes"].append(quotes[: w["quotes"]].copy())
        kept["prints"].append(prints[: w["prints"]].copy())
        kept["depth"].append(depth[: w["samples"]].copy())
