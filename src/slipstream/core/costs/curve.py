"""What taking costs, measured on snapshots of a coin's book: the mean cost of each notional, unit of time by unit.

A taker of Q USD walks the levels of one side; per dollar that costs ``c(Q) = mean price paid / mid - 1`` (positive when
bad, sells alike). The curve keeps sums by minute, so that months of books fit into bounded memory and a resample in
blocks of time is possible: books a second apart are nearly the same book.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Stamps = npt.NDArray[np.int64]

MINUTE_MS = 60_000
UNITS = 1_024  # units of time that are kept apart; beyond, a unit becomes twice as long
CHUNK = 512  # books walked at once
LEAST_POINTS = 4


def grid(smallest: float = 1_000.0, largest: float = 1_000_000.0, points: int = 25) -> Array:
    """Notionals in equal ratios, USD. Raises ValueError."""
    if not (0.0 < smallest < largest < np.inf and points >= LEAST_POINTS):
        raise ValueError(f"grid from {smallest} to {largest} USD in {points} points: needs 0 < smallest < largest")
    return np.geomspace(smallest, largest, points)


def sound_books(bid_px: Array, bid_sz: Array, ask_px: Array, ask_sz: Array) -> npt.NDArray[np.bool_]:
    """Which snapshots (rows; best level first, NaN after the last) are two-sided, uncrossed and in order."""
    sound = (bid_px[:, 0] > 0.0) & (ask_px[:, 0] > bid_px[:, 0])
    for px, sz, order in ((bid_px, bid_sz, -1.0), (ask_px, ask_sz, 1.0)):
        there = np.isfinite(px)
        wrong = there & ~(np.isfinite(sz) & (sz > 0.0) & (px > 0.0))
        gaps = order * np.diff(px, axis=1)
        hole = there[:, 1:] & ~there[:, :-1]
        sound &= ~wrong.any(axis=1) & ~(gaps <= 0.0).any(axis=1) & ~hole.any(axis=1)
    return np.asarray(sound, dtype=np.bool_)


def walk(px: Array, sz: Array, notional: Array) -> Array:
    """Mean price (T, Q) of taking each notional (Q,), USD at prices paid, from rows of levels; NaN: too thin."""
    usd = np.where(np.isfinite(px) & np.isfinite(sz), px * sz, 0.0)
    through = np.cumsum(usd, axis=1)
    coins = np.cumsum(np.where(np.isfinite(sz), sz, 0.0), axis=1)
    out = np.full((len(px), len(notional)), np.nan)
    for j, q in enumerate(notional):
        level = (through < q).sum(axis=1)
        deep = level < px.shape[1]
        row, at = np.flatnonzero(deep), level[deep]
        before = np.maximum(at - 1, 0)
        spent = np.where(at > 0, through[row, before], 0.0)
        bought = np.where(at > 0, coins[row, before], 0.0) + (q - spent) / px[row, at]
        out[row, j] = q / bought
    return out


class Curve:
    """Sums over the books of one coin, a row a unit of time. ``notional`` (Q,) USD, in rising order."""

    def __init__(self, notional: Array, unit_ms: int = MINUTE_MS) -> None:
        if notional.ndim != 1 or len(notional) < LEAST_POINTS or (np.diff(notional) <= 0.0).any():
            raise ValueError(f"{len(notional)} notionals: at least {LEAST_POINTS} in rising order are needed")
        self.notional = notional
        self.unit_ms = unit_ms
        self.dropped = 0
        self.first_ms, self.last_ms = 2**62, -(2**62)
        self._rows: dict[int, Array] = {}  # books, depth, then (Q,) costs and (Q,) fills

    @property
    def books(self) -> int:
        """Sound snapshots seen."""
        return int(sum(row[0] for row in self._rows.values()))

    @property
    def units(self) -> int:
        """Units of time with a sound book in them."""
        return len(self._rows)

    @property
    def minutes(self) -> float:
        """How long books were seen, gaps of a unit and more left out."""
        return self.units * self.unit_ms / MINUTE_MS

    def add(self, ms: Stamps, bid_px: Array, bid_sz: Array, ask_px: Array, ask_sz: Array) -> None:
        """Take snapshots (T, levels) of times ``ms`` (T,); best level first, NaN after the last. Raises ValueError."""
        if bid_px.shape != bid_sz.shape or ask_px.shape != ask_sz.shape or not len(ms) == len(bid_px) == len(ask_px):
            shapes = ", ".join(str(a.shape) for a in (ms, bid_px, bid_sz, ask_px, ask_sz))
            raise ValueError(f"levels of unequal shape: {shapes}; expected (T,) and (T, levels)")
        for start in range(0, len(ms), CHUNK):
            part = slice(start, start + CHUNK)
            self._chunk(ms[part], bid_px[part], bid_sz[part], ask_px[part], ask_sz[part])

    def _chunk(self, ms: Stamps, bid_px: Array, bid_sz: Array, ask_px: Array, ask_sz: Array) -> None:
        if not bid_px.shape[1] or not ask_px.shape[1]:
            self.dropped += len(ms)
            return
        with np.errstate(invalid="ignore"):
            keep = sound_books(bid_px, bid_sz, ask_px, ask_sz)
        self.dropped += int((~keep).sum())
        if not keep.any():
            return
        ms = ms[keep]
        bid_px, bid_sz, ask_px, ask_sz = (a[keep] for a in (bid_px, bid_sz, ask_px, ask_sz))
        mid = 0.5 * (bid_px[:, :1] + ask_px[:, :1])
        sides = (walk(ask_px, ask_sz, self.notional) / mid - 1.0, 1.0 - walk(bid_px, bid_sz, self.notional) / mid)
        filled = sum(np.isfinite(side).astype(np.float64) for side in sides)
        cost = sum(np.where(np.isfinite(side), side, 0.0) for side in sides)
        depth = np.minimum(np.nansum(bid_px * bid_sz, axis=1), np.nansum(ask_px * ask_sz, axis=1))
        table = np.column_stack([np.ones(len(ms)), depth, cost, filled])
        for unit in np.unique(ms // self.unit_ms):
            row = table[ms // self.unit_ms == unit].sum(axis=0)
            known = self._rows.get(int(unit))
            self._rows[int(unit)] = row if known is None else known + row
        self.first_ms, self.last_ms = min(self.first_ms, int(ms.min())), max(self.last_ms, int(ms.max()))
        while len(self._rows) > UNITS:
            self._coarsen()

    def _coarsen(self) -> None:
        merged: dict[int, Array] = {}
        for unit, row in self._rows.items():
            known = merged.get(unit // 2)
            merged[unit // 2] = row if known is None else known + row
        self._rows, self.unit_ms = merged, 2 * self.unit_ms

    def sums(self) -> tuple[Array, Array, Array, Array]:
        """By unit in the order of time: books (U,), depths (U,) USD, costs (U, Q), fills (U, Q).

        Costs are sums of fractions over books and sides, fills count what is in them, two a book at most.
        """
        n = len(self.notional)
        table = np.array([self._rows[unit] for unit in sorted(self._rows)]).reshape(-1, 2 + 2 * n)
        return table[:, 0], table[:, 1], table[:, 2 : 2 + n], table[:, 2 + n :]
