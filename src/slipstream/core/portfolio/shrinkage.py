"""Covariance from short samples. Every estimate here is of demeaned rows with divisor n (maximum likelihood).

Rows are observations, columns are assets; all raise ValueError for anything but a finite matrix of two rows or more.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Shrunk(NamedTuple):
    """A covariance and the weight of its target in it: 0 keeps the sample, 1 keeps only the target."""

    cov: Array
    weight: float


def _centred(rows: npt.ArrayLike) -> Array:
    x = np.asarray(rows, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] < 2 or x.shape[1] < 1:
        raise ValueError(f"returns must be a matrix of two or more rows, have shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("returns hold NaN or infinity; align and drop them first")
    centred: Array = x - x.mean(axis=0)
    return centred


def sample_cov(rows: npt.ArrayLike) -> Array:
    """The plain sample covariance, divisor n."""
    x = _centred(rows)
    cov: Array = x.T @ x / x.shape[0]
    return cov


def ledoit_wolf_identity(rows: npt.ArrayLike) -> Shrunk:
    """Towards mean variance times identity (Ledoit and Wolf 2004, J. Multivariate Anal. 88)."""
    x = _centred(rows)
    n, p = x.shape
    cov = x.T @ x / n
    mean_var = float(np.trace(cov)) / p
    spread = float(((cov - mean_var * np.eye(p)) ** 2).sum())
    squares = x**2
    error = float((squares.T @ squares / n - cov**2).sum()) / n
    weight = min(error, spread) / spread if spread > 0.0 else 1.0
    return Shrunk((1.0 - weight) * cov + weight * mean_var * np.eye(p), max(0.0, weight))


def ledoit_wolf_constant_correlation(rows: npt.ArrayLike) -> Shrunk:
    """Towards the sample's variances with one average correlation (Ledoit and Wolf 2004, J. Portfolio Mgmt 30).

    Columns without variance have correlation 0 with everything.
    """
    x = _centred(rows)
    n, p = x.shape
    cov = x.T @ x / n
    sd = np.sqrt(np.diag(cov))
    if p == 1:
        return Shrunk(cov, 0.0)
    outer = np.outer(sd, sd)
    corr = np.divide(cov, outer, out=np.zeros_like(cov), where=outer > 0.0)
    average = (float(corr.sum()) - float(np.trace(corr))) / (p * (p - 1))
    target = average * outer
    np.fill_diagonal(target, np.diag(cov))
    squares = x**2
    errors = squares.T @ squares / n - cov**2
    # asymptotic covariance of s_ii with s_ij
    theta = (x**3).T @ x / n - np.diag(cov)[:, None] * cov
    ratio = np.divide(sd[None, :], sd[:, None], out=np.zeros_like(cov), where=sd[:, None] > 0.0)
    np.fill_diagonal(theta, 0.0)
    rho = float(np.trace(errors)) + average * float((ratio * theta).sum())
    gap = float(((target - cov) ** 2).sum())
    weight = 1.0 if gap <= 0.0 else min(1.0, max(0.0, (float(errors.sum()) - rho) / gap / n))
    return Shrunk(weight * target + (1.0 - weight) * cov, weight)


def oas(rows: npt.ArrayLike) -> Shrunk:
    """Oracle approximating shrinkage towards mean variance times identity, as the paper has it.

    Chen, Wiesel, Eldar and Hero 2010, equation 23, with its (1 - 2/p) terms, which scikit-learn leaves out.
    """
    x = _centred(rows)
    n, p = x.shape
    cov = x.T @ x / n
    trace = float(np.trace(cov))
    square = float((cov**2).sum())
    top = (1.0 - 2.0 / p) * square + trace**2
    bottom = (n + 1.0 - 2.0 / p) * (square - trace**2 / p)
    weight = 1.0 if bottom <= 0.0 else min(1.0, max(0.0, top / bottom))
    return Shrunk((1.0 - weight) * cov + weight * trace / p * np.eye(p), weight)


def ewma_cov(rows: npt.ArrayLike, decay: float) -> Array:
    """S <- decay S + (1 - decay) r r', started at the first row's own product; means are taken to be 0.

    Unlike the others, rows are not demeaned. Raises ValueError unless 0 < decay < 1.
    """
    x = np.asarray(rows, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] < 1 or not np.isfinite(x).all():
        raise ValueError(f"returns must be a finite matrix, have shape {x.shape}")
    if not 0.0 < decay < 1.0:
        raise ValueError(f"decay {decay} must lie between 0 and 1")
    cov: Array = np.outer(x[0], x[0])
    for row in x[1:]:
        cov = decay * cov + (1.0 - decay) * np.outer(row, row)
    return cov


def span_of(decay: float) -> float:
    """The span that a decay means: 2 / (1 - decay) - 1."""
    return 2.0 / (1.0 - decay) - 1.0


def halflife_of(decay: float) -> float:
    """How many rows until a weight has halved."""
    return math.log(0.5) / math.log(decay)
