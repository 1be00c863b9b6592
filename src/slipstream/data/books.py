"""Recorded books wherever they lie, a coin's snapshots at a time, as arrays: what costs are calibrated from.

- the lake's stream ``books``;
- segments of a recorder (``*.jsonl.zst``, closed or open) and objects of the archive (``l2Book/COIN.lz4``), or the same
  lines as plain text (``*.jsonl``);
- tables of levels (``*.csv``, ``*.csv.gz``): ``exchange_timestamp`` (ms), ``bid_price_0``, ``bid_size_0``,
  ``ask_price_0``, ``ask_size_0``, and so on; the coin is the part of the name after ``orderbooks_``.

A book is taken once in ``every_ms`` of a coin: neighbouring books are nearly the same. Memory is bounded by `ROWS`.
"""

from __future__ import annotations

import glob
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.costs.calibration import levels
from slipstream.data.archive import lines_of
from slipstream.data.lake import Lake, Query
from slipstream.data.recorder.envelope import LineError, read_line
from slipstream.data.recorder.frames import read_frame
from slipstream.data.recorder.tables import read_segment
from slipstream.model.events import L2Book

Array = npt.NDArray[np.float64]
Stamps = npt.NDArray[np.int64]
MS = 1_000_000
WIDTH = 20  # levels a side at most
ROWS = 512  # snapshots of a coin in memory
SYMBOL = "{symbol}"
SIDES = ("bid_px", "bid_sz", "ask_px", "ask_sz")
TABLES = (".csv", ".csv.gz")
SEGMENTS = (".jsonl.zst", ".jsonl.zst.open")
ENDINGS = (*SEGMENTS, ".lz4", ".jsonl", *TABLES)


class BooksError(ValueError):
    """Recorded books that cannot be read as such."""


class Snapshots(msgspec.Struct, frozen=True):
    """Books of one coin. ``ms`` (T,) UTC; prices and sizes (T, levels), best first, NaN after the last."""

    coin: str
    ms: Stamps
    bid_px: Array
    bid_sz: Array
    ask_px: Array
    ask_sz: Array


class Thinning:
    """Lets one book of a coin through in ``every_ms``: the first that falls into each stretch."""

    def __init__(self, every_ms: int) -> None:
        if every_ms < 1:
            raise BooksError(f"a book every {every_ms} ms: at least 1 ms is needed")
        self.every_ms = every_ms
        self._last: dict[str, int] = {}

    def take(self, coin: str, ms: int) -> bool:
        """Whether this book counts."""
        slot = ms // self.every_ms
        if self._last.get(coin) == slot:
            return False
        self._last[coin] = slot
        return True


# ---- the lake ---------------------------------------------------------------------------------------------------


def from_lake(path: Path, venue: str, coins: Sequence[str], every_ms: int) -> Iterator[Snapshots]:
    """The lake's books, a coin after the other; no coins: all. Raises BooksError without any, LakeError."""
    lake = Lake(path)
    there = lake.coins(venue, "books")
    lacking = [coin for coin in coins if coin not in there]
    if lacking or not there:
        raise BooksError(
            f"{path}: no books of {', '.join(lacking) or 'any coin'} of venue {venue}; it has books of "
            f"{', '.join(there) or 'none'}: record some (slipstream record, slipstream compact)"
        )
    thinning = Thinning(every_ms)
    query = Query(venue=venue, stream="books", coins=tuple(coins), columns=("recv_ns", *SIDES))
    for coin, batch in lake.batches(query):
        ms = batch.column("recv_ns").to_numpy() // MS
        rows = [i for i, at in enumerate(ms.tolist()) if thinning.take(coin, at)]
        for start in range(0, len(rows), ROWS):
            part = batch.take(rows[start : start + ROWS])
            sides = [levels([row or [] for row in part.column(name).to_pylist()], WIDTH) for name in SIDES]
            yield Snapshots(coin, part.column("recv_ns").to_numpy() // MS, *sides)


# ---- files ------------------------------------------------------------------------------------------------------


def files_of(pattern: str, coins: Sequence[str]) -> list[tuple[Path, str]]:
    """The files of a pattern and the coin that each is said to be of, empty where the pattern names none.

    ``{symbol}`` in the pattern stands for each of the coins. Raises BooksError: nothing there, or no ending of ours.
    """
    if SYMBOL in pattern and not coins:
        raise BooksError(f"{pattern}: {SYMBOL} stands for each coin: name them with --coins")
    asked = [(pattern.replace(SYMBOL, glob.escape(c)), c) for c in coins] if SYMBOL in pattern else [(pattern, "")]
    out = []
    for one, coin in asked:
        found = sorted(path for path in glob.glob(one, recursive=True) if Path(path).is_file())
        if not found:
            raise BooksError(f"{one}: no such file")
        out += [(Path(path), coin) for path in found]
    odd = [path for path, _ in out if not path.name.endswith(ENDINGS)]
    if odd:
        raise BooksError(f"{odd[0]}: no file of books; endings known are {', '.join(ENDINGS)}")
    return out


def from_file(path: Path, coin: str, thinning: Thinning, refused: list[str]) -> Iterator[Snapshots]:
    """The books of a file. Lines that cannot be read go to ``refused``. Raises BooksError, OSError."""
    if path.name.endswith(TABLES):
        return _from_table(path, coin or _coin_of(path), thinning)
    if path.name.endswith(SEGMENTS):
        found = (event for _, events in read_segment(path, refused) if isinstance(events, list) for event in events)
        return _gathered((event for event in found if isinstance(event, L2Book)), thinning)
    return _gathered(_from_lines(path, refused), thinning)


def _from_lines(path: Path, refused: list[str]) -> Iterator[L2Book]:
    with path.open("rb") as file:
        lines: Iterable[bytes] = lines_of(file, str(path)) if path.suffix == ".lz4" else file
        for number, line in enumerate(lines, 1):
            try:
                recv_ns, raw = read_line(line)
                found = read_frame(raw, recv_ns, {})
            except LineError as error:
                refused.append(f"{path}:{number}: {error}")
                continue
            yield from (event for event in found if isinstance(event, L2Book)) if isinstance(found, list) else ()


def _gathered(books: Iterable[L2Book], thinning: Thinning) -> Iterator[Snapshots]:
    """Books one by one as arrays, a coin's as soon as there are `ROWS` of them."""
    held: dict[str, list[L2Book]] = {}
    for book in books:
        if book.venue == "hl" and thinning.take(book.coin, book.recv_ns // MS):
            rows = held.setdefault(book.coin, [])
            rows.append(book)
            if len(rows) >= ROWS:
                yield _as_arrays(held.pop(book.coin))
    for rows in held.values():
        yield _as_arrays(rows)


def _as_arrays(books: list[L2Book]) -> Snapshots:
    def side(pick: Callable[[L2Book], tuple[tuple[float, float], ...]], part: int) -> Array:
        return levels([[level[part] for level in pick(book)] for book in books], WIDTH)

    ms = np.array([book.recv_ns // MS for book in books], dtype=np.int64)
    parts = [side(pick, part) for pick in (lambda b: b.bids, lambda b: b.asks) for part in (0, 1)]
    return Snapshots(books[0].coin, ms, *parts)


def _coin_of(path: Path) -> str:
    name = path.name.removesuffix(".gz").removesuffix(".csv")
    return name.rpartition("orderbooks_")[2]


def _from_table(path: Path, coin: str, thinning: Thinning) -> Iterator[Snapshots]:
    import pandas as pd

    time = "exchange_timestamp"
    try:
        header = list(pd.read_csv(path, nrows=0).columns)
        names = [[f"{side}_{what}_{k}" for k in range(WIDTH)] for side in ("bid", "ask") for what in ("price", "size")]
        there = [[name for name in side if name in header] for side in names]
        if time not in header or not all(there) or len({len(side) for side in there}) > 1:
            raise BooksError(
                f"{path}: not a table of books: it needs {time} and bid_price_0, bid_size_0, ask_price_0, ask_size_0, "
                f"...; it has {', '.join(map(str, header[:8]))}"
            )
        with pd.read_csv(path, usecols=[time, *itertools.chain.from_iterable(there)], chunksize=8 * ROWS) as parts:
            for part in parts:
                yield from _rows_of(path, coin, part, there, thinning)
    except (OSError, EOFError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BooksError(f"{path}: {str(error) or type(error).__name__}") from None


def _rows_of(path: Path, coin: str, part: Any, there: list[list[str]], thinning: Thinning) -> Iterator[Snapshots]:
    try:
        stamps = part["exchange_timestamp"].to_numpy(dtype=np.float64)
        sides = [part[names].to_numpy(dtype=np.float64) for names in there]
    except ValueError as error:
        raise BooksError(f"{path}: near row {int(part.index[0]) + 2}: {error}") from None
    keep = [i for i, at in enumerate(stamps) if np.isfinite(at) and thinning.take(coin, int(at))]
    if keep:
        yield Snapshots(coin, stamps[keep].astype(np.int64), *(side[keep] for side in sides))
