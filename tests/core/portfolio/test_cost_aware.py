"""The cost-aware optimiser: reference values, cvxpy, optimality proved from the definition, bad input refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.optimiser import Peer, random_problem, usual_problem
from slipstream.core.portfolio.cost_aware import OptimiserFailed, problem, solve_cost_aware, solve_problem
from slipstream.core.portfolio.covariance import FactorCovariance, SingularCovariance, factorised
from slipstream.core.portfolio.neutral import neutral_weights, scaled_to_gross
from slipstream.core.portfolio.proof import errors, sizes
from slipstream.core.portfolio.response import respond

REFERENCE = Path(__file__).resolve().parents[3] / "../shared/reference/math/09_portfolio.json"


@pytest.fixture(scope="module")
def reference() -> Any:
    if not REFERENCE.exists():
        pytest.skip("reference values are not on this machine")
    return json.loads(REFERENCE.read_text())


def test_closed_form_is_the_references(reference: Any) -> None:
    ref = reference["beta_neutral"]
    alpha, beta, s = (np.array(ref[k]) for k in ("alpha", "beta", "S"))
    w = neutral_weights(alpha, beta, s)
    assert w == pytest.approx(ref["w"], abs=1e-12)
    assert alpha @ w - 0.5 * w @ s @ w == pytest.approx(ref["objective"], abs=1e-15)
    assert scaled_to_gross(w, 1.0) == pytest.approx(ref["w_gross1"], abs=1e-13)
    two = reference["beta_dollar_neutral"]
    assert neutral_weights(alpha, two["B"], s) == pytest.approx(two["w"], abs=1e-12)


def test_cost_aware_cases_are_the_references(reference: Any) -> None:
    ref = reference["cost_aware"]
    for case in ref["cases"]:
        found = solve_cost_aware(
            ref["alpha"], ref["beta"], ref["S"], fee=case["fee"], impact=case["lam"], held=case["w0"]
        )
        assert found.weights == pytest.approx(case["w"], abs=1e-9)
        assert found.objective == pytest.approx(case["objective"], abs=1e-12)
        assert found.status == "optimal"
    dear = reference["no_trade_case"]["fee"]
    assert solve_cost_aware(ref["alpha"], ref["beta"], ref["S"], fee=dear).weights == pytest.approx(0.0, abs=1e-12)


def test_one_weight_is_the_references_prox(reference: Any) -> None:
    for case in reference["prox"]:
        # prox of t (f|x| + l|x|^1.5) at v maximises v x / t - x^2 / (2 t) - f|x| - l|x|^1.5
        t = case["t"]
        w, _ = respond(case["v"] / t, 0.0, 1.0 / t, case["f"], case["l"], 0.0, -np.inf, np.inf)
        assert w == pytest.approx(case["prox"], abs=1e-14)


FINITE = st.floats(-2.0, 2.0)
COST = st.floats(0.0, 1.0)


@settings(max_examples=200, deadline=None)
@given(FINITE, COST, st.floats(0.1, 3.0), COST, COST, FINITE, st.floats(0.05, 3.0))
def test_one_weight_beats_a_grid(
    pull: float, mu: float, d: float, fee: float, impact: float, held: float, cap: float
) -> None:
    def worth(w: Any) -> Any:
        moved = np.abs(w - held)
        return pull * w - 0.5 * d * w**2 - fee * moved - impact * moved**1.5 - mu * np.abs(w)

    w, slope = respond(pull, mu, d, fee, impact, held, -cap, cap)
    others = np.concatenate([np.linspace(-cap, cap, 2001), [np.clip(held, -cap, cap), 0.0]])
    assert worth(w) >= worth(others).max() - 1e-12
    assert abs(w) <= cap
    assert 0.0 <= slope <= 1.0 / d + 1e-12


@pytest.mark.parametrize(("n", "k"), [(12, 2), (50, 5)])
def test_the_objective_is_cvxpys(n: int, k: int) -> None:
    peer = Peer(n, k)
    for seed in range(2):
        task = usual_problem(n, k, seed)
        found = solve_problem(task)
        other = peer.solve(task)
        assert found.objective == pytest.approx(task.objective(other), abs=1e-8)
        assert found.objective >= task.objective(other) - 1e-10
        assert np.abs(found.weights).sum() <= 1.0 + 1e-9
        assert found.weights @ task.exposures == pytest.approx(0.0, abs=1e-10)


def test_no_random_problem_fails() -> None:
    for seed in range(500):
        task = random_problem(seed)
        found = solve_problem(task)
        assert max(found.kkt, found.gap) < 1e-7, seed
        assert (found.weights <= task.high + 1e-12).all() and (found.weights >= task.low - 1e-12).all()
        assert np.abs(found.weights).sum() <= task.gross * (1.0 + 1e-7)


def test_no_direction_improves_the_answer() -> None:
    rng = np.random.default_rng(5)
    task = usual_problem(30, 4, 8)
    found = solve_problem(task)
    beta = task.exposures[:, 0]
    for _ in range(200):
        step = rng.normal(size=30)
        step -= beta * (beta @ step) / (beta @ beta)
        for size in (1e-2, 1e-4):
            other = found.weights + size * step / np.linalg.norm(step)
            other *= min(1.0, task.gross / np.abs(other).sum())
            assert task.objective(other) <= found.objective + 1e-13


def test_the_proof_sees_a_wrong_answer() -> None:
    task = usual_problem(30, 4, 8)
    c, found = task.covariance, solve_problem(task)
    asked = (task.alpha, c.loadings, c.specific)
    bounds = (task.held, task.low, task.high, task.gross)
    size = sizes(*asked, *bounds)

    def proof(weights: Any, state: Any) -> tuple[float, float]:
        return errors(*asked, task.exposures, task.fee, task.impact, *bounds, weights, state, *size)

    assert max(proof(found.weights, found.state)) < 1e-9
    for place in range(30):
        wrong = found.weights.copy()
        wrong[place] += 1e-4
        assert proof(wrong, found.state)[0] > 1e-5
    assert max(proof(found.weights, found.state * 1.01)) > 1e-4
    assert proof(found.weights * 1.1, found.state)[0] > 1e-3


def test_dense_and_factor_form_agree() -> None:
    task = usual_problem(40, 4, 3)
    dense = factorised(task.covariance.dense())
    assert dense.dense() == pytest.approx(task.covariance.dense(), abs=1e-15)
    other = solve_cost_aware(
        task.alpha, task.exposures, dense, fee=task.fee, impact=task.impact, held=task.held, gross=task.gross
    )
    assert other.objective == pytest.approx(solve_problem(task).objective, abs=1e-11)


def test_without_costs_and_bounds_it_is_the_closed_form() -> None:
    task = usual_problem(25, 3, 4)
    found = solve_cost_aware(task.alpha, task.exposures, task.covariance)
    assert found.weights == pytest.approx(neutral_weights(task.alpha, task.exposures, task.covariance), abs=1e-9)


def test_a_weight_may_be_fixed() -> None:
    task = usual_problem(20, 3, 4)
    low, high = np.full(20, -0.2), np.full(20, 0.2)
    low[3] = high[3] = 0.07
    found = solve_cost_aware(task.alpha, task.exposures, task.covariance, fee=1e-4, gross=1.0, low=low, high=high)
    assert found.weights[3] == 0.07
    assert found.weights @ task.exposures[:, 0] == pytest.approx(0.0, abs=1e-10)


def test_what_cannot_be_kept_is_refused() -> None:
    task = usual_problem(5, 1, 1)
    with pytest.raises(OptimiserFailed, match="may be out of reach"):
        solve_cost_aware(task.alpha, np.ones(5), task.covariance, low=0.1, high=0.2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alpha": [0.1, np.nan, 0.1]}, "alpha holds nan at asset 1"),
        ({"exposures": [1.0, 1.0]}, r"beta has shape \(2,\), expected \(3,\)"),
        ({"covariance": np.eye(2)}, "covariance is of 2 assets, alpha of 3"),
        ({"covariance": np.ones((3, 3))}, "covariance is singular"),
        ({"covariance": np.triu(np.ones((3, 3)))}, "not symmetric"),
        ({"fee": -1.0}, "fee must be finite and not negative"),
        ({"gross": 0.0}, "gross 0.0 must be above 0"),
        ({"low": 1.0, "high": 0.0}, "low must not be above high"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], words: str) -> None:
    good: dict[str, Any] = {"alpha": [0.1, 0.2, 0.3], "exposures": np.ones(3), "covariance": np.eye(3)}
    with pytest.raises(ValueError, match=words):
        problem(**(good | change))


def test_the_closed_form_refuses_a_singular_covariance() -> None:
    rows = np.random.default_rng(0).normal(size=(4, 8))
    with pytest.raises(SingularCovariance, match="shrink it"):
        neutral_weights(np.ones(8), np.arange(8.0), rows.T @ rows)
    with pytest.raises(SingularCovariance, match="specific variance of asset 1"):
        FactorCovariance(np.zeros((2, 1)), np.array([1.0, 0.0]))


def test_exposures_that_bind_nothing_or_twice_change_nothing() -> None:
    rng = np.random.default_rng(4)
    n = 20
    moves = rng.normal(0.0, 0.01, (200, n))
    covariance, alpha, beta = np.cov(moves.T), rng.normal(0.0, 0.01, n), rng.normal(1.0, 0.3, n)
    one = solve_cost_aware(alpha, beta, covariance, gross=1.0)
    for columns in ((beta, np.zeros(n)), (beta, beta), (beta, 2.0 * beta, np.zeros(n))):
        found = solve_cost_aware(alpha, np.column_stack(columns), covariance, gross=1.0)
        np.testing.assert_allclose(found.weights, one.weights, atol=1e-11)
        assert found.nu.shape == (len(columns),)
    free = solve_cost_aware(alpha, np.zeros(n), covariance, gross=1.0)
    assert free.kkt < 1e-9 and free.objective > one.objective and not free.nu.any()
