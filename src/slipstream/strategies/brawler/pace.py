"""What a request is worth now: the price that makes the address budget last."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable

from slipstream.strategies.brawler.config import SECOND
from slipstream.strategies.brawler.estimate import LN2
from slipstream.strategies.brawler.plain import plain

UNTOLD = 10_000  # requests that an address begins with; assumed until the venue tells
TRICKLE = 0.1  # requests a second that the venue grants even an exhausted address
DOUBLING = 8.0  # so many requests ahead of the pace double the price
_LIMIT = 40.0
PACE_DTYPE = np.dtype(
    [
        ("horizon", np.float64),  # s
        ("most", np.float64),  # requests a second
        ("rate", np.float64),
        ("debt", np.float64),
        ("ns", np.int64),
    ]
)


def pace_on(state: Any, now_ns: int, left: int) -> None:
    """Time passes for a `PACE_DTYPE`; ``left`` requests of the address budget remain."""
    if state.ns != 0:
        state.debt = max(0.0, state.debt - state.rate * (now_ns - state.ns) / SECOND)
    state.ns = now_ns
    state.rate = min(state.most, max(TRICKLE, left / state.horizon))


def price_factor(debt: float) -> float:
    """What the price of a request is to be multiplied by: 2 ** (debt / DOUBLING).

    By the exponential function, which is the same in compiled code; a power of 2 is not, in one case of a thousand.
    """
    return math.exp(LN2 * min(_LIMIT, debt / DOUBLING))


for _function in (pace_on, price_factor):
    register_jitable(_function)  # stays plain Python, and may be called from compiled code


class Pace:
    """A leaky account of requests. The pace spreads what is left over ``horizon_s``; requests ahead of it are a debt
    that the pace pays off. The price of a request doubles for every `DOUBLING` of debt."""

    def __init__(self, horizon_s: float, most: float) -> None:
        """``most`` bounds the pace, requests a second, however much is left."""
        self.state = plain(PACE_DTYPE, horizon=horizon_s, most=most)

    @property
    def debt(self) -> float:
        """Requests ahead of the pace."""
        return float(self.state.debt)

    def move(self, now_ns: int, left: int | None) -> None:
        """Time passes; ``left`` requests of the address budget remain (None: not told)."""
        pace_on(self.state, now_ns, UNTOLD if left is None else left)

    def spend(self, requests: int) -> None:
        """So many requests are asked for."""
        self.state.debt += requests

    @property
    def factor(self) -> float:
        """What the price of a request is to be multiplied by; 1 without debt."""
        return price_factor(self.debt)
