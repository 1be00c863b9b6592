"""One weight's answer to the multipliers of a cost-aware book, in closed form. Compiled.

The weight maximises ``p w - d w^2 / 2 - f |w - w0| - l |w - w0|^1.5 - mu |w|`` within its bounds: a concave function
with kinks at w0 and 0, and between them a quadratic in sqrt|w - w0|.

Reference: mathematical specification, section 9.2 (the stable shape of the root).
"""

from __future__ import annotations

import math

from slipstream.core.compiled import compiled

TINY = 1e-290  # below it products underflow, and what is left of a slope is nothing


@compiled
def _root(surplus: float, c: float, d: float) -> float:
    """The positive x of ``d x^2 + c x = surplus``, without cancellation."""
    if surplus < TINY:
        return 0.0
    return 2.0 * surplus / (math.sqrt(c * c + 4.0 * d * surplus) + c)


@compiled
def respond(
    pull: float, mu: float, d: float, fee: float, impact: float, held: float, low: float, high: float
) -> tuple[float, float]:
    """A weight's answer to its multipliers, and by how much it moves with ``pull``. ``d`` must be positive."""
    flip = 1.0
    if held < 0.0:
        flip, pull, held, low, high = -1.0, -pull, -held, -high, -low
    c = 1.5 * impact
    up = pull - d * held - fee - mu
    slope = 0.0
    w = held
    if up > 0.0:
        root = _root(up, c, d)
        w = held + root * root
        slope = root / (d * root + 0.5 * c) if root > 0.0 else 0.0
    else:
        down = d * held - pull - fee + (mu if held > 0.0 else -mu)
        if down > 0.0:
            root = _root(down, c, d)
            w = held - root * root
            if w <= 0.0 and held > 0.0:
                # to 0, and through it only if that still pays
                w, beyond = 0.0, d * held - pull - fee - mu
                if beyond > d * held + c * math.sqrt(held):
                    root = _root(beyond, c, d)
                    w = min(held - root * root, 0.0)
                else:
                    root = 0.0
            slope = root / (d * root + 0.5 * c) if root > 0.0 else 0.0
    if w > high:
        w, slope = high, 0.0
    if w < low:
        w, slope = low, 0.0
    return flip * w, slope
