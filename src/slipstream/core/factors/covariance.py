"""Covariance of coins from one factor: ``S = beta beta' v + D``, kept in parts, with price, funding and cross terms.

What a position earns over a horizon is its return less its funding, hence
``Cov(r - F) = Cov(r) - Cov(r, F) - Cov(F, r) + Cov(F)``. All in squared return units over ONE horizon.
Reference: mathematical specification, sections 9.4 to 9.6 and 12.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from slipstream.core.factors.market import market_factor
from slipstream.core.portfolio.shrinkage import sample_cov

Array = npt.NDArray[np.float64]


class FactorCovariance(NamedTuple):
    """``beta`` (N,), the factor's variance, and each coin's own variance ``specific`` (N,)."""

    beta: Array
    variance: float
    specific: Array

    def dense(self) -> Array:
        """The whole matrix."""
        out: Array = self.variance * np.outer(self.beta, self.beta)
        out[np.diag_indices_from(out)] += self.specific
        return out

    def of(self, weights: npt.ArrayLike) -> float:
        """Variance of a book, without forming the matrix."""
        w = np.asarray(weights, dtype=np.float64)
        return self.variance * float(w @ self.beta) ** 2 + float(self.specific @ w**2)


class Parts(NamedTuple):
    """Price, funding and cross terms (N, N), and the covariance ``total`` of return less funding."""

    price: Array
    funding: Array
    cross: Array
    total: Array


def factor_covariance(
    returns: npt.ArrayLike, weights: npt.ArrayLike, *, shrink: float = 0.25, floor: float = 1e-8
) -> FactorCovariance:
    """From a window of returns (K, N). Divisors are K - 1 for the factor and K - 2 for what it leaves.

    ``shrink`` draws each coin's own variance to the median of all (30 bars say little about one coin); ``floor`` is
    the least own variance, so that the matrix can be solved with (a coin that did not trade is not riskless). Raises
    ValueError as `market_factor` does, and for a ``shrink`` outside 0 to 1 or a ``floor`` that is not positive.
    """
    if not 0.0 <= shrink <= 1.0 or not floor > 0.0:
        raise ValueError(f"shrink {shrink} must lie between 0 and 1, and floor {floor} above 0")
    found = market_factor(returns, weights)
    bars = len(found.factor)
    if bars < 3:
        raise ValueError(f"{bars} bars are too few for a covariance: at least 3")
    own = (found.residuals**2).sum(axis=0) / (bars - 2)
    own = np.maximum((1.0 - shrink) * own + shrink * float(np.median(own)), floor)
    return FactorCovariance(found.beta, float(found.factor.var(ddof=1)), own)


def price_funding_covariance(returns: npt.ArrayLike, funding: npt.ArrayLike) -> Parts:
    """Sample covariances (divisor K) of returns (K, N) and of the funding paid by longs in the same bars (K, N).

    Raises ValueError for shapes that differ and numbers that are not finite.
    """
    r, f = np.asarray(returns, dtype=np.float64), np.asarray(funding, dtype=np.float64)
    if r.shape != f.shape:
        raise ValueError(f"returns have shape {r.shape}, funding {f.shape}")
    price, paid = sample_cov(r), sample_cov(f)
    cross: Array = (r - r.mean(axis=0)).T @ (f - f.mean(axis=0)) / len(r)
    return Parts(price, paid, cross, price + paid - cross - cross.T)


def with_funding(price: FactorCovariance, returns: npt.ArrayLike, funding: npt.ArrayLike) -> FactorCovariance:
    """The factor model of return less funding: own variances get each coin's funding variance and cross term.

    Funding's variance is some ten-thousandth of the price's; cross terms between different coins are noise in a window
    of 30 bars and are left at 0. Never below a tenth of the price's own variance. Raises ValueError as above.
    """
    r, f = np.asarray(returns, dtype=np.float64), np.asarray(funding, dtype=np.float64)
    if r.shape != f.shape or r.shape[1:] != price.beta.shape:
        raise ValueError(f"returns have shape {r.shape}, funding {f.shape}, betas {price.beta.shape}")
    if not (np.isfinite(r).all() and np.isfinite(f).all()):
        raise ValueError("returns or funding hold NaN or infinity")
    paid = f - f.mean(axis=0)
    change = (paid**2).mean(axis=0) - 2.0 * ((r - r.mean(axis=0)) * paid).mean(axis=0)
    return price._replace(specific=np.maximum(price.specific + change, 0.1 * price.specific))
