"""What a series of simple returns per period was worth. Losses are positive numbers.

Reference: mathematical specification, section 11. ``ann`` is the number of periods in a year.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri  # as scipy.stats has it, which takes seconds to import, in each of a sweep's workers

Array = npt.NDArray[np.float64]


class Drawdown(NamedTuple):
    """The deepest fall of wealth: fraction lost, places of peak and trough (0: the first period; -1: the start)."""

    depth: float
    peak: int
    trough: int
    recovered: bool


class Performance(NamedTuple):
    """The usual figures of a series. ``None`` where a figure is not defined (no spread, no fall)."""

    n: int
    mean: float
    sd: float
    sharpe: float | None
    sortino: float | None
    total_return: float
    cagr: float
    vol_ann: float
    max_drawdown: float
    calmar: float | None
    var95: float
    cvar95: float
    hit: float


def series(returns: npt.ArrayLike, least: int = 2) -> Array:
    """The returns as checked floats. Raises ValueError: not one-dimensional, too few, not finite."""
    r = np.asarray(returns, dtype=np.float64)
    if r.ndim != 1 or r.size < least:
        raise ValueError(f"returns of shape {r.shape}: a series of at least {least} is needed")
    if not np.isfinite(r).all():
        raise ValueError(f"return {int(np.flatnonzero(~np.isfinite(r))[0])} is not a finite number")
    return r


def sharpe(returns: npt.ArrayLike, ann: float) -> float | None:
    """Mean over standard deviation (ddof 1), per year."""
    r = series(returns)
    sd = float(r.std(ddof=1))
    return float(r.mean()) / sd * math.sqrt(ann) if sd > 0.0 else None


def sortino(returns: npt.ArrayLike, ann: float, target: float = 0.0) -> float | None:
    """Mean over downside deviation; the deviation's mean is over all periods, not the losing ones."""
    r = series(returns)
    down = math.sqrt(float(np.mean(np.minimum(r - target, 0.0) ** 2)))
    return float(r.mean() - target) / down * math.sqrt(ann) if down > 0.0 else None


def drawdown(returns: npt.ArrayLike) -> Drawdown:
    """Deepest fall of compounded wealth, the starting 1 included."""
    wealth = np.concatenate([[1.0], np.cumprod(1.0 + series(returns, 1))])
    peaks = np.maximum.accumulate(wealth)
    falls = 1.0 - wealth / peaks
    trough = int(falls.argmax())
    peak = int(wealth[: trough + 1].argmax())
    return Drawdown(
        float(falls[trough]), peak - 1, trough - 1, bool((wealth[trough:] >= wealth[peak]).any()) or falls[trough] == 0
    )


def value_at_risk(returns: npt.ArrayLike, level: float = 0.95) -> float:
    """Historical: the ``ceil(level n)``-th smallest loss, without interpolation."""
    losses = np.sort(-series(returns, 1))
    # 0.95 x 60 is 57.000000000000001 in some orders of evaluation: the tail is counted from the other end
    return float(losses[math.ceil(round(level * losses.size, 9)) - 1])


def expected_shortfall(returns: npt.ArrayLike, level: float = 0.95) -> float:
    """Rockafellar-Uryasev: ``VaR + mean((loss - VaR)+) / (1 - level)``."""
    r = series(returns, 1)
    at_risk = value_at_risk(r, level)
    return at_risk + float(np.maximum(-r - at_risk, 0.0).mean()) / (1.0 - level)


def normal_value_at_risk(returns: npt.ArrayLike, level: float = 0.95) -> float:
    """As if returns were normal with their own mean and standard deviation (ddof 1)."""
    r = series(returns)
    return float(ndtri(level)) * float(r.std(ddof=1)) - float(r.mean())


def normal_expected_shortfall(returns: npt.ArrayLike, level: float = 0.95) -> float:
    """Mean loss beyond `normal_value_at_risk`."""
    r = series(returns)
    z = float(ndtri(level))
    density = math.exp(-z * z / 2.0) / math.sqrt(2.0 * math.pi)
    return density / (1.0 - level) * float(r.std(ddof=1)) - float(r.mean())


def cornish_fisher_value_at_risk(returns: npt.ArrayLike, level: float = 0.95) -> float:
    """`normal_value_at_risk` with the quantile bent by the losses' skew and excess kurtosis (divisor n).

    The expansion is not monotone for strong skew or fat tails: then trust `value_at_risk` instead.
    """
    r = series(returns)
    centred: Array = r - r.mean()
    power = float((centred**2).mean())
    if power <= 0.0:
        return -float(r.mean())
    skew = -float((centred**3).mean()) / power**1.5  # of losses
    excess = float((centred**4).mean()) / power**2 - 3.0
    z = float(ndtri(level))
    bent = z + (z * z - 1.0) * skew / 6.0 + (z**3 - 3.0 * z) * excess / 24.0
    bent -= (2.0 * z**3 - 5.0 * z) * skew * skew / 36.0
    return float(bent * r.std(ddof=1) - r.mean())


def sharpe_error(returns: npt.ArrayLike, ann: float) -> float | None:
    """Standard error of `sharpe` for independent normal returns (Lo 2002): sqrt((1 + SR1^2 / 2) / n ann)."""
    r = series(returns)
    ratio = sharpe(r, 1.0)
    return None if ratio is None else math.sqrt((1.0 + 0.5 * ratio * ratio) / r.size * ann)


def profit_factor(returns: npt.ArrayLike) -> float | None:
    """Sum of gains over sum of losses; None where nothing was lost."""
    r = series(returns, 1)
    lost = -float(r[r < 0.0].sum())
    return float(r[r > 0.0].sum()) / lost if lost > 0.0 else None


def dollar_drawdown(pnl: npt.ArrayLike) -> float:
    """Deepest fall of summed profits (USD), the starting 0 included: for books that do not compound."""
    path = np.concatenate([[0.0], np.cumsum(series(pnl, 1))])
    return float((np.maximum.accumulate(path) - path).max())


def performance(returns: npt.ArrayLike, ann: float) -> Performance:
    """All figures of a series at once."""
    r = series(returns)
    wealth = float(np.prod(1.0 + r))
    cagr = wealth ** (ann / r.size) - 1.0 if wealth > 0.0 else -1.0
    fall = drawdown(r).depth
    sd = float(r.std(ddof=1))
    return Performance(
        n=r.size,
        mean=float(r.mean()),
        sd=sd,
        sharpe=sharpe(r, ann),
        sortino=sortino(r, ann),
        total_return=wealth - 1.0,
        cagr=cagr,
        vol_ann=sd * math.sqrt(ann),
        max_drawdown=fall,
        calmar=cagr / fall if fall > 0.0 else None,
        var95=value_at_risk(r),
        cvar95=expected_shortfall(r),
        hit=float((r > 0.0).mean()),
    )
