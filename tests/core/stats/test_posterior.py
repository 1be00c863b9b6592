"""Posteriors against the reference figures; a sceptic's belief."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.core.stats.posterior import empirical_posterior, sceptical_posterior

REFERENCE = Path(__file__).resolve().parents[3] / "../shared/reference/math/10_allocation.json"


def test_empirical_posterior_is_the_reference() -> None:
    if not REFERENCE.exists():
        pytest.skip(f"reference figures are absent: {REFERENCE}")
    for case in json.loads(REFERENCE.read_text())["bayes_sharpe"]:
        found = empirical_posterior(case["sr"], case["se"])
        assert found.prior_mean == pytest.approx(case["prior_mean"], rel=1e-9)
        assert found.prior_var == pytest.approx(case["tau2"], rel=1e-9)
        assert found.mean == pytest.approx(case["post"], rel=1e-9)
        assert found.sd == pytest.approx(case["post_sd"], rel=1e-9)


def test_equal_estimates_are_one_population() -> None:
    found = empirical_posterior([1.0, 1.1, 0.9], [1.0, 2.0, 1.0])
    assert found.prior_var == 0.0
    assert np.ptp(found.mean) == 0.0


def test_no_evidence_is_the_belief() -> None:
    found = sceptical_posterior([9.0, 9.0], [math.inf, 1e-9], prior_sd=0.5)
    assert found.mean == pytest.approx([0.0, 9.0])
    assert found.sd == pytest.approx([0.5, 1e-9], rel=1e-6)


@given(st.floats(-5, 5), st.floats(0.01, 50), st.floats(0.01, 5))
def test_a_sceptic_moves_part_of_the_way(estimate: float, error: float, prior: float) -> None:
    found = sceptical_posterior([estimate], [error], prior_sd=prior)
    assert abs(found.mean[0]) <= abs(estimate)
    assert found.mean[0] * estimate >= 0.0
    assert found.sd[0] <= min(error, prior) * (1 + 1e-12)


def test_bad_evidence_is_refused() -> None:
    with pytest.raises(ValueError, match="standard error"):
        empirical_posterior([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="positive"):
        empirical_posterior([1.0], [0.0])
    with pytest.raises(ValueError, match="prior"):
        sceptical_posterior([1.0], [1.0], prior_sd=0.0)
