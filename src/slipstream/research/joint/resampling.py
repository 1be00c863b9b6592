"""Intervals by resampling calendar weeks: the SAME weeks for every horizon, so that what they share cancels.

A week is longer than any horizon here and holds its own autocorrelation; coins of one week stay together. A draw is how
often each week occurs in it, so every figure that is made of weekly sums follows by one matrix product.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from slipstream.core.stats.bootstrap import Interval
from slipstream.research.joint.models import Weekly

Array = npt.NDArray[np.float64]
LEAST_WEEKS = 8


def week_draws(used: npt.NDArray[np.bool_], draws: int, rng: np.random.Generator) -> Array:
    """How often each week occurs, (draws, weeks); only ``used`` weeks do. ValueError: under 8 weeks, or no draw."""
    count = int(used.sum())
    if count < LEAST_WEEKS:
        raise ValueError(f"{count} weeks of tests are too few to resample: at least {LEAST_WEEKS}; give more history")
    if draws < 1:
        raise ValueError(f"{draws} resamples: at least 1 is needed")
    counts = np.zeros((draws, len(used)))
    counts[:, used] = rng.multinomial(count, np.full(count, 1.0 / count), size=draws)
    return counts


def r2_interval(scores: Weekly, counts: Array, level: float = 0.95) -> Interval:
    """R² with its percentile interval; all NaN where nothing varied."""
    errors, spread = counts @ scores.errors, counts @ scores.spread
    drawn = 1.0 - errors[spread > 0.0] / spread[spread > 0.0]
    if drawn.size == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(drawn, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(scores.r2, float(low), float(high))


class Choice(NamedTuple):
    """Which of several weekly profits to believe. ``ratio`` is per year; ``p_value`` is corrected for the choice among
    all; ``best_share`` how often each was the best; ``behind`` its ratio less the best one's, with an interval.
    """

    ratio: tuple[Interval, ...]
    p_value: tuple[float, ...]
    best_share: tuple[float, ...]
    behind: tuple[Interval, ...]
    best: int


def choose(profits: Array, counts: Array, level: float = 0.95) -> Choice:
    """Of weekly profits (weeks, cases), zero in weeks that no draw uses.

    The test is White's reality check with studentised means (Romano and Wolf 2005, one step): the chance that the best
    of cases WITHOUT profit would show as great a t value as each one's. Raises ValueError for a case that never varies.
    """
    used = counts.sum(axis=0) > 0
    x = profits[used]
    if not (x.std(axis=0) > 0.0).all():
        raise ValueError("a horizon has no profit or loss in any week: no book could be formed; see its eligible coins")
    n, weights = len(x), counts[:, used]
    year = 365.0 / 7.0

    def moments(w: Array) -> tuple[Array, Array]:
        mean = w @ x / n
        return mean, np.sqrt(np.maximum(w @ x**2 / n - mean**2, 1e-300) * n / (n - 1))

    (mean,), (sd,) = moments(np.ones((1, n)))
    drawn_mean, drawn_sd = moments(weights)
    ratio, drawn = mean / sd * np.sqrt(year), drawn_mean / drawn_sd * np.sqrt(year)
    t = mean / sd * np.sqrt(n)
    under_null = ((drawn_mean - mean) / drawn_sd * np.sqrt(n)).max(axis=1)
    best = int(ratio.argmax())
    bounds = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]

    def interval(estimate: float, values: Array) -> Interval:
        low, high = np.quantile(values, bounds)
        return Interval(float(estimate), float(low), float(high))

    cases = range(x.shape[1])
    share = np.bincount(drawn.argmax(axis=1), minlength=x.shape[1]) / len(drawn)
    return Choice(
        ratio=tuple(interval(ratio[j], drawn[:, j]) for j in cases),
        p_value=tuple(float((1 + (under_null >= t[j]).sum()) / (1 + len(under_null))) for j in cases),
        best_share=tuple(float(part) for part in share),
        behind=tuple(interval(ratio[j] - ratio[best], drawn[:, j] - drawn[:, best]) for j in cases),
        best=best,
    )
