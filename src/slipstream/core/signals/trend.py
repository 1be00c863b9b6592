"""Trend strength of many coins, bar by bar: the same update in a backtest and in a live pod.

``z_span = EMA_span(r) / (sd sqrt(a / (2 - a)))`` with ``a = 2 / (span + 1)`` and ``sd² = EMA_vol_span(r²)``: for white
noise each lookback has unit variance. Trend strength is the sum over the lookbacks. EMAs start at their first value,
as ``adjust=False`` does. (docs/strategies/gradient/README.md; reference: EWMA momentum of volatility-normalised
returns.)

A bar that is missing (NaN) changes nothing for its coin: no return is made up for it, and the coin's memory stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
LOOKBACKS = tuple(2**power for power in range(1, 11))


class TrendPanel:
    """EMAs of returns, of their squares and of their products, for N coins. O(N spans + N²) a bar.

    ``strength`` is NaN until a coin has ``warm_up`` returns (default: the half of the longest lookback).
    """

    def __init__(
        self, coins: Sequence[str], spans: Sequence[int] = LOOKBACKS, *, vol_span: int = 64, warm_up: int | None = None
    ) -> None:
        self.coins = tuple(coins)
        self.spans = tuple(spans)
        self.vol_span = vol_span
        self.warm_up = max(self.spans) // 2 if warm_up is None else warm_up
        n = len(self.coins)
        self._alpha = 2.0 / (np.asarray(self.spans, dtype=np.float64) + 1.0)
        self._scale = np.sqrt(self._alpha / (2.0 - self._alpha))
        self._lam = 2.0 / (vol_span + 1.0)
        self.count = np.zeros(n, dtype=np.int64)
        self._ema = np.zeros((n, len(self.spans)))
        self._cov = np.zeros((n, n))
        self._pairs = np.zeros((n, n), dtype=np.bool_)

    def update(self, returns: Array) -> None:
        """One bar: log returns by coin, shape (N,); NaN where there is none."""
        seen = np.isfinite(returns)
        r = np.where(seen, returns, 0.0)
        fresh = seen & (self.count == 0)
        alpha = np.where(fresh[:, None], 1.0, self._alpha[None, :])
        self._ema = np.where(seen[:, None], self._ema + alpha * (r[:, None] - self._ema), self._ema)
        both = seen[:, None] & seen[None, :]
        lam = np.where(self._pairs, self._lam, 1.0)
        self._cov = np.where(both, self._cov + lam * (np.outer(r, r) - self._cov), self._cov)
        self._pairs |= both
        self.count += seen

    @property
    def vol(self) -> Array:
        """Standard deviation of a bar's return by coin, shape (N,); 0 before the first."""
        return np.sqrt(np.diag(self._cov))

    @property
    def covariance(self) -> Array:
        """EWMA covariance of a bar's returns (mean taken as 0), shape (N, N); pairs never seen together have 0."""
        return self._cov.copy()

    def momentum(self) -> Array:
        """``z`` by coin and lookback, shape (N, spans); NaN for a coin without variance."""
        with np.errstate(divide="ignore", invalid="ignore"):
            z: Array = self._ema / (self.vol[:, None] * self._scale[None, :])
        return np.where((self.vol > 0.0)[:, None], z, np.nan)

    def strength(self) -> Array:
        """Trend strength by coin, shape (N,); NaN until a coin is warm."""
        total: Array = self.momentum().sum(axis=1)
        return np.where(self.count >= self.warm_up, total, np.nan)

    def betas(self, coin: str) -> Array:
        """Beta of every coin to one of them, shape (N,); 0 where they were never seen together."""
        place = self.coins.index(coin)
        variance = self._cov[place, place]
        return self._cov[:, place] / variance if variance > 0.0 else np.zeros(len(self.coins))

    def snapshot(self) -> dict[str, Any]:
        """Plain values to continue from."""
        return {
            "coins": list(self.coins),
            "spans": list(self.spans),
            "vol_span": self.vol_span,
            "count": self.count.tolist(),
            "ema": self._ema.tolist(),
            "cov": self._cov.tolist(),
            "pairs": self._pairs.tolist(),
        }

    def restore(self, state: dict[str, Any]) -> bool:
        """Continue from a snapshot; False, changing nothing, if it is of other coins or lookbacks."""
        same = (tuple(state.get("coins", ())), tuple(state.get("spans", ())), state.get("vol_span"))
        if same != (self.coins, self.spans, self.vol_span):
            return False
        self.count = np.asarray(state["count"], dtype=np.int64)
        self._ema = np.asarray(state["ema"], dtype=np.float64)
        self._cov = np.asarray(state["cov"], dtype=np.float64)
        self._pairs = np.asarray(state["pairs"], dtype=np.bool_)
        return True
