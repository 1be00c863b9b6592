"""EWMA volatility of returns, mean taken as zero: ``v <- lam v + (1 - lam) r²``, started at the first ``r²``.

Reference: mathematical specification, sections 9.4 and 13. A missing return (NaN) changes nothing: the last variance
stands. The same recursion as the diagonal of `slipstream.core.signals.trend.TrendPanel`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

Array = npt.NDArray[np.float64]


def ewma(values: npt.ArrayLike, alpha: float) -> Array:
    """Exponential average along axis 0, started at each column's first value; ``(T,)`` or ``(T, N)``.

    ``e <- e + alpha (x - e)``. NaN before a column's first value; a NaN afterwards leaves the average where it is.
    """
    if not 0.0 < alpha <= 1.0:
        raise ValueError(f"alpha {alpha} must be above 0 and at most 1")
    x = np.asarray(values, dtype=np.float64)
    columns = x.reshape(len(x), -1)
    out = np.full(columns.shape, np.nan)
    for j in range(columns.shape[1]):
        seen = np.flatnonzero(np.isfinite(columns[:, j]))
        if seen.size == 0:
            continue
        known = columns[seen, j]
        smooth = lfilter([alpha], [1.0, alpha - 1.0], known, zi=[(1.0 - alpha) * known[0]])[0]
        latest = np.searchsorted(seen, np.arange(len(x)), side="right") - 1
        out[:, j] = np.where(latest >= 0, smooth[np.maximum(latest, 0)], np.nan)
    return out.reshape(x.shape)


def ewma_volatility(returns: npt.ArrayLike, halflife: float) -> Array:
    """Standard deviation of one observation, along axis 0; the weight of an observation halves every ``halflife``.

    For a day's volatility of bars of ``h`` hours multiply by ``sqrt(24 / h)``.
    """
    if not halflife > 0.0:
        raise ValueError(f"halflife {halflife} must be positive, in observations")
    out: Array = np.sqrt(ewma(np.square(np.asarray(returns, dtype=np.float64)), 1.0 - 0.5 ** (1.0 / halflife)))
    return out


def halflife_of_span(span: float) -> float:
    """The halflife with the same decay as a span: ``alpha = 2 / (span + 1)``."""
    if not span > 1.0:
        raise ValueError(f"span {span} must be above 1")
    return float(np.log(0.5) / np.log1p(-2.0 / (span + 1.0)))
