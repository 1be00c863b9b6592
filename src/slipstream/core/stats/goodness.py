"""How much of what happened a forecast explained, out of sample: against a constant known beforehand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Score(NamedTuple):
    """Sums of squared errors of a forecast and of the constant, and their count; they add up over folds and weeks."""

    errors: float
    spread: float
    n: int

    @property
    def r2(self) -> float:
        """``1 - errors / spread``. Raises ValueError where nothing varied."""
        if not self.spread > 0.0:
            raise ValueError("R² is not defined: what was to be forecast never differs from the baseline")
        return 1.0 - self.errors / self.spread


def score(actual: npt.ArrayLike, forecast: npt.ArrayLike, baseline: float) -> Score:
    """Over the places where both are known. ``baseline`` is the TRAINING mean: the test's own mean is not known."""
    y, f = np.broadcast_arrays(np.asarray(actual, dtype=np.float64), np.asarray(forecast, dtype=np.float64))
    known = np.isfinite(y) & np.isfinite(f)
    error, apart = (y - f)[known], y[known] - baseline
    return Score(float(error @ error), float(apart @ apart), int(known.sum()))


def combined_r2(price: npt.ArrayLike, price_hat: npt.ArrayLike, paid: npt.ArrayLike, paid_hat: npt.ArrayLike) -> float:
    """In-sample R² of return less funding, all four in ONE unit (mean of the sample as the baseline)."""
    y = np.asarray(price, dtype=np.float64) - np.asarray(paid, dtype=np.float64)
    return score(y, np.asarray(price_hat) - np.asarray(paid_hat), float(y.mean())).r2
