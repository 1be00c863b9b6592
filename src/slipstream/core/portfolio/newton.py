"""The cost-aware book by a semismooth Newton method on its dual. Compiled; for arrays that were checked before.

Maximise over w ::

    a'w - (|B'w|^2 + sum d w^2) / 2 - sum f |w - w0| - sum l |w - w0|^1.5
    subject to  E'w = 0,  sum |w| <= L,  low <= w <= high

With y = B'w split off (multipliers u), E'w = 0 (nu) and the gross bound (mu >= 0), each weight answers the multipliers
alone: it maximises ``p w - d w^2 / 2 - f |w - w0| - l |w - w0|^1.5 - mu |w|`` with ``p = a - B u - E nu``, which is a
quadratic in sqrt|w - w0| with kinks at w0 and 0 (`response`). What is left is to minimise the dual, convex and once
differentiable in K + E + 1 numbers, of gradient ``(u - B'w, -E'w, L - sum |w|)``. A Newton step costs N (K + E + 1)^2,
and no N x N matrix appears.

The line search looks at the slope along the step only: the dual is convex, so that up to a point where the slope is
still negative it has fallen, and no small difference of large values decides. Damping (Levenberg, Marquardt) grows
when steps have to be cut and dies away when they do not.

Reference: mathematical specification, section 9.2 (conditions of optimality and the closed form's stable shape).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from slipstream.core.compiled import compiled
from slipstream.core.portfolio.response import respond

Array = npt.NDArray[np.float64]

MAX_STEPS = 500
TURN = 70  # steps one way before the other is tried
PATIENT = 12  # steps after which a step that goes too far counts as a sign that the model is wrong
FARTHEST = 3.0  # sizes of a slope by which one step may turn a pull; the line search may go farther
CAREFUL = 60  # steps after which the dual must fall at every one
SMALL = 64  # multipliers up to which plain loops beat a call of BLAS


@compiled
def _pulls(alpha: Array, rows: Array, x: Array, pull: Array) -> None:
    m = x.size - 1
    for i in range(alpha.size):
        total = alpha[i]
        for j in range(m):
            total -= rows[i, j] * x[j]
        pull[i] = total


@compiled
def _answer(
    pull: Array,
    mu: float,
    d: Array,
    fee: Array,
    impact: Array,
    held: Array,
    low: Array,
    high: Array,
    w: Array,
    s: Array,
) -> None:
    for i in range(pull.size):
        w[i], s[i] = respond(pull[i], mu, d[i], fee[i], impact[i], held[i], low[i], high[i])


@compiled
def _gradient(rows: Array, w: Array, x: Array, factors: int, limit: float, g: Array) -> float:
    """Fill the dual's gradient; returns sum |w|."""
    m = x.size - 1
    g[:] = 0.0
    for j in range(factors):
        g[j] = x[j]
    gross = 0.0
    for i in range(w.size):
        if w[i] != 0.0:
            gross += abs(w[i])
            for j in range(m):
                g[j] -= rows[i, j] * w[i]
    g[m] = limit - gross if limit < np.inf else 0.0
    return gross


@compiled
def _curvature(rows: Array, w: Array, s: Array, factors: int, h: Array) -> None:
    """Fill the lower triangle of the dual's second derivative."""
    size = h.shape[0]
    h[:, :] = 0.0
    for i in range(w.size):
        rows[i, size - 1] = 1.0 if w[i] > 0.0 else -1.0 if w[i] < 0.0 else 0.0
    if size <= SMALL:
        for i in range(w.size):
            if s[i] > 0.0:
                for j in range(size):
                    scaled = s[i] * rows[i, j]
                    for k in range(j + 1):
                        h[j, k] += scaled * rows[i, k]
    else:
        moving = rows[s > 0.0]
        scaled_rows = moving * np.sqrt(s[s > 0.0]).reshape(-1, 1)
        h[:, :] = np.dot(scaled_rows.T, scaled_rows)
    for j in range(factors):
        h[j, j] += 1.0


@compiled
def _solve(h: Array, damping: Array, g: Array, step: Array, size: int, low: Array) -> bool:
    """``step = -(h + diag damping)^-1 g`` of the leading ``size`` rows by Cholesky; False where that breaks down."""
    for j in range(size):
        for k in range(j + 1):
            total = h[j, k]
            for m in range(k):
                total -= low[j, m] * low[k, m]
            if j == k:
                total += damping[j]
                if not total > 0.0:
                    return False
                low[j, j] = math.sqrt(total)
            else:
                low[j, k] = total / low[k, k]
    for j in range(size):
        total = -g[j]
        for m in range(j):
            total -= low[j, m] * step[m]
        step[j] = total / low[j, j]
    for j in range(size - 1, -1, -1):
        total = step[j]
        for m in range(j + 1, size):
            total -= low[m, j] * step[m]
        step[j] = total / low[j, j]
    step[size:] = 0.0
    return True


@compiled
def _direction(
    rows: Array,
    h: Array,
    g: Array,
    free: Array,
    damp: float,
    bound: bool,
    edge: bool,
    most: float,
    ceiling: float,
    damping: Array,
    lower: Array,
    step: Array,
    turn: Array,
) -> bool:
    """Fill the damped Newton step and what it turns every pull by; False where it cannot be solved for.

    A step that turns a pull by more than ``most`` follows a direction along which no weight moves and the model knows
    no right length: damping up to ``ceiling`` shortens that part of it, and what is left is cut as a whole. ``bound``
    says that the gross bound's multiplier takes part, ``edge`` that it stands at 0 and may only rise.
    """
    size = g.size
    last = size - 1
    least = 1e-10
    while True:
        for j in range(size):
            damping[j] = damp * h[j, j] + max(least, damp * 1e-4) * free[j]
        sound = _solve(h, damping, g, step, size if bound else last, lower)
        if sound and bound and edge and step[last] <= 0.0:
            sound = _solve(h, damping, g, step, last, lower)
        if not sound:
            return False
        widest = abs(step[last])
        for i in range(turn.size):
            turn[i] = 0.0
            for j in range(last):
                turn[i] += rows[i, j] * step[j]
            widest = max(widest, abs(turn[i]))
        if widest <= most:
            return True
        if least >= ceiling:
            step *= most / widest
            turn *= most / widest
            return True
        least *= 100.0


@compiled
def _along(
    t: float,
    pull: Array,
    turn: Array,
    x: Array,
    step: Array,
    factors: int,
    limit: float,
    d: Array,
    fee: Array,
    impact: Array,
    held: Array,
    low: Array,
    high: Array,
) -> float:
    """The dual's slope along ``step`` at length t."""
    last = x.size - 1
    mu = max(0.0, x[last] + t * step[last])
    slope, gross = 0.0, 0.0
    for j in range(factors):
        slope += (x[j] + t * step[j]) * step[j]
    for i in range(pull.size):
        w, _ = respond(pull[i] - t * turn[i], mu, d[i], fee[i], impact[i], held[i], low[i], high[i])
        slope -= w * turn[i]
        gross += abs(w)
    if step[last] != 0.0:
        slope += step[last] * (limit - gross)
    return slope


@compiled
def _length(
    begin: float,
    longest: float,
    careful: bool,
    pull: Array,
    turn: Array,
    x: Array,
    step: Array,
    factors: int,
    limit: float,
    d: Array,
    fee: Array,
    impact: Array,
    held: Array,
    low: Array,
    high: Array,
) -> tuple[float, float]:
    """How far to go along ``step``, whose slope at 0 is ``begin`` < 0; 0 where no length falls.

    And how far the slope had turned at the length accepted: 0 at the lowest point, 1 as steep up as it began down.
    """
    allowed = 0.0 if careful else -0.5 * begin
    t = min(1.0, longest)
    slope = _along(t, pull, turn, x, step, factors, limit, d, fee, impact, held, low, high)
    if slope <= allowed:
        grown = 0
        while slope < 0.5 * begin and t < longest and grown < 30:
            far = min(4.0 * t, longest)
            there = _along(far, pull, turn, x, step, factors, limit, d, fee, impact, held, low, high)
            if there > 0.0:
                break
            t, slope, grown = far, there, grown + 1
        return t, -slope / begin
    near, far, at_near, at_far = 0.0, t, begin, slope
    for k in range(80):
        share = at_near / (at_near - at_far)
        t = near + (far - near) * (min(0.9, max(0.1, share)) if k % 3 != 2 else 0.5)
        slope = _along(t, pull, turn, x, step, factors, limit, d, fee, impact, held, low, high)
        if slope <= 0.0:
            near, at_near = t, slope
            if slope >= 0.5 * begin:
                break
        else:
            far, at_far = t, slope
            if slope <= 0.1 * allowed:
                return t, -slope / begin
    return near, 0.0


@compiled
def _error(
    g: Array, x: Array, gross: float, limit: float, factors: int, widest: Array, floor: Array, scale: float
) -> float:
    """The largest violated condition, relative to its own scale less what rounding makes of it.

    ``gross`` is what an exposure is compared with, and must not vanish with the weights: 0 may be all that is allowed.
    """
    worst = 0.0
    last = x.size - 1
    for j in range(factors):
        worst = max(worst, (abs(g[j]) - floor[j]) * widest[j] / scale)
    for j in range(factors, last):
        whole = widest[j] * gross
        excess = abs(g[j]) - floor[j]
        if excess > 0.0:
            worst = max(worst, excess / whole)
    if limit < np.inf:
        excess = (abs(g[last]) if x[last] > 0.0 else max(0.0, -g[last])) - floor[last]
        worst = max(worst, excess / limit)
    return worst


@compiled
def solve(
    alpha: Array,
    rows: Array,
    factors: int,
    d: Array,
    fee: Array,
    impact: Array,
    held: Array,
    low: Array,
    high: Array,
    limit: float,
    scale: float,
    size_of_w: float,
    x: Array,
    w: Array,
    tolerance: float,
) -> tuple[float, int]:
    """Fill ``x`` (K + E + 1 multipliers, on entry where to begin) and ``w``. Returns (relative error, steps taken).

    ``rows`` (N, K + E + 1) holds B, E and a last column to write to; ``scale`` is the size of the
    slopes and ``size_of_w`` that of a weight worth speaking of: errors are relative to these.
    """
    n, size = rows.shape
    last = size - 1
    pull, turn, s = np.empty(n), np.empty(n), np.empty(n)
    g, step, damping = np.empty(size), np.zeros(size), np.empty(size)
    widest, floor, free = np.zeros(size), np.zeros(size), np.zeros(size)
    h, lower = np.empty((size, size)), np.empty((size, size))
    for i in range(n):
        rows[i, last] = 1.0
        for j in range(size):
            a = abs(rows[i, j])
            widest[j] = max(widest[j], a)
            free[j] += a * a / d[i]
            floor[j] += 2e-15 * a * min(scale / d[i], max(abs(low[i]), abs(high[i]), abs(held[i])))
    x[last] = max(0.0, x[last]) if limit < np.inf else 0.0
    damp, error, steps = 0.0, np.inf, 0
    while True:
        _pulls(alpha, rows, x, pull)
        _answer(pull, x[last], d, fee, impact, held, low, high, w, s)
        gross = _gradient(rows, w, x, factors, limit, g)
        error = _error(g, x, max(gross, size_of_w), limit, factors, widest, floor, scale)
        if error <= tolerance or steps == MAX_STEPS:
            break
        steps += 1
        _curvature(rows, w, s, factors, h)
        bound = limit < np.inf and (x[last] > 0.0 or g[last] < 0.0)
        # two ways to keep a step to the problem's size, each of which some problem takes badly: they take turns
        ceiling = 0.0 if (steps // TURN) % 2 == 0 else 1e-3
        edge = x[last] <= 0.0
        if not _direction(rows, h, g, free, damp, bound, edge, FARTHEST * scale, ceiling, damping, lower, step, turn):
            damp = max(1e-8, 10.0 * damp)
            continue
        longest = -x[last] / step[last] if step[last] < 0.0 else 1e12
        begin = 0.0
        for j in range(size):
            begin += g[j] * step[j]
        t, over = 0.0, 0.0
        if begin < 0.0:
            t, over = _length(
                begin, longest, steps > CAREFUL, pull, turn, x, step, factors, limit, d, fee, impact, held, low, high
            )
        if t == 0.0:
            if damp > 1e6:
                break
            damp = max(1e-6, 100.0 * damp)
            continue
        for j in range(size):
            x[j] += t * step[j]
        x[last] = 0.0 if t == longest else max(0.0, x[last])
        wrong = t < 0.05 or (steps > PATIENT and over > 0.1)
        damp = max(1e-6, 10.0 * damp) if wrong else damp * 0.1 if damp > 1e-8 else 0.0
    return error, steps
