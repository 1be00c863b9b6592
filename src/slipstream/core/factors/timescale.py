"""Returns over the horizon that is traded: bars of H hours that end where the history ends.

Factor, betas and covariance are estimated on bars of the holding period, so that what is hedged is what is held.
Reference: mathematical specification, section 9.6.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def bars_in(horizon: float, bar_hours: float) -> int:
    """How many bars a horizon holds. Raises ValueError unless it is a whole number of them, at least one."""
    count = round(horizon / bar_hours)
    if count < 1 or abs(count * bar_hours - horizon) > 1e-9:
        raise ValueError(f"a horizon of {horizon:g} h is not a whole number of bars of {bar_hours:g} h")
    return count


def aggregate(values: npt.ArrayLike, width: int) -> Array:
    """Sums of ``width`` rows that do not overlap, the last ending at the last row.

    The first ``T % width`` rows are cut. A sum with a NaN in it is NaN. For log returns, volumes and funding
    alike. Raises ValueError if nothing is left.
    """
    x = np.asarray(values, dtype=np.float64)
    if width < 1 or len(x) < width:
        raise ValueError(f"{len(x)} rows hold no bar of {width}")
    count = len(x) // width
    kept = x[len(x) - count * width :]
    out: Array = kept.reshape(count, width, *x.shape[1:]).sum(axis=1)
    return out


def trailing(values: npt.ArrayLike, width: int) -> Array:
    """Sum of the last ``width`` rows at every row (overlapping); NaN where one is missing or there are not so many."""
    x = np.asarray(values, dtype=np.float64)
    out = np.full(x.shape, np.nan)
    if width < 1:
        raise ValueError(f"a width of {width} rows must be at least 1")
    if len(x) < width:
        return out
    known = np.isfinite(x)
    # summed in windows, not as differences of running sums, which would carry one coin's jump through its history
    total = np.zeros((len(x) - width + 1, *x.shape[1:]))
    whole = np.ones(total.shape, dtype=bool)
    for k in range(width):
        stop = len(x) - width + 1 + k
        total += np.where(known[k:stop], x[k:stop], 0.0)
        whole &= known[k:stop]
    out[width - 1 :] = np.where(whole, total, np.nan)
    return out


def ahead(values: npt.ArrayLike, width: int) -> Array:
    """Sum of the NEXT ``width`` rows at every row, without the row itself; NaN where one is missing or yet to come."""
    sums = trailing(values, width)
    out = np.full(sums.shape, np.nan)
    if width < len(sums):
        out[:-width] = sums[width:]
    return out


def window(values: npt.ArrayLike, width: int, count: int) -> Array:
    """The last ``count`` bars of ``width`` rows. Raises ValueError where the history is too short for them."""
    x = np.asarray(values, dtype=np.float64)
    needed = width * count
    if len(x) < needed:
        raise ValueError(f"{count} bars of {width} rows need {needed} rows, and there are {len(x)}")
    return aggregate(x[len(x) - needed :], width)
