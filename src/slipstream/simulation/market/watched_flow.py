"""A reactive market, simulated and watched as a recording is: by blocks, since an exchange tells its news by blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from slipstream.lob.depth import depth_into
from slipstream.lob.flow.advance import begin, happen, next_ns
from slipstream.lob.flow.record import INFORMED, TAKE
from slipstream.lob.matching import best_ask, best_bid
from slipstream.lob.record import new_book, sources_mark
from slipstream.lob.window import recentre
from slipstream.model.grid import floor_tick
from slipstream.simulation.market.observed import DEPTH_DTYPE, LEVELS, PRINT_DTYPE, QUOTE_DTYPE, Observed, Records
from slipstream.simulation.market.terms import FlowTerms, flow_record

SPAN, ORDERS, FILLS = 1 << 18, 1 << 14, 1 << 14  # the layout of a session's books: compiled once for both
ROOM = 1 << 17  # rows of each kind between two visits of Python
WARM_NS = 30_000_000_000  # until the book has filled
_EYE_DTYPE = np.dtype(
    [
        (sources_mark(Path(__file__).parent), np.int64),
        ("block_ns", np.int64),
        ("block", np.int64),  # end of the block that is on
        ("sample_ns", np.int64),
        ("every_ns", np.int64),
        ("quotes", np.int64),
        ("prints", np.int64),
        ("samples", np.int64),
        ("last", np.int64, (4,)),
        ("ticks", np.int64, (LEVELS,)),
        ("lots", np.int64, (LEVELS,)),
        ("counts", np.int64, (LEVELS,)),
    ]
)


@njit(cache=True)
def _quote(e: Any, book: Any, quotes: Any) -> None:
    """The best prices at the end of a block, if they changed."""
    bid = best_bid(book)
    ask = best_ask(book)
    if bid < 0 or ask < 0:
        return
    bid_lots = book.level_lots[book.best_bid]
    ask_lots = book.level_lots[book.best_ask]
    if bid == e.last[0] and bid_lots == e.last[1] and ask == e.last[2] and ask_lots == e.last[3]:
        return
    e.last[0], e.last[1], e.last[2], e.last[3] = bid, bid_lots, ask, ask_lots
    row = quotes[e.quotes]
    row.ns, row.bid, row.bid_lots, row.ask, row.ask_lots = e.block, bid, bid_lots, ask, ask_lots
    e.quotes += 1


@njit(cache=True)
def _sample(e: Any, book: Any, depth: Any) -> None:
    row = depth[e.samples]
    row.ns = e.sample_ns
    n = depth_into(book, 1, e.ticks, e.lots, e.counts)
    for i in range(LEVELS):
        row.bid_lots[i] = e.lots[i] if i < n else 0
    n = depth_into(book, -1, e.ticks, e.lots, e.counts)
    for i in range(LEVELS):
        row.ask_lots[i] = e.lots[i] if i < n else 0
    e.samples += 1


@njit(cache=True)
def _watch(books: Any, flows: Any, eyes: Any, until: int, quotes: Any, prints: Any, depth: Any) -> bool:
    """Let the market run to a time, or until there is no room to write: whether it got there."""
    book = books[0]
    s = flows[0]
    e = eyes[0]
    while True:
        ns = next_ns(s)
        if e.quotes + 2 > len(quotes) or e.prints + book.n_ring > len(prints) or e.samples + 2 > len(depth):
            return False
        if ns > e.block:
            _quote(e, book, quotes)
            e.block = -(-ns // e.block_ns) * e.block_ns
        while e.sample_ns < min(ns, until):
            if e.samples == len(depth):
                return False
            _sample(e, book, depth)
            e.sample_ns += e.every_ns
        if ns > until:
            return True
        happen(book, s)
        for i in range(book.fill_count):
            fill = book.fill_rows[i]
            row = prints[e.prints]
            row.ns, row.side, row.tick, row.lots = e.block, fill[8], fill[9], fill[10]
            e.prints += 1
        book.fill_count = 0
        book.expired_count = 0
        level = book.best_bid if book.best_bid >= 0 else book.best_ask
        if level >= 0 and (
            (level < book.n_levels // 8 and book.base > 0) or level > book.n_levels - book.n_levels // 8
        ):
            return False


@njit(cache=True)
def _start(flows: Any, ns: int) -> None:
    begin(flows[0], ns)


def simulate(
    terms: FlowTerms,
    hours: float,
    seed: int,
    *,
    name: str = "simulated",
    block_ns: int = 100_000_000,
    every_ns: int = 1_000_000_000,
    warm_ns: int = WARM_NS,
) -> Observed:
    """So many hours of a market, after a while to fill its book. Raises ConfigError, and ValueError for no time."""
    if not hours > 0.0 or block_ns < 1:
        raise ValueError(f"hours must be positive and block_ns at least 1, not {hours} and {block_ns}")
    flows = flow_record(terms, seed)
    base = max(0, open_tick(terms) - SPAN // 2)
    books = new_book(base, SPAN, ORDERS, FILLS).base
    _start(flows, 0)
    eyes = np.zeros(1, _EYE_DTYPE)
    eyes[0]["block_ns"], eyes[0]["every_ns"] = block_ns, every_ns
    _run(books, flows, eyes, warm_ns)
    before = _taken(flows)
    end = warm_ns + int(hours * 3.6e12)
    eyes[0]["sample_ns"] = warm_ns
    parts = _run(books, flows, eyes, end)
    quotes, prints, depth = (parts[key] for key in ("quotes", "prints", "depth"))
    return Observed(
        name=name,
        grid=terms.grid,
        begin_ns=warm_ns,
        end_ns=end,
        quotes=quotes,
        prints=prints,
        depth=depth,
        arrived=_taken(flows) - before,
    )


def _taken(flows: Records) -> int:
    """Market orders so far."""
    counts = flows[0]["counts"]
    return int(counts[TAKE]) + int(counts[INFORMED])


def _run(books: Records, flows: Records, eyes: Records, until: int) -> dict[str, Records]:
    kept: dict[str, list[Records]] = {"quotes": [], "prints": [], "depth": []}
    there = False
    while not there:
        rooms = {
            "quotes": np.zeros(ROOM, QUOTE_DTYPE),
            "prints": np.zeros(ROOM, PRINT_DTYPE),
            "depth": np.zeros(ROOM >> 4, DEPTH_DTYPE),
        }
        eyes[0]["quotes"] = eyes[0]["prints"] = eyes[0]["samples"] = 0
        there = _watch(books, flows, eyes, until, rooms["quotes"], rooms["prints"], rooms["depth"])
        for key, count in (("quotes", "quotes"), ("prints", "prints"), ("depth", "samples")):
            kept[key].append(rooms[key][: eyes[0][count]].copy())
        _follow(books[0])
    return {key: np.concatenate(some) for key, some in kept.items()}


def _follow(book: Any) -> None:
    """Keep the window of levels around the price."""
    level = int(book["best_bid"]) if book["best_bid"] >= 0 else int(book["best_ask"])
    if level >= 0 and abs(level - SPAN // 2) > SPAN // 4:
        recentre(book, max(0, int(book["base"]) + level - SPAN // 2))


def open_tick(terms: FlowTerms) -> int:
    """About where the market begins."""
    if terms.value.px <= 0.0:
        return max(terms.open_bid, terms.open_ask)
    if terms.grid.tick_size > 0.0:
        return int(terms.value.px / terms.grid.tick_size)
    return floor_tick(terms.value.px, terms.grid.decimals)
