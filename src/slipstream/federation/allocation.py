"""How capital is shared: one pure function from what is believed of the pods to what each may have, and why.

In this order:

1. equal risk of what is not reserved (risk contributions of the shrunk covariance are equal);
2. fractional Kelly on posterior Sharpe ratios under a sceptical prior, no pod below nothing, summing to no more than
   there is;
3. a blend: Kelly weighs as much as the evidence does in the pod's posterior, prior^2 / (prior^2 + error^2), and nothing
   below ``min_hours`` effective hours; the equal-risk part is tilted by twice the posterior chance that the pod has an
   edge, which is 1 where nothing is known;
4. the drawdown: all of it times Grossman and Zhou's factor, 0 at ``max_drawdown``;
5. hard limits: stage, capacity, equity less reserve, an open break (no more than before);
6. the no-trade band and the turnover limit. What hard limits take away goes at once and does not count as turnover.

What a limit takes from one pod is not given to another: it stays in reserve.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.special import ndtr

from slipstream.core.portfolio.allocators import equal_risk
from slipstream.core.portfolio.kelly import grossman_zhou
from slipstream.core.stats.posterior import Posterior, sceptical_posterior
from slipstream.federation.evidence import Strength
from slipstream.model.mandate import Stage

Array = npt.NDArray[np.float64]

HOLDING_YEARS = 30.0 / 365.0  # how long a move of capital is meant to stay, to weigh its cost
WIDEST_BAND = 0.1  # of the target


class AllocationTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The fund's rules. Shares are of equity; ``prior_vol`` a year and ``prior_correlation`` before any evidence."""

    reserve: float = 0.1
    kelly_fraction: float = 0.25
    max_drawdown: float = 0.2
    max_turnover: float = 0.1
    move_cost: float = 0.001
    prior_sharpe_sd: float = 0.5
    min_hours: float = 72.0
    prior_vol: float = 0.5
    prior_correlation: float = 0.3
    stage_caps: dict[Stage, float] = {}


class PodView(msgspec.Struct, frozen=True):
    """A pod as the allocation sees it. ``before`` is its capital now, ``ceiling`` what its coins can hold (USD).

    ``blocked`` says why it gets no more than before; empty: nothing does.
    """

    pod: str
    stage: Stage
    strength: Strength
    before: float = 0.0
    ceiling: float = math.inf
    blocked: str = ""


class AllocatorInput(msgspec.Struct, frozen=True):
    """Everything that a sharing of capital depends on. ``correlation`` has a row and a column for each pod."""

    terms: AllocationTerms
    equity: float
    high_water: float
    pods: tuple[PodView, ...]
    correlation: tuple[tuple[float, ...], ...]


class Share(msgspec.Struct, frozen=True):
    """A pod's capital (USD) with the reason of every number on the way."""

    pod: str
    capital: float
    target: float
    hard_cap: float
    reasons: tuple[str, ...]


class Allocation(msgspec.Struct, frozen=True):
    """Shares in the order of the pods given; ``kept`` is the share of risk that the drawdown leaves."""

    shares: tuple[Share, ...]
    budget: float
    drawdown: float
    kept: float
    turnover: float


class _Belief(msgspec.Struct, frozen=True):
    """Wanted shares of equity before drawdown and limits, and what they were made of."""

    want: Array
    base: Array
    kelly: Array
    trust: Array
    tilt: Array
    posterior: Posterior


def allocate(inputs: AllocatorInput) -> Allocation:
    """Share the capital. Raises ValueError for figures that are not finite: nothing is shared on such."""
    terms, pods = inputs.terms, inputs.pods
    _check(inputs)
    if not pods or inputs.equity <= 0.0:
        return _nothing(inputs)
    equity = inputs.equity
    drawdown = max(0.0, 1.0 - equity / inputs.high_water) if inputs.high_water > 0.0 else 0.0
    kept = grossman_zhou(drawdown, terms.max_drawdown)
    budget = equity * (1.0 - terms.reserve) * kept
    belief = _believe(inputs)
    before = np.array([max(0.0, pod.before) for pod in pods])
    hard = np.array([_hard_cap(terms, pod, equity, kept) for pod in pods])
    target = np.minimum(belief.want * equity * kept, hard)
    target = np.where([_leaving(pod) for pod in pods], 0.0, target)
    start = _within(np.minimum(before, hard), budget)
    wished = _banded(inputs, start, _within(target, budget))
    moves = wished - start
    turnover = float(np.abs(moves).sum())
    allowed = terms.max_turnover * equity
    pace = 1.0 if turnover <= allowed else allowed / turnover
    capital = np.maximum(0.0, np.minimum(start + pace * moves, hard))
    shares = tuple(
        Share(
            pod.pod,
            float(capital[i]),
            float(target[i]),
            float(hard[i]),
            _reasons(inputs, belief, i, (float(target[i]), float(start[i]), float(capital[i])), (kept, drawdown, pace)),
        )
        for i, pod in enumerate(pods)
    )
    return Allocation(shares, budget, drawdown, kept, pace * turnover)


def _check(inputs: AllocatorInput) -> None:
    if not (math.isfinite(inputs.equity) and math.isfinite(inputs.high_water)):
        raise ValueError(f"equity {inputs.equity} and its high-water mark {inputs.high_water} must be finite")
    for pod in inputs.pods:
        found = pod.strength
        if not (math.isfinite(pod.before) and math.isfinite(found.sharpe) and 0.0 < found.volatility < math.inf):
            raise ValueError(f"pod {pod.pod}: capital, Sharpe ratio and volatility must be finite, and volatility > 0")
        if math.isnan(pod.ceiling) or math.isnan(found.error) or found.error <= 0.0:
            raise ValueError(f"pod {pod.pod}: its ceiling and standard error must be numbers, the error positive")


def _nothing(inputs: AllocatorInput) -> Allocation:
    shares = tuple(Share(pod.pod, 0.0, 0.0, 0.0, ("the fund has no equity",)) for pod in inputs.pods)
    return Allocation(shares, 0.0, 1.0 if inputs.high_water > 0.0 else 0.0, 0.0, 0.0)


def _leaving(pod: PodView) -> bool:
    return pod.stage is Stage.RETIREMENT


def _hard_cap(terms: AllocationTerms, pod: PodView, equity: float, kept: float) -> float:
    """What a pod may not have more of, whatever is believed of it."""
    if _leaving(pod):
        return max(0.0, pod.before) * (1.0 if kept > 0.0 else 0.0)  # it goes gradually: see the turnover
    cap = min(terms.stage_caps.get(pod.stage, 0.0) * equity * kept, max(0.0, pod.ceiling))
    return min(cap, max(0.0, pod.before)) if pod.blocked else cap


def _within(wanted: Array, budget: float) -> Array:
    """The same, scaled down if it sums to more than there is."""
    total = float(wanted.sum())
    if total <= budget:
        return wanted
    scaled: Array = wanted * (budget / total)
    return scaled


def _believe(inputs: AllocatorInput) -> _Belief:
    terms, pods = inputs.terms, inputs.pods
    vols = np.array([pod.strength.volatility for pod in pods])
    corr = np.asarray(inputs.correlation, dtype=np.float64).reshape(len(pods), len(pods))
    cov = np.outer(vols, vols) * corr
    whole = 1.0 - terms.reserve
    eligible = np.array([terms.stage_caps.get(pod.stage, 0.0) > 0.0 and not _leaving(pod) for pod in pods])
    base = np.zeros(len(pods))
    if eligible.any():
        base[eligible] = whole * equal_risk(cov[np.ix_(eligible, eligible)])
    errors = np.array([pod.strength.error for pod in pods])
    posterior = sceptical_posterior([pod.strength.sharpe for pod in pods], errors, prior_sd=terms.prior_sharpe_sd)
    prior = terms.prior_sharpe_sd**2
    enough = np.array([pod.strength.effective >= terms.min_hours for pod in pods])
    trust = np.where(enough, prior / (prior + errors**2), 0.0)
    kelly = np.where(eligible, _long_kelly(cov, posterior.mean * vols) * terms.kelly_fraction, 0.0)
    kelly = _within(kelly, whole)
    odds: Array = np.asarray(ndtr(posterior.mean / posterior.sd), dtype=np.float64)
    tilt = np.where(enough, 2.0 * odds, 1.0)
    want = _within((1.0 - trust) * _within(tilt * base, whole) + trust * kelly, whole)
    return _Belief(want, base, kelly, trust, tilt, posterior)


def _long_kelly(cov: Array, mean: Array) -> Array:
    """The bets of greatest growth that short nobody: max f'mu - f'Sf/2, f >= 0, as least squares on S's root."""
    root = np.linalg.cholesky(cov)
    found, _ = nnls(root.T, np.linalg.solve(root, mean))
    bets: Array = np.asarray(found, dtype=np.float64)
    return bets


def _banded(inputs: AllocatorInput, start: Array, target: Array) -> Array:
    """Targets, but not nearer than where moving on costs more than it gains.

    The utility lost by standing d away from the optimum is d^2 vol^2 / (2 c) a year, so the last unit is worth moving
    while d vol^2 H / c exceeds its cost k: the band is c k / (vol^2 H), never wider than a tenth of the target.
    """
    terms = inputs.terms
    vols = np.array([pod.strength.volatility for pod in inputs.pods])
    band = terms.kelly_fraction * terms.move_cost / (vols**2 * HOLDING_YEARS) * inputs.equity
    band = np.minimum(band, WIDEST_BAND * target)
    banded: Array = np.clip(start, target - band, target)  # what is above the target comes down all the way
    return banded


def _reasons(
    inputs: AllocatorInput, belief: _Belief, i: int, figures: tuple[float, float, float], risk: tuple[float, ...]
) -> tuple[str, ...]:
    pod, terms = inputs.pods[i], inputs.terms
    target, start, capital = figures
    kept, drawdown, pace = risk
    found, equity = pod.strength, inputs.equity
    lines = []
    if _leaving(pod):
        lines.append("retired: its capital goes home step by step")
    elif terms.stage_caps.get(pod.stage, 0.0) <= 0.0:
        lines.append(f"stage {pod.stage.value} is lent nothing")
    else:
        lines.append(
            f"equal risk would give it {belief.base[i]:.1%} of equity at {found.volatility:.0%} volatility a year"
            + (" (assumed: no record yet)" if found.hours < 3 else "")
        )
        lines.append(_evidence_line(pod, terms, belief, i))
        if drawdown >= 0.0005:
            lines.append(f"the fund is {drawdown:.1%} below its high: {kept:.0%} of risk is kept")
        lines += _cap_lines(pod, terms, belief, i, equity, kept, target)
    if pod.blocked:
        lines.append(f"no more than before: {pod.blocked}")
    if start < pod.before - 0.005:
        lines.append(f"limits take {pod.before - start:,.2f} USD at once")
    if pace < 1.0 and abs(capital - start) > 0.005:
        lines.append(f"turnover limit {terms.max_turnover:.0%} of equity a cycle: {pace:.0%} of the way now")
    elif abs(capital - start) <= 0.005 and target - start > 0.005:
        lines.append(f"{target - start:,.2f} USD short of the target: moving them costs more than it gains")
    return tuple(lines)


def _evidence_line(pod: PodView, terms: AllocationTerms, belief: _Belief, i: int) -> str:
    found = pod.strength
    if found.effective < terms.min_hours:
        return f"{found.effective:.0f} effective hours of evidence, under {terms.min_hours:.0f}: equal risk alone"
    return (
        f"Sharpe {found.sharpe:.2f} +- {found.error:.2f} over {found.hours} h is believed as"
        f" {belief.posterior.mean[i]:.2f} +- {belief.posterior.sd[i]:.2f}: {terms.kelly_fraction:g} Kelly gives"
        f" {belief.kelly[i]:.1%} with weight {belief.trust[i]:.0%}, equal risk counts times {belief.tilt[i]:.2f}"
    )


def _cap_lines(
    pod: PodView, terms: AllocationTerms, belief: _Belief, i: int, equity: float, kept: float, target: float
) -> list[str]:
    want = float(belief.want[i]) * equity * kept
    if want <= target + 0.005:
        return []
    share = terms.stage_caps[pod.stage]
    if pod.ceiling < share * equity * kept:
        return [f"capacity: what it trades holds no more than {pod.ceiling:,.2f} USD, wanted {want:,.2f}"]
    return [f"stage {pod.stage.value} may have {share:.0%} of equity, wanted {want:,.2f} USD"]
