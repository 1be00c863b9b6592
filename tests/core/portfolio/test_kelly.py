"""Kelly's bet, the growth of a part of it, and de-risking, against the reference figures."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slipstream.core.portfolio.kelly import ever_below, grossman_zhou, growth, growth_share, kelly, linear_derisking

REFERENCE = Path(__file__).resolve().parents[3] / "../shared/reference/math/10_allocation.json"


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    if not REFERENCE.exists():
        pytest.skip(f"reference figures are absent: {REFERENCE}")
    found: dict[str, Any] = json.loads(REFERENCE.read_text())
    return found


def test_kelly_is_the_reference(figures: dict[str, Any]) -> None:
    cov, mean = figures["allocators"]["C"], figures["allocators"]["mu"]
    bets = kelly(cov, mean)
    assert bets == pytest.approx(figures["kelly"]["full"], rel=1e-9)
    assert growth(cov, mean, bets) == pytest.approx(figures["kelly"]["growth_full"], rel=1e-9)
    assert growth(cov, mean, bets / 2) == pytest.approx(figures["kelly"]["growth_half"], rel=1e-9)
    assert growth(cov, mean, 2 * bets) == pytest.approx(0.0, abs=1e-12)
    for share in (0.25, 0.5, 1.5):
        assert growth(cov, mean, share * bets) / growth(cov, mean, bets) == pytest.approx(growth_share(share))


def test_chance_of_a_fall_is_the_reference(figures: dict[str, Any]) -> None:
    for case in figures["kelly_drawdown"]:
        assert ever_below(case["c"], case["x"]) == pytest.approx(case["theory"], rel=1e-12)
        assert abs(ever_below(case["c"], case["x"]) - case["mc"]) < 4 * case["se"]


def test_derisking_is_the_reference(figures: dict[str, Any]) -> None:
    for case in figures["derisk"]:
        assert linear_derisking(case["D"], 0.05, 0.2) == pytest.approx(case["linear_5_20"], abs=1e-12)
        assert grossman_zhou(case["D"], 0.2) == pytest.approx(case["gz_20"], abs=1e-12)


def test_drawdown_only_takes_risk_off() -> None:
    drawdowns = np.linspace(-0.1, 1.0, 200)
    for kept in ([grossman_zhou(d, 0.3) for d in drawdowns], [linear_derisking(d, 0.1, 0.3) for d in drawdowns]):
        assert all(0.0 <= after <= before <= 1.0 for before, after in itertools.pairwise(kept))


def test_senseless_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="begin < end"):
        linear_derisking(0.1, 0.2, 0.1)
    with pytest.raises(ValueError, match="limit"):
        grossman_zhou(0.1, 1.0)
    with pytest.raises(ValueError, match="fraction"):
        ever_below(2.0, 0.5)
    with pytest.raises(ValueError, match="level"):
        ever_below(0.5, 0.0)
