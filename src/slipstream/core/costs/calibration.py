"""Half spread and power-law impact of a coin from snapshots of its order book.

A taker of Q USD walks the levels of one side; per dollar that costs ``c(Q) = mean price paid / mid - 1`` (positive when
bad, sells alike), averaged over snapshots and sides. ``spread + impact sqrt(Q)`` is fitted to c by least squares on
relative errors, both not negative, over a grid of notionals; a notional that more than a tenth of the books cannot fill
is left out: its mean would be of the deep books only. The free exponent of ``c - c(0)`` is given beside it, to show how
far the square root is from what the books say.

This is the cost of taking at once, the book as it stands: no refill, nobody who reacts. It bounds a patient order's
cost from above, and says nothing of impact that stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from slipstream.core.costs.model import TransactionCostModel

Array = npt.NDArray[np.float64]

FILLED = 0.9  # share of the books that must fill a notional for it to be part of the fit
LEAST_POINTS = 4


@dataclass(frozen=True)
class BookFit:
    """Of one coin. ``spread`` is the half spread, ``impact`` per sqrt(USD). ``cost`` (Q,) is measured at ``notional``.

    ``rms`` is the fit's relative error, ``exponent`` that of a free power law through the same points (NaN where costs
    do not rise), ``books`` how many snapshots were used and ``dropped`` how many were crossed, empty or out of order.
    """

    spread: float
    impact: float
    rms: float
    exponent: float
    notional: Array
    cost: Array
    books: int
    dropped: int


def grid(smallest: float = 1_000.0, largest: float = 1_000_000.0, points: int = 25) -> Array:
    """Notionals in equal ratios, USD. Raises ValueError."""
    if not (0.0 < smallest < largest and points >= LEAST_POINTS):
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


def fit_books(
    bid_px: npt.ArrayLike, bid_sz: npt.ArrayLike, ask_px: npt.ArrayLike, ask_sz: npt.ArrayLike, notional: Array
) -> BookFit:
    """Calibrate one coin from snapshots (T, levels), best level first, NaN past the last. Raises ValueError."""
    sides = [np.atleast_2d(np.asarray(a, dtype=np.float64)) for a in (bid_px, bid_sz, ask_px, ask_sz)]
    if sides[0].shape != sides[1].shape or sides[2].shape != sides[3].shape or len(sides[0]) != len(sides[2]):
        raise ValueError(f"levels of unequal shape: {', '.join(str(a.shape) for a in sides)}; expected (T, levels)")
    if not len(sides[0]) or not sides[0].shape[1] or not sides[2].shape[1]:
        raise ValueError("no books to calibrate from")
    keep = sound_books(sides[0], sides[1], sides[2], sides[3])
    bids, bid_lots, asks, ask_lots = (a[keep] for a in sides)
    if not len(bids):
        raise ValueError(f"all {len(keep)} books are empty, crossed or out of order: are levels best first?")
    mid = 0.5 * (bids[:, :1] + asks[:, :1])
    both = np.concatenate([walk(asks, ask_lots, notional) / mid - 1.0, 1.0 - walk(bids, bid_lots, notional) / mid])
    filled = np.isfinite(both)
    use = filled.mean(axis=0) >= FILLED
    if int(use.sum()) < LEAST_POINTS:
        deepest = float(np.nanmedian(np.nansum(bids * bid_lots, axis=1)))
        raise ValueError(
            f"only {int(use.sum())} of {len(notional)} notionals can be filled by {FILLED:.0%} of the books, which "
            f"hold {deepest:,.0f} USD a side: ask for smaller notionals or record more levels"
        )
    cost = np.where(filled, both, 0.0).sum(axis=0)[use] / filled.sum(axis=0)[use]
    q = notional[use]
    terms, _ = nnls(np.column_stack([np.ones_like(q), np.sqrt(q)]) / cost[:, None], np.ones_like(q))
    error = (terms[0] + terms[1] * np.sqrt(q)) / cost - 1.0
    touch = float((0.5 * (asks[:, 0] - bids[:, 0]) / mid[:, 0]).mean())
    beyond = cost - touch
    rises = beyond > 1e-3 * touch
    slope = float(np.polyfit(np.log(q[rises]), np.log(beyond[rises]), 1)[0]) if rises.sum() >= LEAST_POINTS else np.nan
    return BookFit(
        spread=float(terms[0]),
        impact=float(terms[1]),
        rms=float(np.sqrt((error**2).mean())),
        exponent=slope,
        notional=q,
        cost=cost,
        books=len(bids),
        dropped=int((~keep).sum()),
    )


def cost_model(fits: Mapping[str, BookFit], fee: float = 0.00045) -> TransactionCostModel:
    """The fits of several coins as one model, coins in their order; ``fee`` is the taker's. Raises ValueError."""
    if not fits:
        raise ValueError("no coin was calibrated")
    return TransactionCostModel(
        fee=fee,
        spread=np.array([fit.spread for fit in fits.values()]),
        impact=np.array([fit.impact for fit in fits.values()]),
        coins=tuple(fits),
    )


def levels(rows: list[list[float]], width: int) -> Array:
    """Lists of unequal length as (T, width), best first, NaN after the last: books as the lake keeps them."""
    out = np.full((len(rows), width), np.nan)
    for i, row in enumerate(rows):
        part = row[:width]
        out[i, : len(part)] = part
    return out
