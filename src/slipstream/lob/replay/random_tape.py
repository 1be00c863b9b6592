"""A seeded tape of a market that never was, as long as one likes: for measuring engines and holding them to others.

The touch walks at random; levels are set anew at random, most of them near the touch; aggressors of both sides take
from the best level, which the next row shows. Nothing here depends on how a machine rounds a logarithm: the same seed
gives the same rows everywhere. For a market that reacts see `slipstream.simulation.market`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from slipstream.lob.replay.rows import DEPTH, ROW_DTYPE, TRADE

SPAN = 1 << 16
"""Levels of a side that the tape knows; the touch stays well within them."""


class RandomTape:
    """Rows in chunks from one generator; chunks continue one another.

    first_tick: of the middle of the book. gap_ns: mean time between rows. feed_ns: how much later each is heard.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        first_tick: int = 600_000,
        gap_ns: int = 250_000,
        feed_ns: int = 2_000_000,
        market: int = 0,
    ) -> None:
        if gap_ns < 1 or feed_ns < 0 or first_tick < SPAN:
            raise ValueError(f"gap_ns must be positive, feed_ns not negative and first_tick at least {SPAN}")
        self._rng = rng
        self._book = np.zeros((2, SPAN), np.int64)
        self._state = np.array([first_tick - SPAN // 2, SPAN // 2 - 1, SPAN // 2, 10**18, 0], np.int64)
        self._terms = (gap_ns, feed_ns, market)

    def rows(self, count: int) -> npt.NDArray[np.void]:
        """The next so many rows."""
        rows = np.zeros(count, ROW_DTYPE)
        done = 0
        while done < count:
            done = _write(self._rng, self._book, self._state, rows, done, *self._terms)
        return rows


@njit(cache=True)
def _row(
    state: Any, row: Any, gap: int, feed_ns: int, market: int, kind: int, side: int, level: int, lots: int
) -> None:
    state[3] += gap
    row.exch_ns = state[3]
    row.local_ns = state[3] + feed_ns
    row.lots = lots
    row.tick = state[0] + level
    row.market = market
    row.kind = kind
    row.side = side


@njit(cache=True)
def _set(book: Any, state: Any, k: int, level: int, lots: int) -> None:
    """A level of a side (0 bids, 1 asks) holds so many lots; the best of the side follows."""
    book[k, level] = lots
    step = -1 if k == 0 else 1
    best = state[1 + k]
    if lots > 0 and (level - best) * step < 0:
        state[1 + k] = level
    while book[k, state[1 + k]] == 0 and 0 < state[1 + k] < SPAN - 1:
        state[1 + k] += step


@njit(cache=True)
def _distance(rng: Any) -> int:
    """Levels from the touch: most are near."""
    u = rng.random()
    return int(40.0 * u * u * u * u)


@njit(cache=True)
def _write(rng: Any, book: Any, state: Any, rows: Any, at: int, gap_ns: int, feed_ns: int, market: int) -> int:
    """Write rows from ``at`` on; where the array ends, or after one event."""
    n = len(rows)
    if state[4] < 200:  # a book to begin with
        i = state[4]
        state[4] += 1
        k = i & 1
        level = SPAN // 2 - 1 - i // 2 if k == 0 else SPAN // 2 + i // 2
        book[k, level] = 50
        _row(state, rows[at], 1 + gap_ns, feed_ns, market, DEPTH, 1 - 2 * k, level, 50)
        return at + 1
    while at < n:
        gap = 1 + int(3.0 * gap_ns * rng.random() * rng.random() * rng.random() * 8.0 / 3.0)
        k = 0 if rng.random() < 0.5 else 1
        best, other = state[1 + k], state[2 - k]
        away = -1 if k == 0 else 1
        kind = rng.random()
        if kind < 0.12:
            u = rng.random()
            lots = 1 + int(60.0 * u * u * u)
            lots = min(lots, book[k, best])
            _row(state, rows[at], gap, feed_ns, market, TRADE, away, best, lots)
            _set(book, state, k, best, book[k, best] - lots)
            at += 1
            if at == n:
                return at
            _row(state, rows[at], 1 + gap // 8, feed_ns, market, DEPTH, -away, best, book[k, best])
            at += 1
        elif kind < 0.12 + 0.15 * min((best - other) * away - 1, 4):  # somebody improves a wide market
            level = best - away
            lots = 1 + int(40.0 * rng.random())
            _set(book, state, k, level, lots)
            _row(state, rows[at], gap, feed_ns, market, DEPTH, -away, level, lots)
            at += 1
        else:
            level = best + away * _distance(rng)
            if level < 64 or level > SPAN - 64:
                continue
            u = rng.random()
            lots = 0 if u < 0.18 else 1 + int(150.0 * u * u)
            if lots == 0 and book[k, level] == 0:
                lots = 5
            _set(book, state, k, level, lots)
            _row(state, rows[at], gap, feed_ns, market, DEPTH, -away, level, lots)
            at += 1
    return at
