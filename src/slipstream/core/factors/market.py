"""The market factor by volume-weighted principal components, betas to it, and residuals.

With weights ``w`` that sum to 1 and ``h = sqrt(w)``: ``u`` is the top eigenvector of ``diag(h) C diag(h)``, C the
covariance of the returns; the factor portfolio is ``p = h u``, signed so that its sum is positive and scaled to
``sum |p| = 1``; ``f = R p`` and ``beta = Cov(r, f) / Var(f)``, hence ``p' beta = 1``. Covariance, not correlation: the
factor is a portfolio of returns that can be held. Reference: mathematical specification, section 9.5.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
# how many windows are decomposed at once: bounds the memory (batch x K x N floats)
BATCH = 512


class MarketFactor(NamedTuple):
    """Of K bars and N coins: ``portfolio`` (N,), its returns ``factor`` (K,), ``beta`` (N,), ``residuals`` (K, N) and
    the part ``share`` of weighted variance that it explains.
    """

    portfolio: Array
    factor: Array
    beta: Array
    residuals: Array
    share: float


class RollingFactor(NamedTuple):
    """Of T bars, each by the K bars that end with it: ``portfolio``, ``beta`` and ``residual`` (T, N), ``factor``
    and ``share`` (T,), ``residual_var`` (T, N; divisor K - 1). NaN where a window lacks a coin, or has no coins at all.
    ``factor`` is the bar's own return of its window's portfolio, ``residual`` the bar's return less beta times it.
    """

    portfolio: Array
    beta: Array
    factor: Array
    residual: Array
    residual_var: Array
    share: Array


def market_factor(returns: npt.ArrayLike, weights: npt.ArrayLike) -> MarketFactor:
    """The factor of one window of returns (K, N). Raises ValueError: shapes, NaN, no weight, or nothing that moves."""
    r, w = np.asarray(returns, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if r.ndim != 2 or r.shape[0] < 2 or w.shape != r.shape[1:]:
        raise ValueError(f"returns must be a matrix of two rows or more and weights one a column: {r.shape}, {w.shape}")
    if not np.isfinite(r).all():
        raise ValueError("returns hold NaN or infinity; drop those coins or bars first")
    if not np.isfinite(w).all() or (w < 0.0).any() or not w.sum() > 0.0:
        raise ValueError("weights must be numbers from 0 up, at least one of them positive")
    portfolio, share = (part[0] for part in _portfolios(r[None], (w / w.sum())[None]))
    if not np.isfinite(portfolio).all():
        raise ValueError("no coin with a weight moves: there is no factor")
    factor: Array = r @ portfolio
    beta = _betas(r[None], factor[None])[0]
    centred = r - r.mean(axis=0)
    residuals: Array = centred - np.outer(factor - factor.mean(), beta)
    return MarketFactor(portfolio, factor, beta, residuals, float(share))


def rolling_factor(returns: npt.ArrayLike, weights: npt.ArrayLike, bars: int, *, least: int = 5) -> RollingFactor:
    """The factor of every window of ``bars`` returns (T, N), ``weights`` (T, N) being those of the window's last bar.

    A coin belongs to a window that it has every return of, and a weight in; a window with fewer than ``least`` coins
    has no factor. Raises ValueError: shapes, or fewer than three bars.
    """
    r, w = np.asarray(returns, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if r.ndim != 2 or w.shape != r.shape:
        raise ValueError(f"returns (T, N) and weights must have one shape: {r.shape}, {w.shape}")
    if bars < 3:
        raise ValueError(f"a window of {bars} bars is too short for a factor: at least 3")
    out = RollingFactor(*(np.full(shape, np.nan) for shape in (r.shape, r.shape, r.shape[:1], *[r.shape] * 2, len(r))))
    if len(r) < bars:
        return out
    windows = np.lib.stride_tricks.sliding_window_view(r, bars, axis=0)
    for first in range(0, len(windows), BATCH):
        block = np.ascontiguousarray(np.swapaxes(windows[first : first + BATCH], 1, 2))
        rows = slice(first + bars - 1, first + bars - 1 + len(block))
        _fill(out, rows, block, w[rows], least)
    return out


def _fill(out: RollingFactor, rows: slice, block: Array, w: Array, least: int) -> None:
    """One batch of windows (B, K, N) into the rows of ``out``."""
    whole = np.isfinite(block).all(axis=1) & np.isfinite(w) & (w > 0.0)
    enough = whole.sum(axis=1) >= least
    if not enough.any():
        return
    held = whole & enough[:, None]
    r = np.where(held[:, None, :], block, 0.0)
    weights = np.where(held, w, 0.0)
    total = weights.sum(axis=1, keepdims=True)
    portfolio, share = _portfolios(r, np.divide(weights, total, out=np.zeros_like(weights), where=total > 0.0))
    factor = np.einsum("bkn,bn->bk", r, portfolio)
    beta = _betas(r, factor)
    centred_f = factor - factor.mean(axis=1, keepdims=True)
    residuals = r - r.mean(axis=1, keepdims=True) - centred_f[:, :, None] * beta[:, None, :]
    known = held & np.isfinite(portfolio).all(axis=1, keepdims=True)
    out.portfolio[rows] = np.where(known, portfolio, np.nan)
    out.beta[rows] = np.where(known, beta, np.nan)
    out.factor[rows] = np.where(enough, factor[:, -1], np.nan)
    out.residual[rows] = np.where(known, r[:, -1] - beta * factor[:, -1:], np.nan)
    out.residual_var[rows] = np.where(known, (residuals**2).sum(axis=1) / (r.shape[1] - 1), np.nan)
    out.share[rows] = np.where(enough, share, np.nan)


def _portfolios(r: Array, w: Array) -> tuple[Array, Array]:
    """Factor portfolios (B, N) and shares (B,) of windows (B, K, N); NaN where nothing moves.

    Through the smaller of the windows' matrices of weighted products, K x K or N x N: they share their eigenvalues,
    and the top eigenvector of the one gives that of the other.
    """
    h = np.sqrt(w)
    a = (r - r.mean(axis=1, keepdims=True)) * h[:, None, :]
    across = np.swapaxes(a, 1, 2)
    wide = a.shape[2] > a.shape[1]
    values, vectors = np.linalg.eigh(a @ across if wide else across @ a)
    top, total = values[:, -1], values.sum(axis=1)
    p = h * (np.einsum("bkn,bk->bn", a, vectors[:, :, -1]) if wide else vectors[:, :, -1])
    p *= np.where(p.sum(axis=1, keepdims=True) < 0.0, -1.0, 1.0)
    size = np.abs(p).sum(axis=1, keepdims=True)
    moves = (size > 0.0) & (total[:, None] > 0.0)
    portfolio = np.divide(p, size, out=np.full_like(p, np.nan), where=moves)
    share = np.divide(top, total, out=np.full_like(top, np.nan), where=total > 0.0)
    return portfolio, share


def _betas(r: Array, f: Array) -> Array:
    """Cov(r, f) / Var(f) of each window."""
    centred = f - f.mean(axis=1, keepdims=True)
    power = (centred**2).sum(axis=1, keepdims=True)
    cov = np.einsum("bkn,bk->bn", r, centred)
    beta: Array = np.divide(cov, power, out=np.full_like(cov, np.nan), where=power > 0.0)
    return beta
