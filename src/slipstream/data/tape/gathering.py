"""The house's events of one market as heard rows, gathered into batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from slipstream.data.tape.findings import SKIPPED, TWICE, UNSETTLED, Findings
from slipstream.data.tape.heard import Heard, Scale, Sides, bests, books, fundings, trades
from slipstream.data.tape.pipeline import Pipeline, Seen
from slipstream.data.tape.scale import Floats, Ints
from slipstream.data.tape.sourcing import market_of
from slipstream.data.tape.terms import Terms
from slipstream.model.events import AssetContext, Bbo, L2Book, Trade
from slipstream.model.instrument import Side

EVENTS = 1 << 12  # kept at most; grids and lots are guessed from the first batch
STREAMS = 4
BOOKS, BESTS, TRADES, CONTEXTS = range(STREAMS)
HOUR = 3_600 * 10**9
FRESH = 600 * 10**9  # a funding estimate this old is that of its hour's end no more
Event = L2Book | Bbo | Trade | AssetContext
Placed = tuple[Event, int]


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, np.int64)


def _times(placed: Sequence[Any]) -> tuple[Ints, Ints, Ints]:
    """(happened, heard, place)."""
    return (
        _ints([event.event_ns for event, _ in placed]),
        _ints([event.recv_ns for event, _ in placed]),
        _ints([place for _, place in placed]),
    )


def _side(levels: Sequence[Any]) -> Sides:
    flat = np.array([level for side in levels for level in side], np.float64).reshape(-1, 2)
    return Sides(_ints([len(side) for side in levels]), flat[:, 0], flat[:, 1])


def book_rows(scale: Scale, found: Findings, placed: Sequence[tuple[L2Book, int]]) -> Heard:
    """Rows of whole books."""
    bids, asks = _side([book.bids for book, _ in placed]), _side([book.asks for book, _ in placed])
    return books(scale, found, *_times(placed), bids, asks)


def _best_rows(scale: Scale, found: Findings, placed: Sequence[tuple[Bbo, int]]) -> Heard:
    px = np.array([(bbo.bid_px, bbo.ask_px) for bbo, _ in placed])
    sz = np.array([(bbo.bid_sz, bbo.ask_sz) for bbo, _ in placed])
    return bests(scale, found, *_times(placed), px, sz)


class Settlements:
    """Hyperliquid's hourly settlements, from the running estimates: the last one of an hour is what is settled."""

    def __init__(self) -> None:
        self._last: tuple[int, float, float] | None = None

    def rows(self, scale: Scale, found: Findings, heard_ns: Ints, place: Ints, oracle: Floats, rate: Floats) -> Heard:
        """Rows of the hours that ended, known with the first context after their end."""
        times: list[tuple[int, int, int]] = []
        told: list[tuple[float, float]] = []
        for at, now in enumerate(heard_ns.tolist()):
            before, self._last = self._last, (now, float(oracle[at]), float(rate[at]))
            if before is None or before[0] // HOUR == now // HOUR:
                continue
            ends = (before[0] // HOUR + 1) * HOUR
            if ends - before[0] > FRESH or not (before[1] > 0 and np.isfinite(before[2])) or now - ends >= HOUR:
                found.note(UNSETTLED, place[at : at + 1])
                continue
            times.append((ends, now, int(place[at])))
            told.append(before[1:])
        settle, known, where = np.array(times, np.int64).reshape(-1, 3).T
        prices, rates = np.array(told, np.float64).reshape(-1, 2).T
        return fundings(scale, settle, known, where, prices, rates)


class Gathering:
    """Takes one market's events in the order of receipt and pushes them, in batches, into its pipeline."""

    def __init__(
        self, venue: str, coin: str, found: Findings, terms: Terms, begin: Callable[[Scale, Findings], Pipeline]
    ) -> None:
        """``begin`` makes the pipeline when the first batch has told the scale."""
        self.venue, self.coin, self.found = venue, coin, found
        self.pipeline: Pipeline | None = None
        self._terms, self._begin = terms, begin
        self._kept: dict[type, list[Any]] = {L2Book: [], Bbo: [], Trade: [], AssetContext: []}
        self._held = 0
        self._seen = Seen()
        self._last_id = -1
        self._settlements = Settlements()

    def take(self, event: Event, place: int) -> None:
        """Take an event and where its source has it. Raises TapeError."""
        self._kept[type(event)].append((event, place))
        self._held += 1
        if self._held >= EVENTS:
            self.flush()

    def flush(self) -> None:
        """Push what was gathered. Raises TapeError."""
        if not self._held:
            return
        if self.pipeline is None:
            self.pipeline = self._begin(self._scale(), self.found)
        scale, pipeline = self.pipeline.scale, self.pipeline
        if placed := self._kept[L2Book]:
            pipeline.push(book_rows(scale, self.found, placed), BOOKS)
        if placed := self._kept[Bbo]:
            pipeline.push(_best_rows(scale, self.found, placed), BESTS)
        if placed := self._kept[Trade]:
            pipeline.push(self._trades(scale, placed), TRADES)
        if self.venue == "hl" and (placed := self._kept[AssetContext]):
            _, heard, place = _times(placed)
            told = np.array([(ctx.oracle_px, ctx.funding) for ctx, _ in placed])
            rows = self._settlements.rows(scale, self.found, heard, place, told[:, 0], told[:, 1])
            pipeline.push(rows, CONTEXTS)
        self._held, self._kept = 0, {kind: [] for kind in self._kept}

    def _scale(self) -> Scale:
        px, sz = [0.0], [0.0]
        for book, _ in self._kept[L2Book]:
            px += [level[0] for side in (book.bids, book.asks) for level in side]
            sz += [level[1] for side in (book.bids, book.asks) for level in side]
        for bbo, _ in self._kept[Bbo]:
            px += [bbo.bid_px, bbo.ask_px]
            sz += [bbo.bid_sz, bbo.ask_sz]
        for trade, _ in self._kept[Trade]:
            px.append(trade.px)
            sz.append(trade.sz)
        market, guessed = market_of(self.venue, self.coin, np.array(px), np.array(sz), self._terms)
        return Scale(market, guessed)

    def _trades(self, scale: Scale, placed: list[tuple[Trade, int]]) -> Heard:
        exch, local, place = _times(placed)
        ids = _ints([trade.tid for trade, _ in placed])
        fresh = self._seen.fresh(ids)
        if self.venue == "binance":  # it numbers its trades one after the other
            before = np.concatenate([[self._last_id if self._last_id >= 0 else ids[0] - 1], ids[:-1]])
            self.found.note(SKIPPED, place[ids > before + 1])
            self._last_id = int(ids[-1])
        self.found.note(TWICE, place[~fresh])
        px, sz = np.array([trade.px for trade, _ in placed]), np.array([trade.sz for trade, _ in placed])
        side = _ints([1 if trade.side is Side.BUY else -1 for trade, _ in placed])
        return trades(scale, self.found, exch[fresh], local[fresh], place[fresh], px[fresh], sz[fresh], side[fresh])
