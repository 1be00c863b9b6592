"""Orders that were never sent, watched in a book that is known order by order: where they stood, and what is guessed.

A probe is an order of one lot that joins the back of a level and changes nothing. The rows of the log
(`rows.L3_ROW_DTYPE`) say which order left which place, so the lots in front of the probe are known (``truth``); the
same rows without ``seq`` are all that the queue models see. A probe is filled in truth by the first of:

- a trade at its price with an order that joined after it;
- a trade on its side at a worse price, or an order of the other side that comes to rest at its price or through it.

A model fills it when a trade at its price goes beyond what the model has in front (`queue_position.executed`), or by
the second rule. Times are the exchange's.

A cancel leaves a model in doubt if orders stood both in front of the probe and behind it: only then can it go wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from slipstream.lob.replay.queue_position import (
    EXACT,
    LOG,
    LOG2,
    POWER,
    POWER2,
    POWER3,
    RISK_AVERSE,
    changed,
    executed,
    left,
)
from slipstream.lob.replay.rows import DEPTH, KIND, L3_ROW_DTYPE, TRADE

Rows = npt.NDArray[Any]
MODELS: tuple[tuple[str, int, float], ...] = (
    ("risk_averse", RISK_AVERSE, 0.0),
    ("power n=1", POWER, 1.0),
    ("power n=2", POWER, 2.0),
    ("power n=3", POWER, 3.0),
    ("power2 n=2", POWER2, 2.0),
    ("power3 n=3", POWER3, 3.0),
    ("log", LOG, 0.0),
    ("log2", LOG2, 0.0),
    ("exact", EXACT, 0.0),
)
"""Name, code and power; the last one knows ``seq`` and must be right always."""
N = len(MODELS)
OFFSETS_S = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
"""Seconds after joining at which truth and estimates are compared."""
DEPTHS = 3  # occupied levels of a side, from the best, that probes join
TRADED, SWEPT = 1, 2  # how a probe was filled in truth: by its turn, or because its price was passed
PROBE_DTYPE = np.dtype(
    [
        ("joined_ns", np.int64),
        ("side", np.int64),
        ("tick", np.int64),
        ("depth", np.int64),  # occupied levels before its own
        ("first", np.int64),  # lots in front when it joined
        ("seq", np.int64),  # orders that had joined the book before it
        ("truth", np.int64),
        ("how", np.int64),
        ("filled_ns", np.int64),  # 0: never
        ("model_ns", np.int64, (N,)),
        ("front", np.float64, (N,)),
        ("cum", np.float64, (N,)),
        ("doubts", np.int64),  # cancels so far at its level while orders stood on both sides of it
        ("samples", np.int64),  # taken so far
        ("truth_at", np.int64, (len(OFFSETS_S),)),  # -1: no longer in the queue
        ("doubts_at", np.int64, (len(OFFSETS_S),)),
        ("front_at", np.float64, (len(OFFSETS_S), N)),
    ]
)


def _state_dtype(levels: int) -> np.dtype[Any]:
    return np.dtype(
        [
            ("base", np.int64),
            ("n_levels", np.int64),
            ("best", np.int64, (2,)),  # level of bids, asks; -1
            ("seq", np.int64),
            ("next_ns", np.int64),  # when probes join next
            ("step_ns", np.int64),
            ("until_ns", np.int64),  # none join from here on
            ("horizon_ns", np.int64),  # how long a probe waits
            ("probes", np.int64),
            ("active", np.int64),
            ("offsets", np.int64, (len(OFFSETS_S),)),
            ("codes", np.int64, (N,)),
            ("powers", np.float64, (N,)),
            ("lots", np.int64, (2, levels)),
        ]
    )


@njit(cache=True)
def _join(state: Any, probe: Any, ns: int, side: int, level: int, depth: int) -> None:
    """A probe joins the back of a level."""
    lots = state.lots[0 if side > 0 else 1, level]
    probe.joined_ns = ns
    probe.side = side
    probe.tick = state.base + level
    probe.depth = depth
    probe.first = lots
    probe.truth = lots
    probe.seq = state.seq
    for m in range(N):
        probe.front[m] = lots
    for s in range(len(probe.truth_at)):
        probe.truth_at[s] = -1


@njit(cache=True)
def _join_all(state: Any, probes: Any, active: Any) -> None:
    """Probes join both sides' first levels, if both sides have one."""
    ns = state.next_ns
    state.next_ns += state.step_ns
    if state.best[0] < 0 or state.best[1] < 0:
        return
    for s in range(2):
        side = 1 - 2 * s
        level = state.best[s]
        depth = 0
        while 0 <= level < state.n_levels and depth < DEPTHS and state.probes < len(probes):
            if state.lots[s, level] > 0:
                _join(state, probes[state.probes], ns, side, level, depth)
                active[state.active] = state.probes
                state.active += 1
                state.probes += 1
                depth += 1
            level -= side


@njit(cache=True)
def _sample(state: Any, probe: Any, ns: int) -> bool:
    """Note what is past due; whether the probe has waited its time."""
    waited = ns - probe.joined_ns
    while probe.samples < len(probe.truth_at) and state.offsets[probe.samples] < waited:
        s = probe.samples
        probe.samples += 1
        if probe.filled_ns == 0 and state.offsets[s] <= state.horizon_ns:
            probe.truth_at[s] = probe.truth
            probe.doubts_at[s] = probe.doubts
            for m in range(N):
                probe.front_at[s, m] = 0.0 if probe.model_ns[m] != 0 else max(probe.front[m], 0.0)
    return waited > state.horizon_ns


@njit(cache=True)
def _fill(probe: Any, ns: int, how: int) -> None:
    """The probe is filled in truth, now, if it was not; where its price was passed every model knows."""
    if probe.filled_ns == 0:
        probe.filled_ns = ns
        probe.how = how
    if how == SWEPT:
        for m in range(N):
            if probe.model_ns[m] == 0:
                probe.model_ns[m] = ns


@njit(cache=True)
def _hear_trade(probe: Any, row: Any) -> None:
    """A trade of an aggressor against the probe's side."""
    worse = (probe.tick - row.tick) * probe.side
    if worse > 0:
        _fill(probe, row.exch_ns, SWEPT)
    elif worse == 0:
        if row.seq > probe.seq:
            _fill(probe, row.exch_ns, TRADED)
        for m in range(N):
            if probe.model_ns[m] == 0:
                probe.front[m] -= row.lots
                probe.cum[m] += row.lots
                if executed(probe.front[m], 1.0) > 0:
                    probe.model_ns[m] = row.exch_ns


@njit(cache=True)
def _hear_level(state: Any, probe: Any, row: Any, prev: int) -> None:
    """The probe's level changed."""
    explained = min(probe.cum[N - 1], prev - row.lots)  # by a trade: what the exact model has not set off yet
    if 0 < probe.truth < prev and prev - row.lots - explained > 0 and probe.filled_ns == 0:
        probe.doubts += 1
    if row.lots < prev and row.seq <= probe.seq:
        probe.truth -= prev - row.lots
    for m in range(N):
        if probe.model_ns[m] != 0:
            continue
        if state.codes[m] == EXACT:
            front, cum = left(probe.front[m], probe.cum[m], probe.seq, row.seq, float(prev), float(row.lots))
        else:
            front, cum = changed(
                state.codes[m], state.powers[m], probe.front[m], probe.cum[m], float(prev), float(row.lots)
            )
        probe.front[m] = front
        probe.cum[m] = cum


@njit(cache=True)
def _hear(state: Any, probe: Any, row: Any, prev: int) -> bool:
    """One row, heard by one probe; whether it is done with."""
    if _sample(state, probe, row.exch_ns):
        return True
    if row.kind & KIND == TRADE:
        if row.side != probe.side:
            _hear_trade(probe, row)
    elif row.side == probe.side:
        if row.tick == probe.tick:
            _hear_level(state, probe, row, prev)
    elif row.lots > prev and (probe.tick - row.tick) * probe.side >= 0:
        _fill(probe, row.exch_ns, SWEPT)
    if probe.filled_ns == 0:
        return False
    done = True
    for m in range(N):
        done &= probe.model_ns[m] != 0
    return done


@njit(cache=True)
def _apply(state: Any, row: Any) -> int:
    """The row's level as it was; it is changed, and the best price moved."""
    s = 0 if row.side > 0 else 1
    level = row.tick - state.base
    if level < 0 or level >= state.n_levels:
        return 0
    prev = state.lots[s, level]
    state.lots[s, level] = row.lots
    state.seq = max(state.seq, row.seq)
    best = state.best[s]
    if row.lots > 0 and (best < 0 or (level - best) * row.side > 0):
        state.best[s] = level
    elif row.lots == 0 and level == best:
        while 0 <= level < state.n_levels and state.lots[s, level] == 0:
            level -= row.side
        state.best[s] = level if 0 <= level < state.n_levels else -1
    return int(prev)


@njit(cache=True)
def watch(states: Any, probes: Any, active: Any, rows: Any) -> None:
    """Move the probes through rows; new ones join on the way."""
    state = states[0]
    for i in range(len(rows)):
        row = rows[i]
        while state.next_ns <= row.exch_ns and state.next_ns < state.until_ns:
            _join_all(state, probes, active)
        prev = _apply(state, row) if row.kind & KIND == DEPTH else 0
        k = 0
        while k < state.active:
            if _hear(state, probes[active[k]], row, prev):
                state.active -= 1
                active[k] = active[state.active]
            else:
                k += 1


class Probes:
    """Probes of one market: feed it the rows of a log, then read ``seen``."""

    def __init__(
        self, start_ns: int, until_ns: int, step_s: float, horizon_s: float, base_tick: int = 0, levels: int = 1 << 16
    ) -> None:
        """Probes join every ``step_s`` from ``start_ns`` until ``until_ns``, and wait ``horizon_s`` for their fill.

        Raises ValueError if a step or horizon is not positive.
        """
        if step_s <= 0 or horizon_s <= 0:
            raise ValueError(f"step and horizon must be positive, not {step_s} s and {horizon_s} s")
        self._states = np.zeros(1, _state_dtype(levels))
        state = self._states[0]
        state["base"], state["n_levels"], state["best"] = base_tick, levels, -1
        state["next_ns"], state["until_ns"] = start_ns, until_ns
        state["step_ns"], state["horizon_ns"] = round(step_s * 1e9), round(horizon_s * 1e9)
        state["offsets"] = [round(offset * 1e9) for offset in OFFSETS_S]
        state["codes"] = [code for _, code, _ in MODELS]
        state["powers"] = [power for _, _, power in MODELS]
        room = 2 * DEPTHS * (max(0, until_ns - start_ns) // int(state["step_ns"]) + 2)
        self._probes = np.zeros(room, PROBE_DTYPE)
        self._active = np.zeros(room, np.int64)

    def feed(self, rows: Rows) -> None:
        """The next rows (`rows.L3_ROW_DTYPE`) of the log. Raises ValueError for another dtype."""
        if rows.dtype != L3_ROW_DTYPE:
            raise ValueError(f"probes read L3_ROW_DTYPE rows, not {rows.dtype}")
        watch(self._states, self._probes, self._active, rows)

    @property
    def seen(self) -> Rows:
        """The probes so far (`PROBE_DTYPE`)."""
        return self._probes[: int(self._states["probes"][0])]
