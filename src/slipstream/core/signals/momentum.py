"""EWMA momentum of volatility-normalised returns, all bars of a history at once.

``z_span = EMA_span(r) / (sd sqrt(a / (2 - a)))`` with ``a = 2 / (span + 1)`` and ``sd² = EMA_vol_span(r²)``.
Reference: mathematical specification, section 13. `slipstream.core.signals.trend.TrendPanel` is the same bar by bar;
a test holds the two together. A missing return (NaN) is no return of zero: it leaves the coin's averages as they were.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from slipstream.core.signals.trend import LOOKBACKS
from slipstream.core.signals.volatility import Array, ewma


def log_returns(closes: npt.ArrayLike) -> Array:
    """Log returns of one bar along axis 0; NaN first, and on either side of a missing close."""
    x = np.asarray(closes, dtype=np.float64)
    out = np.full(x.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        out[1:] = np.log(x[1:] / x[:-1])
    return np.where(np.isfinite(out), out, np.nan)


def momentum(returns: npt.ArrayLike, span: int, vol_span: int = 64) -> Array:
    """``z`` of one lookback along axis 0; NaN before the first return and where nothing has moved yet."""
    r = np.asarray(returns, dtype=np.float64)
    a = 2.0 / (span + 1.0)
    sd = np.sqrt(ewma(r * r, 2.0 / (vol_span + 1.0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        z: Array = ewma(r, a) / (sd * np.sqrt(a / (2.0 - a)))
    return np.where(sd > 0.0, z, np.nan)


def trend_strength(
    returns: npt.ArrayLike, spans: Sequence[int] = LOOKBACKS, *, vol_span: int = 64, warm_up: int | None = None
) -> Array:
    """Sum of ``z`` over the lookbacks; NaN until a column has ``warm_up`` returns (default: half the longest)."""
    r = np.asarray(returns, dtype=np.float64)
    needed = max(spans) // 2 if warm_up is None else warm_up
    total: Array = np.sum([momentum(r, span, vol_span) for span in spans], axis=0)
    return np.where(np.cumsum(np.isfinite(r), axis=0) >= needed, total, np.nan)
