"""Whether one of two paired series is better: t, Wilcoxon, Diebold-Mariano; and what many such tests are worth.

Series must be paired by time (or by seed and market path): differences are taken place by place.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from slipstream.core.stats.performance import Array

EXACT = 500  # differences up to which the signed-rank distribution is computed exactly


class Verdict(NamedTuple):
    """A statistic with its two-sided p value, and the degrees of freedom (or differences) that it had."""

    statistic: float
    p: float
    n: int


class Forecasts(NamedTuple):
    """Diebold-Mariano: the plain statistic with its normal p value, and Harvey, Leybourne and Newbold's with Student's.

    Negative: the first forecast lost less.
    """

    statistic: float
    p: float
    corrected: float
    p_corrected: float


def differences(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """a - b. Raises ValueError: unequal shapes, fewer than 2, not finite."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size < 2:
        raise ValueError(f"two series of one length (2 or more) are needed: have shapes {x.shape} and {y.shape}")
    d: Array = x - y
    if not np.isfinite(d).all():
        raise ValueError(f"the pair at place {int(np.flatnonzero(~np.isfinite(d))[0])} is not finite")
    return d


def paired_t(a: npt.ArrayLike, b: npt.ArrayLike) -> Verdict:
    """Student's t of the mean difference, n - 1 degrees of freedom; assumes independent differences."""
    d = differences(a, b)
    se = float(d.std(ddof=1)) / math.sqrt(d.size)
    if se == 0.0:
        mean = float(d.mean())
        return Verdict(math.copysign(math.inf, mean) if mean else 0.0, 0.0 if mean else 1.0, d.size - 1)
    t = float(d.mean()) / se
    return Verdict(t, float(2.0 * stats.t.sf(abs(t), d.size - 1)), d.size - 1)


def wilcoxon(a: npt.ArrayLike, b: npt.ArrayLike, *, exact: bool | None = None) -> Verdict:
    """Signed-rank test: the smaller rank sum. Zero differences are dropped; ``n`` is what is left.

    Exact unless told otherwise up to 500 differences without ties among their sizes, else normal with tie correction.
    """
    d = differences(a, b)
    d = d[d != 0.0]
    if d.size == 0:
        return Verdict(0.0, 1.0, 0)
    sizes = np.abs(d)
    ranks = stats.rankdata(sizes)
    up, down = float(ranks[d > 0.0].sum()), float(ranks[d < 0.0].sum())
    ties = np.unique(sizes, return_counts=True)[1].astype(np.float64)
    if exact is None:
        exact = d.size <= EXACT and bool((ties == 1.0).all())
    if exact and (ties > 1.0).any():
        raise ValueError("the exact distribution knows no ties: ask for exact=False")
    least, n = min(up, down), d.size
    if exact:
        return Verdict(least, min(1.0, 2.0 * _rank_sum_cdf(n, least)), n)
    variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - float((ties**3 - ties).sum()) / 48.0
    z = (least - n * (n + 1.0) / 4.0) / math.sqrt(variance)
    return Verdict(least, min(1.0, float(2.0 * stats.norm.cdf(z))), n)


def _rank_sum_cdf(n: int, value: float) -> float:
    """P(W <= value) where each rank 1..n counts with probability a half."""
    chances = np.zeros(n * (n + 1) // 2 + 1)
    chances[0] = 1.0
    for rank in range(1, n + 1):
        shifted = np.zeros_like(chances)
        shifted[rank:] = chances[:-rank]
        chances = 0.5 * (chances + shifted)
    return float(chances[: int(value) + 1].sum())


def diebold_mariano(loss_a: npt.ArrayLike, loss_b: npt.ArrayLike, horizon: int = 1) -> Forecasts:
    """Whether two forecasts ``horizon`` steps ahead lose equally: mean difference over its long-run error.

    Rectangular window of horizon - 1 lags; where that makes the variance negative, Bartlett's. Raises ValueError for a
    horizon below 1 or not below the number of losses.
    """
    d = differences(loss_a, loss_b)
    n, h = d.size, horizon
    if not 1 <= h < n:
        raise ValueError(f"horizon {h} must be at least 1 and below the {n} losses")
    centred = d - d.mean()
    gammas = [float(centred[k:] @ centred[: n - k]) / n for k in range(h)]
    spread = gammas[0] + 2.0 * sum(gammas[1:])
    if spread <= 0.0:
        spread = gammas[0] + 2.0 * sum((1.0 - k / h) * g for k, g in enumerate(gammas) if k)
    if spread <= 0.0:  # the losses never differ by a changing amount
        mean = float(d.mean())
        far = math.copysign(math.inf, mean) if mean else 0.0
        return Forecasts(far, 0.0 if mean else 1.0, far, 0.0 if mean else 1.0)
    plain = float(d.mean()) / math.sqrt(spread / n)
    corrected = plain * math.sqrt((n + 1.0 - 2.0 * h + h * (h - 1.0) / n) / n)
    return Forecasts(
        plain,
        float(2.0 * stats.norm.sf(abs(plain))),
        corrected,
        float(2.0 * stats.t.sf(abs(corrected), n - 1)),
    )


def _p_values(p: npt.ArrayLike) -> Array:
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0.0) & (values <= 1.0)).all():
        raise ValueError("p values must be one list of numbers between 0 and 1")
    return values


def holm(p: npt.ArrayLike) -> Array:
    """Adjusted p values: rejecting those below a keeps the chance of any false rejection below a (Holm 1979)."""
    values = _p_values(p)
    order = np.argsort(values, kind="stable")
    raised = np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1))
    out = np.empty_like(values)
    out[order] = np.minimum(raised, 1.0)
    return out


def false_discovery(p: npt.ArrayLike) -> Array:
    """Adjusted p values: rejecting those below a keeps the expected share of false ones below a.

    Benjamini and Hochberg (1995); tests independent or positively dependent.
    """
    values = _p_values(p)
    n = values.size
    order = np.argsort(values, kind="stable")[::-1]
    lowered = np.minimum.accumulate(values[order] * n / np.arange(n, 0, -1))
    out = np.empty_like(values)
    out[order] = np.minimum(lowered, 1.0)
    return out
