"""What a sweep's worker computes: one set of parameters over one training stretch, in any process."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.stats.performance import sharpe
from slipstream.model.errors import SlipstreamError
from slipstream.processes.backtest_request import BacktestRequest
from slipstream.processes.bar_backtest import costs_of
from slipstream.processes.bar_market import as_plan, funding_of, market_of, settings_of
from slipstream.simulation.vectorised import backtest as run_plan

Array = npt.NDArray[np.float64]
Objective = Literal["sharpe", "growth"]
WORK = "slipstream.processes.sweep_worker:evaluate"
YEAR_HOURS = 365.0 * 24.0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose overrides are the trial's, and the bars ``first <= t < last`` that judge it. Names files only."""

    request: BacktestRequest
    first: int
    last: int
    capital: float
    objective: Objective


class Outcome(msgspec.Struct, frozen=True):
    """The score of a trial, or why it has none, and its returns over the stretch, bar by bar."""

    score: float | None
    why: str
    returns: Array


def evaluate(job: Job) -> Outcome:
    """Compute a job. Parameters that cannot be traded have no score; what is wrong with the data raises."""
    try:
        config: Any = settings_of(job.request)
    except SlipstreamError as error:
        return Outcome(None, str(error), np.zeros(0))
    bars = market_of(job.request, config).until(job.last)
    decided = as_plan(job.request.entry.hook("decisions")(bars, config))
    result = run_plan(bars, decided, costs=costs_of(job.request), capital=job.capital, funding=funding_of(job.request))
    returns = result.returns[job.first :]
    if result.equity[-1] <= 0.0:
        return Outcome(None, "lost everything", returns)
    if not returns.any():
        return Outcome(None, "nothing was held", returns)
    return Outcome(score_of(returns, bars.hours, job.objective), "", returns)


def score_of(returns: Array, hours: float, objective: Objective) -> float | None:
    """Sharpe ratio, or logarithmic growth, a year, net of costs."""
    if objective == "growth":
        return float(np.log1p(returns).mean()) * YEAR_HOURS / hours
    return sharpe(returns, YEAR_HOURS / hours)
