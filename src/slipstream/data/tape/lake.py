"""The lake's streams as tapes: books, best prices, trades and contexts of each coin and venue."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from slipstream.data.lake import Lake, Query
from slipstream.data.streams import LakeError
from slipstream.data.tape.fault import EmptyTape, TapeError
from slipstream.data.tape.findings import NOTED, SHIFT, SKIPPED, TWICE, Findings
from slipstream.data.tape.gathering import Settlements
from slipstream.data.tape.header import Source
from slipstream.data.tape.heard import Heard, Scale, Sides, bests, books, trades
from slipstream.data.tape.pipeline import Pipeline, Seen, run
from slipstream.data.tape.scale import Ints
from slipstream.data.tape.sourcing import market_of
from slipstream.data.tape.terms import Made, Report, Terms

NAME = "lake"
STREAMS = ("books", "bbo", "trades", "contexts")
BOOKS, BESTS, TRADES, CONTEXTS = range(4)


def convert(source: Path, to: Path, terms: Terms) -> Report:
    """Convert the tapes of a lake. Raises TapeError, OSError."""
    try:
        lake = Lake(source)
        there = [(v, c) for v, stream in lake.streams() if stream in ("books", "bbo") for c in lake.coins(v, stream)]
        markets = sorted({(v, c) for v, c in there if terms.wants(c) and terms.venue in ("", v)})
        if not markets:
            known = ", ".join(sorted({f"{v} {c}" for v, c in there})) or "none"
            raise TapeError(f"{source}: no books or best prices of what was asked for; it has those of {known}")
        found = Findings(strict=terms.strict)
        made = []
        for done, (venue, coin) in enumerate(markets):
            terms.progress(done, len(markets), "markets")
            one = _market(lake, venue, coin, to, terms, found)
            made += [] if one is None else [one]
    except LakeError as error:
        raise TapeError(str(error)) from None
    if not made:
        raise TapeError(f"{source}: no book of any coin: there is nothing to replay")
    return Report(format=NAME, made=tuple(made), findings=found.list())


def _market(lake: Lake, venue: str, coin: str, to: Path, terms: Terms, told: Findings) -> Made | None:
    found = Findings([f"{stream} of {venue} {coin}" for stream in STREAMS], strict=terms.strict)
    batches, entries = [], []
    for stream in STREAMS:
        query = Query(venue=venue, stream=stream, coins=(coin,))
        batches.append(part for _, part in lake.batches(query) if part.num_rows)
        entries += lake.entries(query)
    first = [next(part, None) for part in batches]
    rest = [chain([] if head is None else [head], tail) for head, tail in zip(first, batches, strict=True)]
    scale = _scale(first, venue, coin, terms)
    settling = iter(()) if venue != "hl" else _contexts(rest[CONTEXTS], scale, found)
    streams: list[Iterator[Heard]] = [
        _books(rest[BOOKS], scale, found),
        _bests(rest[BESTS], scale, found),
        _trades(rest[TRADES], scale, found),
        settling,
    ]
    pipeline = Pipeline(to, scale, found, terms, NAME, streams=len(streams))
    try:
        with pipeline:
            run(pipeline, streams)
            pipeline.sources = [Source(name=one.path, size=one.size, sha256=one.sha256) for one in entries]
    except EmptyTape as error:
        told.tell(NOTED, [str(error)])
    return pipeline.made


def _scale(first: list[Any], venue: str, coin: str, terms: Terms) -> Scale:
    px, sz = [np.zeros(1)], [np.zeros(1)]
    for part in (first[BOOKS], first[BESTS]):
        for side in ("bid", "ask") if part is not None else ():
            px.append(_numbers(part.column(f"{side}_px")))
            sz.append(_numbers(part.column(f"{side}_sz")))
    if first[TRADES] is not None:
        px.append(_numbers(first[TRADES].column("px")))
        sz.append(_numbers(first[TRADES].column("sz")))
    return Scale(*market_of(venue, coin, np.concatenate(px), np.concatenate(sz), terms))


def _numbers(column: Any) -> Any:
    """A column, or all elements of a column of lists, as an array."""
    flat = column.flatten() if hasattr(column, "flatten") and str(column.type).startswith("list") else column
    return flat.to_numpy(zero_copy_only=False)


def _times(part: Any, at: int, stream: int) -> tuple[Ints, Ints, Ints]:
    row = np.arange(at + 1, at + 1 + part.num_rows, dtype=np.int64)
    return _numbers(part.column("event_ns")), _numbers(part.column("recv_ns")), row + (stream << SHIFT)


def _numbered(parts: Iterator[Any]) -> Iterator[tuple[int, Any]]:
    at = 0
    for part in parts:
        yield at, part
        at += part.num_rows


def _books(parts: Iterator[Any], scale: Scale, found: Findings) -> Iterator[Heard]:
    for at, part in _numbered(parts):
        sides = []
        for side in ("bid", "ask"):
            counts = part.column(f"{side}_px").value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
            sides.append(Sides(counts, _numbers(part.column(f"{side}_px")), _numbers(part.column(f"{side}_sz"))))
        yield books(scale, found, *_times(part, at, BOOKS), *sides)


def _bests(parts: Iterator[Any], scale: Scale, found: Findings) -> Iterator[Heard]:
    for at, part in _numbered(parts):
        px, sz = (np.stack([_numbers(part.column(f"{s}_{what}")) for s in ("bid", "ask")], 1) for what in ("px", "sz"))
        yield bests(scale, found, *_times(part, at, BESTS), px, sz)


def _trades(parts: Iterator[Any], scale: Scale, found: Findings) -> Iterator[Heard]:
    seen, last = Seen(), -1
    for at, part in _numbered(parts):
        exch, local, place = _times(part, at, TRADES)
        ids = _numbers(part.column("tid"))
        fresh = seen.fresh(ids)
        if scale.market.venue == "binance":  # it numbers its trades one after the other
            before = np.concatenate([[last if last >= 0 else ids[0] - 1], ids[:-1]])
            found.note(SKIPPED, place[ids > before + 1])
            last = int(ids[-1])
        found.note(TWICE, place[~fresh])
        word = _numbers(part.column("side"))
        side = np.where(word == "buy", 1, np.where(word == "sell", -1, 0))[fresh]
        px, sz = _numbers(part.column("px"))[fresh], _numbers(part.column("sz"))[fresh]
        yield trades(scale, found, exch[fresh], local[fresh], place[fresh], px, sz, side)


def _contexts(parts: Iterator[Any], scale: Scale, found: Findings) -> Iterator[Heard]:
    settlements = Settlements()
    for at, part in _numbered(parts):
        _, heard, place = _times(part, at, CONTEXTS)
        told = [_numbers(part.column(name)) for name in ("oracle_px", "funding")]
        yield settlements.rows(scale, found, heard, place, *told)
