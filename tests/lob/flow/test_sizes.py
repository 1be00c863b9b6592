"""Sizes have the mean and variation they were given, and rounding to lots is known."""

from __future__ import annotations

import numpy as np
import pytest

from slipstream.lob.flow.sizes import rounded_mean, size_terms
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
