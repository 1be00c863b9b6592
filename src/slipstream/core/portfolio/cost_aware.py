"""The book that is best after the costs of getting there, with a proof attached.

::

    max  w'a - w'Sw / 2 - sum fee |dw| - sum impact |dw|^1.5,   dw = w - held
    s.t. E'w = 0,  sum |w| <= gross,  low <= w <= high

Alpha, S and the costs are in returns over the same holding period; weights are multiples of equity. The problem is not
homogeneous: never rescale its answer, put the bound into it. The solver is in `newton`; what it returns is judged here
by the conditions of optimality and by the duality gap (`proof`), and refused where either is too large.

Reference: mathematical specification, section 9.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from slipstream.core.portfolio.covariance import FactorCovariance, factorised
from slipstream.core.portfolio.neutral import exposure_columns, vector
from slipstream.core.portfolio.newton import solve
from slipstream.core.portfolio.proof import errors, sizes

Array = npt.NDArray[np.float64]

TOLERANCE = 1e-11  # what the solver aims at
ACCEPTED = 1e-7  # beyond it an answer is refused


class OptimiserFailed(RuntimeError):
    """No weights were found that can be proved best: a constraint cannot be kept, or the numbers are too far apart."""


@dataclass(frozen=True)
class Problem:
    """One problem, checked. Shapes (N,), ``exposures`` (N, m); bounds may be infinite, ``gross`` too."""

    alpha: Array
    exposures: Array
    covariance: FactorCovariance
    fee: Array
    impact: Array
    held: Array
    low: Array
    high: Array
    gross: float

    def objective(self, weights: Array) -> float:
        """What is maximised."""
        c, moved = self.covariance, np.abs(weights - self.held)
        risk = float(((c.loadings.T @ weights) ** 2).sum() + (c.specific * weights**2).sum())
        costs = float((self.fee * moved + self.impact * moved * np.sqrt(moved)).sum())
        return float(self.alpha @ weights) - 0.5 * risk - costs


@dataclass(frozen=True)
class Solution:
    """``status`` is ``optimal`` or ``inaccurate`` (error above 1e-9 but within what is accepted).

    ``nu`` (m,) and ``mu`` are the multipliers of the exposures and of gross exposure, in units of alpha. ``kkt`` is the
    largest violation of a condition of optimality and ``gap`` dual less primal objective over the size of the
    objective's parts, both relative. ``state`` is where to begin a similar problem.
    """

    weights: Array
    status: str
    objective: float
    nu: Array
    mu: float
    kkt: float
    gap: float
    steps: int
    state: Array


def problem(
    alpha: npt.ArrayLike,
    exposures: npt.ArrayLike,
    covariance: npt.ArrayLike | FactorCovariance,
    *,
    fee: npt.ArrayLike = 0.0,
    impact: npt.ArrayLike = 0.0,
    held: npt.ArrayLike | None = None,
    gross: float = np.inf,
    low: npt.ArrayLike = -np.inf,
    high: npt.ArrayLike = np.inf,
) -> Problem:
    """Check and complete a problem: scalars are spread, nothing held is zeros. Raises ValueError."""
    a = vector("alpha", alpha)
    n = len(a)
    if n == 0:
        raise ValueError("alpha is empty: there is nothing to choose from")
    s = factorised(covariance)
    if len(s) != n:
        raise ValueError(f"covariance is of {len(s)} assets, alpha of {n}")
    spread = {name: _spread(name, values, n) for name, values in (("fee", fee), ("impact", impact))}
    for name, values in spread.items():
        if not (np.isfinite(values).all() and (values >= 0.0).all()):
            raise ValueError(f"{name} must be finite and not negative, is {values.min():g} to {values.max():g}")
    bounds = [_spread(name, values, n) for name, values in (("low", low), ("high", high))]
    if np.isnan(bounds[0]).any() or np.isnan(bounds[1]).any() or (bounds[0] > bounds[1]).any():
        raise ValueError("low must not be above high, and neither may be NaN")
    if not gross > 0.0:
        raise ValueError(f"gross {gross} must be above 0 (multiples of equity)")
    return Problem(
        alpha=a,
        exposures=exposure_columns(exposures, n),
        covariance=s,
        fee=spread["fee"],
        impact=spread["impact"],
        held=np.zeros(n) if held is None else vector("held weights", held, n),
        low=bounds[0],
        high=bounds[1],
        gross=float(gross),
    )


def _spread(name: str, values: npt.ArrayLike, size: int) -> Array:
    v = np.asarray(values, dtype=np.float64)
    if v.shape not in ((), (size,)):
        raise ValueError(f"{name} has shape {v.shape}, expected one number or ({size},)")
    return np.full(size, float(v)) if v.ndim == 0 else v


def solve_problem(task: Problem, start: Array | None = None) -> Solution:
    """The optimum. ``start`` is the ``state`` of a similar problem. Raises OptimiserFailed."""
    c = task.covariance
    n, k = c.loadings.shape
    binds = task.exposures.any(axis=0)  # an exposure that nothing has restricts nothing, and its multiplier is free
    exposures = np.ascontiguousarray(task.exposures[:, binds])
    size = k + exposures.shape[1] + 1
    rows = np.empty((n, size))
    rows[:, :k] = c.loadings
    rows[:, k:-1] = exposures
    state = np.zeros(size)
    if start is not None and start.shape == (size,):
        state[:] = start
    elif task.held.any():
        state[:k] = task.held @ c.loadings
    scale, unit = sizes(task.alpha, c.loadings, c.specific, task.held, task.low, task.high, task.gross)
    weights = np.empty(n)
    _, steps = solve(
        task.alpha,
        rows,
        k,
        c.specific,
        task.fee,
        task.impact,
        task.held,
        task.low,
        task.high,
        task.gross,
        scale,
        unit,
        state,
        weights,
        TOLERANCE,
    )
    kkt, gap = errors(
        task.alpha,
        c.loadings,
        c.specific,
        exposures,
        task.fee,
        task.impact,
        task.held,
        task.low,
        task.high,
        task.gross,
        weights,
        state,
        scale,
        unit,
    )
    if not max(kkt, gap) <= ACCEPTED:
        raise OptimiserFailed(
            f"no optimum proved in {steps} steps: conditions violated by {kkt:.2g}, duality gap {gap:.2g} (relative). "
            f"{_advice(task)}"
        )
    nu = np.zeros(task.exposures.shape[1])
    nu[binds] = state[k:-1]
    return Solution(
        weights=weights,
        status="optimal" if max(kkt, gap) <= 1e-9 else "inaccurate",
        objective=task.objective(weights),
        nu=nu,
        mu=float(state[-1]),
        kkt=kkt,
        gap=gap,
        steps=steps,
        state=state,
    )


def solve_cost_aware(
    alpha: npt.ArrayLike,
    exposures: npt.ArrayLike,
    covariance: npt.ArrayLike | FactorCovariance,
    *,
    fee: npt.ArrayLike = 0.0,
    impact: npt.ArrayLike = 0.0,
    held: npt.ArrayLike | None = None,
    gross: float = np.inf,
    low: npt.ArrayLike = -np.inf,
    high: npt.ArrayLike = np.inf,
    start: Array | None = None,
) -> Solution:
    """`problem` and `solve_problem` in one. Raises ValueError, SingularCovariance, OptimiserFailed."""
    task = problem(alpha, exposures, covariance, fee=fee, impact=impact, held=held, gross=gross, low=low, high=high)
    return solve_problem(task, start)


def _advice(task: Problem) -> str:
    if (task.low > 0.0).any() or (task.high < 0.0).any():
        return "Some weights may not be 0 under their bounds: the exposures or the gross bound may be out of reach"
    spread = float(task.covariance.specific.max() / task.covariance.specific.min())
    return f"Specific variances differ by a factor of {spread:.2g}: check the units of alpha, S and costs"
