"""The optimiser as a user first meets it; runs by itself too: ``python tests/test_portfolio_optimizer.py``."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from slipstream.portfolio import TransactionCostModel, optimize_portfolio, optimize_portfolio_with_costs

Array = npt.NDArray[np.float64]


def case(n: int = 20) -> tuple[Array, Array, Array]:
    """Alpha, beta and a covariance of one market factor over 8 hours, of the usual size."""
    rng = np.random.default_rng(7)
    beta = rng.normal(1.0, 0.3, n)
    specific = (0.02 * np.exp(0.3 * rng.normal(size=n))) ** 2
    return 0.002 * rng.normal(size=n), beta, 0.015**2 * np.outer(beta, beta) + np.diag(specific)


def test_basic_beta_neutral_optimization() -> None:
    alpha, beta, s = case()
    w = optimize_portfolio(alpha=alpha, beta=beta, S=s, leverage=1.0)
    assert abs(w @ beta) < 1e-6
    assert abs(np.abs(w).sum() - 1.0) < 1e-3
    assert w @ alpha > 0.0


def test_cost_aware_optimization() -> None:
    alpha, beta, s = case()
    costs = TransactionCostModel(fee=2e-4, spread=0.0, impact=1e-6)
    w = optimize_portfolio_with_costs(alpha, beta, s, np.zeros(len(alpha)), costs, capital=1e6, leverage=1.0)
    assert np.abs(w).sum() <= 1.0 + 1e-9
    fee, impact = costs.in_weights(1e6, len(w))

    def worth(x: Array) -> float:
        return float(alpha @ x - 0.5 * x @ s @ x - fee @ np.abs(x) - impact @ np.abs(x) ** 1.5)

    free = optimize_portfolio(alpha, beta, s, leverage=1.0)
    assert worth(w) > max(0.0, worth(free), worth(0.5 * free))


def test_beta_neutrality_enforced() -> None:
    alpha, beta, s = case()
    w = optimize_portfolio_with_costs(alpha, beta, s, None, TransactionCostModel(fee=2e-4, spread=0.0))
    assert abs(w @ beta) < 1e-9
    assert abs(optimize_portfolio(3.0 * beta, beta, s)).max() == 0.0


def test_costs_reduce_turnover() -> None:
    alpha, beta, s = case()
    old = optimize_portfolio(np.roll(alpha, 1), beta, s)
    turnover = [
        np.abs(optimize_portfolio_with_costs(alpha, beta, s, old, TransactionCostModel(fee, 0.0, 1e-7)) - old).sum()
        for fee in (0.0, 2e-4, 1e-3, 1e-2)
    ]
    assert all(later < earlier for earlier, later in pairwise(turnover) if earlier > 0.0)
    assert turnover[-1] < 1e-9


if __name__ == "__main__":
    shown = (
        (test_basic_beta_neutral_optimization, "Basic beta-neutral optimization"),
        (test_cost_aware_optimization, "Cost-aware optimization"),
        (test_beta_neutrality_enforced, "Beta neutrality enforced"),
        (test_costs_reduce_turnover, "Costs reduce turnover"),
    )
    for check, words in shown:
        try:
            check()
        except AssertionError as error:
            sys.exit(f"✗ {words}: {error or 'the check failed'}")
        print(f"✓ {words}")
