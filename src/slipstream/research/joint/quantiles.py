"""What followed, by tenths of the forecast: the table that shows where a forecast is worth anything.

Tenths are of each decision's own coins, so that no later value decides who is in one. Errors are by calendar week:
coins and overlapping horizons of one week are one observation, not thousands.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from slipstream.research.joint.models import Forecasts
from slipstream.research.joint.samples import Normalised, Samples

Array = npt.NDArray[np.float64]


class Mean(NamedTuple):
    """A mean and its t value over weeks."""

    mean: float
    t: float


class Tenth(NamedTuple):
    """One tenth: money per H hours as fractions (``alpha`` residual return, ``paid`` funding of a long, ``total`` of a
    long), and the same in sigmas, where the sum of two kinds of sigma is a diagnostic and no profit.
    """

    quantile: int
    n: int
    forecast: float
    alpha: Mean
    paid: Mean
    total: Mean
    alpha_sigma: float
    paid_sigma: float

    @property
    def side(self) -> str:
        """What the forecast would hold: funding is received by whoever stands against its sign."""
        return "LONG" if self.forecast > 0.0 else "SHORT"


def tenths(score: Array, count: int = 10) -> npt.NDArray[np.int64]:
    """Each value's part of its row, 0 the lowest; -1 where it is NaN."""
    known = np.isfinite(score)
    rank = np.argsort(np.argsort(np.where(known, score, np.inf), axis=1, kind="stable"), axis=1)
    members = np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.where(known, rank * count // members, -1)


def quantile_table(
    sample: Samples, guess: Forecasts, scaled: Normalised, weeks: npt.NDArray[np.int64], count: int = 10
) -> list[Tenth]:
    """A row a tenth of ``alpha - funding``, forecasts out of sample. Raises ValueError where one is empty."""
    expected = guess.price - guess.paid
    known = np.isfinite(expected) & np.isfinite(sample.price) & np.isfinite(sample.paid)
    place = tenths(np.where(known, expected, np.nan), count)
    rows = []
    for k in range(count):
        inside = place == k
        if not inside.any():
            raise ValueError(f"tenth {k} of the forecasts is empty: fewer than {count} coins at every decision")
        alpha, paid = (_mean(x, inside, weeks) for x in (sample.price, sample.paid))
        total = _mean(sample.price - sample.paid, inside, weeks)
        sigma = [float(np.nanmean(np.where(inside, x, np.nan))) for x in (scaled.price, scaled.paid)]
        rows.append(Tenth(k, int(inside.sum()), float(expected[inside].mean()), alpha, paid, total, *sigma))
    return rows


def _mean(x: Array, inside: npt.NDArray[np.bool_], weeks: npt.NDArray[np.int64]) -> Mean:
    size = int(weeks[-1]) + 1
    total = np.bincount(weeks, np.where(inside, x, 0.0).sum(axis=1), minlength=size)
    n = np.bincount(weeks, inside.sum(axis=1), minlength=size)
    mean = float(total.sum() / n.sum())
    apart = (total - mean * n)[n > 0]
    error = float(np.sqrt((apart**2).sum() * len(apart) / max(len(apart) - 1, 1))) / float(n.sum())
    return Mean(mean, mean / error if error > 0.0 else 0.0)
