"""Order logs as tapes of order-level rows: what the book made of every row, with places in the queue (`seq`).

``orders`` of `formats.FORMATS` is a log of Bitstamp's kind (`l3_bitstamp`); `lobster` writes its tapes here too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.findings import KEPT, Findings
from slipstream.data.tape.header import Finding, Source
from slipstream.data.tape.hearing import Hearing
from slipstream.data.tape.l3_bitstamp import BitstampLog
from slipstream.data.tape.origin import source_of
from slipstream.data.tape.scale import Grid, Market, decimal_of
from slipstream.data.tape.terms import Made, Report, Terms
from slipstream.data.tape.writer import TapeWriter
from slipstream.lob.bits import MAX_LEVELS
from slipstream.lob.replay.order_book import OrderBook, OrderLogError, project

Rows = npt.NDArray[Any]
VENUE, TICK, LOT, SIZE_DECIMALS = "bitstamp", "0.01", "0.00000001", 8
EDGE = MAX_LEVELS // 16  # levels: nearer to the end of the window the best price may not come


class Log(Protocol):
    """An order log: iterating it reads the file and yields chunks of `ORDER_ROW_DTYPE` rows."""

    path: Path
    counts: Counter[str]

    def __iter__(self) -> Any: ...


class Notes:
    """What a log found and what was done, with the first places of each. ``strict``: the first one raises."""

    def __init__(self, path: Path, *, strict: bool) -> None:
        self._path, self._strict = path, strict
        self._counts: Counter[tuple[str, str]] = Counter()
        self._places: dict[tuple[str, str], list[str]] = {}

    def take(self, row: int, what: str, done: str) -> None:
        """Note one. Raises TapeError under ``strict``."""
        if self._strict:
            raise TapeError(f"{self._path}: row {row}: {what} (--strict refuses it)")
        self._counts[what, done] += 1
        places = self._places.setdefault((what, done), [])
        if len(places) < KEPT:
            places.append(f"{self._path.name}: row {row}")

    def findings(self) -> tuple[Finding, ...]:
        """All of them, the most frequent first."""
        return tuple(
            Finding(reason=what, action=done, count=count, places=tuple(self._places[what, done]))
            for (what, done), count in self._counts.most_common()
        )


def write_orders(
    log: Log, market: Market, to: Path, terms: Terms, form: str, notes: Notes, sources: Iterable[Source]
) -> Report:
    """Replay a log and write what its levels became as the tape of a market, in bounded memory.

    Raises TapeError: a bad row, an order that does not fit the book, a price that leaves the book's window.
    """
    found = Findings([log.path.name], strict=terms.strict)
    hearing = Hearing(terms, found)
    with TapeWriter.asked(to, market, terms, form, layout="orders") as writer:
        chunks = iter(log)
        first = next(chunks, None)
        if first is None or not len(first):
            raise TapeError(f"{log.path}: holds no order: there is nothing to replay")
        base = max(0, int(np.sort(first["tick"])[(len(first) - 1) // 2]) - MAX_LEVELS // 2)  # an order's own
        book = OrderBook(base)
        try:
            for made in project(_again(first, chunks), book):
                _check_window(book, base, log.path)
                hearing.put(made, np.zeros(len(made), np.int64))
                writer.append(made)
                terms.progress(writer.rows, writer.rows, "rows")
        except OrderLogError as error:
            raise TapeError(f"{log.path}: {error}") from None
        outside = Finding(reason="orders far outside the book", action="not shown", count=book.counts()["outside"])
        writer.findings = (*notes.findings(), *found.list(), *((outside,) if outside.count else ()))
        writer.clock = hearing.clock()
        writer.sources = tuple(sources)
    return Report(format=form, made=(Made(folder=writer.folder, header=writer.header()),))


def _again(first: Rows, rest: Iterable[Rows]) -> Iterable[Rows]:
    yield first
    yield from rest


def _check_window(book: OrderBook, base: int, path: Path) -> None:
    for tick in (book.book.best_bid(), book.book.best_ask()):
        if tick >= 0 and ((base and tick < base + EDGE) or tick >= base + MAX_LEVELS - EDGE):
            raise TapeError(
                f"{path}: the best price is at tick {tick}, near the end of the {MAX_LEVELS} levels from {base} that a "
                "book can hold: split the log, or give a larger --tick-size"
            )


def coin_of(source: Path, terms: Terms, guess: str = "") -> str:
    """The one coin of a log. Raises TapeError."""
    if len(terms.coins) > 1:
        raise TapeError(f"{source}: holds one coin's orders; --coins names {len(terms.coins)}")
    if not terms.coins and not guess:
        raise TapeError(f"{source}: does not say whose orders it holds; name the coin, such as --coins BTC")
    return terms.coins[0] if terms.coins else guess


def convert(source: Path, to: Path, terms: Terms) -> Report:
    """A log of Bitstamp's kind as the tape of one coin, which ``terms.coins`` names.

    Raises TapeError (file, row, reason), OSError.
    """
    if source.is_dir():
        raise TapeError(f"{source}: give one file, an order log")
    coin = coin_of(source, terms)
    if terms.size_decimals.get(coin, SIZE_DECIMALS) != SIZE_DECIMALS:
        raise TapeError(
            f"{source}: the volumes of such a log are in 1e-8: --size-decimals {coin}={SIZE_DECIMALS}, or none"
        )
    tick = terms.tick_sizes.get(coin, TICK)
    market = Market(venue=terms.venue or VENUE, coin=coin, grid=Grid(tick_size=tick), lot=LOT)
    notes = Notes(source, strict=terms.strict)
    log = BitstampLog(source, notes.take, tick_size=decimal_of("tick_size", tick))
    return write_orders(log, market, to, terms, "orders", notes, (source_of(source),))
