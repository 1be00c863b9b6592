"""Anytime-valid tests: e-processes, which may be looked at after every observation and stopped at any time.

An e-process E starts at 1 and, while its null holds, E[E_T] <= 1 at every stopping time T. So P(E ever reaches 1/a)
<= a (Ville 1939). Everything works on logarithms and on scalars or arrays alike (one entry a record).

*Gaussian* (`point_bet`, `half_normal`): exact for independent normal observations of known scale.

*Betting* (`log_factors`): the wealth of somebody who stakes the fraction ``bet`` of it on every standardised
observation z, factor 1 + bet z (Waudby-Smith and Ramdas 2024). Its null is that the mean of z given the past is <= 0.
It needs no variance, no symmetry, no finite fourth moment and no independence: the scale that standardises may be any
number known beforehand. What it does need, and what is done where it fails:

- No loss beyond 1/bet: wealth cannot fall below 0. Worse losses count as 1/bet, which favours a record of rare huge
  losses; gains count up to ``GAIN`` only, which is less than 1/bet and works against every record. So the level is
  held where the tail of losses beyond 1/bet is not heavier, in mean, than that of gains beyond GAIN.
- Serial correlation makes the mean given the past differ from the mean. Observations are sums over blocks, and a bet
  b pays exp(-DEPENDENCE b^2) a block: for normal sums the level holds while their serial correlations add up to no
  more than DEPENDENCE. Blocks of 12 hours and 0.03 admit an hourly AR(1) up to 0.3.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, logsumexp

Array = npt.NDArray[np.float64]

BETS = (0.03, 0.06, 0.12)  # fractions of wealth on one standard deviation; mixed with equal weights
GAIN = 5.0  # standard deviations of a gain that count
LEAST = 0.02  # what is left of a bet after the worst loss
DEPENDENCE = 0.03  # sum of serial correlations between observations that is allowed for


def point_bet(total: npt.ArrayLike, n: npt.ArrayLike, bet: float, sigma: float = 1.0) -> Array:
    """Log e-value of a sum of ``n`` normal observations: bet S/sigma - n bet^2/2. ``bet`` < 0 tests mean >= 0."""
    _positive("sigma", sigma)
    s, count = np.asarray(total, dtype=np.float64), np.asarray(n, dtype=np.float64)
    value: Array = bet * s / sigma - 0.5 * bet * bet * count
    return value


def half_normal(total: npt.ArrayLike, n: npt.ArrayLike, tau: float, sigma: float = 1.0) -> Array:
    """Log e-value for mean >= 0 against every mean below it, bets mixed over a half normal of scale ``tau``.

    2 exp(tau^2 S^2 / (2 v)) / sqrt(v) Phi(-S tau / sqrt v), v = 1 + n tau^2, S in units of sigma.
    """
    _positive("sigma", sigma)
    _positive("tau", tau)
    s = np.asarray(total, dtype=np.float64) / sigma
    v = 1.0 + np.asarray(n, dtype=np.float64) * tau * tau
    value: Array = math.log(2.0) + tau * tau * s * s / (2.0 * v) - 0.5 * np.log(v) + log_ndtr(-s * tau / np.sqrt(v))
    return value


def log_factors(
    z: npt.ArrayLike, bets: tuple[float, ...] = BETS, *, dependence: float = DEPENDENCE, gain: float = GAIN
) -> Array:
    """Log factor of each bet (last axis) on standardised observations; null: the mean given the past is <= 0."""
    x = np.minimum(np.asarray(z, dtype=np.float64), gain)[..., None]
    stakes = np.asarray(bets, dtype=np.float64)
    factors: Array = np.log(np.maximum(1.0 + stakes * x, LEAST)) - dependence * stakes * stakes
    return factors


def log_mean(log_wealth: npt.ArrayLike) -> Array:
    """Log of the mean over the last axis: the e-value of bets mixed with equal weights."""
    wealth = np.asarray(log_wealth, dtype=np.float64)
    value: Array = np.asarray(logsumexp(wealth, axis=-1)) - math.log(wealth.shape[-1])
    return value


def detect(log_sum: npt.ArrayLike, factors: npt.ArrayLike) -> Array:
    """One step of a detector of change: M <- (M + 1) L for each bet, as logarithms (M = 0 is -inf).

    M adds up e-processes begun at every moment so far, so M_t - t has no upward drift while the null holds: the
    chance of M reaching A within t observations is at most t / A, and the mean time to it at least A
    (Shin, Ramdas, Rinaldo 2024; the Shiryaev-Roberts e-detector).
    """
    value: Array = np.logaddexp(np.asarray(log_sum, dtype=np.float64), 0.0) + np.asarray(factors, dtype=np.float64)
    return value


def spending(alpha: float, n: int, planned: int, reserve: float) -> float:
    """The share of a budget that the n-th claim (from 1) gets: shares of all claims, for ever, add up to ``alpha``.

    The first ``planned`` claims share 1 - reserve equally, the k-th after them gets reserve / (k (k + 1)) of it.
    Raises ValueError for arguments out of range.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha {alpha} must be between 0 and 1")
    if n < 1 or planned < 1:
        raise ValueError(f"claims are counted from 1 and at least one is planned: have claim {n} of {planned}")
    if not 0.0 < reserve < 1.0:
        raise ValueError(f"the reserve {reserve} must be between 0 and 1")
    if n <= planned:
        return alpha * (1.0 - reserve) / planned
    k = n - planned
    return alpha * reserve / (k * (k + 1.0))


def _positive(name: str, value: float) -> None:
    if not (value > 0.0 and math.isfinite(value)):
        raise ValueError(f"{name} {value} must be positive and finite")
