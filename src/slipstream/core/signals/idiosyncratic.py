"""EWMA momentum over several spans of what the market factor leaves of a coin's returns.

The residual of a bar is its return less beta times the factor's return, both from the window that ends with it
(`slipstream.core.factors.market.rolling_factor`): nothing in it is later than the bar's close. Each span's ``z`` has
variance 1 for white noise. Reference: mathematical specification, sections 9.5, 9.7 and 13.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from slipstream.core.signals.momentum import momentum

Array = npt.NDArray[np.float64]
SPANS = (2, 4, 8, 16, 32)


def idiosyncratic_momentum(
    residuals: npt.ArrayLike, spans: Sequence[int] = SPANS, *, vol_span: int = 64, bound: float = 5.0
) -> Array:
    """``z`` of every span, shape (spans, T, N), held within ``bound``; NaN where the bar has no residual.

    Spans are in bars of the residuals. Raises ValueError for no span, or a bound that is not positive.
    """
    r = np.asarray(residuals, dtype=np.float64)
    if not spans or not bound > 0.0:
        raise ValueError(f"spans {tuple(spans)} and bound {bound}: at least one span and a positive bound are needed")
    found: Array = np.stack([np.clip(momentum(r, span, vol_span), -bound, bound) for span in spans])
    # an average outlives a coin that stopped trading; a signal must not
    return np.where(np.isfinite(r), found, np.nan)
