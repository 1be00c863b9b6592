"""Calm and wild times in returns: a hidden two-state Markov chain, fitted by expectation and maximisation.

Returns are normal without drift, their volatility is the state's. Baum et al. 1970; Hamilton 1989.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
ROUNDS = 300
LEAST_RETURNS = 60


class Regimes(msgspec.Struct, frozen=True, kw_only=True):
    """Two volatilities (per square root of a second), mean stays in seconds, what the two states gain.

    ``activity``: how much is traded in each, the mean being 1 (where that was measured).
    ``gain``: twice the log-likelihood over one volatility for all; ``worth_it``: whether Akaike's criterion takes the
    three more parameters for that.
    """

    volatility: tuple[float, float]
    stay_s: tuple[float, float]
    share_wild: float
    gain: float
    activity: tuple[float, float] = (1.0, 1.0)

    @property
    def worth_it(self) -> bool:
        """Whether two states describe the returns better than one."""
        return self.gain > 2.0 * 3


def fit_regimes(returns: npt.ArrayLike, step_s: float) -> tuple[Regimes, Floats]:
    """The chain, and the probability of the wild state at each return.

    Raises ValueError for fewer than 60 returns or returns that never differ from zero.
    """
    r = np.asarray(returns, np.float64)
    if len(r) < LEAST_RETURNS or not np.isfinite(r).all():
        raise ValueError(f"regimes need at least {LEAST_RETURNS} returns, all of them numbers, not {len(r)}")
    variance = float(np.mean(r**2))
    if not variance > 0.0:
        raise ValueError("regimes: the price never moves")
    states = np.array([0.4, 2.5]) * variance
    moves = np.array([[0.95, 0.05], [0.1, 0.9]])
    wild, pairs = np.empty(len(r)), np.empty((2, 2))
    last = level = -math.inf
    for _ in range(ROUNDS):
        level = float(_expect(r, states, moves, wild, pairs))
        weights = np.stack([1.0 - wild, wild])
        states = np.maximum((weights * r**2).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9), variance * 1e-4)
        moves = pairs / pairs.sum(axis=1, keepdims=True)
        moves = np.clip(moves, 1e-6, 1.0 - 1e-6)
        moves /= moves.sum(axis=1, keepdims=True)
        if level - last < 1e-8:
            break
        last = level
    if states[0] > states[1]:
        states, moves, wild = states[::-1], moves[::-1, ::-1], 1.0 - wild
    single = float(-0.5 * len(r) * (math.log(2.0 * math.pi * variance) + 1.0))
    leave = 1.0 - np.diag(moves)
    stays = step_s / -np.log1p(-leave)
    calm, rough = np.sqrt(states / step_s)
    found = Regimes(
        volatility=(float(calm), float(rough)),
        stay_s=(float(stays[0]), float(stays[1])),
        share_wild=float(stays[1] / stays.sum()),
        gain=2.0 * (level - single),
    )
    return found, np.asarray(wild, np.float64)


@njit(cache=True)
def _expect(r: Any, states: Any, moves: Any, wild: Any, pairs: Any) -> float:
    """The log-likelihood; writes the probability of state 1 at each return, and the expected moves between states.

    The chain begins in its stationary shares. Densities are kept above 1e-300: a return that neither state would make
    does not end the world.
    """
    n = len(r)
    forward = np.empty((n, 2))
    scale = np.empty(n)
    densities = np.empty((n, 2))
    leave = moves[0, 1] + moves[1, 0]
    before = np.array([moves[1, 0] / leave, moves[0, 1] / leave])
    total = 0.0
    for k in range(n):
        for i in range(2):
            density = math.exp(-0.5 * r[k] * r[k] / states[i]) / math.sqrt(2.0 * math.pi * states[i])
            densities[k, i] = density + 1e-300
            forward[k, i] = before[i] * densities[k, i]
        scale[k] = forward[k, 0] + forward[k, 1]
        total += math.log(scale[k])
        for i in range(2):
            forward[k, i] /= scale[k]
        for i in range(2):
            before[i] = forward[k, 0] * moves[0, i] + forward[k, 1] * moves[1, i]
    behind = np.ones(2)
    ahead = np.empty(2)
    pairs[:, :] = 0.0
    wild[n - 1] = forward[n - 1, 1]
    for k in range(n - 2, -1, -1):
        for i in range(2):
            ahead[i] = densities[k + 1, i] * behind[i] / scale[k + 1]
        for i in range(2):
            for j in range(2):
                pairs[i, j] += forward[k, i] * moves[i, j] * ahead[j]
            behind[i] = moves[i, 0] * ahead[0] + moves[i, 1] * ahead[1]
        weight = forward[k, 0] * behind[0] + forward[k, 1] * behind[1]
        wild[k] = forward[k, 1] * behind[1] / weight
    return total
