"""Sharpe ratios or means of several strategies, drawn towards each other and towards a sceptic's belief.

Units are whatever the estimates have; standard errors must have the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Posterior(NamedTuple):
    """Means and standard deviations after the evidence, with the prior that was used."""

    mean: Array
    sd: Array
    prior_mean: float
    prior_var: float


def _checked(estimates: npt.ArrayLike, errors: npt.ArrayLike) -> tuple[Array, Array]:
    x = np.asarray(estimates, dtype=np.float64)
    se = np.asarray(errors, dtype=np.float64)
    if x.ndim != 1 or x.shape != se.shape or x.size == 0:
        raise ValueError(f"one standard error for each estimate: have shapes {x.shape} and {se.shape}")
    if not np.isfinite(x).all() or not (se > 0.0).all():
        raise ValueError("estimates must be finite and standard errors positive")
    return x, se


def dersimonian_laird(estimates: npt.ArrayLike, errors: npt.ArrayLike) -> tuple[float, float]:
    """Mean and variance (never below 0) of the population that the estimates come from (DerSimonian, Laird 1986)."""
    x, se = _checked(estimates, errors)
    w = 1.0 / se**2
    fixed = float(w @ x / w.sum())
    q = float(w @ (x - fixed) ** 2)
    scale = float(w.sum() - (w**2).sum() / w.sum())
    between = max(0.0, (q - (x.size - 1)) / scale) if scale > 0.0 else 0.0
    v = 1.0 / (se**2 + between)
    return float(v @ x / v.sum()), between


def empirical_posterior(estimates: npt.ArrayLike, errors: npt.ArrayLike) -> Posterior:
    """Drawn towards their own population, as DerSimonian and Laird estimate it; variance 0 makes all of them equal."""
    x, se = _checked(estimates, errors)
    return _combine(x, se, *dersimonian_laird(x, se))


def sceptical_posterior(
    estimates: npt.ArrayLike, errors: npt.ArrayLike, *, prior_sd: float, prior_mean: float = 0.0
) -> Posterior:
    """Drawn towards a stated belief N(prior_mean, prior_sd^2): by default that nobody has an edge.

    An infinite error (no evidence) gives the prior. The population's own mean is not used: a few lucky strategies
    must not vouch for each other. Raises ValueError unless prior_sd > 0.
    """
    if not prior_sd > 0.0:
        raise ValueError(f"the prior's standard deviation {prior_sd} must be positive")
    x, se = _checked(estimates, errors)
    return _combine(x, se, prior_mean, prior_sd**2)


def _combine(x: Array, se: Array, mean: float, var: float) -> Posterior:
    trust = var / (var + se**2) if var > 0.0 else np.zeros_like(x)
    trust = np.where(np.isinf(se), 0.0, trust)
    sd = np.sqrt(np.where(np.isinf(se), var, trust * np.where(np.isinf(se), 0.0, se) ** 2))
    if var == 0.0:
        w = 1.0 / se**2
        sd = np.full_like(x, 1.0 / np.sqrt(w.sum()) if np.isfinite(w.sum()) and w.sum() > 0.0 else 0.0)
    return Posterior(mean + trust * (x - mean), sd, mean, var)
