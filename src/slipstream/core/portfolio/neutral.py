"""The neutral mean-variance book in closed form, and its scaling to a gross exposure.

``max w'a - w'Sw / 2`` subject to ``E'w = 0``: ``w = S^-1 (a - E (E' S^-1 E)^-1 E' S^-1 a)``. Solved in coordinates
whitened by a Cholesky factor, where it is a least-squares residual: constraints that repeat each other do no harm.

Reference: mathematical specification, section 9.1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from slipstream.core.portfolio.covariance import FactorCovariance, SingularCovariance, checked

Array = npt.NDArray[np.float64]

PARALLEL = 1e-11  # a residual this small, relative to alpha, is rounding: nothing is left to earn


def neutral_weights(
    alpha: npt.ArrayLike, exposures: npt.ArrayLike, S: npt.ArrayLike | FactorCovariance, *, risk_aversion: float = 1.0
) -> Array:
    """The best weights with no exposure to any column of ``exposures`` (N,) or (N, m).

    ``alpha`` and ``S`` are over the same holding period. Alpha in the span of the exposures gives zeros. Raises
    ValueError on unequal shapes and NaN, SingularCovariance.
    """
    a, e, s = read(alpha, exposures, S)
    if not risk_aversion > 0.0:
        raise ValueError(f"risk_aversion {risk_aversion} must be above 0")
    try:
        lower = cholesky(s, lower=True)
    except LinAlgError as error:
        raise SingularCovariance(f"covariance is not positive definite ({error}): shrink it first") from error
    diagonal = np.abs(np.diag(lower)) / np.sqrt(np.diag(s))
    if diagonal.size and diagonal.min() < 1e-7:
        raise SingularCovariance(
            f"covariance is singular to rounding at asset {int(diagonal.argmin())}: shrink it "
            "(slipstream.core.portfolio.shrinkage) or use a factor model"
        )
    white = solve_triangular(lower, np.column_stack([a, e]), lower=True)
    target, walls = white[:, 0], white[:, 1:]
    norms = np.linalg.norm(walls, axis=0)
    walls = walls[:, norms > 0.0] / norms[norms > 0.0]
    rest = target
    if walls.shape[1]:
        for _ in range(2):  # a second pass removes what rounding left of the first
            rest = rest - walls @ np.linalg.lstsq(walls, rest, rcond=1e-12)[0]
    if np.linalg.norm(rest) <= PARALLEL * np.linalg.norm(target):
        return np.zeros_like(a)
    weights: Array = solve_triangular(lower, rest, lower=True, trans="T") / risk_aversion
    return weights


def scaled_to_gross(weights: Array, gross: float) -> Array:
    """The same book at sum |w| = ``gross``; an empty book stays empty. This cancels risk aversion and alpha's scale.

    It is not the optimum under a bound on gross exposure: that is `cost_aware.solve_cost_aware`. Raises ValueError.
    """
    if not (gross > 0.0 and np.isfinite(gross)):
        raise ValueError(f"leverage {gross} must be a positive multiple of capital")
    total = float(np.abs(weights).sum())
    return weights * (gross / total) if total > 0.0 else np.zeros_like(weights)


def read(
    alpha: npt.ArrayLike, exposures: npt.ArrayLike, S: npt.ArrayLike | FactorCovariance
) -> tuple[Array, Array, Array]:
    """Alpha (N,), exposures (N, m) and the dense covariance, checked. Raises ValueError."""
    a = vector("alpha", alpha)
    e = exposure_columns(exposures, len(a))
    s = S.dense() if isinstance(S, FactorCovariance) else checked(S)
    if s.shape != (len(a), len(a)):
        raise ValueError(f"covariance has shape {s.shape}, alpha {a.shape}: expected ({len(a)}, {len(a)})")
    return a, e, s


def vector(name: str, values: npt.ArrayLike, size: int | None = None) -> Array:
    """A finite vector. Raises ValueError."""
    v = np.asarray(values, dtype=np.float64)
    if v.ndim != 1 or (size is not None and len(v) != size):
        wanted = "(N,)" if size is None else f"({size},)"
        raise ValueError(f"{name} has shape {v.shape}, expected {wanted}")
    if not np.isfinite(v).all():
        place = int(np.flatnonzero(~np.isfinite(v))[0])
        raise ValueError(f"{name} holds {v[place]} at asset {place}: drop the asset or mend the estimate")
    return v


def exposure_columns(exposures: npt.ArrayLike, size: int) -> Array:
    """Exposures as (N, m), finite. Raises ValueError."""
    e = np.asarray(exposures, dtype=np.float64)
    e = e[:, None] if e.ndim == 1 else e
    if e.ndim != 2 or e.shape[0] != size:
        raise ValueError(f"beta has shape {np.shape(exposures)}, expected ({size},) or ({size}, constraints)")
    if not np.isfinite(e).all():
        row = int(np.argwhere(~np.isfinite(e))[0][0])
        raise ValueError(f"beta of asset {row} is not a finite number: drop the asset or mend the estimate")
    return e
