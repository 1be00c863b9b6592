"""Self-exciting arrivals: a Hawkes process of several kinds with exponential kernels, simulated exactly.

The rate of kind i at t is ``mu_i * boost`` and, for each arrival of a kind j at t_k before t, another
``alpha_ij exp(-beta_ij (t - t_k))`` (mathematical specification, 8.1). The branching matrix is ``alpha / beta``; the
process is stationary where its spectral radius is below 1, and then arrives at rates ``(I - N)^-1 mu``. Arrivals are
drawn by thinning (Ogata 1981): between arrivals rates only fall, so the rate of now bounds the future until one comes.

The record always knows its next arrival (``next_s``, ``next_kind``), which did not happen yet: something from outside
may come before it (`excite`), or base rates may change (`rebase`), and the rest is drawn anew from what is then
known. Times are seconds, rates per second. The random stream is the record's own.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from slipstream.lob.flow.draws import uniform
from slipstream.lob.record import sources_mark

MAX_KINDS = 8
HAWKES_DTYPE = np.dtype(
    [
        ("rng", np.uint64),
        ("kinds", np.int64),
        ("now_s", np.float64),  # when the state below holds: the last arrival or change
        ("next_s", np.float64),  # the next arrival, inf if none will come
        ("next_kind", np.int64),
        ("boost", np.float64),  # what all base rates are multiplied by
        ("mu", np.float64, (MAX_KINDS,)),
        ("alpha", np.float64, (MAX_KINDS, MAX_KINDS)),
        ("beta", np.float64, (MAX_KINDS, MAX_KINDS)),
        ("excited", np.float64, (MAX_KINDS, MAX_KINDS)),  # what kind j adds to the rate of kind i at now_s
        (sources_mark(Path(__file__).parent), np.int64),
    ]
)


@njit(cache=True)
def rate_at(h: Any, kind: int, at_s: float) -> float:
    """The rate of a kind at a time from ``now_s`` on, if nothing came in between."""
    rate = h.mu[kind] * h.boost
    for j in range(h.kinds):
        if h.excited[kind, j] > 0.0:
            rate += h.excited[kind, j] * math.exp(-h.beta[kind, j] * (at_s - h.now_s))
    return rate


@njit(cache=True)
def arm(h: Any) -> None:
    """Draw the next arrival from the state at ``now_s``; the state stays as it is."""
    at = h.now_s
    bound = 0.0
    for i in range(h.kinds):
        bound += rate_at(h, i, at)
    while bound > 0.0:
        at -= math.log(uniform(h)) / bound
        # one number thins and names the kind: it falls below the sum of the rates with the right probability
        left = uniform(h) * bound
        total = 0.0
        for i in range(h.kinds):
            rate = rate_at(h, i, at)
            total += rate
            if left < total:
                h.next_s = at
                h.next_kind = i
                return
        bound = total
        if bound < 1e-300:
            break
    h.next_s = math.inf
    h.next_kind = -1


@njit(cache=True)
def _move_to(h: Any, at_s: float) -> None:
    """Let what excites fade until ``at_s``."""
    for i in range(h.kinds):
        for j in range(h.kinds):
            if h.excited[i, j] > 0.0:
                h.excited[i, j] *= math.exp(-h.beta[i, j] * (at_s - h.now_s))
    h.now_s = at_s


@njit(cache=True)
def excite(h: Any, at_s: float, kind: int) -> None:
    """An arrival of a kind happens at ``at_s`` (not after ``next_s``), and what follows is drawn anew.

    For arrivals from outside of the process: an order of ours excites as anybody's.
    """
    _move_to(h, at_s)
    for i in range(h.kinds):
        h.excited[i, kind] += h.alpha[i, kind]
    arm(h)


@njit(cache=True)
def rebase(h: Any, at_s: float, boost: float) -> None:
    """From ``at_s`` on (not after ``next_s``) base rates are ``boost`` times ``mu``; what excites goes on."""
    _move_to(h, at_s)
    h.boost = boost
    arm(h)


@njit(cache=True)
def next_arrival(h: Any) -> int:
    """Let the next arrival happen: its kind; ``now_s`` is its time. -1, and nothing happens, if none will come."""
    kind = h.next_kind
    if kind >= 0:
        excite(h, h.next_s, kind)
    return kind


@njit(cache=True)
def arrivals_into(hs: Any, until_s: float, times: Any, kinds: Any) -> int:
    """Write the arrivals before ``until_s`` of the record hs[0]; how many there was room for.

    Where the arrays were full the record stands at the last one written: call again.
    """
    h = hs[0]
    n = 0
    while n < len(times) and h.next_s < until_s:
        kinds[n] = next_arrival(h)
        times[n] = h.now_s
        n += 1
    return n


@njit(cache=True)
def counts_into(hs: Any, window_s: float, counts: Any) -> None:
    """Count the arrivals of each kind (columns) of hs[0] in consecutive windows (rows) from its ``now_s`` on."""
    h = hs[0]
    end = h.now_s
    for row in range(counts.shape[0]):
        end += window_s
        for i in range(h.kinds):
            counts[row, i] = 0
        while h.next_s < end:
            counts[row, next_arrival(h)] += 1


Floats = npt.NDArray[np.float64]


def new_hawkes(mu: npt.ArrayLike, alpha: npt.ArrayLike, beta: npt.ArrayLike, seed: int, at_s: float = 0.0) -> Any:
    """A process without a past at ``at_s``: a one-element array of HAWKES_DTYPE, its first arrival drawn.

    ``mu`` has a rate for each kind, ``alpha[i, j]`` what an arrival of kind j adds to the rate of kind i, ``beta``
    how fast that fades, all per second. Raises ValueError for wrong shapes or numbers, and for a process that is not
    stationary: its arrivals would never end.
    """
    hs = np.zeros(1, HAWKES_DTYPE)
    load_hawkes(hs[0], mu, alpha, beta, seed, at_s)
    arm_first(hs)
    return hs


def load_hawkes(
    h: Any, mu: npt.ArrayLike, alpha: npt.ArrayLike, beta: npt.ArrayLike, seed: int, at_s: float = 0.0
) -> None:
    """Write a process without a past into a record, wherever that lies; `arm` it before its first use.

    Raises ValueError as `new_hawkes` does.
    """
    base, jumps, fades = checked(mu, alpha, beta)
    d = len(base)
    for name in ("mu", "alpha", "beta", "excited"):
        h[name][...] = 0.0
    h["beta"][...] = 1.0
    h["kinds"], h["boost"], h["now_s"], h["next_s"], h["next_kind"] = d, 1.0, at_s, math.inf, -1
    h["rng"] = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    h["mu"][:d], h["alpha"][:d, :d], h["beta"][:d, :d] = base, jumps, fades


@njit(cache=True)
def arm_first(hs: Any) -> None:
    """`arm` on hs[0], for callers outside compiled code."""
    arm(hs[0])


def checked(mu: npt.ArrayLike, alpha: npt.ArrayLike, beta: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """The parameters as arrays of d, d x d and d x d. Raises ValueError that says which number is wrong and why."""
    base = np.atleast_1d(np.asarray(mu, np.float64))
    jumps = np.atleast_2d(np.asarray(alpha, np.float64))
    fades = np.atleast_2d(np.asarray(beta, np.float64))
    d = len(base)
    if base.ndim != 1 or not 1 <= d <= MAX_KINDS or jumps.shape != (d, d) or fades.shape != (d, d):
        raise ValueError(
            f"mu has shape {base.shape}, alpha {jumps.shape}, beta {fades.shape}: give d, d x d and d x d numbers "
            f"for 1..{MAX_KINDS} kinds"
        )
    for name, values, least in (("mu", base, 0.0), ("alpha", jumps, 0.0), ("beta", fades, None)):
        bad = ~np.isfinite(values) | (values < 0.0 if least == 0.0 else values <= 0.0)
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            word = "not negative" if least == 0.0 else "positive"
            raise ValueError(f"{name}{list(where)} is {values[where]}: it must be finite and {word}")
    radius = spectral_radius(jumps / fades)
    if radius >= 1.0:
        raise ValueError(
            f"the process is not stationary: the spectral radius of alpha / beta is {radius:.6g}, so every arrival "
            "causes at least one more on average; make alpha smaller or beta larger until it is below 1"
        )
    return base, jumps, fades


def spectral_radius(branching: npt.ArrayLike) -> float:
    """The largest eigenvalue of a branching matrix by size."""
    return float(np.abs(np.linalg.eigvals(np.asarray(branching, np.float64))).max())


def stationary_rates(mu: npt.ArrayLike, alpha: npt.ArrayLike, beta: npt.ArrayLike) -> Floats:
    """Arrivals a second of each kind in the long run, ``(I - N)^-1 mu``. Raises ValueError as `new_hawkes` does."""
    base, jumps, fades = checked(mu, alpha, beta)
    return np.asarray(np.linalg.solve(np.eye(len(base)) - jumps / fades, base), np.float64)


def count_variance(mu: float, alpha: float, beta: float, window_s: float) -> float:
    """Variance of the stationary count of one kind in a window (specification, 8.1). Raises ValueError."""
    checked(mu, alpha, beta)
    gap = beta - alpha
    rate = mu * beta / gap
    c = alpha * rate * (2.0 * beta - alpha) / (2.0 * gap)
    return rate * window_s + 2.0 * c * (window_s / gap + math.expm1(-gap * window_s) / gap**2)


def fano_limit(alpha: float, beta: float) -> float:
    """Variance over mean of the count of one kind in a long window, ``1 / (1 - alpha / beta)^2``. Raises ValueError."""
    checked(1.0, alpha, beta)
    return 1.0 / (1.0 - alpha / beta) ** 2
