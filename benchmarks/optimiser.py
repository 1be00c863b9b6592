"""The cost-aware optimiser against cvxpy with CLARABEL: the same problems, in turns, every answer compared.

    uv run --no-sync python benchmarks/optimiser.py [--rounds 5] [--random 10000]

1. Factor covariance, N = 50, 200, 1000 (K = 5, 10, 20), fees, power-law impact, one exposure, a gross bound. Both are
   timed from the problem's arrays to weights; cvxpy builds its problem once and its parameters are set anew (DPP),
   which favours it. Its objective is recomputed from its weights by the same function as ours.
2. ``--random n``: that many problems of every kind (1 to 150 assets, one or two exposures, caps, free or dear trading,
   books held that break the constraints): none may fail. Needs no peer.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from typing import Any

import numpy as np

from slipstream.core.portfolio.cost_aware import OptimiserFailed, Problem, problem, solve_problem
from slipstream.core.portfolio.covariance import FactorCovariance

SIZES = ((50, 5), (200, 10), (1000, 20))


def random_problem(seed: int) -> Problem:
    """A problem of any kind, reproducible by its seed."""
    rng = np.random.default_rng(seed)
    n, k, m = int(rng.choice([1, 2, 3, 5, 10, 30, 80, 150])), int(rng.integers(1, 8)), int(rng.integers(1, 3))
    sd = 10 ** rng.uniform(-3, -1)
    size = sd * 10 ** rng.uniform(-2.5, 0.5)
    loadings = sd * rng.normal(size=(n, k)) * rng.uniform(0.1, 1.5)
    covariance = FactorCovariance(loadings, sd**2 * np.exp(rng.normal(size=n) * rng.uniform(0, 1.5)))
    exposures = rng.normal(1, 0.4, size=(n, m))
    exposures[:, 1:] = 1.0
    fee = np.abs(rng.normal(size=n)) * size * rng.choice([0, 0.01, 0.1, 1, 3])
    impact = np.abs(rng.normal(size=n)) * size * rng.choice([0, 0.01, 0.3, 3, 30])
    held, kind = np.zeros(n), rng.integers(0, 4)
    if kind:
        held = rng.normal(size=n) / n
    if kind > 1:
        if n > m:
            held -= exposures @ np.linalg.lstsq(exposures, held, rcond=None)[0]
        held[rng.random(n) < 0.5 * (kind == 3)] = 0.0
        held *= 10 ** rng.uniform(-1, 2)
    gross = (np.inf, 1.0, 0.1, 3.0)[rng.integers(0, 4)]
    cap = rng.uniform(0.3, 3) / n if rng.random() < 0.4 else np.inf
    alpha = size * rng.standard_t(4, size=n)
    return problem(alpha, exposures, covariance, fee=fee, impact=impact, held=held, gross=gross, low=-cap, high=cap)


def usual_problem(n: int, k: int, seed: int) -> Problem:
    """A book of n coins over eight hours: a drifted neutral book, alpha of the size of its costs."""
    rng = np.random.default_rng(seed)
    covariance = FactorCovariance(0.01 * rng.normal(size=(n, k)), 4e-4 * np.exp(0.5 * rng.normal(size=n)))
    beta = rng.normal(1.0, 0.3, n)
    held = rng.normal(size=n) / n
    held -= beta * (beta @ held) / (beta @ beta)
    impact = 1e-3 * np.exp(0.5 * rng.normal(size=n))
    return problem(0.002 * rng.normal(size=n), beta, covariance, fee=2e-4, impact=impact, held=held, gross=1.0)


class Peer:
    """The problem in cvxpy, compiled once for its shape."""

    def __init__(self, n: int, k: int) -> None:
        import cvxpy as cp

        self.w = cp.Variable(n)
        self.alpha, self.held = cp.Parameter(n), cp.Parameter(n)
        self.loadings, self.sd = cp.Parameter((k, n)), cp.Parameter(n, nonneg=True)
        self.fee, self.impact = cp.Parameter(n, nonneg=True), cp.Parameter(n, nonneg=True)
        self.beta = cp.Parameter(n)
        moved = cp.Variable(n)  # a variable: a product of two parameters would not be DPP
        factors = cp.Variable(k)
        own = cp.Variable(n)
        risk = cp.sum_squares(factors) + cp.sum_squares(own)
        costs = self.fee @ cp.abs(moved) + self.impact @ cp.power(cp.abs(moved), 1.5)
        goal = cp.Maximize(self.alpha @ self.w - 0.5 * risk - costs)
        self.gross = cp.Parameter(nonneg=True)
        limits = [self.beta @ self.w == 0, cp.norm1(self.w) <= self.gross]
        limits += [moved == self.w - self.held]
        limits += [factors == self.loadings @ self.w, own == cp.multiply(self.sd, self.w)]
        self.problem = cp.Problem(goal, limits)

    def solve(self, task: Problem) -> Any:
        """Weights."""
        c = task.covariance
        self.alpha.value, self.held.value, self.beta.value = task.alpha, task.held, task.exposures[:, 0]
        self.loadings.value, self.sd.value = c.loadings.T, np.sqrt(c.specific)
        self.fee.value, self.impact.value, self.gross.value = task.fee, task.impact, task.gross
        with warnings.catch_warnings():
            # it says so where it stops short of these tolerances; the objectives are compared all the same
            warnings.simplefilter("ignore", UserWarning)
            self.problem.solve(solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
        return self.w.value


def against_cvxpy(rounds: int) -> None:
    """In turns; the table."""
    print("   N   K |   ours ms | cvxpy ms (solver alone) | ratio (to solver alone) | |objective difference|")
    for n, k in SIZES:
        peer, ours, theirs, alone, gaps = Peer(n, k), [], [], [], []
        solve_problem(usual_problem(n, k, 99))
        peer.solve(usual_problem(n, k, 99))
        for seed in range(rounds):
            task = usual_problem(n, k, seed)
            again = 20
            begin = time.perf_counter()
            for _ in range(again):
                found = solve_problem(task)
            ours.append((time.perf_counter() - begin) / again * 1e3)
            begin = time.perf_counter()
            other = peer.solve(task)
            theirs.append((time.perf_counter() - begin) * 1e3)
            alone.append(peer.problem.solver_stats.solve_time * 1e3)
            gaps.append(abs(found.objective - task.objective(other)))
        a, b, c = (statistics.median(x) for x in (ours, theirs, alone))
        print(f"{n:5d} {k:3d} | {a:9.4f} | {b:9.2f} ({c:8.2f})    | {b / a:7.0f} ({c / a:5.0f})  | {max(gaps):.1e}")


def at_random(count: int) -> int:
    """How many of so many problems failed."""
    failed, worst, steps = 0, 0.0, []
    begin = time.perf_counter()
    for seed in range(count):
        try:
            found = solve_problem(random_problem(seed))
        except OptimiserFailed as error:
            failed += 1
            print(f"seed {seed}: {error}")
            continue
        worst, _ = max(worst, found.kkt, found.gap), steps.append(found.steps)
    seconds = time.perf_counter() - begin
    print(
        f"{count} random problems in {seconds:.1f} s: {failed} failed, largest relative error {worst:.1e}, "
        f"steps median {statistics.median(steps):.0f}, most {max(steps)}"
    )
    return failed


def main() -> None:
    """Run what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--random", type=int, default=0, metavar="N")
    options = parser.parse_args()
    if options.random:
        raise SystemExit(1 if at_random(options.random) else 0)
    against_cvxpy(options.rounds)


if __name__ == "__main__":
    main()
