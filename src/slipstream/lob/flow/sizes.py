"""Sizes of orders: log-normal, given by mean and coefficient of variation (deviation over mean), in whole lots."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from numba import njit

from slipstream.lob.flow.draws import lognormal
from slipstream.lob.flow.record import SIZE_DTYPE


def size_terms(mean: float, cv: float, *, cap: float = 0.0, quote: bool = False) -> Any:
    """A SIZE record: s^2 = ln(1 + cv^2), mu = ln mean - s^2 / 2. A ``cv`` of 0 is a constant size.

    ``mean`` and ``cap`` are lots, or quote currency if ``quote``. Raises ValueError on figures that are no sizes.
    """
    if not mean > 0.0 or not cv >= 0.0 or not cap >= 0.0 or not math.isfinite(mean + cv + cap):
        raise ValueError(f"a size needs a positive mean, and cv and cap of at least 0, not {mean}, {cv} and {cap}")
    variance = math.log1p(cv * cv)
    terms = np.zeros(1, SIZE_DTYPE)[0]
    terms["mu"], terms["sigma"] = math.log(mean) - variance / 2.0, math.sqrt(variance)
    terms["cap"], terms["quote"] = cap, int(quote)
    return terms


def rounded_mean(mean: float, cv: float, lot: float) -> float:
    """The mean of such a size once it is rounded to the nearest lot, at least one: rounding moves it.

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
def lots(s: Any, size: Any, unit: float) -> int:
    """A size in lots; ``unit`` is the quote currency in one lot at the price of the moment."""
    amount = lognormal(s, size.mu, size.sigma)
    if size.cap > 0.0:
        amount = min(amount, size.cap)
    if size.quote != 0:
        amount /= unit
    return max(1, int(min(amount, 1e12) + 0.5))
