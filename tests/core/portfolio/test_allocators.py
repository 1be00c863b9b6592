"""Ways to share capital against the reference figures, and what must hold of every one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.core.portfolio.allocators import (
    equal_risk,
    hierarchical_risk_parity,
    inverse_vol,
    min_variance,
    risk_shares,
    single_linkage_order,
    tangency,
)

REFERENCE = Path(__file__).resolve().parents[3] / "../shared/reference/math/10_allocation.json"


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    if not REFERENCE.exists():
        pytest.skip(f"reference figures are absent: {REFERENCE}")
    found: dict[str, Any] = json.loads(REFERENCE.read_text())["allocators"]
    return found


def test_allocators_are_the_reference(figures: dict[str, Any]) -> None:
    c, c6 = np.array(figures["C"]), np.array(figures["C6"])
    assert tangency(c, figures["mu"]) == pytest.approx(figures["tangency"], rel=1e-9)
    assert min_variance(c) == pytest.approx(figures["min_variance"], rel=1e-9)
    assert inverse_vol(c) == pytest.approx(figures["inverse_vol"], rel=1e-9)
    assert equal_risk(c) == pytest.approx(figures["erc"], rel=1e-9)
    assert equal_risk(c6) == pytest.approx(figures["erc6"], rel=1e-9)
    assert hierarchical_risk_parity(c) == pytest.approx(figures["hrp"], rel=1e-9)
    assert hierarchical_risk_parity(c6) == pytest.approx(figures["hrp6"], rel=1e-9)
    assert single_linkage_order(c) == figures["hrp_order"]
    assert single_linkage_order(c6) == figures["hrp6_order"]


def _cov(seed: int, p: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(3 * p + 2, p))
    rows[:, 1:] += 0.9 * rows[:, :1]
    return np.cov(rows * 10.0 ** np.linspace(-4, 1, p), rowvar=False).reshape(p, p)


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 10_000), st.integers(1, 15))
def test_weights_are_positive_sum_to_one_and_share_risk(seed: int, p: int) -> None:
    cov = _cov(seed, p)
    for weights in (inverse_vol(cov), equal_risk(cov), hierarchical_risk_parity(cov)):
        assert (weights > 0.0).all()
        assert weights.sum() == pytest.approx(1.0)
    assert risk_shares(cov, equal_risk(cov)) == pytest.approx(np.full(p, 1.0 / p), rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 8))
def test_risk_budgets_are_kept(seed: int, p: int) -> None:
    cov = _cov(seed, p)
    budgets = np.random.default_rng(seed).dirichlet(np.full(p, 2.0)) + 1e-3
    assert risk_shares(cov, equal_risk(cov, budgets)) == pytest.approx(budgets / budgets.sum(), rel=1e-7)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="square"):
        inverse_vol([[1.0, 0.0]])
    with pytest.raises(ValueError, match="symmetric"):
        equal_risk([[1.0, 0.5], [0.0, 1.0]])
    with pytest.raises(ValueError, match="positive diagonal"):
        equal_risk([[0.0]])
    with pytest.raises(ValueError, match="tangency"):
        tangency(np.eye(2), [-1.0, -1.0])
    with pytest.raises(ValueError, match="budgets"):
        equal_risk(np.eye(2), [1.0, 0.0])
