"""The likelihood to the digits of the reference; what is fitted is what was simulated."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from slipstream.lob.flow.hawkes import arrivals_into, new_hawkes
from slipstream.lob.flow.likelihood import log_likelihood
from slipstream.simulation.market.hawkes_fit import HawkesFit, fit, likelihood

REFERENCE = Path(__file__).resolve().parents[3] / "../shared/reference/math/08_order_flow.json"
FIRST = [0.3, 0.9, 1.0, 2.2, 4.1, 4.15, 6.0]
SECOND = [0.5, 1.0, 3.3, 4.12, 7.5]
MU = [0.4, 0.3]
ALPHA = [[0.8, 0.3], [0.2, 0.5]]
BETA = [[2.0, 1.5], [1.0, 2.5]]
BOTH = -17.375866349783614
ALONE = -9.51390843574804

Floats = npt.NDArray[np.float64]


def merged() -> tuple[Floats, npt.NDArray[np.int64]]:
    times = np.array(FIRST + SECOND)
    kinds = np.repeat([0, 1], [len(FIRST), len(SECOND)])
    order = np.argsort(times, kind="stable")
    return times[order], kinds[order]


def test_the_likelihood_is_the_reference() -> None:
    assert likelihood(*merged(), 8.0, MU, ALPHA, BETA) == pytest.approx(BOTH, abs=1e-13)
    assert likelihood(FIRST, np.zeros(7, np.int64), 8.0, 0.5, 1.2, 2.0) == pytest.approx(ALONE, abs=1e-13)


def test_the_reference_file_says_the_same() -> None:
    if not REFERENCE.exists():
        pytest.skip("the mathematical reference is not beside this checkout")
    case = json.loads(REFERENCE.read_text())["hawkes_ll"]
    assert case["times"] == [FIRST, SECOND] and case["loglik"] == BOTH and case["univariate"]["loglik"] == ALONE


def test_equal_times_do_not_excite_each_other() -> None:
    """1.0 is in both lists: swapping the two arrivals changes nothing, moving one behind the other does."""
    times, kinds = merged()
    place = int(np.flatnonzero(np.diff(times) == 0.0)[0])
    swapped = kinds.copy()
    swapped[[place, place + 1]] = swapped[[place + 1, place]]
    assert likelihood(times, swapped, 8.0, MU, ALPHA, BETA) == pytest.approx(BOTH, abs=1e-13)
    times[place + 1] += 1e-9
    assert abs(likelihood(times, kinds, 8.0, MU, ALPHA, BETA) - BOTH) > 0.05


def test_the_gradient_is_the_slope() -> None:
    times, kinds = merged()
    start = np.concatenate([MU, np.ravel(ALPHA), np.ravel(BETA)])

    def value(x: Floats) -> tuple[float, Floats]:
        slope = np.empty(10)
        parts = (x[:2], x[2:6].reshape(2, 2), x[6:].reshape(2, 2))
        into = (slope[:2], slope[2:6].reshape(2, 2), slope[6:].reshape(2, 2))
        return log_likelihood(times, kinds, 8.0, *parts, *into), slope

    exact = value(start)[1]
    for place in range(10):
        shift = np.zeros(10)
        shift[place] = 1e-6
        slope = (value(start + shift)[0] - value(start - shift)[0]) / 2e-6
        assert exact[place] == pytest.approx(slope, abs=2e-8)


@cache
def one() -> HawkesFit:
    times, kinds = np.empty(100_000), np.empty(100_000, np.int64)
    n = arrivals_into(new_hawkes(0.5, 1.2, 2.0, 7), 10_000.0, times, kinds)
    return fit(times[:n], kinds[:n], 10_000.0)


@cache
def two() -> tuple[Floats, npt.NDArray[np.int64], HawkesFit]:
    times, kinds = np.empty(100_000), np.empty(100_000, np.int64)
    n = arrivals_into(new_hawkes(MU, ALPHA, BETA, 3), 8_000.0, times, kinds)
    return times[:n], kinds[:n], fit(times[:n], kinds[:n], 8_000.0)


def scores(found: HawkesFit, mu: object, alpha: object, beta: object) -> Floats:
    pairs = (
        (found.mu, found.mu_error, mu),
        (found.alpha, found.alpha_error, alpha),
        (found.beta, found.beta_error, beta),
    )
    parts = [
        np.ravel((np.array(got, float) - np.array(true, float)) / np.array(error, float)) for got, error, true in pairs
    ]
    return np.concatenate(parts)


def test_one_kind_is_recovered() -> None:
    found = one()
    assert found.converged and np.abs(scores(found, [0.5], [[1.2]], [[2.0]])).max() < 3.0
    assert np.abs(scores(found, [0.5], [[1.0]], [[2.0]])).max() > 4.0  # the errors are small enough to say no
    assert found.goodness[0].p > 0.05 and abs(found.goodness[0].mean - 1.0) < 0.01
    assert found.poisson_goodness[0].p < 1e-10 and found.gain > 1000.0 and found.prefers_hawkes


def test_two_kinds_are_recovered() -> None:
    _, _, found = two()
    assert found.converged and np.abs(scores(found, MU, ALPHA, BETA)).max() < 3.0
    assert np.abs(scores(found, MU, np.transpose(ALPHA), BETA)[2:6]).max() > 3.0
    assert min(one.p for one in found.goodness) > 0.05 and found.radius == pytest.approx(0.5236, abs=0.06)


def test_the_fit_is_at_least_as_likely_as_the_truth() -> None:
    times, kinds, found = two()
    truth = likelihood(times, kinds, 8_000.0, MU, ALPHA, BETA)
    assert truth <= found.log_likelihood < truth + 20.0


def test_kinds_that_are_alike_share_their_figures() -> None:
    times, kinds = np.empty(100_000), np.empty(100_000, np.int64)
    alpha, beta = [[0.8, 0.3], [0.3, 0.8]], [[2.0, 1.5], [1.5, 2.0]]
    n = arrivals_into(new_hawkes([0.3, 0.3], alpha, beta, 5), 5_000.0, times, kinds)
    found = fit(times[:n], kinds[:n], 5_000.0, symmetric=True)
    assert np.abs(scores(found, [0.3, 0.3], alpha, beta)).max() < 3.0
    assert (
        found.mu[0] == found.mu[1] and found.alpha[0] == found.alpha[1][::-1] and found.beta[0] == found.beta[1][::-1]
    )
    free = fit(times[:n], kinds[:n], 5_000.0)
    assert found.log_likelihood <= free.log_likelihood < found.log_likelihood + 15.0
    assert found.mu_error[0] < free.mu_error[0]  # type: ignore[operator]


def test_poisson_arrivals_are_not_taken_for_excited_ones() -> None:
    rng = np.random.default_rng(4)
    times = np.sort(rng.uniform(0.0, 5_000.0, 2_000))
    found = fit(times, np.zeros(2_000, np.int64), 5_000.0)
    assert not found.prefers_hawkes and found.gain < 12.0
    assert found.poisson_log_likelihood == pytest.approx(2_000 * np.log(0.4) - 2_000)


@pytest.mark.parametrize(
    ("times", "kinds", "words"),
    [
        ([1.0, 0.5], [0, 0], "arrival 1 comes before arrival 0"),
        ([1.0, 11.0], [0, 0], r"arrival 1 is at 11.0 s: times must lie in 0..10.0 s"),
        ([1.0, 2.0], [0], "give one kind for each time"),
        ([], [], "no arrival"),
        ([1.0, 2.0], [0, 9], r"kinds must lie in 0..7"),
        ([1.0, 2.0], [0, 1], "kind 0 arrives 1 times: a fit needs at least 20"),
    ],
)
def test_what_cannot_be_fitted_is_refused(times: list[float], kinds: list[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit(np.array(times), np.array(kinds, np.int64), 10.0)


def test_parameters_without_end_are_refused() -> None:
    with pytest.raises(ValueError, match="not stationary"):
        likelihood(FIRST, np.zeros(7, np.int64), 8.0, 0.5, 2.0, 2.0)
