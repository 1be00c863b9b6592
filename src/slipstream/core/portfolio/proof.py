"""How far weights and multipliers are from the conditions of optimality of the cost-aware book. Compiled.

Written from the definition of the problem, not from the solver: the problem is concave, and w is best if 0 lies between
the slopes of the Lagrangian to its left and to its right, weight by weight, a bound in the way counting as the slope it
blocks, and if the constraints hold, with no price on one that is slack.

Reference: mathematical specification, section 9.2.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from slipstream.core.compiled import compiled

Array = npt.NDArray[np.float64]


@compiled
def sizes(
    alpha: Array, loadings: Array, specific: Array, held: Array, low: Array, high: Array, gross: float
) -> tuple[float, float]:
    """How large slopes (units of alpha) and weights are in this problem: errors are relative to these two."""
    n, k = loadings.shape
    slope, largest, most = 0.0, 0.0, 0.0
    exposure = np.zeros(k)
    for i in range(n):
        for j in range(k):
            exposure[j] += loadings[i, j] * held[i]
    for i in range(n):
        risk = specific[i] * held[i]
        for j in range(k):
            risk += loadings[i, j] * exposure[j]
        slope = max(slope, max(abs(alpha[i]), abs(risk)))
    slope = slope if slope > 0.0 else 1.0
    for i in range(n):
        own = specific[i]
        for j in range(k):
            own += loadings[i, j] * loadings[i, j]
        reach = max(max(abs(low[i]), abs(high[i])), abs(held[i]))
        largest = max(largest, min(slope / own, reach))
        most = max(most, abs(held[i]))
    weight = max(min(gross, largest), most)
    return slope, weight if weight > 0.0 else 1.0


@compiled
def errors(
    alpha: Array,
    loadings: Array,
    specific: Array,
    exposures: Array,
    fee: Array,
    impact: Array,
    held: Array,
    low: Array,
    high: Array,
    gross: float,
    w: Array,
    state: Array,
    slope: float,
    weight: float,
) -> tuple[float, float]:
    """(largest violated condition, duality gap), relative to the problem's `sizes` ``slope`` and ``weight``.

    ``state`` holds the multipliers of ``y = B'w``, of the exposures, and of the gross bound. With every weight the best
    answer to them, which the first number says, the gap is ``|u - B'w|^2 / 2 - nu'E'w + mu (L - sum |w|)``: parts that
    the primal and the dual have in common cancel by hand, so that rounding does not.
    """
    n, k = loadings.shape
    m = exposures.shape[1]
    mu = state[k + m]
    worst, total, paid, prices = max(0.0, -mu / slope), 0.0, 0.0, 0.0
    exposure, outside, widest = np.zeros(k), np.zeros(m), np.zeros(m)
    for i in range(n):
        total += abs(w[i])
        for j in range(k):
            exposure[j] += loadings[i, j] * w[i]
        for j in range(m):
            outside[j] += exposures[i, j] * w[i]
            widest[j] = max(widest[j], abs(exposures[i, j]))
            prices += abs(state[k + j] * exposures[i, j] * w[i])
    whole = max(total, weight)
    for i in range(n):
        pull = alpha[i] - specific[i] * w[i]
        for j in range(k):
            pull -= loadings[i, j] * exposure[j]
        for j in range(m):
            pull -= exposures[i, j] * state[k + j]
        moved = w[i] - held[i]
        root = math.sqrt(abs(moved))
        edge = fee[i] + 1.5 * impact[i] * root
        paid += abs(moved) * (fee[i] + impact[i] * root)
        right = pull - (edge if moved >= 0.0 else -edge) - (mu if w[i] >= 0.0 else -mu)
        left = pull - (edge if moved > 0.0 else -edge) - (mu if w[i] > 0.0 else -mu)
        if w[i] < high[i]:
            worst = max(worst, right / slope)
        if w[i] > low[i]:
            worst = max(worst, -left / slope)
        worst = max(worst, max(w[i] - high[i], low[i] - w[i]) / weight)
    gap = 0.0
    for j in range(k):
        gap += 0.5 * (state[j] - exposure[j]) ** 2
    for j in range(m):
        gap -= state[k + j] * outside[j]
        if widest[j] > 0.0:
            worst = max(worst, abs(outside[j]) / (widest[j] * whole))
    if gross < np.inf:
        slack = (gross - total) / gross
        worst = max(worst, max(-slack, abs(slack) * min(1.0, mu / slope)))
        gap += mu * (gross - total)
    return worst, abs(gap) / (slope * whole + paid + prices)
