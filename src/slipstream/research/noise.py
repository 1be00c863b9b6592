"""Noise that hourly returns may have: mean 0 and variance 1, a row of ``n`` records an hour. Seeded."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Draw = Callable[[int], Array]  # hours -> (hours, records)
Noise = Callable[[np.random.Generator, int], Draw]


def gaussian(rng: np.random.Generator, n: int) -> Draw:
    """Independent and normal."""
    return lambda hours: rng.standard_normal((hours, n))


def student(rng: np.random.Generator, n: int) -> Draw:
    """Independent Student t with 3 degrees of freedom: the fourth moment is infinite."""
    return lambda hours: rng.standard_t(3.0, (hours, n)) / math.sqrt(3.0)


def garch(rng: np.random.Generator, n: int) -> Draw:
    """GARCH(1, 1) with normal innovations, 0.08 and 0.90: volatility clusters over two days."""
    variance = np.ones(n)
    last = np.zeros(n)

    def draw(hours: int) -> Array:
        nonlocal variance, last
        out = rng.standard_normal((hours, n))
        for row in out:
            variance = 0.02 + 0.08 * last * last + 0.90 * variance
            row *= np.sqrt(variance)
            last = row
        last = last.copy()
        return out

    return draw


def autoregressive(phi: float) -> Noise:
    """Normal AR(1) of coefficient ``phi``, stationary."""

    def noise(rng: np.random.Generator, n: int) -> Draw:
        last = rng.standard_normal(n)
        fresh = math.sqrt(1.0 - phi * phi)

        def draw(hours: int) -> Array:
            nonlocal last
            out = fresh * rng.standard_normal((hours, n))
            for row in out:
                row += phi * last
                last = row
            last = last.copy()
            return out

        return draw

    return noise


def skewed(rng: np.random.Generator, n: int) -> Draw:
    """Small gains against one loss of 20 standard deviations in 2,000 hours: what a seller of insurance earns."""
    chance, loss = 1.0 / 2_000.0, 20.0
    rest = math.sqrt(1.0 - loss * loss * chance * (1.0 - chance))

    def draw(hours: int) -> Array:
        jump = rng.random((hours, n)) < chance
        value: Array = rest * rng.standard_normal((hours, n)) + loss * (chance - jump)
        return value

    return draw


NOISES: dict[str, Noise] = {
    "gaussian": gaussian,
    "student t(3)": student,
    "GARCH(1,1)": garch,
    "AR(1) 0.2": autoregressive(0.2),
    "AR(1) 0.3": autoregressive(0.3),
    "rare losses": skewed,
}
