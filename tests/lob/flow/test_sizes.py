"""Sizes have the mean and variation they were given, and rounding to lots is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit

from slipstream.lob.flow import draws
from slipstream.lob.flow.record import SIZE_DTYPE
from slipstream.lob.flow.sizes import amount, quantile_mean, rounded_mean, size_terms
from tests.lob.flow.drawing import LOGNORMAL, drawn

N = 400_000


@pytest.mark.parametrize(
    ("mean", "cv", "lot", "mu", "sigma", "rounded"),
    [
        (1.0, 1.0, 0.01, -0.34657359027997264, 0.8325546111576977, 1.000000000021497),
        (10.0, 2.0, 1.0, 1.4978661367769956, 1.2686362411795196, 10.040693327206204),
        (0.5, 1.5, 0.1, -1.2824746787307684, 1.085658784490618, 0.505661132166842),
    ],
)
def test_terms_and_rounding_are_those_of_the_specification(
    mean: float, cv: float, lot: float, mu: float, sigma: float, rounded: float
) -> None:
    terms = size_terms(mean, cv)
    assert terms["mu"] == pytest.approx(mu, rel=1e-14)
    assert terms["sigma"] == pytest.approx(sigma, rel=1e-14)
    assert rounded_mean(mean, cv, lot) == pytest.approx(rounded, rel=1e-9)
    seen = drawn(LOGNORMAL, N, seed=9, a=float(terms["mu"]), b=float(terms["sigma"]))
    lots = np.maximum(1.0, np.floor(seen / lot + 0.5)) * lot
    assert abs(lots.mean() - rounded) < 4.0 * lots.std() / N**0.5


def test_a_size_without_variation_is_constant() -> None:
    assert rounded_mean(3.0, 0.0, 1.0) == 3.0
    assert set(drawn(LOGNORMAL, 10, a=float(size_terms(1.0, 0.0)["mu"]))) == {1.0}


@pytest.mark.parametrize(("mean", "cv"), [(0.0, 1.0), (-1.0, 1.0), (1.0, -0.1), (float("nan"), 1.0)])
def test_figures_that_are_no_sizes_are_refused(mean: float, cv: float) -> None:
    with pytest.raises(ValueError, match="a size needs a positive mean"):
        size_terms(mean, cv)


LAW = ((0.0, 12.0), (0.4, 12.0), (0.9, 1_000.0), (1.0, 50_000.0))
DRAWN_DTYPE = np.dtype([("size", SIZE_DTYPE), ("rng", np.uint64)])


@njit
def _amounts(records: Any, out: Any) -> None:
    for i in range(len(out)):
        out[i] = amount(records[0], records[0].size)


def test_a_law_by_quantiles_is_drawn_as_it_is() -> None:
    records = np.zeros(1, DRAWN_DTYPE)
    records["rng"], records["size"] = draws.stream(4, 0), size_terms(1.0, 0.0, quantiles=LAW)
    seen = np.empty(N)
    _amounts(records, seen)
    mean = 0.4 * 12.0 + 0.5 * 988.0 / np.log(1_000.0 / 12.0) + 0.1 * 49_000.0 / np.log(50.0)
    assert quantile_mean(LAW) == pytest.approx(mean)
    assert abs(seen.mean() - mean) < 4.0 * seen.std() / N**0.5
    for share, size in ((0.4, 12.0 * (1.0 + 1e-9)), (0.65, (12.0 * 1_000.0) ** 0.5), (0.9, 1_000.0)):
        assert abs((seen <= size).mean() - share) < 4.0 * (share * (1.0 - share) / N) ** 0.5
    assert seen.min() == pytest.approx(12.0) and seen.max() <= 50_000.0


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (((0.0, 1.0),), "give 2 to 64 points"),
        (((0.1, 1.0), (1.0, 2.0)), "from share 0 to share 1, not from 0.1 to 1.0"),
        (((0.0, 1.0), (1.0, float("inf"))), "quantile 1 of a size is inf"),
        (((0.0, 0.0), (1.0, 2.0)), "quantile 0 of a size is 0.0"),
        (((0.0, 1.0), (0.5, 3.0), (1.0, 2.0)), "quantile 2 of a size: shares must grow and sizes must not fall"),
        (((0.0, 1.0), (0.0, 3.0), (1.0, 3.0)), "quantile 1 of a size: shares must grow"),
    ],
)
def test_points_that_are_no_law_are_refused(points: tuple[tuple[float, float], ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        size_terms(1.0, 0.0, quantiles=points)
