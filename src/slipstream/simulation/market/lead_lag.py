"""How far one market's price runs behind, after its own value or after another exchange's price."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import optimize

from slipstream.simulation.market.observed import Observed

Floats = npt.NDArray[np.float64]
STEP_S = 0.1
FURTHEST_S = 3.0
LONGEST_LAG_S = 30.0


class Pursuit(msgspec.Struct, frozen=True, kw_only=True):
    """A value that moves at ``volatility`` (per square root of a second), and a price that follows it, e-fold in
    ``lag_s``: variances of price changes over several intervals determine both.
    """

    volatility: float
    lag_s: float


class LeadLag(msgspec.Struct, frozen=True, kw_only=True):
    """``lag_s``: how long after the anchor's moves the local ones come (positive: the anchor leads), where returns over
    a tenth of a second correlate most. The log premium over the anchor has a mean, a deviation and a memory.
    """

    anchor: str
    lag_s: float
    correlation: float
    correlation_at_once: float
    basis_mean: float
    basis_sd: float
    basis_s: float


def pursuit(intervals_s: npt.ArrayLike, variances: npt.ArrayLike) -> Pursuit:
    """From variances of log-price changes over intervals (not per second).

    A price p that follows a Brownian value v by dp = (v - p) dt / lag changes over t with variance
    sigma^2 (t - lag (1 - exp(-t / lag))). Least squares on logarithms. Raises ValueError if the price never moves.
    """
    t, seen = np.asarray(intervals_s, np.float64), np.asarray(variances, np.float64)
    if not (seen > 0.0).all():
        raise ValueError("the price does not move: there is no volatility to measure")

    def gap(logs: Floats) -> Floats:
        lag = math.exp(logs[1])
        return np.asarray(np.log(seen) - 2.0 * logs[0] - np.log(t + lag * np.expm1(-t / lag)), np.float64)

    start = np.array([0.5 * math.log(seen[-1] / t[-1]), math.log(0.5)])
    low, high = [start[0] - 5.0, math.log(1e-3)], [start[0] + 5.0, math.log(LONGEST_LAG_S)]
    found = optimize.least_squares(gap, start, bounds=(low, high), loss="soft_l1")
    return Pursuit(volatility=math.exp(found.x[0]), lag_s=math.exp(found.x[1]))


def lead_lag(local: Observed, anchor: Observed) -> LeadLag:
    """Where they were seen together. Raises ValueError for less than a minute of that."""
    begin, end = max(local.begin_ns, anchor.begin_ns), min(local.end_ns, anchor.end_ns)
    if end - begin < 60_000_000_000:
        raise ValueError(f"{local.name} and {anchor.name} overlap by {(end - begin) / 1e9:.0f} s: a minute is needed")
    ns = np.arange(begin, end, int(STEP_S * 1e9), dtype=np.int64)
    mine, theirs = np.log(local.mid_at(ns)), np.log(anchor.mid_at(ns))
    shifts = range(-int(FURTHEST_S / STEP_S), int(FURTHEST_S / STEP_S) + 1)
    found = {shift: _correlation(np.diff(mine), np.diff(theirs), shift) for shift in shifts}
    best = max(found, key=lambda shift: found[shift])
    basis = mine - theirs
    centred = basis - basis.mean()
    variance = float(np.mean(centred**2))
    steps = round(1.0 / STEP_S)
    keep = float(np.mean(centred[steps:] * centred[:-steps])) / variance if variance > 0.0 else 0.0
    return LeadLag(
        anchor=anchor.name,
        lag_s=best * STEP_S,
        correlation=found[best],
        correlation_at_once=found[0],
        basis_mean=float(basis.mean()),
        basis_sd=math.sqrt(variance),
        basis_s=1.0 / -math.log(min(max(keep, 1e-6), 1.0 - 1e-6)),
    )


def _correlation(mine: Floats, theirs: Floats, shift: int) -> float:
    """Of my returns with theirs ``shift`` steps before."""
    if shift >= 0:
        mine, theirs = mine[shift:], theirs[: len(theirs) - shift]
    else:
        mine, theirs = mine[:shift], theirs[-shift:]
    size = float(np.sqrt(np.mean(mine**2) * np.mean(theirs**2)))
    return float(np.mean(mine * theirs)) / size if size > 0.0 else 0.0
