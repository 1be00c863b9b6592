"""When rows were heard: a clock's offset, nothing before it happened, nothing before the row above it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from slipstream.data.tape.findings import HEARD_BACK, KEPT, TOO_EARLY, Findings
from slipstream.data.tape.header import Clock
from slipstream.data.tape.terms import Terms, offset_of

Rows = npt.NDArray[np.void]
Longs = npt.NDArray[np.int64]
LAGS = 1 << 16  # lags that the median is taken of, at most: those of every first, second, fourth ... row


class Hearing:
    """Puts the times of hearing of one market's rows in order, chunk by chunk.

    The rows come in the exchange's order; those of one message share their place and are counted as one.
    """

    def __init__(self, terms: Terms, found: Findings) -> None:
        """Raises TapeError for a clock that is none."""
        self._offset = offset_of(terms.clock)
        self._mode, self._early, self._found = terms.clock, terms.early, found
        self._last = np.iinfo(np.int64).min
        self._rows = self._raised = self._delayed = self._longest = 0
        self._least: int | None = None
        self._lags = np.zeros(0, np.int64)
        self._stride = 1

    def put(self, rows: Rows, places: Longs) -> None:
        """Set ``local_ns`` of rows in place. Raises TapeError under ``strict``."""
        if not rows.size:
            return
        lag = rows["local_ns"] - rows["exch_ns"]
        self._least = int(lag.min()) if self._least is None else min(self._least, int(lag.min()))
        self._lags = np.concatenate([self._lags, lag[-self._rows % self._stride :: self._stride]])
        while self._lags.size > LAGS:
            self._lags, self._stride = self._lags[::2], self._stride * 2
        heard = rows["exch_ns"].copy() if self._offset is None else rows["local_ns"] + self._offset
        if not self._early:
            early = heard < rows["exch_ns"]
            self._raised += int(early.sum())
            heard = np.maximum(heard, rows["exch_ns"])
            self._note(TOO_EARLY, places, early)
        ordered = np.maximum(np.maximum.accumulate(heard), self._last)
        behind = ordered > heard
        self._delayed += int(behind.sum())
        self._longest = max(self._longest, int((ordered - heard).max()))
        self._note(HEARD_BACK, places, behind)
        self._rows += rows.size
        self._last = int(ordered[-1])
        rows["local_ns"] = ordered

    def clock(self) -> Clock:
        """What was done, for the tape's header."""
        return Clock(
            mode=self._mode,
            offset_ns=self._offset or 0,
            rows=self._rows,
            raised=self._raised,
            delayed=self._delayed,
            longest_delay_ns=self._longest,
            median_ns=int(np.median(self._lags)) if self._lags.size else 0,
            least_ns=self._least or 0,
        )

    def _note(self, reason: int, places: Longs, wrong: npt.NDArray[np.bool_]) -> None:
        if wrong.any():
            touched = np.unique(places[wrong])
            self._found.note(reason, touched[:KEPT], count=int(touched.size))
