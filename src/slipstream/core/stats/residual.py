"""Residual returns as they come: what is left of a return after market moves, with betas and scale known beforehand.

Everything is predictable: the beta that hedges an hour and the scale that standardises a block come from earlier
hours only, so a test that bets on the result never looks ahead. Works on one record or on arrays of them (one entry a
record; state is on the last axis). Returns are fractions an hour.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

HOURS_A_YEAR = 8_760.0
HEDGE_KEEP = 0.5 ** (1.0 / 720.0)  # betas: half-life of thirty days
SCALE_KEEP = 0.5 ** (1.0 / 168.0)  # scale: half-life of a week
FACTOR_PRIOR = 0.5**2 / HOURS_A_YEAR  # one hour of a factor of 50 % a year: enough to solve, too little to bias
SCALE_PRIOR_HOURS = 24.0
LEAST_SCALE = 1e-5  # an hour; below it a pod stands still


def new_hedge(records: int | None = None) -> Array:
    """No hours seen: betas 0."""
    return np.zeros(5) if records is None else np.zeros((records, 5))


def hedge(moments: Array, returns: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Array, Array]:
    """Moments after an hour, and the hour's return less earlier betas times the two factors' returns.

    Moments are decayed sums of f1^2, f1 f2, f2^2, f1 r, f2 r. Betas are of a ridge regression without intercept.
    """
    r = np.asarray(returns, dtype=np.float64)
    f, g = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    one, two = betas(moments)
    residual: Array = r - one * f - two * g
    fresh = np.stack(np.broadcast_arrays(f * f, f * g, g * g, f * r, g * r), axis=-1)
    return moments * HEDGE_KEEP + fresh, residual


def betas(moments: Array) -> tuple[Array, Array]:
    """The betas that the moments stand for."""
    ff, fg, gg, fr, gr = (moments[..., i] for i in range(5))
    ff, gg = ff + FACTOR_PRIOR, gg + FACTOR_PRIOR
    det = ff * gg - fg * fg
    return (gg * fr - fg * gr) / det, (ff * gr - fg * fr) / det


def new_scale(prior_vol: float, records: int | None = None) -> Array:
    """A scale that knows only ``prior_vol`` (a year), with the weight of a day. Raises ValueError unless positive."""
    if not (prior_vol > 0.0 and math.isfinite(prior_vol)):
        raise ValueError(f"the prior volatility {prior_vol} must be positive and finite")
    start = np.array([SCALE_PRIOR_HOURS * prior_vol**2 / HOURS_A_YEAR, SCALE_PRIOR_HOURS])
    return start if records is None else np.tile(start, (records, 1))


def rescale(scale: Array, residual: npt.ArrayLike) -> Array:
    """The scale after an hour: decayed sums of squares and of hours."""
    r = np.asarray(residual, dtype=np.float64)
    fresh = np.stack((r * r, np.ones_like(r)), axis=-1)
    value: Array = scale * SCALE_KEEP + fresh
    return value


def deviation(scale: Array) -> Array:
    """Standard deviation an hour that the scale stands for."""
    value: Array = np.maximum(np.sqrt(scale[..., 0] / scale[..., 1]), LEAST_SCALE)
    return value
