"""Lots against the reference's cases and the mixed-integer optimum."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from slipstream.core.portfolio.lots import exact_lots, reachable, round_to_lots

REFERENCE = Path(__file__).resolve().parents[3] / "../shared/reference/math/09_portfolio.json"


def test_the_references_cases() -> None:
    if not REFERENCE.exists():
        pytest.skip("reference values are not on this machine")
    for case in json.loads(REFERENCE.read_text())["lots"]["cases"]:
        asked = (case["target"], case["lot_notional"], case["beta"], case["tol"])
        mended, best = round_to_lots(*asked), exact_lots(*asked)
        assert mended.kept and best.kept
        assert mended.deviation <= case["repaired_dev"] + 1e-6
        assert best.deviation <= case["milp_dev"] + 1e-6
        assert best.deviation <= mended.deviation + 1e-6


def test_repair_against_the_optimum() -> None:
    rng = np.random.default_rng(1)
    gaps = []
    for _ in range(100):
        lot, beta, target = 10 ** rng.uniform(0.5, 2, 8), rng.normal(1, 0.3, 8), rng.normal(size=8) * 1000
        target -= beta * (beta @ target) / (beta @ beta)
        tolerance = 0.35 * float(np.median(lot))
        mended, best = (f(target, lot, beta, tolerance) for f in (round_to_lots, exact_lots))
        assert mended.kept and best.kept
        assert abs(beta @ (mended.lots * lot)) <= tolerance
        assert (mended.lots == np.rint(mended.lots)).all()
        assert (mended.lots * np.sign(target) >= np.where(np.abs(target) < 0.5 * lot, -1.0, 0.0)).all()
        gaps.append(mended.deviation / best.deviation - 1.0)
    assert min(gaps) > -1e-9
    assert np.mean(gaps) < 0.06
    assert np.mean(np.array(gaps) < 1e-9) > 0.7


def test_a_large_book_keeps_its_beta() -> None:
    rng = np.random.default_rng(2)
    lot, beta, target = 10 ** rng.uniform(0, 2.5, 150), rng.normal(1, 0.3, 150), rng.normal(size=150) * 5000
    target -= beta * (beta @ target) / (beta @ beta)
    mended = round_to_lots(target, lot, beta)
    assert mended.kept
    assert abs(mended.beta) <= reachable(lot, beta)
    assert mended.deviation <= np.abs(np.rint(target / lot) * lot - target).sum() + 2 * lot.max()


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="lot of asset 1 must be a notional above 0"):
        round_to_lots([1.0, 2.0], [1.0, 0.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="target of asset 0 is not a finite number"):
        round_to_lots([np.nan, 2.0], [1.0, 1.0], [1.0, 1.0])
