"""Self-exciting arrivals: simulated as the theory says, refused where they would never end."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from numba import njit

from slipstream.lob.flow.hawkes import (
    arrivals_into,
    count_variance,
    counts_into,
    excite,
    fano_limit,
    new_hawkes,
    rate_at,
    rebase,
    spectral_radius,
    stationary_rates,
)

MU = [0.4, 0.3]
ALPHA = [[0.8, 0.3], [0.2, 0.5]]
BETA = [[2.0, 1.5], [1.0, 2.5]]
RATES = (0.8636363636363636, 0.5909090909090908)  # (I - N)^-1 mu
RADIUS = 0.523606797749979


def arrivals(seed: int, until_s: float, room: int = 100_000) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    times, kinds = np.empty(room), np.empty(room, np.int64)
    n = arrivals_into(new_hawkes(MU, ALPHA, BETA, seed), until_s, times, kinds)
    return times[:n], kinds[:n]


def test_stationary_rates_and_radius_are_the_reference() -> None:
    assert stationary_rates(MU, ALPHA, BETA) == pytest.approx(RATES, rel=1e-14)
    assert spectral_radius(np.array(ALPHA) / np.array(BETA)) == pytest.approx(RADIUS, rel=1e-14)


def test_count_variance_and_fano_are_the_reference() -> None:
    assert count_variance(0.5, 1.2, 2.0, 1.0) == pytest.approx(3.2952766587740836, rel=1e-13)
    assert count_variance(0.5, 1.2, 2.0, 10.0) == pytest.approx(69.92462684186951, rel=1e-13)
    assert fano_limit(1.2, 2.0) == pytest.approx(6.25, rel=1e-14)
    assert count_variance(0.5, 1.2, 2.0, 1e7) / (1.25 * 1e7) == pytest.approx(6.25, rel=1e-5)


def z_of_rates(alpha: list[list[float]], windows: int = 4000, window_s: float = 50.0) -> npt.NDArray[np.float64]:
    """How far the mean counts of a simulation lie from the reference rates, in standard errors of its own windows."""
    hs = new_hawkes(MU, alpha, BETA, 11)
    arrivals_into(hs, 100.0, np.empty(10_000), np.empty(10_000, np.int64))  # until the start is forgotten
    counts = np.empty((windows, 2), np.int64)
    counts_into(hs, window_s, counts)
    # windows touch each other: errors from means of 20 in a row
    means = counts.reshape(-1, 20, 2).mean(axis=1)
    return (counts.mean(axis=0) - np.array(RATES) * window_s) / (means.std(axis=0, ddof=1) / math.sqrt(len(means)))


def test_simulated_rates_are_the_stationary_ones() -> None:
    assert np.abs(z_of_rates(ALPHA)).max() < 4.0


def test_a_wrong_kernel_is_noticed() -> None:
    assert np.abs(z_of_rates([[0.7, 0.3], [0.2, 0.5]])).max() > 10.0
    assert np.abs(z_of_rates([[0.8, 0.2], [0.3, 0.5]])).max() > 6.0  # the matrix the wrong way round


@pytest.mark.parametrize("window_s", [1.0, 10.0])
def test_simulated_count_variance(window_s: float) -> None:
    hs = new_hawkes(0.5, 1.2, 2.0, 5)
    arrivals_into(hs, 100.0, np.empty(10_000), np.empty(10_000, np.int64))
    counts = np.empty((200_000, 1), np.int64)
    counts_into(hs, window_s, counts)
    mean = 1.25 * window_s
    squares = ((counts[:, 0] - mean) ** 2).reshape(200, -1).mean(axis=1)
    error = squares.std(ddof=1) / math.sqrt(len(squares))
    assert abs(squares.mean() - count_variance(0.5, 1.2, 2.0, window_s)) < 4.0 * error
    assert abs(squares.mean() - count_variance(0.5, 1.1, 2.0, window_s)) > 4.0 * error
    assert abs(squares.mean() - mean) > 20.0 * error  # what Poisson would have


def test_arrivals_are_in_order_and_the_seed_decides() -> None:
    times, kinds = arrivals(3, 2000.0)
    again, same = arrivals(3, 2000.0)
    other, _ = arrivals(4, 2000.0)
    assert np.diff(times).min() > 0.0 and times[0] > 0.0 and times[-1] < 2000.0
    assert set(kinds.tolist()) == {0, 1}
    assert np.array_equal(times, again) and np.array_equal(kinds, same)
    assert not np.array_equal(times[:100], other[:100])


def test_full_arrays_lose_nothing() -> None:
    whole, what = arrivals(9, 300.0)
    hs = new_hawkes(MU, ALPHA, BETA, 9)
    times, kinds = np.empty(7), np.empty(7, np.int64)
    parts, names = [], []
    while n := arrivals_into(hs, 300.0, times, kinds):
        parts.append(times[:n].copy())
        names.append(kinds[:n].copy())
    assert np.array_equal(np.concatenate(parts), whole) and np.array_equal(np.concatenate(names), what)


@njit
def outside(hs, at_s: float, kind: int):  # type: ignore[no-untyped-def]
    """`excite` on hs[0]; the rates just after."""
    excite(hs[0], at_s, kind)
    return rate_at(hs[0], 0, at_s), rate_at(hs[0], 1, at_s)


@njit
def boosted(hs, at_s: float, boost: float):  # type: ignore[no-untyped-def]
    """`rebase` on hs[0]; the rate of kind 0 just after."""
    rebase(hs[0], at_s, boost)
    return rate_at(hs[0], 0, at_s)


def test_an_arrival_from_outside_excites_as_any_other() -> None:
    hs = new_hawkes(MU, ALPHA, BETA, 1)
    first = float(hs[0]["next_s"])
    at = first / 2.0
    assert outside(hs, at, 1) == pytest.approx((0.4 + 0.3, 0.3 + 0.5), rel=1e-12)
    assert hs[0]["now_s"] == at and hs[0]["next_s"] > at and hs[0]["next_s"] != first


def test_base_rates_change_and_what_was_excited_stays() -> None:
    hs = new_hawkes(MU, ALPHA, BETA, 1)
    first = float(hs[0]["next_s"])
    outside(hs, first / 2.0, 0)
    later = (first / 2.0 + float(hs[0]["next_s"])) / 2.0
    faded = 0.8 * math.exp(-2.0 * (later - first / 2.0))
    assert boosted(hs, later, 3.0) == pytest.approx(1.2 + faded, rel=1e-12)


def test_nothing_comes_where_nothing_may() -> None:
    hs = new_hawkes([0.0], [[0.5]], [[1.0]], 1)
    assert arrivals_into(hs, 1e9, np.empty(10), np.empty(10, np.int64)) == 0
    assert math.isinf(hs[0]["next_s"])


@pytest.mark.parametrize(
    ("mu", "alpha", "beta", "words"),
    [
        (0.5, 2.0, 2.0, "not stationary: the spectral radius of alpha / beta is 1"),
        ([0.1, 0.1], [[0.5, 0.9], [0.9, 0.5]], [[1.0, 1.0], [1.0, 1.0]], "radius of alpha / beta is 1.4"),
        ([0.1, -0.1], ALPHA, BETA, r"mu\[1\] is -0.1: it must be finite and not negative"),
        (MU, ALPHA, [[2.0, 0.0], [1.0, 2.5]], r"beta\[0, 1\] is 0.0: it must be finite and positive"),
        (MU, [[0.1]], BETA, r"alpha \(1, 1\)"),
        (MU, [[math.nan, 0.1], [0.1, 0.1]], BETA, r"alpha\[0, 0\] is nan"),
    ],
)
def test_what_cannot_be_is_refused(mu: object, alpha: object, beta: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        new_hawkes(mu, alpha, beta, 1)  # type: ignore[arg-type]
