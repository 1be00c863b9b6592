"""What the lifecycle's tests promise, by simulation: ``python -m slipstream.research.lifecycle_study --pods 10000``.

1. Pods without alpha that are promoted, at several horizons, under several kinds of noise (never more than the budget).
2. Pods with alpha: how many are promoted, and how soon.
3. Pods that decay: how soon each rule sees it (`research.decay`).

The arithmetic is `core.stats`' own, as in the lifecycle; gates and cool-downs (which only forbid) are left out.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rich.progress import Progress

from slipstream.core.stats.eprocess import BETS, log_factors, log_mean, spending
from slipstream.research.decay import DECAYS, decay, decay_lines
from slipstream.research.noise import NOISES, gaussian
from slipstream.research.pods import (
    BLOCK,
    WARM,
    YEAR,
    Array,
    Interval,
    Tick,
    clopper_pearson,
    hedged,
    plain,
    share,
    standardised,
)

HORIZONS = {"30 d": 60, "90 d": 180, "1 y": YEAR, "3 y": 3 * YEAR}
ALPHA, PLANNED, RESERVE = 0.05, 10, 0.25
SHARPES = (2.0, 4.0, 6.0, 8.0, 12.0)


def first_passages(z: Iterator[Array], pods: int, blocks: int, bounds: Sequence[float], tick: Tick) -> Array:
    """Block at which the evidence first reaches each bound (natural logarithm), inf if never: (bounds, pods)."""
    wealth = np.zeros((pods, len(BETS)))
    found = np.full((len(bounds), pods), np.inf)
    for i in range(blocks):
        value = next(z)
        if i >= WARM:
            wealth = wealth + log_factors(value)
            evidence = log_mean(wealth)
            for row, bound in zip(found, bounds, strict=True):
                row[(evidence >= bound) & np.isinf(row)] = i + 1
        tick()
    return found


class Level(NamedTuple):
    """Pods without alpha that were promoted by each horizon, at two levels, and funds of ten with any such pod."""

    noise: str
    at_alpha: tuple[Interval, ...]
    at_claim: tuple[Interval, ...]
    funds: Interval


def level(name: str, rng: np.random.Generator, pods: int, years: float, tick: Tick) -> Level:
    """Type I error under one kind of noise."""
    draw = NOISES.get(name, gaussian)(rng, pods)
    stream = hedged(draw, gaussian(rng, pods), pods) if name == "market held" else plain(draw, lambda _: 0.0, pods)
    claim = spending(ALPHA, 1, PLANNED, RESERVE)
    passed = first_passages(
        standardised(stream, pods), pods, int(years * YEAR), (math.log(1 / ALPHA), math.log(1 / claim)), tick
    )
    by = [[clopper_pearson(int((row <= h).sum()), pods) for h in HORIZONS.values()] for row in passed]
    funds = np.isfinite(passed[1, : pods // PLANNED * PLANNED]).reshape(-1, PLANNED).any(axis=1)
    return Level(name, tuple(by[0]), tuple(by[1]), clopper_pearson(int(funds.sum()), funds.size))


class Power(NamedTuple):
    """Pods of one Sharpe ratio promoted to evaluation: share by horizon, and days to it (median over all pods)."""

    sharpe: float
    noise: str
    by: tuple[Interval, ...]
    median_days: float


def power(sharpe: float, name: str, rng: np.random.Generator, pods: int, years: float, tick: Tick) -> Power:
    """Promotions of pods that have alpha, each with the claim of one of ten pods."""
    stream = plain(NOISES[name](rng, pods), lambda _: sharpe, pods)
    claim = math.log(1 / spending(ALPHA, 1, PLANNED, RESERVE))
    passed = first_passages(standardised(stream, pods), pods, int(years * YEAR), (claim,), tick)[0]
    by = tuple(clopper_pearson(int((passed <= h).sum()), pods) for h in HORIZONS.values())
    return Power(sharpe, name, by, float(np.median(passed)) * BLOCK / 24.0)


def level_lines(rows: Sequence[Level]) -> list[str]:
    """Tables of part 1."""
    claim = spending(ALPHA, 1, PLANNED, RESERVE)
    lines: list[str] = []
    tables = ((f"{ALPHA:.2%}", [row.at_alpha for row in rows]), (f"{claim:.3%}", [row.at_claim for row in rows]))
    for title, found in tables:
        lines += ["", f"Pods without alpha ever promoted at level {title}, by horizon:", ""]
        lines += ["| noise | " + " | ".join(HORIZONS) + " |", "|--" * (len(HORIZONS) + 1) + "|"]
        for row, cells in zip(rows, found, strict=True):
            lines.append(f"| {row.noise} | " + " | ".join(share(x) for x in cells) + " |")
    lines += [
        "",
        f"Funds of {PLANNED} such pods with any promotion in 3 years (budget {ALPHA * (1 - RESERVE):.2%}):",
        "",
    ]
    lines += ["| noise | funds |", "|--|--|", *(f"| {row.noise} | {share(row.funds)} |" for row in rows)]
    return lines


def power_lines(rows: Sequence[Power]) -> list[str]:
    """Table of part 2."""
    lines = ["", "| Sharpe a year | noise | " + " | ".join(HORIZONS) + " | median days |", "|--" * 7 + "|"]
    for row in rows:
        days = f"{row.median_days:.0f}" if math.isfinite(row.median_days) else "more"
        shares = " | ".join(share(x) for x in row.by)
        lines.append(f"| {row.sharpe:g} | {row.noise} | {shares} | {days} |")
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    """Run the study and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m slipstream.research.lifecycle_study", description=__doc__)
    parser.add_argument("--pods", type=int, default=10_000, help="pods a case (at least 100)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    if args.pods < 100:
        parser.error("--pods must be at least 100")
    names = [*NOISES, "market held"]
    powers = [(s, n) for n in ("gaussian", "student t(3)") for s in SHARPES]
    few = max(100, args.pods // 5)
    chunks = -(-args.pods // 1_000)
    work = (len(names) + len(powers)) * 3 * YEAR + len(DECAYS) * chunks * 8 * YEAR
    seeds = iter(np.random.SeedSequence(args.seed).spawn(len(names) + len(powers) + len(DECAYS)))
    with Progress() as progress:
        task = progress.add_task("simulating", total=work)

        def tick() -> None:
            progress.advance(task)

        def rng() -> np.random.Generator:
            return np.random.Generator(np.random.PCG64(next(seeds)))

        levels = [level(name, rng(), args.pods, 3.0, tick) for name in names]
        powered = [power(sharpe, name, rng(), few, 3.0, tick) for sharpe, name in powers]
        decays = [decay(*case, rng(), args.pods, tick) for case in DECAYS]
    print(f"pods {args.pods} a case ({few} for power), seed {args.seed}")
    print("\n".join([*level_lines(levels), *power_lines(powered), *decay_lines(decays)]))


if __name__ == "__main__":
    main()
