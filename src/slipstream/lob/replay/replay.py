"""The face of a replay in Python: terms in, rows in chunks, fills out."""

from __future__ import annotations

import mmap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba.core.errors import NumbaExperimentalFeatureWarning

from slipstream.lob.replay import engine
from slipstream.lob.replay.hook import HOOK_TYPE, idle
from slipstream.lob.replay.record import (
    FILLS,
    MARKET_DTYPE,
    MARKETS,
    SIM_DTYPE,
)
from slipstream.lob.replay.rows import L3_ROW_DTYPE, ROW_DTYPE
from slipstream.lob.replay.terms import MarketTerms, ReplayTerms, write_terms
from slipstream.lob.replay.window import recentre

Rows = npt.NDArray[np.void]
_COUNTED = {"fills": "n_fills", "marks": "n_fills", "sent": "n_sent", "samples": "n_samples"}
"""The logs, and what counts their rows."""
_ERRORS = {
    engine.RING_FULL: "more rows are on their way to us than the ring holds: is the delay of the feed in nanoseconds?",
    engine.REQUESTS_FULL: "more than 1024 requests are on their way to the exchange: is the entry delay right?",
    engine.ANSWERS_FULL: "more than 7000 answers are on their way to us: is the response delay right?",
    engine.BAD_ROW: "no such kind of row, or no such market",
    engine.BACKWARDS: "its exchange time is before that of the row before it: sort the tape",
}


class BadTape(ValueError):
    """A row that cannot be acted upon: which one, and why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay came to: logs as structured arrays (`record`), totals by market, in lots and quote currency.

    ``marks`` (fills, horizons): the mid so long after each fill, NaN where the run ended before or a side was empty.

    ``cash`` is without fees and funding; ``mids`` are the exchange's last ones (NaN: a side is empty). ``counters``:
    rows, wakes, fills, requests, `outside` (changes of levels too far from the best to be kept), `unmarked` (fills
    that had to be written out before their last horizon came).
    """

    fills: npt.NDArray[np.void]
    marks: npt.NDArray[np.float64]
    sent: npt.NDArray[np.void]
    samples: npt.NDArray[np.void]
    counters: dict[str, int]
    positions: npt.NDArray[np.int64]
    cash: npt.NDArray[np.float64]
    fees: npt.NDArray[np.float64]
    funding: npt.NDArray[np.float64]
    mids: npt.NDArray[np.float64]


def _zeroed(count: int, dtype: np.dtype[Any]) -> npt.NDArray[np.void]:
    """Zeroed records in pages of the ordinary size: NumPy asks for huge ones, one for every few scattered fields."""
    memory = mmap.mmap(-1, count * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, dtype=dtype)


@cache
def compiled(row: np.dtype[Any]) -> Any:
    """The engine for rows of a type, compiled or read from the cache."""
    rows = engine.L3_ROWS if row == L3_ROW_DTYPE else engine.ROWS
    with warnings.catch_warnings():  # plain rows begin like L3 rows and could stand for them: the exact type is taken
        warnings.simplefilter("ignore", NumbaExperimentalFeatureWarning)
        return engine.run.compile((engine.SIMS, engine.MARKET_ARRAY, rows, HOOK_TYPE))


class Replay:
    """One run of one strategy over rows that arrive in chunks.

    With a hook (`hook.strategy`): `feed` chunks, then `finish`. Without one the run is paused at everything heard:
    `advance` returns True, the caller looks at ``sim`` and acts (`place`, `cancel`, `modify`, `wake`), and calls
    `advance` with the same rows again until it returns False; `advance(None)` lets arrive what is in flight.
    """

    def __init__(
        self,
        markets: Sequence[MarketTerms],
        hook: Any = None,
        terms: ReplayTerms | None = None,
        params: Sequence[float] = (),
        row: np.dtype[Any] = ROW_DTYPE,
    ) -> None:
        if not 0 < len(markets) <= MARKETS:
            raise ValueError(f"a replay has 1..{MARKETS} markets, not {len(markets)}")
        if len(params) > 256:
            raise ValueError(f"a strategy has at most 256 parameters, not {len(params)}")
        self.terms = terms or ReplayTerms()
        self.sims = _zeroed(1, SIM_DTYPE)
        self.markets = _zeroed(len(markets), MARKET_DTYPE)
        self.sim: Any = self.sims[0]
        self._hook = idle if hook is None else hook
        self._row = row
        self._run = compiled(row)
        self._logs: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in _COUNTED}
        self._unmarked = 0
        self._chunk: Rows | None = None
        write_terms(self.sim, self.markets, markets, self.terms)
        self.sim["pause"] = hook is None
        self.sim["params"][: len(params)] = params

    def feed(self, rows: Rows) -> None:
        """Act upon a chunk of rows, merged over markets by exchange time. Raises BadTape that names the row."""
        if self.sim["pause"]:
            raise ValueError("a replay without a hook is driven by advance()")
        self.advance(rows)

    def advance(self, rows: Rows | None) -> bool:
        """Go on with a chunk (None: the tape is over) until something wakes a paused run (True) or it is used up."""
        if rows is None:
            rows = np.empty(0, dtype=self._row)
            self.sim["closing"] = 1
        if rows.dtype != self._row:
            raise BadTape(f"rows are of {rows.dtype}, this replay reads {self._row}")
        view = np.ascontiguousarray(rows).view()
        view.flags.writeable = False  # one type for memory-mapped and other rows
        while True:
            code = self._run(self.sims, self.markets, view, self._hook)
            if code == engine.END:
                self.sim["row"] = 0
                return False
            if code == engine.WOKE:
                return True
            self._help(code, view)

    def finish(self) -> Outcome:
        """Let everything in flight arrive and return what came of the run."""
        if not self.sim["pause"]:
            self.advance(None)
        total = {name: self._log(name) for name in self._logs}
        return Outcome(
            fills=total["fills"],
            marks=total["marks"],
            sent=total["sent"],
            samples=total["samples"],
            counters={
                "rows": int(self.sim["rows_done"]),
                "wakes": int(self.sim["wakes"]),
                "fills": len(total["fills"]),
                "requests": len(total["sent"]),
                "outside": int(self.markets["outside"].sum()),
                "unmarked": self._unmarked,
            },
            positions=self.markets["position"].copy(),
            cash=self.markets["cash"].copy(),
            fees=self.markets["paid_fees"].copy(),
            funding=self.markets["funding"].copy(),
            mids=np.array([engine.mid_of(self.sims, self.markets, m) for m in range(len(self.markets))]),
        )

    def place(self, market: int, side: int, tick: int, lots: int, tif: int, reduce_only: bool = False) -> int:
        """`hook.place` of a paused run."""
        return int(engine.place_in(self.sims, market, side, tick, lots, tif, reduce_only))

    def cancel(self, slot: int) -> bool:
        """`hook.cancel` of a paused run."""
        return bool(engine.cancel_in(self.sims, slot))

    def modify(self, slot: int, tick: int, lots: int) -> bool:
        """`hook.modify` of a paused run."""
        return bool(engine.modify_in(self.sims, slot, tick, lots))

    def wake(self, at_ns: int) -> bool:
        """`hook.wake` of a paused run."""
        return bool(engine.wake_in(self.sims, at_ns))

    def _help(self, code: int, rows: Rows) -> None:
        """Do what the engine asks for before it can go on."""
        if code == engine.FILLS_FULL:
            done = self._marked()
            if done < FILLS // 4:  # fills wait for their horizons: those of the older half will not see them
                self._unmarked += FILLS // 2 - done
                done = FILLS // 2
            self._drain("fills", done)
        elif code == engine.SENT_FULL:
            self._drain("sent", int(self.sim["n_sent"]))
        elif code == engine.SAMPLES_FULL:
            self._drain("samples", int(self.sim["n_samples"]))
        elif code == engine.RECENTRE:
            row = rows[int(self.sim["row"])]
            recentre(self.sim, self.markets[row["market"]], int(row["tick"]))
        else:
            at = int(self.sim["row"])
            what = f"row {int(self.sim['rows_done'])} ({rows[at] if at < len(rows) else 'after the last'})"
            raise BadTape(f"{what}: {_ERRORS[code]}")

    def _marked(self) -> int:
        """Fills whose marks are all there."""
        n = int(self.sim["n_horizons"])
        return int(self.sim["marked"][:n].min()) if n else int(self.sim["n_fills"])

    def _log(self, name: str) -> npt.NDArray[Any]:
        """All of a log: where it never had to be drained, the run's own memory."""
        rest = self._held(name)[: int(self.sim[_COUNTED[name]])]
        return np.concatenate([*self._logs[name], rest]) if self._logs[name] else rest

    def _held(self, name: str) -> npt.NDArray[Any]:
        """The memory of a log; of marks, the columns in use."""
        log: npt.NDArray[Any] = self.sim[name]
        return log[:, : len(self.terms.horizons_ns)] if name == "marks" else log

    def _drain(self, name: str, count: int) -> None:
        """Take the first rows of a log out of it."""
        n = int(self.sim[_COUNTED[name]])
        for each in ("fills", "marks") if name == "fills" else (name,):
            log = self._held(each)
            if count:
                self._logs[each].append(log[:count].copy())
            log[: n - count] = log[count:n].copy()
        self.sim[_COUNTED[name]] = n - count
        if name == "fills":
            self.sim["marked"] = np.maximum(self.sim["marked"] - count, 0)
