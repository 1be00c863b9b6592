"""How much to bet: Kelly's fraction, what a part of it earns and risks, and how a drawdown takes risk off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def kelly(cov: npt.ArrayLike, mean: npt.ArrayLike) -> Array:
    """S^-1 mu: leverage of greatest expected log growth. Mean (excess) and covariance per the same unit of time.

    Raises LinAlgError for a singular covariance.
    """
    found: Array = np.linalg.solve(np.asarray(cov, dtype=np.float64), np.asarray(mean, dtype=np.float64))
    return found


def growth(cov: npt.ArrayLike, mean: npt.ArrayLike, bets: npt.ArrayLike) -> float:
    """Expected log growth of continuously kept bets: f'mu - f'Sf / 2, per the unit of time of mean and covariance."""
    f = np.asarray(bets, dtype=np.float64)
    return float(f @ np.asarray(mean, dtype=np.float64) - 0.5 * f @ np.asarray(cov, dtype=np.float64) @ f)


def growth_share(fraction: float) -> float:
    """What a fraction of Kelly's bet earns of its growth: c (2 - c); half earns three quarters, double nothing."""
    return fraction * (2.0 - fraction)


def ever_below(fraction: float, level: float) -> float:
    """The chance that wealth ever falls to ``level`` (of 1) under a fraction of Kelly's bet: x^(2/c - 1).

    Raises ValueError unless 0 < fraction < 2 and 0 < level <= 1.
    """
    if not 0.0 < fraction < 2.0:
        raise ValueError(f"fraction {fraction} must lie between 0 and 2: beyond it ruin is certain")
    if not 0.0 < level <= 1.0:
        raise ValueError(f"level {level} must lie in (0, 1]")
    return float(level ** (2.0 / fraction - 1.0))


def linear_derisking(drawdown: float, begin: float, end: float) -> float:
    """The share of risk kept: 1 up to ``begin``, 0 from ``end`` on, a straight line between.

    Raises ValueError unless 0 <= begin < end.
    """
    if not 0.0 <= begin < end:
        raise ValueError(f"de-risking needs 0 <= begin < end, got {begin} and {end}")
    return min(1.0, max(0.0, (end - drawdown) / (end - begin)))


def grossman_zhou(drawdown: float, limit: float) -> float:
    """The share of risk kept that never breaches ``limit`` in continuous time: [1 - (1 - L) / (1 - D)] / L.

    Grossman and Zhou 1993. Raises ValueError unless 0 < limit < 1.
    """
    if not 0.0 < limit < 1.0:
        raise ValueError(f"drawdown limit {limit} must lie between 0 and 1")
    if drawdown >= limit:
        return 0.0
    if drawdown <= 0.0:
        return 1.0
    return min(1.0, (1.0 - (1.0 - limit) / (1.0 - drawdown)) / limit)
