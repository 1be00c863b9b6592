"""Classical sequential tests, for comparison: Wald's SPRT and the CUSUM, with the run lengths they promise.

Unlike an e-process they assume normal observations of known scale and two simple hypotheses.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

Array = npt.NDArray[np.float64]


class Bounds(NamedTuple):
    """Bounds of the log likelihood ratio: at ``upper`` H0 is rejected, at ``lower`` accepted."""

    lower: float
    upper: float


def sprt_bounds(alpha: float, beta: float) -> Bounds:
    """Wald's bounds ln(beta / (1 - alpha)), ln((1 - beta) / alpha). Raises ValueError unless 0 < alpha + beta < 1."""
    if not (0.0 < alpha < 1.0 and 0.0 < beta < 1.0 and alpha + beta < 1.0):
        raise ValueError(f"errors {alpha} and {beta} must be positive and add up to less than 1")
    return Bounds(math.log(beta / (1.0 - alpha)), math.log((1.0 - beta) / alpha))


def log_likelihood_ratio(x: npt.ArrayLike, m0: float, m1: float, sigma: float = 1.0) -> Array:
    """What each normal observation adds to log(p1 / p0)."""
    if not sigma > 0.0:
        raise ValueError(f"sigma {sigma} must be positive")
    value: Array = (m1 - m0) / sigma**2 * (np.asarray(x, dtype=np.float64) - 0.5 * (m0 + m1))
    return value


def sprt(x: npt.ArrayLike, m0: float, m1: float, bounds: Bounds, sigma: float = 1.0) -> tuple[int, int]:
    """Verdict (1 rejects H0, -1 accepts it, 0 goes on) and the observations it took."""
    path = np.cumsum(log_likelihood_ratio(x, m0, m1, sigma))
    outside = np.flatnonzero((path >= bounds.upper) | (path <= bounds.lower))
    if outside.size == 0:
        return 0, int(path.size)
    first = int(outside[0])
    return (1 if path[first] >= bounds.upper else -1), first + 1


def sprt_mean_length(bounds: Bounds, reject: float, m0: float, m1: float, mean: float, sigma: float = 1.0) -> float:
    """Wald's mean number of observations given the probability to reject; a few per cent low (overshoot)."""
    drift = float(log_likelihood_ratio(mean, m0, m1, sigma))
    if drift == 0.0:
        raise ValueError("Wald's identity says nothing of a mean half way between the hypotheses")
    return (reject * bounds.upper + (1.0 - reject) * bounds.lower) / drift


def cusum(x: npt.ArrayLike, k: float) -> Array:
    """Path of C <- max(0, C + x - k), which rises when the mean of x exceeds k."""
    path = np.cumsum(np.asarray(x, dtype=np.float64) - k)
    value: Array = path - np.minimum(np.minimum.accumulate(path), 0.0)
    return value


def cusum_arl(k: float, h: float, shift: float = 0.0, nodes: int = 200) -> float:
    """Mean observations until the CUSUM of N(shift, 1) exceeds ``h``: Page's integral equation by Gauss-Legendre."""
    if not h > 0.0:
        raise ValueError(f"the bound {h} must be positive")
    points, weights = np.polynomial.legendre.leggauss(nodes)
    y, w = 0.5 * h * (points + 1.0), 0.5 * h * weights
    drift = shift - k
    start = np.concatenate(([0.0], y))
    kernel = norm.pdf(y[None, :] - start[:, None] - drift) * w[None, :]
    atom = norm.cdf(-start - drift)
    system = np.eye(start.size) - np.column_stack((atom, kernel))
    return float(np.linalg.solve(system, np.ones(start.size))[0])


def siegmund_arl(k: float, h: float, shift: float = 0.0) -> float:
    """Siegmund's approximation of `cusum_arl` (h + 1.166), within about one per cent."""
    b, drift = h + 1.166, shift - k
    if abs(drift) < 1e-12:
        return b * b
    return (math.exp(-2.0 * drift * b) + 2.0 * drift * b - 1.0) / (2.0 * drift * drift)
