"""The book that is best after the costs of getting there, with a proof attached.

::

    max  w'a - w'Sw / 2 - sum fee |dw| - sum impact |dw|^1.5,   dw = w - held
    s.t. E'w = 0,  sum |w| <= gross,  low <= w <= high

Alpha, S and the costs are in returns over the same holding period; weights are multiples of equity. The problem is not
homogeneous: never rescale its answer, put the bound into it. The solver is in `newton`; what it returns is judged here
by the conditions of optimality and by the gap between the primal and the dual, and refused where either is too large.

Reference: mathematical specification, section 9.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from slipstream.core.portfolio.covariance import FactorCovariance, factorised
from slipstream.core.portfolio.neutral import exposure_columns, vector
from slipstream.core.portfolio.newton import solve

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
    size = k + task.exposures.shape[1] + 1
    rows = np.empty((n, size))
    rows[:, :k] = c.loadings
    rows[:, k:-1] = task.exposures
    state = np.zeros(size)
    if start is not None and start.shape == (size,):
        state[:] = start
    elif task.held.any():
        state[:k] = task.held @ c.loadings
    scale, unit = sizes(task)
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
    kkt = violation(task, weights, state[k:-1], float(state[-1]), (scale, unit))
    gap = duality_gap(task, weights, state, (scale, unit))
    if not max(kkt, gap) <= ACCEPTED:
        raise OptimiserFailed(
            f"no optimum proved in {steps} steps: conditions violated by {kkt:.2g}, duality gap {gap:.2g} (relative). "
            f"{_advice(task)}"
        )
    return Solution(
        weights=weights,
        status="optimal" if max(kkt, gap) <= 1e-9 else "inaccurate",
        objective=task.objective(weights),
        nu=state[k:-1].copy(),
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


def sizes(task: Problem) -> tuple[float, float]:
    """How large slopes (units of alpha) and weights are in this problem: errors are relative to these two."""
    c = task.covariance
    slope = max(float(np.abs(task.alpha).max()), float(np.abs(c.times(task.held)).max())) or 1.0
    alone = slope / (c.specific + (c.loadings**2).sum(axis=1))
    reach = np.maximum(np.maximum(np.abs(task.low), np.abs(task.high)), np.abs(task.held))
    weight = min(task.gross, float(np.minimum(alone, reach).max()))
    return slope, max(weight, float(np.abs(task.held).max())) or 1.0


def violation(task: Problem, weights: Array, nu: Array, mu: float, size: tuple[float, float] | None = None) -> float:
    """The largest violation of a condition of optimality, relative to the problem's `sizes`.

    Written from the definition of the problem, not from the solver: w is best if 0 lies between the slopes of the
    Lagrangian to its left and to its right (a bound in the way counts as the slope it blocks).
    """
    scale, unit = size or sizes(task)
    pull = task.alpha - task.covariance.times(weights) - task.exposures @ nu
    moved = weights - task.held
    edge = 1.5 * task.impact * np.sqrt(np.abs(moved))
    right = pull - np.where(moved >= 0.0, task.fee + edge, -(task.fee + edge)) - np.where(weights >= 0.0, mu, -mu)
    left = pull - np.where(moved > 0.0, task.fee + edge, -(task.fee + edge)) - np.where(weights > 0.0, mu, -mu)
    right = np.where(weights >= task.high, -np.inf, right)
    left = np.where(weights <= task.low, np.inf, left)
    slopes = float(np.maximum(np.maximum(right, -left), 0.0).max()) / scale
    total = float(np.abs(weights).sum())
    outside = np.abs(weights @ task.exposures)
    widest = np.abs(task.exposures).max(axis=0) * max(total, unit)
    exposed = float(np.divide(outside, widest, out=np.zeros_like(outside), where=widest > 0.0).max(initial=0.0))
    over = 0.0
    if np.isfinite(task.gross):
        over = max(0.0, total - task.gross) / task.gross
        over = max(over, abs(total - task.gross) / task.gross * min(1.0, mu / scale))
    beyond = np.maximum(weights - task.high, task.low - weights).max()
    return max(slopes, exposed, over, float(beyond) / unit, -mu / scale)


def duality_gap(task: Problem, weights: Array, state: Array, size: tuple[float, float] | None = None) -> float:
    """Dual less primal objective, over the size of the objective's parts: 0 at the optimum, by weak duality never less.

    With each weight the best answer to the multipliers (which `violation` checks), the dual at them is
    ``|u|^2 / 2 + sum phi_i + mu L``.
    """
    k = task.covariance.loadings.shape[1]
    u, nu, mu = state[:k], state[k:-1], float(state[-1])
    exposure = task.covariance.loadings.T @ weights
    total = float(np.abs(weights).sum())
    # the parts that the primal and the dual have in common cancel by hand, so that rounding does not
    slack = mu * (task.gross - total) if mu > 0.0 else 0.0
    gap = 0.5 * float(((u - exposure) ** 2).sum()) - float(nu @ (weights @ task.exposures)) + slack
    scale, unit = size or sizes(task)
    moved = np.abs(weights - task.held)
    paid = float((task.fee * moved + task.impact * moved * np.sqrt(moved)).sum())
    whole = scale * max(total, unit) + paid + float(np.abs(nu) @ (np.abs(task.exposures).T @ np.abs(weights)))
    return abs(gap) / whole


def _advice(task: Problem) -> str:
    if (task.low > 0.0).any() or (task.high < 0.0).any():
        return "Some weights may not be 0 under their bounds: the exposures or the gross bound may be out of reach"
    spread = float(task.covariance.specific.max() / task.covariance.specific.min())
    return f"Specific variances differ by a factor of {spread:.2g}: check the units of alpha, S and costs"
