"""Sizes of orders, in whole lots: log-normal by mean and coefficient of variation, or by quantiles.

A law by quantiles is a row of points (share, size): so large a share of sizes is at most that. Between two points sizes
are drawn log-uniformly; two points with one size are sizes that are all the same, such as a venue's least order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numba import njit

from slipstream.lob.flow.draws import lognormal, uniform
from slipstream.lob.flow.record import QUANTILES, SIZE_DTYPE

Points = Sequence[tuple[float, float]]


def size_terms(mean: float, cv: float, *, cap: float = 0.0, quote: bool = False, quantiles: Points = ()) -> Any:
    """A SIZE record: s^2 = ln(1 + cv^2), mu = ln mean - s^2 / 2. A ``cv`` of 0 is a constant size.

    ``mean``, ``cap`` and the sizes of ``quantiles`` are lots, or quote currency if ``quote``; where there are quantiles
    they alone count. Raises ValueError on figures that are no sizes.
    """
    if not mean > 0.0 or not cv >= 0.0 or not cap >= 0.0 or not math.isfinite(mean + cv + cap):
        raise ValueError(f"a size needs a positive mean, and cv and cap of at least 0, not {mean}, {cv} and {cap}")
    variance = math.log1p(cv * cv)
    terms = np.zeros(1, SIZE_DTYPE)[0]
    terms["mu"], terms["sigma"] = math.log(mean) - variance / 2.0, math.sqrt(variance)
    terms["cap"], terms["quote"] = cap, int(quote)
    if quantiles:
        shares, sizes = checked_quantiles(quantiles)
        n = len(shares)
        terms["points"] = n
        terms["shares"][:n], terms["logs"][:n] = shares, np.log(sizes)
    return terms


def checked_quantiles(quantiles: Points) -> tuple[Any, Any]:
    """Shares and sizes. Raises ValueError that names the point that is wrong."""
    points = np.asarray(quantiles, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not 2 <= len(points) <= QUANTILES:
        raise ValueError(f"quantiles of a size: give 2 to {QUANTILES} points (share, size), not shape {points.shape}")
    shares, sizes = points[:, 0], points[:, 1]
    if shares[0] != 0.0 or shares[-1] != 1.0:
        raise ValueError(f"quantiles of a size go from share 0 to share 1, not from {shares[0]} to {shares[-1]}")
    wrong = np.flatnonzero(~(np.isfinite(sizes) & (sizes > 0.0)))
    if len(wrong):
        raise ValueError(f"quantile {wrong[0]} of a size is {sizes[wrong[0]]}: it must be a positive number")
    back = np.flatnonzero(~(np.diff(shares) > 0.0) | (np.diff(sizes) < 0.0))
    if len(back):
        raise ValueError(f"quantile {back[0] + 1} of a size: shares must grow and sizes must not fall")
    return shares, sizes


def quantile_mean(quantiles: Points) -> float:
    """The mean of a law by quantiles: (b - a) / ln(b / a) between two points. Raises ValueError."""
    shares, sizes = checked_quantiles(quantiles)
    low, high = sizes[:-1], sizes[1:]
    ratio = np.log(high / low)
    means = np.where(ratio > 1e-9, (high - low) / np.maximum(ratio, 1e-9), low)
    return float(np.diff(shares) @ means)


def rounded_mean(mean: float, cv: float, lot: float) -> float:
    """The mean of a log-normal size once it is rounded to the nearest lot, at least one: rounding moves it.

    E = lot (sum over k >= 1 of P(X >= (k - 1/2) lot) + P(X < lot / 2)).
    """
    terms = size_terms(mean, cv)
    mu, sigma = float(terms["mu"]), float(terms["sigma"])
    if sigma == 0.0:
        return max(1.0, math.floor(mean / lot + 0.5)) * lot
    law = NormalDist(mu, sigma)
    total, k, tail = law.cdf(math.log(0.5 * lot)), 1, 1.0
    while tail > 1e-13 and k < 10_000_000:
        tail = 1.0 - law.cdf(math.log((k - 0.5) * lot))
        total += tail
        k += 1
    return total * lot


@njit(cache=True)
def amount(s: Any, size: Any) -> float:
    """A size before it is cut and rounded, in its own unit."""
    if size.points == 0:
        return lognormal(s, size.mu, size.sigma)
    u = uniform(s)
    low = 1
    high = size.points - 1
    while low < high:  # the first point whose share is at least u
        middle = (low + high) >> 1
        if size.shares[middle] >= u:
            high = middle
        else:
            low = middle + 1
    way = (u - size.shares[low - 1]) / (size.shares[low] - size.shares[low - 1])
    return math.exp(size.logs[low - 1] + way * (size.logs[low] - size.logs[low - 1]))


@njit(cache=True)
def lots(s: Any, size: Any, unit: float) -> int:
    """A size in lots; ``unit`` is the quote currency in one lot at the price of the moment."""
    much = amount(s, size)
    if size.cap > 0.0:
        much = min(much, size.cap)
    if size.quote != 0:
        much /= unit
    return max(1, int(min(much, 1e12) + 0.5))
