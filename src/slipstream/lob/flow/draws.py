"""Random numbers of a record's own stream (splitmix64 in its field ``rng``): the same seed, the same numbers.

Every function takes any record with a field ``rng`` (uint64) and moves it on.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

_MASK = 0xFFFFFFFFFFFFFFFF


def _mix(z: int) -> int:
    z = (z + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def stream(seed: int, place: int) -> int:
    """The start of stream number ``place`` of a seed. Seeds are mixed: neighbours have nothing in common."""
    return _mix(_mix(seed & _MASK) ^ _mix((place + 0x5851F42D4C957F2D) & _MASK))


@njit(cache=True)
def bits(s: Any) -> int:
    """The next 64 random bits (Steele, Lea and Flood 2014)."""
    s.rng += np.uint64(0x9E3779B97F4A7C15)
    z = s.rng
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True)
def uniform(s: Any) -> float:
    """A number in (0, 1), ends excluded."""
    return ((bits(s) >> np.uint64(11)) + 0.5) / 9007199254740992.0


@njit(cache=True)
def below(s: Any, n: int) -> int:
    """An integer in 0..n-1."""
    return min(int(uniform(s) * n), n - 1)


@njit(cache=True)
def exponential(s: Any) -> float:
    """An exponential number of mean one."""
    return -math.log(uniform(s))


@njit(cache=True)
def normal(s: Any) -> float:
    """A standard normal number (Box and Muller)."""
    return math.sqrt(-2.0 * math.log(uniform(s))) * math.cos(2.0 * math.pi * uniform(s))


@njit(cache=True)
def lognormal(s: Any, mu: float, sigma: float) -> float:
    """A number whose logarithm is normal with that mean and deviation."""
    return math.exp(mu + sigma * normal(s)) if sigma > 0.0 else math.exp(mu)


@njit(cache=True)
def poisson(s: Any, mean: float) -> int:
    """A Poisson number, exact for every mean: large ones are sums of parts small enough to multiply out."""
    k = 0
    while mean > 0.0:
        part = min(mean, 30.0)
        mean -= part
        limit = math.exp(-part)
        p = uniform(s)
        while p > limit:
            k += 1
            p *= uniform(s)
    return k
