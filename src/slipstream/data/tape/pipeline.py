"""From what was heard to a tape: put in order, made into differences, clocks put right, validated, written.

Several streams of one market (books, best prices, trades) come in any interleaving; each is nearly in the order of
what happened. Rows are held back until every open stream is ``window_s`` beyond them, so that memory is that of a
window. At equal times settlements come first, then trades, best prices and books: a book shows what its block's trades
left, so that whoever reads the tape sees the trade at the book it met.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from slipstream.data.tape.difference import differences, new_state
from slipstream.data.tape.fault import EmptyTape
from slipstream.data.tape.findings import AHEAD, LOCAL_BACK, TOO_LATE, UNHEARD, WENT_BACK, Findings
from slipstream.data.tape.header import Source
from slipstream.data.tape.heard import HEARD_DTYPE, NOTHING, SNAPSHOT, Heard, Scale
from slipstream.data.tape.hearing import Hearing
from slipstream.data.tape.scale import Ints
from slipstream.data.tape.scan import Validator
from slipstream.data.tape.terms import Made, Terms, offset_of
from slipstream.data.tape.writer import CHUNK_ROWS, TapeWriter
from slipstream.lob.replay.rows import BEST, CLEAR, DEPTH, FUNDING, KIND, ROW_DTYPE, TRADE

BATCH = 1 << 15  # rows that are kept before they are sorted
FAR_NS = 60 * 10**9
FOREVER = 1 << 62
_RANKS = np.full(KIND + 1, 9, np.int8)
for _rank, _kinds in enumerate(((FUNDING,), (TRADE,), (CLEAR, DEPTH), (BEST,), (SNAPSHOT, NOTHING))):
    _RANKS[list(_kinds)] = _rank


class Seen:
    """Ids that came before, the last million of them."""

    def __init__(self, most: int = 1 << 20) -> None:
        self._ids: dict[int, None] = {}
        self._most = most

    def fresh(self, ids: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which ids come for the first time; they are noted."""
        out = np.zeros(len(ids), np.bool_)
        for at, one in enumerate(ids.tolist()):
            if one not in self._ids:
                self._ids[one] = None
                out[at] = True
        while len(self._ids) > self._most:
            del self._ids[next(iter(self._ids))]
        return out


class Pipeline:
    """Makes the tape of one market. A context manager; left without an error it makes the tape: see ``made``."""

    def __init__(
        self,
        to: Path,
        scale: Scale,
        found: Findings,
        terms: Terms,
        form: str,
        *,
        streams: int = 1,
        in_step: bool = False,
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        """``to`` is the folder of the tapes. Streams ``in_step`` were heard by one ear: none is waited for.

        Raises TapeError if the tape is there already.
        """
        self.scale = scale
        self.found = found
        self.sources: Sequence[Source] = ()
        self.made: Made | None = None
        self._terms = terms
        self._writer = TapeWriter.asked(to, scale.market, terms, form, chunk_rows=chunk_rows)
        self._hearing = Hearing(terms, found)
        self._window_ns = int(terms.window_s * 1e9)
        self._validator = Validator(found, scale.market.name, terms.gap_s)
        self._state = new_state()
        self._nearest = max if in_step else min
        self._newest = [-FOREVER] * streams
        self._heard = [-FOREVER] * streams
        self._pending: list[Heard] = []
        self._held = 0
        self._done_ns = -FOREVER

    def __enter__(self) -> Pipeline:
        self._writer.__enter__()
        return self

    def newest(self, stream: int) -> int:
        """The time of the newest row of a stream, ns."""
        return self._newest[stream]

    def push(self, rows: Heard, stream: int = 0) -> None:
        """Take rows, in whole messages. Raises TapeError."""
        self.found.judge()
        # one time far in the future would make everything after it come too late
        ahead = rows["exch_ns"] - rows["local_ns"] - (offset_of(self._terms.clock) or 0) > max(self._window_ns, FAR_NS)
        if ahead.any():
            self.found.note(AHEAD, np.unique(rows["place"][ahead]))
            rows = rows[~ahead]
        if not len(rows):
            return
        highest = np.maximum.accumulate(np.maximum(rows["exch_ns"], self._newest[stream]))
        back = rows["exch_ns"] < highest
        back[1:] &= rows["place"][1:] != rows["place"][:-1]
        self.found.note(WENT_BACK, np.unique(rows["place"][back]))
        heard = rows["local_ns"][0] if self._heard[stream] == -FOREVER else self._heard[stream]
        before = np.concatenate([[heard], rows["local_ns"][:-1]])
        self.found.note(LOCAL_BACK, rows["place"][rows["local_ns"] < before])
        if rows[0]["kind"] & KIND in (SNAPSHOT, NOTHING):
            gaps = (rows["local_ns"] - before) * 1e-9
            for at in np.flatnonzero(gaps > self._terms.gap_s):
                where = self.found.where(int(rows["place"][at]))
                self.found.tell(UNHEARD, [f"{where}, {gaps[at]:.1f} s"])
        self._newest[stream] = int(highest[-1])
        self._heard[stream] = int(rows["local_ns"][-1])
        late = rows["exch_ns"] < self._done_ns
        if late.any():
            self.found.note(TOO_LATE, np.unique(rows["place"][late]))
            rows = rows[~late]
        self._pending.append(rows)
        self._held += len(rows)
        if self._held >= BATCH:
            self._drain(self._nearest(self._newest) - self._window_ns)

    def end(self, stream: int) -> None:
        """No more rows of a stream."""
        self._newest[stream] = FOREVER

    def _drain(self, until_ns: int) -> None:
        """Pass on what happened before a time."""
        rows = np.concatenate(self._pending) if self._pending else np.zeros(0, HEARD_DTYPE)
        ready = rows["exch_ns"] < until_ns
        if not ready.all():
            self._pending = [rows[~ready]]
            rows = rows[ready]
        else:
            self._pending = []
        self._held = sum(len(part) for part in self._pending)
        self._done_ns = max(self._done_ns, until_ns)
        if len(rows):
            order = np.lexsort((_RANKS[rows["kind"] & KIND], rows["exch_ns"]))
            self._pass(rows[order])

    def _pass(self, rows: Heard) -> None:
        counts = self._state["found"]
        before = counts["counts"].copy()
        made = differences(self._state, rows)
        self.found.take(counts["counts"], counts["places"], before)
        self._hearing.put(made, made["place"])
        out = np.empty(len(made), ROW_DTYPE)
        for name in ROW_DTYPE.names or ():
            out[name] = made[name]
        self._validator.take(out)
        self._writer.append(out)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Make the tape. Raises EmptyTape, TapeError, OSError."""
        if error is not None:
            self._writer.__exit__(kind, error, at)
            return
        try:
            self._drain(FOREVER)
            self.found.judge()
            if not self._writer.rows:
                market = self.scale.market
                raise EmptyTape(f"{self._writer.folder}: no book of {market.coin} was told: there is nothing to replay")
            self._writer.findings = self.found.list()
            self._writer.clock = self._hearing.clock()
            self._writer.sources = self.sources
        except BaseException as trouble:
            self._writer.__exit__(type(trouble), trouble, trouble.__traceback__)
            raise
        self._writer.__exit__(None, None, None)
        self.made = Made(folder=self._writer.folder, header=self._writer.header())


def run(pipeline: Pipeline, streams: Sequence[Iterator[Heard]]) -> None:
    """Push streams to their ends, always the one that is behind. Raises TapeError."""
    open_ = dict(enumerate(streams))
    while open_:
        stream = min(open_, key=pipeline.newest)
        rows = next(open_[stream], None)
        if rows is None:
            pipeline.end(stream)
            del open_[stream]
        else:
            pipeline.push(rows, stream)
