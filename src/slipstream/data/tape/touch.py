"""The best prices of a tape's own book as a tape of BEST rows, told some time before: a market anchored to itself.

With no lead it is what the market knew; with one it is the future, and whoever trades on it must say so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.ladder import LADDER_DTYPE, act, best_tick
from slipstream.data.tape.reader import Tape, open_tape
from slipstream.data.tape.scale import Market
from slipstream.data.tape.writer import TapeWriter
from slipstream.lob.replay.rows import BEST, MORE, ROW_DTYPE

VENUE = "self"
Rows = npt.NDArray[np.void]
TOUCH_DTYPE = np.dtype([("ladder", LADDER_DTYPE), ("bid", np.int64), ("ask", np.int64)])


@njit(cache=True)
def _touches(state: Any, rows: Any, lead_ns: int, out: Any) -> int:
    """Write both best prices wherever a message changed one of them; how many rows."""
    ladder = state.ladder
    n = 0
    for i in range(len(rows)):
        row = rows[i]
        act(ladder, row)
        if row.kind & MORE != 0:
            continue
        bid, ask = best_tick(ladder, 0), best_tick(ladder, 1)
        if (bid == state.bid and ask == state.ask) or bid < 0 or ask < 0 or bid >= ask:
            continue
        state.bid, state.ask = bid, ask
        for s in range(2):
            out[n].exch_ns = row.exch_ns - lead_ns
            out[n].local_ns = row.local_ns - lead_ns
            out[n].tick = bid if s == 0 else ask
            out[n].lots = ladder.lots[s, ladder.n[s] - 1]
            out[n].market = 0
            out[n].kind = BEST | MORE if s == 0 else BEST
            out[n].side = 1 - 2 * s
            n += 1
    return n


def touch_tape(tape: Tape, folder: Path, lead_ns: int) -> Tape:
    """A tape in a new folder of the other's best prices, known ``lead_ns`` before they were.

    Raises TapeError: a lead below 0, no two-sided book in the tape, a folder that is there already.
    """
    if lead_ns < 0:
        raise TapeError(f"a lead of {lead_ns} ns would be a lag; give 0 or more")
    market = tape.header.market
    state: Any = np.zeros(1, TOUCH_DTYPE)[0]
    state["bid"] = state["ask"] = -1
    with TapeWriter(folder, Market(venue=VENUE, coin=market.coin, grid=market.grid, lot=market.lot)) as writer:
        for rows in tape.chunks():
            plain = rows if rows.dtype == ROW_DTYPE else _without_orders(rows)
            out = np.zeros(2 * len(plain), ROW_DTYPE)
            writer.append(out[: _touches(state, plain, lead_ns, out)])
        if not writer.rows:
            raise TapeError(f"{tape.folder}: its book never has two sides: there is no best price to anchor to")
        writer.format = "touch"
    return open_tape(folder)


def _without_orders(rows: Rows) -> Rows:
    out = np.zeros(len(rows), ROW_DTYPE)
    for name in ROW_DTYPE.names or ():
        out[name] = rows[name]
    return out
