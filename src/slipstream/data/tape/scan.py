"""The validator: walks a tape's rows as an exchange would and counts what cannot be, or should not.

It looks at crossed books, silences, trades outside the best prices known, and rows of one market that were heard
before they happened. What no tape may hold at all (times that go back, kinds and sides that are none) the writer
refuses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from slipstream.data.tape.difference import count
from slipstream.data.tape.findings import CROSSED_ROWS, EARLY_ROWS, FOUND_DTYPE, OUTSIDE, SHIFT, SILENCE, Findings
from slipstream.data.tape.ladder import LADDER_DTYPE, act, best_tick, crossed
from slipstream.lob.replay.rows import KIND, MORE, ROW_DTYPE, TRADE

SCAN_DTYPE = np.dtype(
    [
        ("ladder", LADDER_DTYPE),
        ("found", FOUND_DTYPE),
        ("seen", np.int64),
        ("last_ns", np.int64),
        ("gap_ns", np.int64),
        ("longest_gap_ns", np.int64),
        ("crossed", np.int64),  # it is at the moment: one finding for each time that it becomes so
        ("now", np.int64),  # spread, ticks; -1: one side is empty, or they are crossed
        ("spread", np.float64),  # ticks x ns of a two-sided book
        ("quoted_ns", np.float64),
        ("widest", np.int64),
    ]
)


@njit(cache=True)
def scan(state: Any, rows: Any) -> None:
    """Walk rows; findings go to ``state.found``, places are row numbers of the tape."""
    ladder = state.ladder
    found = state.found
    for i in range(len(rows)):
        row = rows[i]
        gap = row.exch_ns - state.last_ns
        if state.seen > 0:
            state.longest_gap_ns = max(state.longest_gap_ns, gap)
            if gap > state.gap_ns:
                count(found, SILENCE, state.seen)
        if row.local_ns < row.exch_ns:
            count(found, EARLY_ROWS, state.seen)
        if state.now >= 0 and gap > 0:
            state.spread += float(state.now) * float(gap)
            state.quoted_ns += float(gap)
            state.widest = max(state.widest, state.now)
        state.last_ns = row.exch_ns
        act(ladder, row)
        if row.kind & KIND == TRADE:
            bid, ask = best_tick(ladder, 0), best_tick(ladder, 1)
            if (row.side > 0 and row.tick < ask) or (row.side < 0 and bid >= 0 and row.tick > bid):
                count(found, OUTSIDE, state.seen)
        if not row.kind & MORE:
            now = crossed(ladder)
            if now and state.crossed == 0:
                count(found, CROSSED_ROWS, state.seen)
            state.crossed = 1 if now else 0
            two_sided = ladder.n[0] > 0 and ladder.n[1] > 0 and not now
            state.now = best_tick(ladder, 1) - best_tick(ladder, 0) if two_sided else -1
        state.seen += 1


class Validator:
    """Walks the rows of one tape, in any number of pieces."""

    def __init__(self, found: Findings, name: str, gap_s: float = 5.0) -> None:
        """``found`` takes what is found, by rows of a tape of this name; a silence longer than ``gap_s`` is."""
        self.found = found
        self._file = len(found.names) << SHIFT
        found.names.append(name)
        self.state = np.zeros(1, SCAN_DTYPE)[0]
        self.state["now"] = -1
        self.state["gap_ns"] = int(gap_s * 1e9)

    def take(self, rows: Any) -> None:
        """Walk rows (of either layout). Raises TapeError under the findings' ``strict``."""
        plain = rows
        if rows.dtype != ROW_DTYPE:
            plain = np.empty(len(rows), ROW_DTYPE)
            for name in ROW_DTYPE.names or ():
                plain[name] = rows[name]
        counts = self.state["found"]
        before = counts["counts"].copy()
        counts["fresh"] = 0
        scan(self.state, plain)
        self.found.take(counts["counts"], counts["places"] + self._file, before)

    @property
    def mean_spread(self) -> float:
        """Ticks, over the time of a two-sided book that is not crossed; 0 without any."""
        return float(self.state["spread"]) / max(1.0, float(self.state["quoted_ns"]))

    @property
    def longest_gap_s(self) -> float:
        """The longest silence, seconds."""
        return int(self.state["longest_gap_ns"]) / 1e9

    @property
    def best_ticks(self) -> tuple[int, int]:
        """Best bid and ask after the last row, -1 where there is none."""
        ladder = self.state["ladder"]
        return best_tick(ladder, 0), best_tick(ladder, 1)
