"""Raw Binance USD-M socket lines, ``<local ns> <json>``, as tapes: diffs of depth, best prices, trades.

- ``depthUpdate``: each level holds what is told (0: it is gone). ``pu`` of one must be ``u`` of the one before; where
  it is not, updates are missing, both sides are forgotten (CLEAR) and built again from what is told.
- A snapshot (``lastUpdateId``, ``bids``, ``asks``) among the lines is laid under the diffs: a level that a later diff
  has told stays. Without one the book is built from what the diffs tell, and is thin at first.
- ``bookTicker``: BEST of both sides. ``trade`` (``aggTrade`` where there are no single ones): TRADE; trades that met
  no book (insurance, ADL) are left out and counted.
- The exchange's time is ``T`` (when it happened), of spot streams ``E`` (when it was sent).

Several streams come down one socket out of order: rows are sorted by the exchange's time (trades before the book that
they changed, books by update id) within a second, and a row is heard no sooner than the ones before it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from slipstream.data.tape.binance_feed import Feed, Fields
from slipstream.data.tape.binance_lines import SCALE, Steps, look, read_messages, text_of
from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.findings import NOTED, SHIFT, UNREADABLE, Findings
from slipstream.data.tape.header import Finding, Source
from slipstream.data.tape.hearing import Hearing
from slipstream.data.tape.origin import source_of
from slipstream.data.tape.scale import Grid, Market, decimal_of
from slipstream.data.tape.terms import SECOND, Made, Report, Terms
from slipstream.data.tape.writer import TapeWriter
from slipstream.lob.replay.rows import ROW_DTYPE

VENUE = "binance"
WINDOW_S = 1.0
CHUNK = 1 << 16
MESSAGES = 2_000  # between looks at what is in order


class Symbol:
    """One symbol's way from messages to its tape."""

    def __init__(self, folder: Path, coin: str, steps: Steps, terms: Terms, names: list[str], trades: bool) -> None:
        grid = Grid(tick_size=text_of(steps.tick))
        market = Market(venue=terms.venue or VENUE, coin=coin, grid=grid, lot=text_of(steps.lot))
        self.found = Findings(names, strict=terms.strict)
        window = min(WINDOW_S, terms.window_s)
        self.feed = Feed(steps, self.found, window_ns=int(window * SECOND), single_trades=trades)
        self.hearing = Hearing(terms, self.found)
        self.writer = TapeWriter.asked(folder, market, terms, "binance")
        self._fields: list[Fields] = []

    def flush(self, *, rest: bool = False) -> None:
        """Write what is in order. Raises TapeError."""
        for fields in self.feed.rows(rest=rest):
            self._fields.append(fields)
            if len(self._fields) >= CHUNK:
                self._write()
        if rest:
            self._write()

    def _write(self) -> None:
        if not self._fields:
            return
        table = np.array(self._fields, np.int64)
        self._fields.clear()
        rows = np.zeros(len(table), ROW_DTYPE)
        for k, name in enumerate(("exch_ns", "local_ns", "lots", "tick", "kind", "side")):
            rows[name] = table[:, k]
        self.hearing.put(rows, table[:, 6])
        self.writer.append(rows)

    def finish(self, sources: tuple[Source, ...]) -> None:
        """Write the rest, and what the header says. Raises TapeError: nothing was told of the symbol."""
        self.flush(rest=True)
        if not self.writer.rows:
            raise TapeError(f"{self.writer.folder.name}: no row in {', '.join(one.name for one in sources)}")
        passed = {kind: n for kind, n in self.feed.counts.items() if kind.startswith("trades that met no book")}
        told = tuple(Finding(reason=kind, action="dropped", count=n) for kind, n in sorted(passed.items()))
        self.writer.findings = (*self.found.list(), *told)
        self.writer.sources = sources
        self.writer.clock = self.hearing.clock()


def convert(source: Path, to: Path, terms: Terms) -> Report:
    """Socket lines of a file, or of a folder's files in the order of their names, as a tape a symbol.

    Raises TapeError (file, row, reason; a symbol that is not there; a tape that is there already), OSError.
    """
    paths = _files(source)
    names = [path.name for path in paths]
    unread = Findings(names, strict=terms.strict)
    sources = tuple(source_of(path) for path in paths)
    total, before = sum(one.size for one in sources), 0
    symbols: dict[str, Symbol] = {}
    with ExitStack() as open_writers:
        for file, path in enumerate(paths):
            seen = look(path)
            for coin, steps in seen.grids.items():
                if terms.wants(coin) and coin not in symbols:
                    symbols[coin] = Symbol(to, coin, _told(steps, coin, terms), terms, names, seen.trades)
                    open_writers.enter_context(symbols[coin].writer)
            _read(path, file, symbols, seen.grids, unread, partial(_told_so_far, terms, before, total))
            before += sources[file].size
        if lacking := [coin for coin in terms.coins if coin not in symbols]:
            raise TapeError(f"{source}: nothing of {', '.join(lacking)} in it; there is {', '.join(symbols) or 'none'}")
        for one in symbols.values():
            one.finish(sources)
    made = tuple(Made(folder=one.writer.folder, header=one.writer.header()) for one in symbols.values())
    return Report(format="binance", made=made, findings=unread.list())


def _read(
    path: Path,
    file: int,
    symbols: dict[str, Symbol],
    here: dict[str, Steps],
    unread: Findings,
    progress: Callable[[int], None],
) -> None:
    """The messages of a file to their symbols; one without a symbol (a snapshot) is that of a file of one symbol."""
    alone = next(iter(here)) if len(here) == 1 else ""

    def bad(row: int, reason: str) -> None:
        unread.tell(UNREADABLE, [f"{path.name}: row {row}: {reason}"])

    for row, local_ns, message in read_messages(path, bad, progress):
        coin = message.s or alone
        if not coin and message.lastUpdateId:
            unread.tell(NOTED, [f"{path.name}: row {row}: a snapshot of nobody knows which symbol is left out"])
        one = symbols.get(coin)
        if one is None:
            continue
        one.feed.take(file << SHIFT | row, local_ns, message)
        if row % MESSAGES == 0:
            one.flush()


def _told_so_far(terms: Terms, before: int, total: int, done: int) -> None:
    terms.progress(before + done, total, "read")


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    found = sorted(path for path in source.iterdir() if path.suffix in (".gz", ".jsonl") and path.is_file())
    if not found:
        raise TapeError(f"{source}: no .gz or .jsonl file of socket lines in it")
    return found


def _told(steps: Steps, coin: str, terms: Terms) -> Steps:
    """The grid as it was told, else as the first lines show it. Raises TapeError."""
    tick, lot = steps.tick, steps.lot
    if coin in terms.tick_sizes:
        tick = int(decimal_of("--tick-size", terms.tick_sizes[coin]).scaleb(SCALE))
    if coin in terms.size_decimals:
        lot = 10 ** (SCALE - terms.size_decimals[coin])
    return Steps(tick, lot)
