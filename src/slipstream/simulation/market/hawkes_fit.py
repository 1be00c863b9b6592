"""Maximum-likelihood fit of a Hawkes process to arrivals, with errors, and tests of whether it describes them.

Mathematical specification, 8.1. The search runs on logarithms of the parameters with the exact gradient, from several
starts. Standard errors come from the observed information (the likelihood's curvature where the search ended).
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from slipstream.lob.flow.hawkes import MAX_KINDS, checked, spectral_radius
from slipstream.lob.flow.likelihood import compensators, log_likelihood

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LEAST_ARRIVALS = 20  # of each kind
NEGLIGIBLE = 1e-6  # a branching ratio below this is none: how fast it fades cannot be known
MEMORIES = (0.3, 3.0, 30.0)  # starts: excitement lasts as long as so many mean gaps between arrivals
BRANCHINGS = (0.2, 0.6)


class Goodness(msgspec.Struct, frozen=True):
    """Kolmogorov-Smirnov of the residuals of one kind against exponentials of mean 1.

    ``tied`` is the share of arrivals at the time of the arrival before: a continuous process has none.
    """

    distance: float
    p: float
    mean: float
    tied: float


class HawkesFit(msgspec.Struct, frozen=True, kw_only=True):
    """A fitted process, per second. Standard errors are None where a parameter has no effect that could be measured.

    ``gain`` is twice the log-likelihood gained over Poisson arrivals at the mean rates.
    """

    mu: tuple[float, ...]
    alpha: tuple[tuple[float, ...], ...]
    beta: tuple[tuple[float, ...], ...]
    mu_error: tuple[float | None, ...]
    alpha_error: tuple[tuple[float | None, ...], ...]
    beta_error: tuple[tuple[float | None, ...], ...]
    counts: tuple[int, ...]
    horizon_s: float
    log_likelihood: float
    poisson_log_likelihood: float
    radius: float
    goodness: tuple[Goodness, ...]
    poisson_goodness: tuple[Goodness, ...]
    converged: bool

    @property
    def gain(self) -> float:
        """Twice the log-likelihood ratio against Poisson."""
        return 2.0 * (self.log_likelihood - self.poisson_log_likelihood)

    @property
    def prefers_hawkes(self) -> bool:
        """Whether Akaike's criterion takes the 2 d^2 more parameters for worth their while."""
        return self.gain > 2.0 * 2 * len(self.mu) ** 2


def arrange(times: npt.ArrayLike, kinds: npt.ArrayLike, horizon_s: float) -> tuple[Floats, Ints, int]:
    """Arrivals as the likelihood takes them: times in order, kinds as places, how many kinds there are.

    Raises ValueError that names the arrival that is wrong.
    """
    when = np.ascontiguousarray(times, np.float64)
    what = np.ascontiguousarray(kinds, np.int64)
    if when.ndim != 1 or when.shape != what.shape:
        raise ValueError(f"times have shape {when.shape} and kinds {what.shape}: give one kind for each time")
    if not len(when):
        raise ValueError("there is no arrival to fit anything to")
    bad = np.flatnonzero(~np.isfinite(when) | (when < 0.0) | (when > horizon_s))
    if len(bad):
        raise ValueError(f"arrival {bad[0]} is at {when[bad[0]]} s: times must lie in 0..{horizon_s} s")
    back = np.flatnonzero(np.diff(when) < 0.0)
    if len(back):
        raise ValueError(f"arrival {back[0] + 1} comes before arrival {back[0]}: sort them by time")
    d = int(what.max()) + 1
    if what.min() < 0 or d > MAX_KINDS:
        raise ValueError(f"kinds must lie in 0..{MAX_KINDS - 1}, not {what.min()}..{d - 1}")
    return when, what, d


def likelihood(
    times: npt.ArrayLike, kinds: npt.ArrayLike, horizon_s: float, mu: npt.ArrayLike, alpha: Any, beta: Any
) -> float:
    """The log-likelihood of arrivals in (0, horizon]. Raises ValueError, also if the process is not stationary."""
    when, what, d = arrange(times, kinds, horizon_s)
    base, jumps, fades = checked(mu, alpha, beta)
    if d > len(base):
        raise ValueError(f"there are arrivals of {d} kinds and parameters for {len(base)}")
    d = len(base)
    return float(
        log_likelihood(
            when, what, float(horizon_s), base, jumps, fades, np.empty(d), np.empty((d, d)), np.empty((d, d))
        )
    )


def fit(
    times: npt.ArrayLike,
    kinds: npt.ArrayLike,
    horizon_s: float,
    *,
    symmetric: bool = False,
    fastest: float = math.inf,
    start: HawkesFit | None = None,
) -> HawkesFit:
    """The most likely process; if ``symmetric``, of those in which every kind is like every other.

    Excitement fades at most at ``fastest`` a second: what times cannot tell apart is no excitement. ``start`` is one
    more place to search from.

    Raises ValueError where there are too few arrivals or they are out of order.
    """
    when, what, d = arrange(times, kinds, horizon_s)
    counts = np.bincount(what, minlength=d)
    if counts.min() < LEAST_ARRIVALS:
        place = int(counts.argmin())
        raise ValueError(f"kind {place} arrives {counts[place]} times: a fit needs at least {LEAST_ARRIVALS} of each")
    objective = _Objective(when, what, float(horizon_s), d, _tie(d, symmetric))
    best, converged = _search(objective, counts / horizon_s, fastest, start)
    base, jumps, fades = objective.split(np.exp(best[objective.tie]))
    jumps = np.where(jumps / fades < NEGLIGIBLE, 0.0, jumps)
    errors = _errors(objective, best, jumps)
    mu_error, alpha_error, beta_error = objective.split(errors[objective.tie])
    rates = counts / horizon_s
    flat = (rates, np.zeros((d, d)), np.ones((d, d)))
    return HawkesFit(
        mu=tuple(base.tolist()),
        alpha=_rows(jumps),
        beta=_rows(fades),
        mu_error=tuple(_known(mu_error)),
        alpha_error=tuple(tuple(_known(row)) for row in alpha_error),
        beta_error=tuple(tuple(_known(row)) for row in beta_error),
        counts=tuple(counts.tolist()),
        horizon_s=float(horizon_s),
        log_likelihood=-objective.value(best),
        poisson_log_likelihood=float((counts * np.log(rates)).sum() - counts.sum()),
        radius=spectral_radius(jumps / fades),
        goodness=goodness(when, what, base, jumps, fades),
        poisson_goodness=goodness(when, what, *flat),
        converged=converged,
    )


def residuals(when: Floats, what: Ints, mu: Floats, alpha: Floats, beta: Floats) -> Floats:
    """For each arrival, what its kind's rate added up to since the kind's last one: exponential(1) if all is true."""
    out = np.empty(len(when))
    compensators(when, what, mu, alpha, beta, out)
    return out


def goodness(when: Floats, what: Ints, mu: Floats, alpha: Floats, beta: Floats) -> tuple[Goodness, ...]:
    """Kolmogorov-Smirnov for each kind. Parameters fitted to the same arrivals make p too kind, a little."""
    left = residuals(when, what, mu, alpha, beta)
    out = []
    for place in range(len(mu)):
        mine = left[what == place]
        test = stats.kstest(mine, "expon")
        tied = float((np.diff(when[what == place]) == 0.0).mean()) if len(mine) > 1 else 0.0
        out.append(Goodness(float(test.statistic), float(test.pvalue), float(mine.mean()), tied))
    return tuple(out)


def _tie(d: int, symmetric: bool) -> Ints:
    """Which free parameter stands in each place of mu, alpha and beta in a row."""
    if not symmetric:
        return np.arange(d + 2 * d * d)
    other = np.where(np.eye(d, dtype=bool), 1, 2).ravel()
    return np.concatenate([np.zeros(d, np.int64), other, np.where(other == 1, 3, 4 if d > 1 else 3)])


class _Objective:
    """Minus the log-likelihood of the logarithms of the free parameters, and its gradient."""

    def __init__(self, when: Floats, what: Ints, horizon: float, d: int, tie: Ints) -> None:
        self._data = (when, what, horizon)
        self.d = d
        self.tie = np.unique(tie, return_inverse=True)[1].astype(np.int64)
        self.free = int(self.tie.max()) + 1

    def split(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """mu, alpha and beta out of one row of numbers, one for each place."""
        d = self.d
        return values[:d], values[d : d + d * d].reshape(d, d), values[d + d * d :].reshape(d, d)

    def fold(self, places: Floats) -> Floats:
        """One number for each free parameter: the mean over its places."""
        sums = np.bincount(self.tie, places, self.free)
        return np.asarray(sums / np.bincount(self.tie, minlength=self.free), np.float64)

    def both(self, logs: Floats) -> tuple[float, Floats]:
        """The value and the gradient."""
        values = np.exp(logs[self.tie])
        slope = np.empty(len(values))
        total = log_likelihood(*self._data, *self.split(values), *self.split(slope))
        return -float(total), np.asarray(np.bincount(self.tie, -slope * values, self.free), np.float64)

    def value(self, logs: Floats) -> float:
        """The value alone."""
        return self.both(logs)[0]


def _search(objective: _Objective, rates: Floats, fastest: float, known: HawkesFit | None) -> tuple[Floats, bool]:
    """The lowest point that any start leads to, and whether the search says that it converged there."""
    d = objective.d
    best: Any = None
    pace = float(rates.sum())
    fast, slow = np.log(min(pace * 1e3, fastest)), np.log(pace * 1e-4)
    bounds = [(np.log(rate * 1e-6), np.log(rate * 10.0)) for rate in rates]
    bounds += [(slow - 15.0, fast)] * (d * d) + [(slow, fast)] * (d * d)
    low, high = (objective.fold(np.array(ends)) for ends in zip(*bounds, strict=True))
    starts = [
        _start(rates * (1.0 - branching), pace / memory, branching)
        for memory, branching in product(MEMORIES, BRANCHINGS)
    ]
    if known is not None:
        starts.append(np.concatenate([known.mu, np.ravel(known.alpha), np.ravel(known.beta)]))
    for place in starts:
        start = objective.fold(np.log(np.maximum(place, 1e-300)))
        found = optimize.minimize(
            objective.both,
            np.clip(start, low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=optimize.Bounds(low, high),
            options={"maxiter": 300, "ftol": 1e-11, "gtol": 1e-5},
        )
        if np.isfinite(found.fun) and (best is None or found.fun < best.fun):
            best = found
    if best is None:
        raise ValueError("no start of the search gives these arrivals a finite likelihood: look for equal times")
    return np.asarray(best.x, np.float64), bool(best.success)


def _start(mu: Floats, fade: float, branching: float) -> Floats:
    """Parameters of kinds that excite themselves more than each other."""
    d = len(mu)
    share = np.full((d, d), branching * 0.3 / max(1, d - 1))
    np.fill_diagonal(share, branching * (0.7 if d > 1 else 1.0))
    return np.concatenate([mu, (share * fade).ravel(), np.full(d * d, fade)])


def _errors(objective: _Objective, best: Floats, jumps: Floats) -> Floats:
    """Standard errors of the parameters themselves; nan where one has no effect, or the curvature has no inverse."""
    n, d = len(best), objective.d
    free = np.ones(n, bool)
    none = np.flatnonzero((jumps == 0.0).ravel())
    free[objective.tie[d + none]] = free[objective.tie[d + d * d + none]] = False
    places = np.flatnonzero(free)
    step = 1e-4
    curve = np.empty((len(places), len(places)))
    for row, place in enumerate(places):
        shift = np.zeros(n)
        shift[place] = step
        curve[row] = (objective.both(best + shift)[1] - objective.both(best - shift)[1])[places] / (2.0 * step)
    errors = np.full(n, np.nan)
    try:
        spread = np.diag(np.linalg.inv((curve + curve.T) / 2.0))
    except np.linalg.LinAlgError:
        return errors
    errors[places] = np.sqrt(np.where(spread > 0.0, spread, np.nan)) * np.exp(best[places])
    return errors


def _rows(values: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())


def _known(values: Floats) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
