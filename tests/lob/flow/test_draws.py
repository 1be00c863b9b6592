"""Random numbers have their laws, and streams nothing in common."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from slipstream.lob.flow import draws
from tests.lob.flow.drawing import BELOW, EXPONENTIAL, LOGNORMAL, NORMAL, POISSON, UNIFORM, drawn

N = 200_000


def test_splitmix_gives_the_published_numbers() -> None:
    """Seed 1234567 of the reference implementation (Vigna's splitmix64.c)."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    state, seen = 1234567, []
    for _ in published:
        seen.append(draws._mix(state))
        state = (state + 0x9E3779B97F4A7C15) & draws._MASK
    assert seen == published


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        (UNIFORM, stats.uniform()),
        (EXPONENTIAL, stats.expon()),
        (NORMAL, stats.norm()),
        (LOGNORMAL, stats.lognorm(0.7, scale=math.exp(1.2))),
    ],
)
def test_numbers_have_their_law(kind: int, law: object) -> None:
    seen = drawn(kind, N, seed=3, a=1.2, b=0.7)
    assert stats.kstest(seen, law.cdf).pvalue > 1e-3  # type: ignore[attr-defined]
    assert abs(np.corrcoef(seen[:-1], seen[1:])[0, 1]) < 4.0 / math.sqrt(N)


@pytest.mark.parametrize("mean", [0.0, 0.3, 7.5, 80.0])
def test_poisson_numbers_are_exact_for_small_and_large_means(mean: float) -> None:
    seen = drawn(POISSON, N, seed=4, a=mean)
    assert abs(seen.mean() - mean) <= 4.0 * math.sqrt(mean / N)
    assert abs(seen.var() - mean) <= 4.0 * math.sqrt((mean + 2.0 * mean * mean) / N)
    middle = math.floor(mean)
    p = stats.poisson(mean).cdf(middle)
    assert abs((seen <= middle).mean() - p) <= 4.0 * math.sqrt(p * (1.0 - p) / N) + 1e-12


def test_integers_below_a_bound_are_even() -> None:
    counts = np.bincount(drawn(BELOW, N, a=7.0).astype(int), minlength=7)
    assert len(counts) == 7
    assert stats.chisquare(counts).pvalue > 1e-3


def test_streams_repeat_and_neighbours_have_nothing_in_common() -> None:
    one = drawn(UNIFORM, N, seed=7)
    assert np.array_equal(one, drawn(UNIFORM, N, seed=7))
    for other in (drawn(UNIFORM, N, seed=8), drawn(UNIFORM, N, seed=7, place=1)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4.0 / math.sqrt(N)
        assert not set(one.tolist()) & set(other.tolist()), "the same stream, further on"
