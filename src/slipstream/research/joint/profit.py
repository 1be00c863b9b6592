"""What a forecast would have earned: the best tenth of the coins long, the worst tenth short, held for a horizon.

A book is formed at every decision and held for H hours, so H hours' worth of books overlap; each gets an equal part of
the capital, and turnover is between the books that follow each other in one part. Each side is half a unit of notional:
figures are fractions of the gross. A coin whose bars stop within the horizon stays at its last price.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from slipstream.research.joint.models import weeks_of
from slipstream.research.joint.panel import Panel

Array = npt.NDArray[np.float64]


class BookProfit(NamedTuple):
    """By decision (T,), NaN where there was no book: price, funding received, cost, and units of turnover."""

    price: Array
    funding: Array
    cost: Array
    turnover: Array

    @property
    def net(self) -> Array:
        """Price plus funding less cost."""
        total: Array = self.price + self.funding - self.cost
        return total


def decile_books(score: Array, *, part: float = 0.1, least: int = 20) -> Array:
    """Weights (T, N): 0.5 in all over the highest ``part`` of each row's scores, -0.5 over the lowest; NaN rows where
    fewer than ``least`` coins have a score. Ties go to the coin that comes first.
    """
    if not 0.0 < part <= 0.5:
        raise ValueError(f"part {part} of the coins on a side must lie between 0 and a half")
    known = np.isfinite(score)
    count = known.sum(axis=1)
    size = np.maximum((count * part).astype(int), 1)[:, None]
    rank = np.argsort(np.argsort(np.where(known, score, np.inf), axis=1, kind="stable"), axis=1)
    low = rank < size
    high = known & (rank >= (count[:, None] - size))
    weights = 0.5 * (high / size - (low & known) / size)
    return np.where((count >= least)[:, None], weights, np.nan)


def held_sum(rows: Array, width: int) -> Array:
    """Sum of the next ``width`` rows, a missing one counting nothing; NaN where the rows end before the horizon."""
    total = np.concatenate([np.zeros((1, *rows.shape[1:])), np.cumsum(np.nan_to_num(rows), axis=0)])
    out = np.full(rows.shape, np.nan)
    if width < len(rows):
        out[: len(rows) - width] = total[width + 1 :] - total[1 : len(rows) - width + 1]
    return out


def book_profit(panel: Panel, books: Array, width: int, cost: float) -> BookProfit:
    """What books (T, N) earned over their horizon of ``width`` bars. ``cost`` is a fraction of the notional traded.

    The first book of a part is bought from nothing, and a book without a predecessor too.
    """
    gains = np.expm1(held_sum(panel.returns, width))
    paid_bar = np.nan_to_num(panel.rates).reshape(len(panel.stamps), panel.hours, -1).sum(axis=1)
    formed = np.logical_and(np.isfinite(books).any(axis=1), np.isfinite(gains).all(axis=1))
    held = np.where(formed[:, None], np.nan_to_num(books), 0.0)
    before = np.zeros_like(held)
    before[width:] = held[:-width]
    turnover = np.abs(held - before).sum(axis=1)
    price = (held * np.nan_to_num(gains)).sum(axis=1)
    funding = -(held * np.nan_to_num(held_sum(paid_bar, width))).sum(axis=1)

    def where_formed(values: Array) -> Array:
        return np.where(formed, values, np.nan)

    return BookProfit(*(where_formed(x) for x in (price, funding, cost * turnover, turnover)))


def by_week(profit: Array, stamps: npt.NDArray[np.int64], width: int) -> Array:
    """Profit of the whole account by the week of the decision: each of the ``width`` parts weighs ``1 / width``."""
    weeks = weeks_of(stamps)
    total = np.bincount(weeks, np.nan_to_num(profit) / width, minlength=int(weeks[-1]) + 1)
    return total.astype(np.float64)
