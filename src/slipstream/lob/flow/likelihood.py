"""How likely a Hawkes process makes what happened, compiled: O(arrivals x kinds^2), with the gradient.

With decayed counts ``R_ij`` of the arrivals of kind j before t (mathematical specification, 8.1)::

    log L = -sum_i mu_i T - sum_ij alpha_ij / beta_ij sum_k (1 - exp(-beta_ij (T - t_k^j))) + sum_k log rate(t_k)

Arrivals at the same time do not excite each other: what counts for a rate came strictly before. Times are seconds
from 0, in order; ``kinds`` are places 0..d-1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def log_likelihood(
    times: Any, kinds: Any, horizon: float, mu: Any, alpha: Any, beta: Any, d_mu: Any, d_alpha: Any, d_beta: Any
) -> float:
    """The log-likelihood of all arrivals in (0, horizon]; writes its derivatives by each parameter."""
    d = len(mu)
    counts = np.zeros((d, d))  # R_ij
    lags = np.zeros((d, d))  # sum of (t - t_k) exp(-beta_ij (t - t_k)): minus the derivative of R_ij by beta_ij
    waiting = np.zeros(d)  # arrivals at the time that is being worked on
    now = 0.0
    total = 0.0
    for i in range(d):
        total -= mu[i] * horizon
        d_mu[i] = -horizon
        for j in range(d):
            d_alpha[i, j] = 0.0
            d_beta[i, j] = 0.0
    for k in range(len(times)):
        t = times[k]
        if t > now:
            _fade(counts, lags, waiting, beta, t - now)
            now = t
        i = kinds[k]
        rate = mu[i]
        for j in range(d):
            rate += alpha[i, j] * counts[i, j]
        total += math.log(rate) if rate > 0.0 else -math.inf
        d_mu[i] += 1.0 / rate
        for j in range(d):
            d_alpha[i, j] += counts[i, j] / rate
            d_beta[i, j] -= alpha[i, j] * lags[i, j] / rate
        waiting[i] += 1.0
        for row in range(d):  # what this arrival adds to each compensator until the horizon
            rest = beta[row, i] * (horizon - t)
            gone = -math.expm1(-rest)
            total -= alpha[row, i] / beta[row, i] * gone
            d_alpha[row, i] -= gone / beta[row, i]
            d_beta[row, i] += alpha[row, i] / beta[row, i] ** 2 * (gone - rest * math.exp(-rest))
    return total


@njit(cache=True)
def _fade(counts: Any, lags: Any, waiting: Any, beta: Any, dt: float) -> None:
    """Bring decayed counts and lags ``dt`` on, the arrivals that waited among them."""
    d = len(waiting)
    for i in range(d):
        for j in range(d):
            fade = math.exp(-beta[i, j] * dt)
            counts[i, j] += waiting[j]
            lags[i, j] = fade * (lags[i, j] + dt * counts[i, j])
            counts[i, j] *= fade
    for j in range(d):
        waiting[j] = 0.0


@njit(cache=True)
def compensators(times: Any, kinds: Any, mu: Any, alpha: Any, beta: Any, out: Any) -> None:
    """Write for each arrival what its kind's rate added up to since that kind's last arrival (since 0 for the first).

    Where the parameters are true these are independent exponentials of mean 1 (the time-change theorem), but for
    arrivals at equal times.
    """
    d = len(mu)
    counts = np.zeros((d, d))
    lags = np.zeros((d, d))
    waiting = np.zeros(d)
    summed = np.zeros(d)
    now = 0.0
    for k in range(len(times)):
        t = times[k]
        if t > now:
            for i in range(d):
                summed[i] += mu[i] * (t - now)
                for j in range(d):
                    faded = -math.expm1(-beta[i, j] * (t - now))
                    summed[i] += alpha[i, j] / beta[i, j] * (counts[i, j] + waiting[j]) * faded
            _fade(counts, lags, waiting, beta, t - now)
            now = t
        out[k] = summed[kinds[k]]
        summed[kinds[k]] = 0.0
        waiting[kinds[k]] += 1.0
