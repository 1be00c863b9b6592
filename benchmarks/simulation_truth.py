"""Simulation against what is known: Avellaneda and Stoikov's table, and moments of self-exciting arrivals.

    uv run --no-sync python benchmarks/simulation_truth.py [--paths 100000] [--hours 300] [--seed 1]

1. Avellaneda and Stoikov (2008): mean and deviation of profit and of final inventory, of every reading of their
   spread, by formula (`direct`), with quotes that rest in the matching engine (`booked`), and as a strategy of the
   replay on a tape of their market (`on_tape`, a tenth of the paths), beside 10**6 paths of an independent program and,
   where they printed one, the paper's own figure of 1000 paths.
2. Hawkes arrivals: rates, variance of counts and Fano factor beside closed forms; parameters fitted to a simulation
   beside those it was made with.

z is the distance in standard errors of both sides. Exit code 1 if any is 4 or more (there are some 200 of them).
The probabilities of Cont, Stoikov and Talreja are `benchmarks/flow_truth.py`.
"""

from __future__ import annotations

import argparse
import math
import sys
import time

import numpy as np

from slipstream.lob.flow.hawkes import (
    arrivals_into,
    count_variance,
    counts_into,
    fano_limit,
    new_hawkes,
    stationary_rates,
)
from slipstream.simulation.market.avellaneda import Floats, Game, Quotes, booked, direct, moments
from slipstream.simulation.market.avellaneda_replayed import replayed
from slipstream.simulation.market.hawkes_fit import fit

MOST = 4.0
REFERENCE_PATHS = 1_000_000
# gamma, quotes -> mean spread; mean, deviation of profit; mean, deviation of final inventory (10**6 paths)
TABLE: dict[tuple[float, Quotes], tuple[float, float, float, float, float]] = {
    (0.01, "full"): (1.349009, 68.410898, 8.961972, 0.006520, 5.206852),
    (0.01, "narrow"): (1.328909, 68.406254, 8.918210, 0.006680, 5.206334),
    (0.01, "symmetric"): (1.349009, 68.682943, 13.677531, 0.012900, 8.709735),
    (0.01, "symmetric_narrow"): (1.328909, 68.690231, 13.707797, 0.014069, 8.751190),
    (0.1, "full"): (1.491770, 64.898139, 6.545403, 0.002903, 2.926307),
    (0.1, "narrow"): (1.290770, 64.224437, 6.050715, 0.003707, 2.925177),
    (0.1, "symmetric"): (1.491770, 68.233439, 13.455596, 0.009321, 8.393135),
    (0.1, "symmetric_narrow"): (1.290770, 68.653036, 13.764430, 0.014291, 8.831238),
    (0.5, "full"): (2.155728, 48.573006, 5.898865, -0.000153, 1.956887),
    (0.5, "narrow"): (1.150728, 23.905844, 5.064767, -0.000151, 1.954267),
    (0.5, "symmetric"): (2.155728, 59.920213, 12.326248, 0.006125, 6.921214),
    (0.5, "symmetric_narrow"): (1.150728, 67.980164, 13.957288, 0.018757, 9.119968),
    (1.0, "full"): (3.031651, 31.455610, 4.836178, -0.000323, 1.641863),
    (1.0, "narrow"): (1.021651, -43.284478, 8.280161, -0.001167, 1.636002),
    (1.0, "symmetric"): (3.031651, 43.696184, 10.746135, 0.004264, 5.175617),
}
PAPER: dict[tuple[float, Quotes], tuple[float, float, float]] = {  # mean and deviation of profit, of inventory
    (0.1, "full"): (65.0, 6.6, 2.9),
    (0.1, "symmetric"): (68.4, 12.7, 8.4),
    (0.01, "full"): (68.6, 8.7, 5.1),
    (0.01, "symmetric"): (68.8, 12.8, 8.7),
    (1.0, "full"): (31.4, 5.0, 1.7),
    (1.0, "symmetric"): (44.0, 11.0, 5.1),
}
TWO = ([0.4, 0.3], [[0.8, 0.3], [0.2, 0.5]], [[2.0, 1.5], [1.0, 2.5]])
ONE = (0.5, 1.2, 2.0)


class Judge:
    """Prints a line for each figure and remembers the largest distance."""

    def __init__(self) -> None:
        self.worst = 0.0
        self.count = 0

    def line(self, name: str, ours: float, error: float, reference: float, reference_error: float = 0.0) -> None:
        """One figure beside its reference."""
        z = (ours - reference) / math.hypot(error, reference_error)
        self.worst, self.count = max(self.worst, abs(z)), self.count + 1
        print(f"  {name:<44} {ours:>12.4f} {error:>9.4f} | {reference:>12.4f} | {z:>6.2f}")


def on_tape(game: Game, paths: int, seed: int) -> tuple[Floats, Floats]:
    """The game as a strategy of the replay."""
    return replayed(game, paths, np.random.default_rng(seed))


def avellaneda(judge: Judge, paths: int, seed: int) -> None:
    """The whole table, both forms."""
    print(f"\nAvellaneda-Stoikov, {paths:,} paths       ours  std.err. |    reference |      z")
    for (gamma, quotes), (spread, *reference) in TABLE.items():
        game = Game(gamma=gamma, quotes=quotes)
        if abs(game.mean_spread - spread) > 1e-6:
            raise SystemExit(f"gamma {gamma} {quotes}: spread {game.mean_spread} is not {spread}")
        for form in (direct, booked, on_tape):
            count = max(100, paths // 10) if form is on_tape else paths
            ratio = math.sqrt(count / REFERENCE_PATHS)
            started = time.perf_counter()
            found = moments(*form(game, count, seed))
            seconds = time.perf_counter() - started
            print(f"gamma {gamma} {quotes}, spread {spread:.3f}, {form.__name__}: {seconds:.1f} s")
            names = ("mean profit", "deviation of profit", "mean inventory", "deviation of inventory")
            for name, value, error, true in zip(names, found[::2], found[1::2], reference, strict=True):
                judge.line(name, value, error, true, error * ratio)
        if (gamma, quotes) in PAPER:
            print(
                "  the paper's 1000 paths: mean {:.1f}, deviation {:.1f}, of inventory {:.1f}".format(
                    *PAPER[gamma, quotes]
                )
            )


def hawkes(judge: Judge, hours: float, seed: int) -> None:
    """Closed forms of one and two kinds, and fits of what was simulated."""
    print(f"\nHawkes arrivals, {hours:g} hours each        ours  std.err. | closed form  |      z")
    windows = int(hours * 3600 / 50)
    hs = new_hawkes(*TWO, seed)
    started = time.perf_counter()
    arrivals_into(hs, 200.0, np.empty(10_000), np.empty(10_000, np.int64))
    counts = np.empty((windows // 20 * 20, 2), np.int64)
    counts_into(hs, 50.0, counts)
    print(f"two kinds: {counts.sum() / (time.perf_counter() - started) / 1e6:.1f} M arrivals/s, compiling included")
    for kind, rate in enumerate(stationary_rates(*TWO)):
        means = counts[:, kind].reshape(-1, 20).mean(axis=1) / 50.0
        judge.line(f"rate of kind {kind}", means.mean(), means.std(ddof=1) / math.sqrt(len(means)), rate)
    for window in (1.0, 10.0, 100.0):
        hs = new_hawkes(*ONE, seed)
        arrivals_into(hs, 200.0, np.empty(10_000), np.empty(10_000, np.int64))
        single = np.empty((int(hours * 3600 / window) // 50 * 50, 1), np.int64)
        counts_into(hs, window, single)
        squares = ((single[:, 0] - 1.25 * window) ** 2).reshape(50, -1).mean(axis=1)
        error = squares.std(ddof=1) / math.sqrt(len(squares))
        judge.line(f"variance of counts in {window:g} s", squares.mean(), error, count_variance(*ONE, window))
        if window == 100.0:
            mean = 1.25 * window
            exact = count_variance(*ONE, window) / mean
            judge.line(f"Fano factor in {window:g} s", squares.mean() / mean, error / mean, exact)
            print(f"  its limit in long windows: {fano_limit(*ONE[1:]):.4f}")
    for name, terms, seconds in (("one kind", ONE, 20_000.0), ("two kinds", TWO, 20_000.0)):
        times, kinds = np.empty(400_000), np.empty(400_000, np.int64)
        n = arrivals_into(new_hawkes(*terms, seed), seconds, times, kinds)
        found = fit(times[:n], kinds[:n], seconds)
        print(f"{name} fitted to {n:,} arrivals; residuals' KS p {min(one.p for one in found.goodness):.2f}")
        pairs = ((found.mu, found.mu_error), (found.alpha, found.alpha_error), (found.beta, found.beta_error))
        for word, (values, errors), true in zip(("mu", "alpha", "beta"), pairs, terms, strict=True):
            for place, value, error, truth in zip(
                np.ndindex(np.shape(values)), np.ravel(values), np.ravel(errors), np.ravel(true), strict=True
            ):
                judge.line(f"{word}{list(place)}", float(value), float(error), float(truth))


def main() -> None:
    """Print everything; exit code 1 if a figure is too far off."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", type=int, default=100_000)
    parser.add_argument("--hours", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    judge = Judge()
    hawkes(judge, asked.hours, asked.seed)
    avellaneda(judge, asked.paths, asked.seed)
    print(f"\n{judge.count} figures, the largest |z| is {judge.worst:.2f}")
    sys.exit(1 if judge.worst >= MOST else 0)


if __name__ == "__main__":
    main()
