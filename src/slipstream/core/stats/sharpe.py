"""What a Sharpe ratio is worth: probabilistic and deflated Sharpe, track record lengths, and differences of two.

Ratios are per observation, not annualised, unless a name says so; kurtosis is full (3 for the normal).
Sources: Bailey and Lopez de Prado 2012, 2014; Memmel 2003; Lo 2002.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

EULER = 0.5772156649015329


class Difference(NamedTuple):
    """Difference of two Sharpe ratios with its z value and two-sided p value."""

    difference: float
    z: float
    p: float


def _spread(sharpe: float, skew: float, kurtosis: float) -> float:
    spread = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    if not spread > 0.0:
        raise ValueError(f"no distribution has Sharpe {sharpe} with skew {skew} and kurtosis {kurtosis}")
    return spread


def probabilistic_sharpe(sharpe: float, benchmark: float, n: int, skew: float = 0.0, kurtosis: float = 3.0) -> float:
    """Probability that the true ratio exceeds ``benchmark``, given an estimate from ``n`` observations."""
    if n < 2:
        raise ValueError(f"{n} observations say nothing; at least 2 are needed")
    return float(norm.cdf((sharpe - benchmark) * math.sqrt(n - 1.0) / math.sqrt(_spread(sharpe, skew, kurtosis))))


def minimum_track_record(
    sharpe: float, benchmark: float, confidence: float = 0.95, skew: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Observations until `probabilistic_sharpe` reaches ``confidence``; infinite unless the ratio is above."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence {confidence} must be between 0 and 1")
    if sharpe <= benchmark:
        return math.inf
    z = float(norm.ppf(confidence))
    return 1.0 + _spread(sharpe, skew, kurtosis) * (z / (sharpe - benchmark)) ** 2


def expected_maximum(trials: int) -> float:
    """Approximate mean of the largest of ``trials`` standard normals (poor below 5 trials)."""
    if trials < 1:
        raise ValueError(f"{trials} trials; at least 1 is needed")
    if trials == 1:
        return 0.0
    return float((1.0 - EULER) * norm.ppf(1.0 - 1.0 / trials) + EULER * norm.ppf(1.0 - 1.0 / (trials * math.e)))


def exact_expected_maximum(trials: int) -> float:
    """Mean of the largest of ``trials`` standard normals, by quadrature: N E[z Phi(z)^(N-1)]."""
    if trials < 1:
        raise ValueError(f"{trials} trials; at least 1 is needed")
    z = np.linspace(-12.0, 12.0, 24_001)
    density = trials * z * np.exp(norm.logpdf(z) + (trials - 1.0) * norm.logcdf(z))
    # the integrand vanishes with all derivatives at both ends: the trapezoid converges faster than any power
    return float(density.sum() * (z[1] - z[0]))


def deflated_sharpe(
    sharpe: float, n: int, trials: int, variance: float, skew: float = 0.0, kurtosis: float = 3.0
) -> float:
    """`probabilistic_sharpe` against the best of ``trials`` skill-less ones whose ratios vary by ``variance``."""
    if not variance >= 0.0:
        raise ValueError(f"the variance {variance} of ratios must not be negative")
    return probabilistic_sharpe(sharpe, math.sqrt(variance) * expected_maximum(trials), n, skew, kurtosis)


def minimum_backtest_length(trials: int, target: float = 1.0) -> float:
    """Years below which the best of ``trials`` skill-less backtests is expected to show a yearly ratio ``target``."""
    if not target > 0.0:
        raise ValueError(f"the target {target} must be positive")
    return (expected_maximum(trials) / target) ** 2


def memmel(a: npt.ArrayLike, b: npt.ArrayLike) -> Difference:
    """Whether two paired series have different Sharpe ratios (Jobson-Korkie with Memmel's correction)."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size < 3:
        raise ValueError(f"two series of one length (3 or more) are needed: have shapes {x.shape} and {y.shape}")
    sx, sy = float(x.std()), float(y.std())  # as in the paper: divided by n
    if not (sx > 0.0 and sy > 0.0):
        raise ValueError("a series that never varies has no Sharpe ratio")
    one, two = float(x.mean()) / sx, float(y.mean()) / sy
    rho = float(np.cov(x, y, ddof=0)[0, 1]) / (sx * sy)
    theta = (2.0 - 2.0 * rho + 0.5 * (one**2 + two**2 - 2.0 * one * two * rho**2)) / x.size
    if theta <= 1e-15:
        return Difference(one - two, 0.0, 1.0)
    z = (one - two) / math.sqrt(theta)
    return Difference(one - two, z, float(2.0 * norm.sf(abs(z))))


def lo_scaling(x: npt.ArrayLike, q: int) -> float:
    """Factor that takes a Sharpe ratio per observation to one per ``q`` observations under autocorrelation (Lo)."""
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1 or not 1 <= q <= values.size:
        raise ValueError(f"{q} observations at a time of a series of shape {values.shape}")
    centred = values - values.mean()
    power = float(centred @ centred)
    if power <= 0.0:
        raise ValueError("a series that never varies has no autocorrelation")
    rho = [float(centred[k:] @ centred[:-k]) / power for k in range(1, q)]
    spread = q + 2.0 * sum((q - k) * r for k, r in enumerate(rho, start=1))
    if not spread > 0.0:
        raise ValueError(f"autocorrelations of the series make the variance over {q} observations negative")
    return q / math.sqrt(spread)
