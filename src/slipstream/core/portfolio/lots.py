"""Whole lots near a book of notionals, with its beta kept.

Nearest rounding moves beta by at most ``sum |beta_i| v_i / 2``, v being the notional of one lot. The repair takes
steps of one lot: single steps, and pairs of steps on two coins, each time the move that leaves the least
``(excess of |beta'kv| over the tolerance, sum |kv - t|)``, until no move is better. Lots keep the sign of their target
unless this is less than half a lot.

Reference: mathematical specification, section 9.3; `exact_lots` is the yardstick (mixed-integer optimum, HiGHS).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from slipstream.core.compiled import compiled

Array = npt.NDArray[np.float64]

PAIRED = 60  # coins whose rounding is nearest to a tie take part in pairs


@dataclass(frozen=True)
class Lots:
    """``lots`` (N,) whole numbers as floats, ``beta`` what is left of beta in USD, ``deviation`` sum |kv - t| in USD.

    ``kept`` says whether |beta| is within the tolerance that was asked.
    """

    lots: Array
    beta: float
    deviation: float
    kept: bool


@compiled
def _bounds(target: float, lot: float) -> tuple[float, float]:
    """The least and most lots that keep the target's sign."""
    if abs(target) < 0.5 * lot:
        return -1.0, 1.0
    return (0.0, np.inf) if target > 0.0 else (-np.inf, 0.0)


@compiled
def repair(target: Array, lot: Array, beta: Array, tolerance: float, most: int, lots: Array) -> float:
    """Round into ``lots`` and mend the beta; returns what is left of it, USD. A coin with lot 0 keeps its ``lots``."""
    n = target.size
    exposure = 0.0
    for i in range(n):
        if lot[i] > 0.0:
            lots[i] = np.rint(target[i] / lot[i])
            exposure += beta[i] * lots[i] * lot[i]
    if abs(exposure) <= tolerance:
        return exposure
    # the cheapest step of every coin in either direction; the cheapest of these take part in pairs
    for _ in range(4 * n + 16):
        excess = abs(exposure) - tolerance
        costs, shifts = np.empty(2 * n), np.empty(2 * n)
        for i in range(n):
            for side in range(2):
                at, step = 2 * i + side, 2.0 * side - 1.0
                costs[at], shifts[at] = np.inf, 0.0
                if lot[i] > 0.0:
                    low, high = _bounds(target[i], lot[i])
                    to = lots[i] + step
                    if low <= to <= high:
                        here, there = abs(lots[i] * lot[i] - target[i]), abs(to * lot[i] - target[i])
                        costs[at], shifts[at] = there - here, step * lot[i] * beta[i]
        order = np.argsort(costs)[: 2 * most]
        best_excess, best_cost, first, second = max(0.0, excess), 0.0, -1, -1
        for at in range(2 * n):
            left = max(0.0, abs(exposure + shifts[at]) - tolerance)
            if costs[at] < np.inf and (
                left < best_excess - 1e-12 or (left <= best_excess + 1e-12 and costs[at] < best_cost - 1e-9)
            ):
                best_excess, best_cost, first, second = left, costs[at], at, -1
        for p in order:
            if costs[p] == np.inf:
                break
            for q in order:
                if costs[q] == np.inf or p // 2 >= q // 2:
                    continue
                left = max(0.0, abs(exposure + shifts[p] + shifts[q]) - tolerance)
                cost = costs[p] + costs[q]
                if left < best_excess - 1e-12 or (left <= best_excess + 1e-12 and cost < best_cost - 1e-9):
                    best_excess, best_cost, first, second = left, cost, p, q
        if first < 0:
            break
        for at in (first, second):
            if at >= 0:
                lots[at // 2] += 2.0 * (at % 2) - 1.0
                exposure += shifts[at]
    return exposure


def reachable(lot: npt.ArrayLike, beta: npt.ArrayLike) -> float:
    """The tolerance that one coin's lots can always be brought to: ``min |beta_i| v_i / 2`` over beta != 0, USD."""
    half = 0.5 * np.abs(np.asarray(beta, dtype=np.float64)) * np.asarray(lot, dtype=np.float64)
    moving = half[half > 0.0]
    return float(moving.min()) if moving.size else 0.0


def round_to_lots(
    target: npt.ArrayLike, lot: npt.ArrayLike, beta: npt.ArrayLike, tolerance: float | None = None
) -> Lots:
    """Lots near the notionals ``target`` (N,), of ``lot`` (N,) USD each.

    ``tolerance`` is USD of beta, by default `reachable`. Raises ValueError.
    """
    t, v, b, tol = _read(target, lot, beta, tolerance)
    lots = np.zeros(len(t))
    left = repair(t, v, b, tol, PAIRED, lots)
    return Lots(lots, float(left), float(np.abs(lots * v - t).sum()), abs(left) <= tol * (1.0 + 1e-9) + 1e-9)


def exact_lots(
    target: npt.ArrayLike,
    lot: npt.ArrayLike,
    beta: npt.ArrayLike,
    tolerance: float | None = None,
    *,
    seconds: float = 10.0,
) -> Lots:
    """The least ``sum |kv - t|`` by mixed-integer programming; for books of up to some forty coins.

    Raises ValueError on bad input and where no lots keep the tolerance or the time is up without an answer.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    t, v, b, tol = _read(target, lot, beta, tolerance)
    n = len(t)
    nearby = np.zeros(n)
    left = abs(repair(t, v, b, tol, PAIRED, nearby))
    # the optimum is no farther from any target than the repair is from all, where the repair kept the tolerance
    reach = float(np.abs(nearby * v - t).sum()) if left <= tol else float(np.abs(t).sum() + 2.0 * n * v.max())
    ends = np.array([_bounds(float(x), float(y)) for x, y in zip(t, v, strict=True)])
    near = np.rint(t / v)
    low, high = np.maximum(ends[:, 0], np.floor((t - reach) / v)), np.minimum(ends[:, 1], np.ceil((t + reach) / v))
    # variables: steps z from the nearest lots and deviations e >= |(near + z) v - t|, in units of the mean lot
    unit = float(v.mean())
    rest, eye = (near * v - t) / unit, np.eye(n)
    held = float(b @ (near * v)) / unit
    rows = [
        LinearConstraint(np.hstack([np.diag(v / unit), -eye]), -np.inf, -rest),
        LinearConstraint(np.hstack([np.diag(v / unit), eye]), -rest, np.inf),
        LinearConstraint(np.concatenate([b * v / unit, np.zeros(n)])[None, :], -tol / unit - held, tol / unit - held),
    ]
    bounds = Bounds(np.concatenate([low - near, np.zeros(n)]), np.concatenate([high - near, np.full(n, np.inf)]))
    result = milp(
        np.concatenate([np.zeros(n), np.ones(n)]),
        constraints=rows,
        bounds=bounds,
        integrality=np.concatenate([np.ones(n), np.zeros(n)]),
        options={"time_limit": seconds, "mip_rel_gap": 0.0},
    )
    if result.x is None:
        raise ValueError(f"no lots found with |beta| within {tol:g} USD: {result.message}; allow more or larger books")
    lots = near + np.rint(result.x[:n])
    left = float(b @ (lots * v))
    return Lots(lots, left, float(np.abs(lots * v - t).sum()), abs(left) <= tol * (1.0 + 1e-6) + 1e-6)


def _read(
    target: npt.ArrayLike, lot: npt.ArrayLike, beta: npt.ArrayLike, tolerance: float | None
) -> tuple[Array, Array, Array, float]:
    t, v, b = (np.asarray(a, dtype=np.float64) for a in (target, lot, beta))
    if t.ndim != 1 or v.shape != t.shape or b.shape != t.shape or not len(t):
        raise ValueError(f"target {t.shape}, lot {v.shape} and beta {b.shape} must be vectors of one length")
    for name, values in (("target", t), ("lot", v), ("beta", b)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} of asset {int(np.flatnonzero(~np.isfinite(values))[0])} is not a finite number")
    if not (v > 0.0).all():
        raise ValueError(f"lot of asset {int(np.flatnonzero(v <= 0.0)[0])} must be a notional above 0 USD")
    tol = reachable(v, b) if tolerance is None else float(tolerance)
    if not tol >= 0.0:
        raise ValueError(f"tolerance {tolerance} must be 0 USD or more")
    return t, v, b, tol
