"""Covariances against the reference figures, and what must hold of any sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.core.portfolio.shrinkage import (
    ewma_cov,
    halflife_of,
    ledoit_wolf_constant_correlation,
    ledoit_wolf_identity,
    oas,
    sample_cov,
    span_of,
)

REFERENCE = Path(__file__).resolve().parents[3] / "../shared/reference/math/09_portfolio.json"


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    if not REFERENCE.exists():
        pytest.skip(f"reference figures are absent: {REFERENCE}")
    found: dict[str, Any] = json.loads(REFERENCE.read_text())
    return found


@pytest.fixture
def sample() -> np.ndarray:
    t = np.arange(40)[:, None]
    j = np.arange(6)[None, :]
    wave = (0.5 + 0.2 * j) * np.sin(0.37 * t**2) + 0.6 * np.sin((1.1 + 0.61 * j) * t + j) + 0.2 * np.cos(2.7 * t + j)
    return 0.01 * wave


def test_shrinkage_is_the_reference(figures: dict[str, Any], sample: np.ndarray) -> None:
    want = figures["shrinkage"]
    assert np.diag(sample_cov(sample)) == pytest.approx(want["S_mle_diag"], rel=1e-9)
    identity = ledoit_wolf_identity(sample)
    assert identity.weight == pytest.approx(want["lw_identity_rho"], rel=1e-9)
    assert identity.cov == pytest.approx(np.array(want["lw_identity_cov"]), rel=1e-9)
    constant = ledoit_wolf_constant_correlation(sample)
    assert constant.weight == pytest.approx(want["lw_constcorr_delta"], rel=1e-9)
    assert constant.cov == pytest.approx(np.array(want["lw_cc_cov"]), rel=1e-9)
    assert oas(sample).weight == pytest.approx(want["oas_paper"], rel=1e-9)


def test_ewma_is_the_reference(figures: dict[str, Any], sample: np.ndarray) -> None:
    want = figures["ewma"]
    found = ewma_cov(sample, want["lam"])
    assert found[0, 0] == pytest.approx(want["recursive_S11"], rel=1e-9)
    assert found[0, 1] == pytest.approx(want["recursive_S12"], rel=1e-9)
    assert span_of(0.94) == pytest.approx(want["span_of_094"], rel=1e-9)
    assert halflife_of(0.94) == pytest.approx(want["halflife_of_094"], rel=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(1, 9))
def test_shrunk_covariances_are_positive_and_keep_the_trace(seed: int, n: int, p: int) -> None:
    rows = np.random.default_rng(seed).standard_t(3, size=(n, p))
    trace = np.trace(sample_cov(rows))
    for shrink in (ledoit_wolf_identity, ledoit_wolf_constant_correlation, oas):
        cov, weight = shrink(rows)
        assert 0.0 <= weight <= 1.0
        assert np.trace(cov) == pytest.approx(trace)
        assert np.linalg.eigvalsh(cov).min() > -1e-9 * trace


@pytest.mark.parametrize("shrink", [ledoit_wolf_identity, ledoit_wolf_constant_correlation, oas])
def test_no_variance_is_no_nan(shrink: Any) -> None:
    cov, _ = shrink(np.zeros((5, 3)))
    assert (cov == 0.0).all()
    one = np.zeros((5, 2))
    one[:, 0] = [1, -1, 1, -1, 0]
    assert np.isfinite(shrink(one).cov).all()


@pytest.mark.parametrize("bad", [np.zeros((1, 3)), np.full((4, 2), np.nan), np.zeros(5)])
def test_bad_returns_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="returns"):
        ledoit_wolf_identity(bad)
