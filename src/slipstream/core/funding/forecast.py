"""Funding of the next H hours from EWMAs of hourly rates, in money units (fractions of the notional).

The target at hour t is the sum of the H settlements in (t, t + H]; features are averages of the rates settled up to
and AT t. Beside the regression stand the forecasts anyone has for nothing: the last rate H times, and one constant.
Reference: mathematical specification, section 12.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from slipstream.core.factors.timescale import ahead
from slipstream.core.signals.volatility import ewma

Array = npt.NDArray[np.float64]
# hours; a span of 1 is the last rate itself
SPANS = (1, 2, 4, 8, 24, 72, 168)


class FundingModel(NamedTuple):
    """``intercept + sum coef x EWMA``: the funding that a long pays in ``hours``, fraction of the notional."""

    hours: int
    spans: tuple[int, ...]
    coef: Array
    intercept: float

    def predict(self, features: npt.ArrayLike) -> Array:
        """Forecasts for features of shape (spans, ...); NaN where a feature is. Raises ValueError for another shape."""
        x = np.asarray(features, dtype=np.float64)
        if x.shape[:1] != self.coef.shape:
            raise ValueError(f"features of {x.shape[:1]} spans, and the model has {len(self.spans)}")
        return np.tensordot(self.coef, x, axes=1) + self.intercept


def carry(rates: npt.ArrayLike, hours: int) -> Array:
    """Sum of the next ``hours`` settlements after each hour (T, N); NaN where one is missing or yet to come."""
    return ahead(rates, hours)


def ewma_features(rates: npt.ArrayLike, spans: Sequence[int] = SPANS, *, warm_up: int = 0) -> Array:
    """EWMA of hourly rates for every span (hours): (spans, T, N); NaN where the hour itself has no rate.

    NaN as well until a coin has ``warm_up`` rates. Raises ValueError for a span below 1.
    """
    r = np.asarray(rates, dtype=np.float64)
    if not spans or min(spans) < 1:
        raise ValueError(f"spans {tuple(spans)} must be at least 1 hour each, and at least one")
    known = np.isfinite(r)
    ready = known & (np.cumsum(known, axis=0) > warm_up)
    return np.stack([np.where(ready, ewma(r, 2.0 / (span + 1.0)), np.nan) for span in spans])


def fit(features: npt.ArrayLike, target: npt.ArrayLike, hours: int, spans: Sequence[int] = SPANS) -> FundingModel:
    """Least squares over all coins and hours where target and features are known.

    Raises ValueError if there are fewer than ten rows a coefficient.
    """
    x = np.asarray(features, dtype=np.float64)
    y = np.asarray(target, dtype=np.float64).ravel()
    if x.shape[:1] != (len(spans),) or x[0].size != y.size:
        raise ValueError(f"features {x.shape} do not fit a target of {y.size} values and {len(spans)} spans")
    coef = regress(x.reshape(len(spans), -1).T, y)
    return FundingModel(hours, tuple(spans), coef[1:], float(coef[0]))


def regress(design: Array, target: Array) -> Array:
    """Intercept and coefficients by least squares over complete rows, through the normal equations of scaled columns.

    Rows may be millions: only sums of products are kept. Columns that repeat others get the smallest coefficients that
    fit. Raises ValueError if there are fewer than ten complete rows a coefficient.
    """
    known = np.isfinite(target) & np.isfinite(design).all(axis=1)
    rows, columns = int(known.sum()), design.shape[1] + 1
    if rows < 10 * columns:
        raise ValueError(f"{rows} complete rows are too few for {columns} coefficients: give a longer history")
    x, y = design[known], target[known]
    middle, scale = x.mean(axis=0), x.std(axis=0)
    # a column that does not move has no say
    scale = np.where(scale > 0.0, scale, np.inf)
    z = (x - middle) / scale
    slopes = np.linalg.pinv(z.T @ z, rcond=1e-10, hermitian=True) @ (z.T @ (y - y.mean())) / scale
    return np.concatenate([[y.mean() - float(slopes @ middle)], slopes])


def last_rate(rates: npt.ArrayLike, hours: int) -> Array:
    """The forecast that costs nothing: the rate just settled, ``hours`` times."""
    forecast: Array = hours * np.asarray(rates, dtype=np.float64)
    return forecast


def constant_rate(target: npt.ArrayLike) -> float:
    """The mean of a training target: the other forecast that costs nothing."""
    y = np.asarray(target, dtype=np.float64)
    known = y[np.isfinite(y)]
    if known.size == 0:
        raise ValueError("no target is known")
    return float(known.mean())
