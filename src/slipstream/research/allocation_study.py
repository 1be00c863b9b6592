"""How ways of sharing capital would have fared over simulated funds: universes, policies, utilities, paired intervals.

A universe is a few pods with heavy tails, a common factor and alphas that decay. Policies see only the past; the oracle
sees the true Sharpe ratios and covariance. All of them keep the same reserve and pay the same cost for moving capital.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from slipstream.core.portfolio.allocators import inverse_vol
from slipstream.core.portfolio.shrinkage import ledoit_wolf_constant_correlation

Array = npt.NDArray[np.float64]

DAYS_A_YEAR = 365.0
Z95 = 1.96


class UniverseTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What universes are drawn from. Sharpe ratios and volatilities are of a year.

    ``skilled`` is the share of pods that have an alpha at all, N(``sharpe``, ``sharpe_sd``); the rest have none.
    ``half_lives`` (years) are equally likely; ``tail`` is the degrees of freedom of Student's t.
    """

    pods: tuple[int, int] = (3, 8)
    warm_days: int = 90
    days: int = 730
    every_days: int = 28
    skilled: float = 0.6
    sharpe: float = 1.0
    sharpe_sd: float = 0.7
    half_lives: tuple[float, ...] = (0.5, 1.0, math.inf)
    vols: tuple[float, float] = (0.1, 0.8)
    loading: tuple[float, float] = (0.0, 0.8)
    tail: float = 3.5
    reserve: float = 0.1
    move_cost: float = 0.001
    risk_aversion: float = 4.0


class Universe(msgspec.Struct, frozen=True):
    """Daily returns (rows) of pods (columns), with the truth: Sharpe ratios a year by day, and daily covariance."""

    returns: Array
    sharpe: Array
    cov: Array


class View(msgspec.Struct, frozen=True):
    """What a policy may know at a rebalance: past returns, its own weights, its wealth and highest wealth.

    ``truth`` (mean and covariance a day) is for the oracle alone.
    """

    past: Array
    weights: Array
    wealth: float
    high: float
    truth: tuple[Array, Array]


Policy = Callable[[View], Array]


class Outcome(msgspec.Struct, frozen=True):
    """Of one policy in one universe, a year: log growth, mean-variance utility; greatest drawdown; turnover a year."""

    growth: float
    utility: float
    drawdown: float
    turnover: float


class Paired(msgspec.Struct, frozen=True):
    """Mean difference of a figure between two policies over the same universes, with a 95 % interval."""

    mean: float
    low: float
    high: float


def draw(terms: UniverseTerms, rng: np.random.Generator) -> Universe:
    """One universe."""
    n = int(rng.integers(terms.pods[0], terms.pods[1] + 1))
    days = terms.warm_days + terms.days
    start = np.where(rng.random(n) < terms.skilled, rng.normal(terms.sharpe, terms.sharpe_sd, n), 0.0)
    lives = rng.choice(np.array(terms.half_lives), n)
    years = np.arange(days)[:, None] / DAYS_A_YEAR
    sharpe = start * 0.5 ** (years / lives)
    vol = np.exp(rng.uniform(math.log(terms.vols[0]), math.log(terms.vols[1]), n)) / math.sqrt(DAYS_A_YEAR)
    load = rng.uniform(*terms.loading, n)
    corr = np.outer(load, load)
    np.fill_diagonal(corr, 1.0)
    normal = rng.standard_normal((days, n)) * np.sqrt(1.0 - load**2) + rng.standard_normal((days, 1)) * load
    # one scale for all pods of a day: they fall together. Unit variance
    scale = np.sqrt((terms.tail - 2.0) / rng.chisquare(terms.tail, (days, 1)))
    noise = normal * scale
    returns = np.maximum(-0.95, vol * (noise + sharpe / math.sqrt(DAYS_A_YEAR)))
    return Universe(returns, sharpe, np.outer(vol, vol) * corr)


def run(terms: UniverseTerms, universe: Universe, policy: Policy) -> Outcome:
    """Live through a universe. Between rebalances weights are kept constant (each pod rescales itself daily)."""
    vols = np.sqrt(np.diag(universe.cov))
    weights: Array = np.zeros(universe.returns.shape[1])
    wealth = high = 1.0
    deepest = moved = 0.0
    parts = []
    last = terms.warm_days + terms.days
    for day in range(terms.warm_days, last, terms.every_days):
        mean = universe.sharpe[day] * vols / math.sqrt(DAYS_A_YEAR)
        wanted = policy(View(universe.returns[:day], weights, wealth, high, (mean, universe.cov)))
        change = float(np.abs(wanted - weights).sum())
        moved, weights = moved + change, wanted
        rewards = universe.returns[day : min(last, day + terms.every_days)] @ weights
        rewards[0] -= terms.move_cost * change
        rewards = np.maximum(-0.99, rewards)
        path = wealth * np.cumprod(1.0 + rewards)
        highs = np.maximum(high, np.maximum.accumulate(path))
        deepest = max(deepest, float((1.0 - path / highs).max()))
        wealth, high = float(path[-1]), float(highs[-1])
        parts.append(rewards)
    x = np.concatenate(parts)
    a_year = DAYS_A_YEAR
    utility = float(x.mean() - 0.5 * terms.risk_aversion * x.var()) * a_year
    return Outcome(float(np.log1p(x).mean()) * a_year, utility, deepest, moved * a_year / terms.days)


def equal_weight(terms: UniverseTerms) -> Policy:
    """The same for everyone."""

    def weigh(view: View) -> Array:
        n = view.past.shape[1]
        return np.full(n, (1.0 - terms.reserve) / n)

    return weigh


def inverse_volatility(terms: UniverseTerms) -> Policy:
    """In inverse proportion to the volatility of the past."""

    def weigh(view: View) -> Array:
        return (1.0 - terms.reserve) * inverse_vol(np.diag(view.past.var(axis=0)))

    return weigh


def long_kelly(cov: Array, mean: Array, fraction: float, most: float) -> Array:
    """A fraction of the bets of greatest growth that short nobody, scaled down to ``most`` in sum."""
    root = np.linalg.cholesky(cov)
    bets: Array = fraction * np.asarray(nnls(root.T, np.linalg.solve(root, mean))[0], dtype=np.float64)
    total = float(bets.sum())
    return bets if total <= most else bets * (most / total)


def sample_kelly(terms: UniverseTerms, fraction: float) -> Policy:
    """Fractional Kelly that believes the sample's means: what errors in means cost."""

    def weigh(view: View) -> Array:
        cov = ledoit_wolf_constant_correlation(view.past).cov
        return long_kelly(cov, view.past.mean(axis=0), fraction, 1.0 - terms.reserve)

    return weigh


def oracle(terms: UniverseTerms, fraction: float) -> Policy:
    """The same fraction of Kelly on the truth of the day."""

    def weigh(view: View) -> Array:
        mean, cov = view.truth
        return long_kelly(cov, mean, fraction, 1.0 - terms.reserve)

    return weigh


def study(
    terms: UniverseTerms,
    policies: Mapping[str, Policy],
    universes: int,
    rng: np.random.Generator,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, list[Outcome]]:
    """Every policy through the same universes; a universe does not depend on the policies, nor on how many follow."""
    found: dict[str, list[Outcome]] = {name: [] for name in policies}
    for number, own in enumerate(rng.spawn(universes)):
        universe = draw(terms, own)
        for name, policy in policies.items():
            found[name].append(run(terms, universe, policy))
        progress(number + 1)
    return found


def paired(ours: Sequence[Outcome], others: Sequence[Outcome], field: str) -> Paired:
    """Ours minus theirs, with the interval of its mean. Raises ValueError for fewer than two universes."""
    if len(ours) != len(others) or len(ours) < 2:
        raise ValueError("paired differences need the same universes, two or more")
    gaps = np.array([getattr(a, field) - getattr(b, field) for a, b in zip(ours, others, strict=True)])
    mean = float(gaps.mean())
    half = Z95 * float(gaps.std(ddof=1)) / math.sqrt(gaps.size)
    return Paired(mean, mean - half, mean + half)


def table(found: Mapping[str, Sequence[Outcome]], ours: str) -> list[str]:
    """Markdown lines: means, and what ``ours`` has over each of the others."""
    lines = [
        "| policy | log growth a year | mean-variance utility a year | mean of greatest drawdowns | turnover a year |",
        "|--|--|--|--|--|",
    ]
    for name, rows in found.items():
        mean = {f: float(np.mean([getattr(row, f) for row in rows])) for f in Outcome.__struct_fields__}
        lines.append(
            f"| {name} | {mean['growth']:+.4f} | {mean['utility']:+.4f} | {mean['drawdown']:.3f}"
            f" | {mean['turnover']:.2f} |"
        )
    lines += ["", f"| {ours} less | log growth | mean-variance utility |", "|--|--|--|"]
    for name, rows in found.items():
        if name != ours:
            cells = [paired(found[ours], rows, field) for field in ("growth", "utility")]
            lines.append(
                f"| {name} | " + " | ".join(f"{c.mean:+.4f} [{c.low:+.4f}, {c.high:+.4f}]" for c in cells) + " |"
            )
    return lines
