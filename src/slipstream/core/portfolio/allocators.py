"""How to share one unit of capital, given a covariance: weights sum to one.

Inputs are checked once: a covariance is square, symmetric, finite, with a positive diagonal; else ValueError.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

NEWTON_STEPS = 100


def _checked(cov: npt.ArrayLike) -> Array:
    c = np.asarray(cov, dtype=np.float64)
    if c.ndim != 2 or c.shape[0] != c.shape[1] or c.shape[0] == 0:
        raise ValueError(f"a covariance is a square matrix, this has shape {c.shape}")
    if not np.isfinite(c).all() or not np.allclose(c, c.T, rtol=1e-9, atol=0.0):
        raise ValueError("a covariance is finite and symmetric, this one is not")
    if (np.diag(c) <= 0.0).any():
        raise ValueError("a covariance has a positive diagonal; floor variances of zero first")
    return c


def inverse_vol(cov: npt.ArrayLike) -> Array:
    """Weights in inverse proportion to standard deviation."""
    raw = 1.0 / np.sqrt(np.diag(_checked(cov)))
    weights: Array = raw / raw.sum()
    return weights


def min_variance(cov: npt.ArrayLike) -> Array:
    """S^-1 1 / 1'S^-1 1: least variance, weights of any sign. Raises LinAlgError for a singular covariance."""
    c = _checked(cov)
    raw = np.linalg.solve(c, np.ones(c.shape[0]))
    weights: Array = raw / raw.sum()
    return weights


def tangency(cov: npt.ArrayLike, mean: npt.ArrayLike) -> Array:
    """S^-1 mu / 1'S^-1 mu: the greatest Sharpe ratio, weights of any sign.

    Raises ValueError where S^-1 mu sums to nothing positive (then no such portfolio exists).
    """
    raw: Array = np.linalg.solve(_checked(cov), np.asarray(mean, dtype=np.float64)).astype(np.float64)
    total = float(raw.sum())
    if total <= 0.0:
        raise ValueError("no tangency portfolio: S^-1 mu does not sum to a positive number")
    weights: Array = raw / total
    return weights


def equal_risk(cov: npt.ArrayLike, budgets: npt.ArrayLike | None = None) -> Array:
    """Equal (or budgeted) risk contributions, all positive: w_i (S w)_i in proportion to the budgets.

    Damped Newton on y'Sy/2 - sum b ln y in correlation units, where the Hessian is well scaled (Spinu 2013).
    """
    c = _checked(cov)
    sd = np.sqrt(np.diag(c))
    corr = c / np.outer(sd, sd)
    b: Array = np.full(sd.size, 1.0 / sd.size) if budgets is None else np.asarray(budgets, dtype=np.float64)
    if b.shape != sd.shape or (b <= 0.0).any():
        raise ValueError("risk budgets must be positive, one for each asset")
    b = np.asarray(b / b.sum(), dtype=np.float64)
    y: Array = np.sqrt(b / max(1.0, float(corr.sum(axis=1).max())))
    for _ in range(NEWTON_STEPS):
        gradient = corr @ y - b / y
        step = np.linalg.solve(corr + np.diag(b / y**2), gradient)
        size = float(np.sqrt(max(0.0, gradient @ step)))
        # the function is self-concordant: this damping cannot leave the domain
        scale = float(np.sqrt(b.min()))
        damping = 1.0 if size < 0.3 * scale else 1.0 / (1.0 + size / scale)
        y = np.asarray(y - damping * step, dtype=np.float64)
        if size < 1e-15:
            break
    raw = y / sd
    weights: Array = raw / raw.sum()
    return weights


def risk_shares(cov: npt.ArrayLike, weights: npt.ArrayLike) -> Array:
    """The share of the variance that each weight contributes; they sum to one."""
    w = np.asarray(weights, dtype=np.float64)
    part = w * (_checked(cov) @ w)
    shares: Array = part / part.sum()
    return shares


def single_linkage_order(cov: npt.ArrayLike) -> list[int]:
    """Leaves of the single-linkage tree, neighbours together (Lopez de Prado 2016).

    Correlation distance sqrt((1 - rho) / 2), clustered by the Euclidean distance between columns of that matrix.
    """
    c = _checked(cov)
    n = c.shape[0]
    sd = np.sqrt(np.diag(c))
    apart = np.sqrt(np.maximum(0.0, (1.0 - c / np.outer(sd, sd)) / 2.0))
    between = np.sqrt(((apart[:, :, None] - apart[:, None, :]) ** 2).sum(axis=0))
    clusters: list[tuple[int, list[int]]] = [(i, [i]) for i in range(n)]  # (label, leaves): labels grow as in a tree
    label = n
    while len(clusters) > 1:
        _, left, right = min(
            (float(between[np.ix_(clusters[i][1], clusters[j][1])].min()), i, j)
            for i in range(len(clusters))
            for j in range(i + 1, len(clusters))
        )
        first, second = sorted((clusters[left], clusters[right]))
        clusters = [one for place, one in enumerate(clusters) if place not in (left, right)]
        clusters.append((label, first[1] + second[1]))
        label += 1
    return clusters[0][1]


def hierarchical_risk_parity(cov: npt.ArrayLike) -> Array:
    """Recursive bisection of the quasi-diagonal order, inverse-variance weights within a cluster; all positive."""
    c = _checked(cov)
    weights: Array = np.ones(c.shape[0])
    open_: list[list[int]] = [single_linkage_order(c)]
    while open_:
        part = open_.pop()
        if len(part) < 2:
            continue
        halves = part[: len(part) // 2], part[len(part) // 2 :]
        left, right = (_cluster_variance(c, half) for half in halves)
        weights[halves[0]] *= right / (left + right)
        weights[halves[1]] *= left / (left + right)
        open_.extend(halves)
    return weights


def _cluster_variance(cov: Array, members: list[int]) -> float:
    block = cov[np.ix_(members, members)]
    raw = 1.0 / np.diag(block)
    w = raw / raw.sum()
    return float(w @ block @ w)
