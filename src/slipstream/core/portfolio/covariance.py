"""Covariance as the optimisers take it: loadings times loadings plus a diagonal; dense matrices are brought to that.

``S = B B' + diag d`` with every d > 0, in units of squared returns over one holding period.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

Array = npt.NDArray[np.float64]

LEAST = (
    1e-12  # smallest eigenvalue over the largest, in units of each asset's own variance, that still counts as regular
)


class SingularCovariance(ValueError):
    """A covariance that some portfolio of non-zero weights has no variance under, or negative variance."""


@dataclass(frozen=True)
class FactorCovariance:
    """``loadings`` (N, K) and ``specific`` (N,) variances, all positive. Raises ValueError, SingularCovariance."""

    loadings: Array
    specific: Array

    def __post_init__(self) -> None:
        if self.loadings.ndim != 2 or self.specific.shape != self.loadings.shape[:1]:
            raise ValueError(
                f"factor covariance: loadings {self.loadings.shape} must be (N, K), specific {self.specific.shape} (N,)"
            )
        if not (np.isfinite(self.loadings).all() and np.isfinite(self.specific).all()):
            raise ValueError("factor covariance holds NaN or infinity: drop the assets that lack an estimate")
        if self.specific.size and not (self.specific > 0.0).all():
            place = int(np.flatnonzero(~(self.specific > 0.0))[0])
            raise SingularCovariance(f"specific variance of asset {place} is {self.specific[place]:g}: must be above 0")

    def __len__(self) -> int:
        return int(self.specific.size)

    def dense(self) -> Array:
        """The N x N matrix."""
        whole: Array = self.loadings @ self.loadings.T + np.diag(self.specific)
        return whole

    def times(self, weights: Array) -> Array:
        """S w."""
        product: Array = self.loadings @ (self.loadings.T @ weights) + self.specific * weights
        return product

    def solve(self, right: Array) -> Array:
        """S^-1 right, (N,) or (N, m), by the Woodbury identity."""
        scaled = self.loadings / self.specific[:, None]
        inner = np.eye(self.loadings.shape[1]) + self.loadings.T @ scaled
        own = (right.T / self.specific).T
        answer: Array = own - scaled @ cho_solve(cho_factor(inner), self.loadings.T @ own)
        return answer


def checked(S: npt.ArrayLike) -> Array:
    """A square, finite, symmetric matrix as an array. Raises ValueError."""
    s = np.asarray(S, dtype=np.float64)
    if s.ndim != 2 or s.shape[0] != s.shape[1]:
        raise ValueError(f"covariance must be a square matrix, has shape {s.shape}")
    if not np.isfinite(s).all():
        row, column = np.argwhere(~np.isfinite(s))[0]
        raise ValueError(f"covariance holds {s[row, column]} at ({row}, {column}): align and drop such assets first")
    gap = np.abs(s - s.T)
    if s.size and gap.max() > 1e-8 * np.abs(s).max():
        row, column = np.unravel_index(int(gap.argmax()), gap.shape)
        raise ValueError(f"covariance is not symmetric: ({row}, {column}) differs from ({column}, {row})")
    symmetric: Array = 0.5 * (s + s.T)
    return symmetric


def factorised(S: npt.ArrayLike | FactorCovariance) -> FactorCovariance:
    """The covariance as loadings and a diagonal; exact up to rounding.

    The diagonal is the smallest eigenvalue of the correlations, times each variance; or that of S itself where this
    takes fewer factors, as after shrinkage towards the identity. Raises ValueError, SingularCovariance.
    """
    if isinstance(S, FactorCovariance):
        return S
    s = checked(S)
    variances = np.diag(s)
    if not (variances > 0.0).all():
        place = int(np.flatnonzero(~(variances > 0.0))[0])
        raise SingularCovariance(f"asset {place} has variance {variances[place]:g}: must be above 0")
    sd = np.sqrt(variances)
    values, vectors = np.linalg.eigh(s / np.outer(sd, sd))
    if values[0] < LEAST * values[-1]:
        raise SingularCovariance(
            f"covariance is singular: its correlations' eigenvalues run from {values[0]:.3g} to {values[-1]:.3g}. "
            "Shrink it (slipstream.core.portfolio.shrinkage) or use a factor model"
        )
    scale = sd
    plain, turned = np.linalg.eigh(s)
    if plain[0] > 0.0 and _many(plain) < _many(values):
        values, vectors, scale = plain, turned, np.ones_like(sd)
    # the smallest eigenvalue is the diagonal's; directions that have no more than it need no factor
    kept = values > values[0] * (1.0 + 1e-9)
    loadings = scale[:, None] * vectors[:, kept] * np.sqrt(values[kept] - values[0])
    return FactorCovariance(np.ascontiguousarray(loadings), scale**2 * values[0])


def _many(values: Array) -> int:
    return int((values > values[0] * (1.0 + 1e-9)).sum())
