"""Several tapes as one stream of chunks, in the order in which their exchanges made them.

``market`` of a row is the place of its tape in the list. At equal times the tape that comes first in the list comes
first. Memory is that of a block of each tape and of a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.findings import Findings
from slipstream.data.tape.header import Clock
from slipstream.data.tape.hearing import Hearing
from slipstream.data.tape.reader import Tape
from slipstream.data.tape.terms import Terms
from slipstream.data.tape.writer import CHUNK_ROWS
from slipstream.lob.replay.rows import L3_ROW_DTYPE, ROW_DTYPE

BLOCK = 1 << 15  # rows of a tape that are at hand
FOREVER = 1 << 62
MARKETS = 1 << 10  # tapes at once, at most
Rows = npt.NDArray[np.void]
Words = npt.NDArray[np.int64]


@njit(cache=True)
def _merge(blocks: Any, ends: Any, at: Any, ended: Any, out: Any) -> int:
    """Copy rows, as words, from blocks in the order of their first word until a block or the room ends; how many."""
    n = 0
    k = len(blocks)
    while n < len(out):
        first, second = -1, -1  # the block whose row is next, and the one after it
        for b in range(k):
            if at[b] == ends[b]:
                if not ended[b]:
                    return n
                continue
            if first < 0 or blocks[b, at[b], 0] < blocks[first, at[first], 0]:
                second = first
                first = b
            elif second < 0 or blocks[b, at[b], 0] < blocks[second, at[second], 0]:
                second = b
        if first < 0:
            return n
        limit = blocks[second, at[second], 0] if second >= 0 else 0
        i = at[first]
        while i < ends[first] and n < len(out):
            ns = blocks[first, i, 0]
            if second >= 0 and (ns > limit or (ns == limit and second < first)):
                break
            for w in range(out.shape[1]):
                out[n, w] = blocks[first, i, w]
            n += 1
            i += 1
        at[first] = i
    return n


class _Feed:
    """One tape's rows, a block at a time, with their market and times of hearing put in."""

    def __init__(self, tape: Tape, market: int, terms: Terms) -> None:
        self.hearing = Hearing(terms, Findings())
        self._market = market
        self._plain = terms.clock == "recorded"
        self._chunks = tape.chunks()
        self._rows: Rows = np.zeros(0, tape.header.dtype)
        self._at = 0

    def fill(self, block: Rows) -> int:
        """Put the next rows into a block; how many (0: the tape has ended)."""
        while self._at == len(self._rows):
            rows = next(self._chunks, None)
            if rows is None:
                return 0
            self._rows, self._at = rows, 0
        part = self._rows[self._at : self._at + len(block)]
        here = block[: len(part)]
        if part.dtype == block.dtype:
            here.view(np.int64)[:] = part.view(np.int64)  # numpy copies structures field by field
        else:
            for name in ROW_DTYPE.names or ():
                here[name] = part[name]
            here["seq"] = 0
        here["market"] = self._market
        if not self._plain:
            self.hearing.put(here, here["exch_ns"])
        self._at += len(part)
        return len(part)


class Merge:
    """Tapes as one stream. Iterate it once; `clocks` says afterwards what was done to the times of hearing."""

    def __init__(
        self,
        tapes: Sequence[Tape],
        *,
        clocks: Sequence[str] = (),
        early: bool = False,
        end_ns: int | None = None,
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        """``clocks``: for each tape `recorded` (the default), `exchange` or an offset (see `Terms`).

        ``early``: rows may be heard before they happened. ``end_ns``: rows that happen then or later are left out.
        Raises TapeError.
        """
        if not 0 < len(tapes) <= MARKETS:
            raise TapeError(f"{len(tapes)} tapes cannot be merged: 1 to {MARKETS}")
        if len(clocks) not in (0, len(tapes)):
            raise TapeError(f"{len(clocks)} clocks for {len(tapes)} tapes: give none, or one for each")
        names = [tape.header.market.name for tape in tapes]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise TapeError(f"{twice[0]}: two tapes of one market would be two books of it: give it once")
        told = clocks or ["recorded"] * len(tapes)
        self.tapes = tuple(tapes)
        orders = any(tape.header.layout == "orders" for tape in tapes)
        self.dtype: np.dtype[np.void] = L3_ROW_DTYPE if orders else ROW_DTYPE
        self._feeds = [
            _Feed(tape, market, Terms(clock=clock, early=early))
            for market, (tape, clock) in enumerate(zip(tapes, told, strict=True))
        ]
        self._end_ns = FOREVER if end_ns is None else end_ns
        self._chunk_rows = chunk_rows

    @property
    def clocks(self) -> tuple[Clock, ...]:
        """What was done to each tape's times of hearing so far."""
        return tuple(feed.hearing.clock() for feed in self._feeds)

    def __iter__(self) -> Iterator[Rows]:
        """Chunks of rows; each is an array of its own. Raises TapeError for a damaged tape."""
        k = len(self._feeds)
        blocks = np.zeros((k, BLOCK), self.dtype)
        words: Words = blocks.view(np.int64).reshape(k, BLOCK, self.dtype.itemsize // 8)
        ends, at, ended = np.zeros(k, np.int64), np.zeros(k, np.int64), np.zeros(k, np.bool_)
        out, n = self._room(), 0
        while True:
            for b in np.flatnonzero((at == ends) & ~ended):
                ends[b], at[b] = self._feeds[b].fill(blocks[b]), 0
                ended[b] = ends[b] == 0
            n += int(_merge(words, ends, at, ended, out[1][n:]))
            done = bool((ended & (at == ends)).all())
            past = n > 0 and int(out[0]["exch_ns"][n - 1]) >= self._end_ns
            if n == self._chunk_rows or done or past:
                rows = out[0][:n]
                if past:
                    rows = rows[: int(np.searchsorted(rows["exch_ns"], self._end_ns))]
                if len(rows):
                    yield rows
                if done or past:
                    return
                out, n = self._room(), 0

    def _room(self) -> tuple[Rows, Words]:
        rows = np.empty(self._chunk_rows, self.dtype)
        return rows, rows.view(np.int64).reshape(self._chunk_rows, self.dtype.itemsize // 8)
