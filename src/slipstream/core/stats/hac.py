"""Means and regressions with errors that bear autocorrelation and changing variance (Newey and West 1987)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Mean(NamedTuple):
    """A mean with its standard error, t value and the lags used."""

    mean: float
    se: float
    t: float
    lags: int


class Fit(NamedTuple):
    """Coefficients of a regression, their HAC covariance and errors, residuals and R^2 (NaN-free)."""

    coef: Array
    se: Array
    cov: Array
    residuals: Array
    r2: float
    lags: int


def newey_west_lags(n: int) -> int:
    """The usual number of lags, floor(4 (n / 100)^(2/9)), never more than n - 1."""
    if n < 1:
        raise ValueError("no observations")
    return min(n - 1, int(4.0 * (n / 100.0) ** (2.0 / 9.0)))


def long_run_covariance(scores: npt.ArrayLike, lags: int) -> Array:
    """Sum over lags of Bartlett-weighted autocovariances of the columns (divided by n, means not taken away)."""
    u = np.asarray(scores, dtype=np.float64)
    if u.ndim != 2 or u.shape[0] == 0 or not np.isfinite(u).all():
        raise ValueError(f"scores must be a finite matrix with a row an observation: have shape {u.shape}")
    if not 0 <= lags < u.shape[0]:
        raise ValueError(f"{lags} lags need more than {u.shape[0]} observations")
    total = u.T @ u
    for k in range(1, lags + 1):
        gamma = u[k:].T @ u[:-k]
        total = total + (1.0 - k / (lags + 1.0)) * (gamma + gamma.T)
    value: Array = total / u.shape[0]
    return value


def hac_mean(x: npt.ArrayLike, lags: int | None = None) -> Mean:
    """Mean of a series with its Newey-West error (no small-sample correction). A constant series has t 0 or inf."""
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"one series is needed: have shape {values.shape}")
    used = newey_west_lags(values.size) if lags is None else lags
    mean = float(values.mean())
    spread = float(long_run_covariance((values - mean)[:, None], used)[0, 0])
    se = (spread / values.size) ** 0.5
    t = mean / se if se > 0.0 else (0.0 if mean == 0.0 else float(np.copysign(np.inf, mean)))
    return Mean(mean, se, t, used)


def hac_ols(y: npt.ArrayLike, x: npt.ArrayLike, lags: int | None = None) -> Fit:
    """Least squares of ``y`` on the columns of ``x`` (add a column of ones for an intercept), HAC errors.

    (X'X)^-1 n S (X'X)^-1. Columns that repeat others get the smallest coefficients that fit (pseudo-inverse).
    Raises ValueError unless there are more rows than columns and everything is finite.
    """
    target, design = np.asarray(y, dtype=np.float64), np.asarray(x, dtype=np.float64)
    if design.ndim != 2 or target.shape != design.shape[:1]:
        raise ValueError(f"one target a row is needed: have shapes {target.shape} and {design.shape}")
    n, p = design.shape
    if n <= p:
        raise ValueError(f"{p} coefficients need more than {n} observations")
    if not (np.isfinite(target).all() and np.isfinite(design).all()):
        raise ValueError("observations must be finite")
    used = newey_west_lags(n) if lags is None else lags
    coef = np.linalg.lstsq(design, target, rcond=None)[0]
    residuals = target - design @ coef
    bread = np.linalg.pinv(design.T @ design)
    cov = n * bread @ long_run_covariance(design * residuals[:, None], used) @ bread
    spread = float(((target - target.mean()) ** 2).sum())
    r2 = 1.0 - float(residuals @ residuals) / spread if spread > 0.0 else 0.0
    se: Array = np.sqrt(np.maximum(np.diag(cov), 0.0))
    return Fit(np.asarray(coef, dtype=np.float64), se, cov, residuals, r2, used)
