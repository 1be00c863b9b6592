"""Figures of a series of returns with the intervals that resampling gives them, and what they prove."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
from scipy import stats

from slipstream.core.stats import performance as perf
from slipstream.core.stats.bootstrap import block_length, many_indices
from slipstream.core.stats.hac import hac_mean
from slipstream.core.stats.performance import Array
from slipstream.core.stats.sharpe import lo_scaling, minimum_track_record, probabilistic_sharpe

DRAWS = 1000
LEVEL = 0.95
LEAST = 8  # periods below which nothing is resampled
TAIL = 0.95


class Ratio(msgspec.Struct, frozen=True):
    """A figure with its 95 % interval; None where it is not defined. ``unit``: ratio, share (of 1) or usd."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    meaning: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a series proves of its mean. ``needed``: periods until 95 % are sure of a Sharpe ratio above 0."""

    periods: int
    mean: float
    t: float | None
    p: float | None
    lags: int
    block: float
    probability: float | None
    needed: float | None
    skew: float
    kurtosis: float
    week_scaling: float | None


def resamples(returns: Array, rng: np.random.Generator, draws: int = DRAWS) -> tuple[Array, float]:
    """Series resampled in blocks (draws by periods), and the blocks' mean length.

    The length is the longer of those that suit the returns and their squares: volatility lasts longer than direction.
    """
    block = max(block_length(returns).stationary, block_length(returns**2).stationary)
    return returns[many_indices(returns.size, block, draws, rng)], block


# ---- figures of many series at once: each takes (draws, periods) and gives (draws,), NaN where not defined -----------


def _sharpes(r: Array, ann: float) -> Array:
    sd = r.std(axis=1, ddof=1)
    out: Array = np.where(sd > 0.0, r.mean(axis=1) / np.where(sd > 0.0, sd, 1.0) * math.sqrt(ann), np.nan)
    return out


def _sortinos(r: Array, ann: float) -> Array:
    down = np.sqrt((np.minimum(r, 0.0) ** 2).mean(axis=1))
    out: Array = np.where(down > 0.0, r.mean(axis=1) / np.where(down > 0.0, down, 1.0) * math.sqrt(ann), np.nan)
    return out


def _falls(r: Array, ann: float) -> Array:
    wealth = np.cumprod(1.0 + r, axis=1)
    peaks = np.maximum(np.maximum.accumulate(wealth, axis=1), 1.0)
    out: Array = (1.0 - wealth / peaks).max(axis=1)
    return out


def _growths(r: Array, ann: float) -> Array:
    wealth = np.maximum(np.prod(1.0 + r, axis=1), 0.0)
    with np.errstate(over="ignore"):
        out: Array = wealth ** (ann / r.shape[1]) - 1.0
    return out


def _calmars(r: Array, ann: float) -> Array:
    falls = _falls(r, ann)
    out: Array = np.where(falls > 0.0, _growths(r, ann) / np.where(falls > 0.0, falls, 1.0), np.nan)
    return out


def _tails(r: Array, ann: float) -> Array:
    losses = np.sort(-r, axis=1)
    out: Array = losses[:, math.ceil(round(TAIL * losses.shape[1], 9)) - 1]
    return out


def _shortfalls(r: Array, ann: float) -> Array:
    at_risk = _tails(r, ann)
    out: Array = at_risk + np.maximum(-r - at_risk[:, None], 0.0).mean(axis=1) / (1.0 - TAIL)
    return out


def _totals(r: Array, ann: float) -> Array:
    out: Array = np.prod(1.0 + r, axis=1) - 1.0
    return out


def _vols(r: Array, ann: float) -> Array:
    out: Array = r.std(axis=1, ddof=1) * math.sqrt(ann)
    return out


Figure = Callable[[Array, float], Array]
FIGURES: tuple[tuple[str, Figure, str, str], ...] = (
    ("Total return", _totals, "share", "compounded, after all costs"),
    ("Return a year", _growths, "share", "compounded growth, extrapolated if the record is shorter"),
    ("Volatility a year", _vols, "share", "standard deviation of returns"),
    ("Sharpe ratio", _sharpes, "ratio", "mean over standard deviation, a year"),
    ("Sortino ratio", _sortinos, "ratio", "mean over downside deviation (over all periods), a year"),
    ("Calmar ratio", _calmars, "ratio", "return a year over deepest drawdown"),
    ("Max drawdown", _falls, "share", "deepest fall of equity from a peak"),
    ("VaR 95 %", _tails, "share", "loss of one period that 5 % of periods exceed, historical"),
    ("CVaR 95 %", _shortfalls, "share", "mean loss in the worst 5 % of periods"),
)


def ratios(returns: Array, ann: float, rng: np.random.Generator) -> tuple[list[Ratio], Array | None, float]:
    """Every figure with its interval, the resampled series (None if too few periods), and the mean block length."""
    if returns.size < 2:
        return [Ratio(name, None, None, None, unit, meaning) for name, _, unit, meaning in FIGURES], None, 0.0
    drawn, block = resamples(returns, rng) if returns.size >= LEAST else (None, 0.0)
    found = []
    for name, figure, unit, meaning in FIGURES:
        value = _finite(float(figure(returns[None, :], ann)[0]))
        low, high = (None, None) if drawn is None else bounds(figure(drawn, ann))
        found.append(Ratio(name, value, low, high, unit, meaning))
    return found, drawn, block


def bounds(values: Array) -> tuple[float | None, float | None]:
    """The percentile interval; none where a twentieth of the draws or more is not defined."""
    good = values[np.isfinite(values)]
    if good.size <= 0.95 * values.size:
        return None, None
    low, high = np.quantile(good, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return float(low), float(high)


def evidence(returns: Array, ann: float, block: float) -> Evidence | None:
    """Tests of the mean; None below 2 periods."""
    n = returns.size
    if n < 2:
        return None
    mean, spread = hac_mean(returns), float(returns.std())
    skew, kurtosis = (
        (float(stats.skew(returns)), float(stats.kurtosis(returns, fisher=False))) if spread else (0.0, 3.0)
    )
    ratio = perf.sharpe(returns, 1.0)
    probability = needed = week = None
    if ratio is not None:
        try:
            probability = probabilistic_sharpe(ratio, 0.0, n, skew, kurtosis)
            needed = _finite(minimum_track_record(ratio, 0.0, 0.95, skew, kurtosis))
        except ValueError:  # moments that no distribution has: the series is too short to tell
            probability = needed = None
    q = round(ann * 7.0 / 365.0)
    if 2 <= q <= n // 4 and spread:
        try:
            week = lo_scaling(returns, q) / math.sqrt(q)
        except ValueError:  # autocorrelations of a short series can add up to a negative variance
            week = None
    t = _finite(mean.t)
    return Evidence(
        periods=n,
        mean=mean.mean,
        t=t,
        p=float(2.0 * stats.t.sf(abs(t), n - 1)) if t is not None and spread else None,
        lags=mean.lags,
        block=block,
        probability=probability,
        needed=needed,
        skew=skew,
        kurtosis=kurtosis,
        week_scaling=week,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
