"""What a coin is worth, and the leading exchange that shows it first.

The leader's log price is a Brownian motion: its own part and a factor's that moves several coins, both scaled by a
two-state regime (a Markov chain in continuous time with exponential stays: pi0 = q10 / (q01 + q10), P00(t) = pi0 + pi1
exp(-(q01 + q10) t)). The local premium over the leader is an Ornstein-Uhlenbeck process. Steps are exact for any
length: a change of regime within a step weighs with the time it had.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from slipstream.lob.flow.draws import exponential, normal
from slipstream.lob.flow.record import NEVER


@njit(cache=True)
def _draw(v: Any, state: int) -> float:
    """A standard normal (0) or exponential (1) number of another stream of the record."""
    own = v.rng
    v.rng = v.factor_rng if state == 0 else v.regime_rng
    number = normal(v) if state == 0 else exponential(v)
    if state == 0:
        v.factor_rng = v.rng
    else:
        v.regime_rng = v.rng
    v.rng = own
    return number


@njit(cache=True)
def _tick(v: Any, ns: int) -> None:
    """Let the weighted clock run."""
    scale = v.regime_volatility[v.regime]
    v.clock += scale * scale * (ns - v.since) / 1e9
    v.since = ns


@njit(cache=True)
def begin(v: Any, ns: int) -> None:
    """Start at a time: draws how long the present regime lasts."""
    v.now = v.since = ns
    v.clock = 0.0
    seconds = v.regime_seconds[v.regime]
    v.regime_until = ns + max(1, int(seconds * 1e9 * _draw(v, 1))) if seconds > 0.0 else NEVER


@njit(cache=True)
def switch(v: Any) -> None:
    """The present regime ends at ``regime_until``; the other one begins."""
    ns = v.regime_until
    _tick(v, ns)
    v.regime = 1 - v.regime
    seconds = v.regime_seconds[v.regime]
    v.regime_until = ns + max(1, int(seconds * 1e9 * _draw(v, 1))) if seconds > 0.0 else NEVER


@njit(cache=True)
def move(v: Any, ns: int) -> None:
    """Leader and basis as they are at a later time."""
    while v.regime_until <= ns:
        switch(v)
    _tick(v, ns)
    root = math.sqrt(v.clock)
    v.clock = 0.0
    if v.volatility > 0.0:
        v.leader += v.volatility * root * normal(v)
    if v.factor_volatility != 0.0:
        v.leader += v.factor_volatility * root * _draw(v, 0)
    if v.basis_seconds > 0.0:
        keep = math.exp(-(ns - v.now) / 1e9 / v.basis_seconds)
        noise = v.basis_sd * math.sqrt(1.0 - keep * keep) * normal(v)
        v.basis = v.basis_mean + keep * (v.basis - v.basis_mean) + noise
    v.now = ns


@njit(cache=True)
def walk_into(values: Any, steps: int, step_ns: int, leader: Any, basis: Any) -> None:
    """Move every record ``steps`` times by ``step_ns`` and write leader and basis after each step: [record, step]."""
    for i in range(len(values)):
        v = values[i]
        for k in range(steps):
            move(v, v.now + step_ns)
            leader[i, k] = v.leader
            basis[i, k] = v.basis


@njit(cache=True)
def begin_all(values: Any, ns: int) -> None:
    """`begin` of every record."""
    for i in range(len(values)):
        begin(values[i], ns)


def stationary_share(seconds: tuple[float, float]) -> float:
    """The long-run share of time in regime 0, from the mean stays in both."""
    return seconds[0] / (seconds[0] + seconds[1])


def stay_probability(seconds: tuple[float, float], t: float) -> float:
    """The probability that regime 0 is in regime 0 again ``t`` seconds later."""
    share = stationary_share(seconds)
    return float(share + (1.0 - share) * np.exp(-(1.0 / seconds[0] + 1.0 / seconds[1]) * t))
