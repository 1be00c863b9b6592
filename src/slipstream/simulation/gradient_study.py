"""How concentrated, how often, how weighted: many plans over the same bars, beside naive ones, with intervals.

Every plan runs over random periods that do not overlap, each with fresh capital, so that what was lost in one neither
shrinks nor flatters the next (impact depends on the size of the account). A period begins with the book in force.
Figures are USD per 1,000,000 and period (mean, bootstrap interval over periods) and the Sharpe ratio of days
(stationary bootstrap). A difference to a baseline is taken period by period, so that the market both lived through
cancels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.signals.bars import Bars
from slipstream.core.stats import bootstrap
from slipstream.core.stats.bootstrap import Interval
from slipstream.core.stats.performance import drawdown, performance, sharpe
from slipstream.core.stats.sharpe import deflated_sharpe
from slipstream.simulation.vectorised import Costs, Plan, backtest

Array = npt.NDArray[np.float64]
MILLION = 1_000_000.0
YEAR = 365.0


class Case(NamedTuple):
    """One plan: its rule, part of the eligible coins a side (0: none), hours between decisions, weighting."""

    rule: str
    fraction: float
    hours: int
    weighting: str


class StudyTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Periods, resamples, and what trading costs. ``capital`` is what one account runs, USD (impact depends on it)."""

    periods: int = 12
    period_days: int = 45
    draws: int = 500
    mean_block_days: float = 10.0
    capital: float = MILLION
    funding: bool = True
    costs: Costs = Costs()


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one case was worth, net. ``usd`` is per 1,000,000 and period; ``price``, ``funding`` and ``costs`` are parts
    of the capital per year; ``max_drawdown`` is the deepest of a period; ``cagr`` compounds the periods' days.
    """

    case: Case
    usd: Interval
    sharpe: Interval
    cagr: float
    max_drawdown: float
    turnover_day: float
    price: float
    funding: float
    costs: float
    against: dict[str, Interval]


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """All rows, the periods as pairs of bars, and the chance that the best case's Sharpe ratio is not luck."""

    rows: tuple[Row, ...]
    periods: tuple[tuple[int, int], ...]
    best: Case
    deflated: float
    terms: StudyTerms


def random_periods(first: int, last: int, length: int, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """``count`` disjoint stretches of ``length`` within ``[first, last)``, at random. ValueError if they do not fit."""
    slack = last - first - count * length
    if count < 1 or length < 1 or slack < 0:
        raise ValueError(f"{count} periods of {length} bars do not fit into {last - first}: ask for fewer or shorter")
    places = np.sort(rng.integers(0, slack + 1, count))
    return [(first + int(p) + k * length, first + int(p) + (k + 1) * length) for k, p in enumerate(places)]


def daily(returns: Array, a_day: int) -> Array:
    """Bar returns compounded to days; an unfinished day at the end is left out."""
    days = len(returns) // a_day
    out: Array = np.prod(1.0 + returns[: days * a_day].reshape(days, a_day), axis=1) - 1.0
    return out


def within(bars: Bars, plan: Plan, first: int, last: int) -> tuple[Bars, Plan]:
    """Bars and plan of ``[first, last)``; the newest book decided up to ``first`` is taken up there, if it can be."""
    part = bars.between(first, last)
    targets = {t - first: target for t, target in plan.targets.items() if first < t < last}
    if before := [t for t in plan.targets if t <= first]:
        targets[0] = np.where(np.isfinite(bars.close[first]), plan.targets[max(before)], 0.0)
    return part, Plan(targets=targets, sigma_day=plan.sigma_day[first:last], daily_usd=plan.daily_usd[first:last])


def _row(
    case: Case, bars: Bars, plan: Plan, spans: Sequence[tuple[int, int]], terms: StudyTerms
) -> tuple[Row, Array, Array]:
    """A row whose intervals are still to come, USD by period, and the days' returns."""
    a_day = round(bars.bars_per_day)
    runs = []
    for first, last in spans:
        part, decided = within(bars, plan, first, last)
        kind: Literal["data", "none"] = "data" if terms.funding else "none"
        runs.append(backtest(part, decided, costs=terms.costs, capital=terms.capital, funding=kind))
    by_day = [daily(run.returns, a_day) for run in runs]
    days = np.concatenate(by_day)
    years = len(days) / YEAR

    def a_year(usd: Sequence[Array]) -> float:
        return float(np.sum(usd)) / terms.capital / years

    none = Interval(math.nan, math.nan, math.nan)
    row = Row(
        case=case,
        usd=none,
        sharpe=none,
        cagr=performance(days, YEAR).cagr,
        max_drawdown=max(drawdown(one).depth for one in by_day),
        turnover_day=float(np.mean([run.turnover.mean() for run in runs])) * a_day,
        price=a_year([run.price_pnl for run in runs]),
        funding=-a_year([run.funding_paid for run in runs]),
        costs=-a_year([run.costs_paid for run in runs]),
        against={},
    )
    by_period = np.array([MILLION * (float(run.equity[-1]) / terms.capital - 1.0) for run in runs])
    return row, by_period, days


def _mean(x: Array) -> float:
    return float(x.mean())


def _sharpe(x: Array) -> float:
    return sharpe(x, YEAR) or 0.0


def rivals(case: Case, cases: Sequence[Case]) -> list[Case]:
    """The baselines a case is compared with: same hours and, where it has one, same fraction."""
    return [
        other
        for other in cases
        if other.rule not in ("gradient", case.rule)
        and other.hours == case.hours
        and other.fraction in (0.0, case.fraction)
    ]


def study(
    bars: Bars,
    plans: Mapping[Case, Plan],
    terms: StudyTerms,
    rng: np.random.Generator,
    progress: Callable[[], None] = lambda: None,
) -> Study:
    """Run all plans and set them beside each other. ``progress`` is called after each."""
    first = max(min(plan.targets, default=len(bars.opened)) for plan in plans.values()) + 1
    length = terms.period_days * round(bars.bars_per_day)
    spans = random_periods(first, len(bars.opened), length, terms.periods, rng)
    bare: dict[Case, Row] = {}
    period: dict[Case, Array] = {}
    rows = []
    for case, plan in plans.items():
        row, period[case], days = _row(case, bars, plan, spans, terms)
        spread = bootstrap.interval(days, _sharpe, rng, mean_block=terms.mean_block_days, draws=terms.draws)
        bare[case] = msgspec.structs.replace(row, sharpe=spread)
        progress()
    for case, row in bare.items():
        against = {}
        if case.rule == "gradient":
            for other in rivals(case, list(plans)):
                apart = period[case] - period[other]
                against[other.rule] = bootstrap.interval(apart, _mean, rng, mean_block=1.0, draws=terms.draws)
        usd = bootstrap.interval(period[case], _mean, rng, mean_block=1.0, draws=terms.draws)
        rows.append(msgspec.structs.replace(row, usd=usd, against=against))
    ours = [row for row in rows if row.case.rule == "gradient"]
    best = max(ours, key=lambda row: row.sharpe.estimate)
    daily_ratios = np.array([row.sharpe.estimate for row in ours]) / math.sqrt(YEAR)
    n = terms.periods * terms.period_days
    variance = float(daily_ratios.var(ddof=1)) if len(ours) > 1 else 1.0 / n
    deflated = deflated_sharpe(best.sharpe.estimate / math.sqrt(YEAR), n, len(ours), variance)
    return Study(rows=tuple(rows), periods=tuple(spans), best=best.case, deflated=deflated, terms=terms)
