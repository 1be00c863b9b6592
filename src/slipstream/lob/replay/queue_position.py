"""How many lots stand in front of a resting order: the estimate that decides when a trade at its price reaches it.

Everything is in lots. ``front`` is what must trade before the order does; ``cum`` is what has traded at its price
since the level's depth was last heard of, kept so that a trade and the depth change that shows it are not counted
twice. An order record has both as float64 fields.

- RISK_AVERSE: only trades move the order up (and a level that became smaller than what was in front).
- POWER, POWER2, POWER3, LOG, LOG2: of a decrease that no trade explains, a part was behind the order: the probability
  p of that is f(b)/(f(b)+f(a)) for POWER (f = x**n) and LOG (f = ln(1+x)), f(b)/f(b+a) for POWER2 and LOG2, and
  1 - (a/(a+b))**n for POWER3, with a in front and b behind. A level with nothing on it has p = 1.
- EXACT: the tape names the orders (`seq`), so what left in front is known (`left`).

Source: Rigtorp, "Estimating order queue position" (2013), and the rules that hftbacktest's models follow. Like there,
``front`` may go below nothing on a depth change: the next trade at the price then fills more than it traded, unless
the fill is capped at the trade (`executed`).
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

RISK_AVERSE, POWER, POWER2, POWER3, LOG, LOG2, EXACT = 0, 1, 2, 3, 4, 5, 6
MODELS = {
    "risk_averse": RISK_AVERSE,
    "power": POWER,
    "power2": POWER2,
    "power3": POWER3,
    "log": LOG,
    "log2": LOG2,
    "exact": EXACT,
}
"""The names by which terms choose a model."""


@njit(cache=True)
def _power(x: float, n: float) -> float:
    return x * x * x if n == 3.0 else x**n


@njit(cache=True)
def behind(model: int, n: float, front: float, back: float) -> float:
    """The probability that a decrease of the level was behind the order. ``n`` is the power of the POWER models.

    Above one or not a number where a model's own formula says so (``front`` below nothing): as upstream, an infinite
    one is 1, and so is 0/0, which upstream leaves undefined.
    """
    if model == POWER3:
        whole = front + back
        return 1.0 if whole == 0.0 else 1.0 - _power(front / whole, n)
    if model in (POWER, POWER2):
        above = _power(back, n)
        below = above + _power(front, n) if model == POWER else _power(back + front, n)
    else:
        above = math.log(1.0 + back) if back > -1.0 else math.nan
        rest = front if model == LOG else back + front
        below = math.log(1.0 + rest) if rest > -1.0 else math.nan
        if model == LOG:
            below += above
    if below == 0.0:
        return 1.0
    return above / below


@njit(cache=True)
def joined(order: Any, level_lots: float) -> None:
    """The order joins its level: all that rests there is in front of it."""
    order.front = level_lots
    order.cum = 0.0


@njit(cache=True)
def traded(order: Any, lots: float) -> None:
    """So many lots traded at the order's price."""
    order.front -= lots
    order.cum += lots


@njit(cache=True)
def changed(model: int, n: float, front: float, cum: float, prev: float, new: float) -> tuple[float, float]:
    """(front, cum) after the level went from ``prev`` to ``new`` lots; ``n`` is the power of the POWER models."""
    if model in (RISK_AVERSE, EXACT):
        return min(front, new), cum
    drop = prev - new - cum
    if drop < 0.0:  # it grew, but for what traded: newcomers are behind
        return min(front, new), 0.0
    back = prev - front
    if drop == 0.0 and front >= 0.0 and back >= 0.0:  # trades explain all of it, whatever p is
        return min(front, new), 0.0
    p = behind(model, n, front, back)
    estimate = front - (1.0 - p) * drop + min(back - p * drop, 0.0)
    return (min(estimate, new) if estimate == estimate else new), 0.0


@njit(cache=True)
def left(front: float, cum: float, own_seq: int, seq: int, prev: float, new: float) -> tuple[float, float]:
    """(front, cum) after the order ``seq`` made its level go from ``prev`` to ``new``: the EXACT rule.

    ``own_seq`` is the last seq given out before the order joined: what has a larger one is behind it. A decrease
    that a trade before it explains has moved the order up already.
    """
    drop = prev - new
    if drop <= 0.0:
        return front, cum
    told = min(drop, max(cum, 0.0))
    if seq <= own_seq:
        front -= drop - told
    return min(front, new), cum - told


@njit(cache=True)
def executed(front: float, lot: float) -> int:
    """Whole lots that have passed the front of the queue and reach the order; ``lot`` is one lot in front's unit.

    Halves count as whole (upstream rounds away from zero). If any do, the caller sets ``front`` to 0 and, where
    fills are capped, takes no more than the trade had.
    """
    return math.floor(-front / lot + 0.5) if front < 0.0 else 0
