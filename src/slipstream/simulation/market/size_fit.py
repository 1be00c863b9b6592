"""Laws of sizes fitted to what was seen: of market orders, and of the resting orders that they traded with.

A log-normal law is fitted and judged; where it does not fit, quantiles are taken as they are, if they also foretell
sizes better that they were not made from. Sizes are in quote currency.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import stats

from slipstream.lob.flow.sizes import checked_quantiles
from slipstream.simulation.market.observed import Observed
from slipstream.simulation.market.terms import Size

Floats = npt.NDArray[np.float64]
Points = tuple[tuple[float, float], ...]
LEAST_SIZES = 20
LEAST_COMPLETE = 50
FOLDS = 5  # parts of the recording, each foretold from the others
REFUSED = 0.01  # p below which log-normal sizes would not show what was seen
BODY, TAIL, TAIL_FROM = 38, 25, 0.95  # quantiles: evenly up to here, then ever closer to the largest


class SizeFit(msgspec.Struct, frozen=True, kw_only=True):
    """A log-normal law, by median and deviation of the logarithm; its Kolmogorov-Smirnov distance from what was seen.

    ``largest``: the 99.9 % quantile of what was seen. ``quantiles``: the law by quantiles of the same. ``foretold``:
    the mean distance of sizes from the log-normal law, and from the law by quantiles, that was fitted to the others.
    """

    median: float
    sigma: float
    distance: float
    p: float
    largest: float
    count: int
    quantiles: Points = ()
    foretold: tuple[float, float] = (0.0, 0.0)

    @property
    def lognormal(self) -> bool:
        """Whether the log-normal law will do: sizes do not refuse it, or it foretells them no worse than quantiles."""
        return not self.quantiles or self.p >= REFUSED or self.foretold[0] <= self.foretold[1]

    @property
    def size(self) -> Size:
        """The law that fits."""
        if self.lognormal:
            return Size.of_median(self.median, self.sigma, self.largest)
        return Size.of_quantiles(self.quantiles)


def fit_sizes(sizes: npt.ArrayLike) -> SizeFit:
    """Both laws, sizes in the order of time. Raises ValueError for fewer than 20 sizes, or one that is not positive."""
    x = np.asarray(sizes, np.float64)
    if len(x) < LEAST_SIZES or not (x > 0.0).all():
        raise ValueError(f"a law of sizes needs at least {LEAST_SIZES} of them, all positive; there are {len(x)}")
    logs = np.log(x)
    mu, sigma = float(logs.mean()), float(logs.std())
    test = stats.kstest(logs, "norm", args=(mu, max(sigma, 1e-12)))
    return SizeFit(
        median=math.exp(mu),
        sigma=sigma,
        distance=float(test.statistic),
        p=float(test.pvalue),
        largest=float(np.quantile(x, 0.999)),
        count=len(x),
        quantiles=quantile_points(x),
        foretold=_foretold(x),
    )


def fit_sides(seen: Observed) -> tuple[SizeFit, SizeFit, SizeFit | None]:
    """The laws of all market orders, of those that buy and of those that sell, in quote currency.

    The last is None, and that of buyers the law of all, unless the two sides' sizes are not of one law (two-sample
    Kolmogorov-Smirnov). Raises ValueError for fewer than 20 orders.
    """
    orders = seen.orders_taken()
    usd = seen.prices(orders["tick"]) * orders["lots"] * seen.grid.lot
    both, buys, sells = fit_sizes(usd), usd[orders["side"] > 0], usd[orders["side"] < 0]
    if min(len(buys), len(sells)) < LEAST_COMPLETE or stats.ks_2samp(buys, sells).pvalue >= REFUSED:
        return both, both, None
    return both, fit_sizes(buys), fit_sizes(sells)


def quantile_points(sizes: Floats, weights: Floats | None = None) -> Points:
    """Points (share, size) of sizes that weigh so much each (None: the same)."""
    order = np.argsort(sizes, kind="stable")
    x = np.log(sizes[order])
    w = np.ones(len(x)) if weights is None else weights[order]
    at = (np.cumsum(w) - 0.5 * w) / w.sum()
    shrink = (2.0 * len(x) * (1.0 - TAIL_FROM)) ** (-1.0 / (TAIL - 1)) if len(x) > 1.0 / (1.0 - TAIL_FROM) else 0.5
    tail = 1.0 - (1.0 - TAIL_FROM) * shrink ** np.arange(TAIL)
    shares = np.concatenate([np.linspace(0.0, TAIL_FROM, BODY, endpoint=False), tail, [1.0]])
    return tuple(
        (float(share), float(size)) for share, size in zip(shares, np.exp(np.interp(shares, at, x)), strict=True)
    )


def share_up_to(points: Points, sizes: Floats) -> Floats:
    """The share of a law by quantiles that is at most each size."""
    shares, steps = checked_quantiles(points)
    logs, x = np.log(steps), np.log(sizes)
    after = np.searchsorted(logs, x, side="right")
    low = np.clip(after - 1, 0, len(logs) - 1)
    high = np.minimum(low + 1, len(logs) - 1)
    width = logs[high] - logs[low]
    way = np.clip(np.where(width > 0.0, (x - logs[low]) / np.where(width > 0.0, width, 1.0), 1.0), 0.0, 1.0)
    return np.where(after == 0, 0.0, shares[low] + way * (shares[high] - shares[low]))


def _foretold(x: Floats) -> tuple[float, float]:
    """The mean distance of each part of the sizes from the laws of the other parts."""
    far = []
    for part in np.array_split(np.arange(len(x)), FOLDS):
        others, mine = np.delete(x, part), np.sort(x[part])
        logs = np.log(others)
        seen = np.searchsorted(mine, mine, side="right") / len(mine)
        normal = stats.norm.cdf(np.log(mine), logs.mean(), max(float(logs.std()), 1e-12))
        steps = share_up_to(quantile_points(others), mine)
        far.append([np.abs(seen - normal).max(), np.abs(seen - steps).max()])
    mean = np.mean(far, axis=0)
    return float(mean[0]), float(mean[1])


def resting_law(seen: Observed) -> Size | None:
    """The law of the orders that takers traded with; None where fewer than 50 were taken whole.

    All prints of a market order but its last are orders that were taken whole; the last took part of one, which was at
    least as large (Kaplan and Meier 1958). What was left of the largest is taken for its size. Orders at the front that
    were taken in part before count as what was left of them, and takers of one block cannot be told apart: a first
    estimate, which `calibration` scales.
    """
    prints, complete = taken_whole(seen)
    if int(complete.sum()) < LEAST_COMPLETE:
        return None
    usd = seen.prices(prints["tick"]) * prints["lots"] * seen.grid.lot
    sizes, weights = _kaplan_meier(usd, complete)
    return Size.of_quantiles(quantile_points(sizes, weights))


def taken_whole(seen: Observed) -> tuple[npt.NDArray[np.void], npt.NDArray[np.bool_]]:
    """Prints by market order, and whether each took a whole resting order: the last one of an order need not have, nor
    one after which the price goes back, since there another order begins.
    """
    rows, starts = seen.takers()
    whole = np.ones(len(rows), bool)
    whole[starts[1:] - 1] = whole[-1:] = False
    whole[:-1] &= np.diff(rows["tick"]) * rows["side"][:-1] >= 0
    return rows, whole


def _kaplan_meier(x: Floats, complete: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Sizes and the probability of each."""
    order = np.lexsort((~complete, x))
    x, complete = x[order], complete[order]
    there = len(x) - np.arange(len(x))
    beyond = np.cumprod(1.0 - complete / there)
    drop = -np.diff(beyond, prepend=1.0)
    drop[-1] += beyond[-1]
    some = drop > 0.0
    return x[some], drop[some]
