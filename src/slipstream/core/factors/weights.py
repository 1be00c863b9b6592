"""How much each coin counts in the market factor: by what is traded in it.

Reference: mathematical specification, section 9.5.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
WeightMethod = Literal["sqrt", "log", "sqrt_dollar"]
METHODS: tuple[WeightMethod, ...] = get_args(WeightMethod)


def liquidity_weights(volume_base: npt.ArrayLike, volume_usd: npt.ArrayLike, method: WeightMethod) -> Array:
    """Weights along the last axis that sum to 1; 0 for a coin without volume, or whose volume is NaN.

    ``sqrt``: root of the volume in base coin, which changes when a coin is redenominated (kept for what was built on
    it); ``log``: ln(1 + USD); ``sqrt_dollar``: root of the volume in USD, the one to prefer. Raises ValueError for an
    unknown method, shapes that differ and negative volumes. A row without any volume is all zeros.
    """
    base, usd = np.asarray(volume_base, dtype=np.float64), np.asarray(volume_usd, dtype=np.float64)
    if method not in METHODS:
        raise ValueError(f"weight method {method!r} is not known; give one of {', '.join(METHODS)}")
    if base.shape != usd.shape:
        raise ValueError(f"volumes in base coin have shape {base.shape}, in USD {usd.shape}")
    if (base < 0.0).any() or (usd < 0.0).any():
        raise ValueError("a volume is negative")
    raw = np.sqrt(base) if method == "sqrt" else np.log1p(usd) if method == "log" else np.sqrt(usd)
    raw = np.where(np.isfinite(raw), raw, 0.0)
    total = raw.sum(axis=-1, keepdims=True)
    weights: Array = np.divide(raw, total, out=np.zeros_like(raw), where=total > 0.0)
    return weights
