"""Portfolios for research: optimise a book, with and without costs, and walk it forward through history.

Takes numpy arrays or pandas objects; what comes in with coin names goes out with them. Names, when present, must agree:
nothing is reordered silently but columns of the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from slipstream.core.costs.calibrated import Calibrated, read_costs
from slipstream.core.costs.model import TransactionCostModel
from slipstream.core.portfolio.cost_aware import OptimiserFailed, solve_cost_aware
from slipstream.core.portfolio.covariance import FactorCovariance, SingularCovariance, factorised
from slipstream.core.portfolio.neutral import neutral_weights, scaled_to_gross
from slipstream.core.portfolio.periods import periods
from slipstream.core.portfolio.record import BacktestRecord
from slipstream.core.stats.performance import drawdown, sharpe
from slipstream.simulation.frames import aligned, covariance_of, frame, like, names_of, odd_ones, same, values_of
from slipstream.simulation.vectorised import FundingMissing
from slipstream.simulation.walk_forward import HOUR_MS, Forecasts, Market, Walk, WalkTerms, moment, walk_forward

__all__ = [
    "BacktestConfig",
    "BacktestResult",
    "FactorCovariance",
    "FundingMissing",
    "OptimiserFailed",
    "SingularCovariance",
    "TransactionCostModel",
    "optimize_portfolio",
    "optimize_portfolio_with_costs",
    "read_costs",
    "run_backtest",
]

Array = npt.NDArray[np.float64]
CostsGiven = TransactionCostModel | Calibrated | str | Path | None


def optimize_portfolio(alpha: Any, beta: Any, S: Any, leverage: float = 1.0) -> Any:
    """The beta-neutral mean-variance book in closed form, scaled to sum |w| = ``leverage``.

    ``alpha`` (N,) expected return less expected funding over the holding period, ``beta`` (N,) or (N, m) exposures to
    be 0, ``S`` (N, N) covariance over the same period. Alpha that is all beta gives zeros. A Series gives a Series.
    Raises ValueError, SingularCovariance.
    """
    names = names_of(alpha)
    weights = neutral_weights(values_of(alpha), aligned("beta", beta, names), covariance_of(S, names))
    return like(alpha, scaled_to_gross(weights, leverage))


def optimize_portfolio_with_costs(
    alpha: Any,
    beta: Any,
    S: Any,
    w_old: Any = None,
    costs: CostsGiven = None,
    *,
    capital: float = 1_000_000.0,
    leverage: float = 1.0,
    cap: Any = np.inf,
) -> Any:
    """The best book after the costs of trading from ``w_old`` with sum |w| <= ``leverage`` and |w_i| <= ``cap``.

    ``capital`` is what turns weights into the notionals that costs are about. The gross exposure is a bound, not a
    target: a book that is not worth its costs stays small. ``costs`` may be a file of `slipstream costs calibrate`:
    alpha must name its coins then. Raises ValueError, SingularCovariance, OptimiserFailed, CostsError.
    """
    names = names_of(alpha)
    a = values_of(alpha)
    if a.ndim != 1:
        raise ValueError(f"alpha has shape {a.shape}, expected (N,)")
    model = cost_model_of(costs)
    if model.coins and not names:
        raise ValueError("the costs are of coins by name, alpha has none: give a Series, or costs without names")
    fee, impact = model.aligned(names or [""] * len(a)).in_weights(capital, len(a))
    bound = aligned("cap", cap, names)
    if not (bound >= 0.0).all():
        raise ValueError("cap must be numbers from 0 up: the most of each |weight|")
    found = solve_cost_aware(
        a,
        aligned("beta", beta, names),
        covariance_of(S, names),
        fee=fee,
        impact=impact,
        held=None if w_old is None else aligned("w_old", w_old, names),
        gross=leverage,
        low=-bound,
        high=bound,
    )
    return like(alpha, found.weights)


def cost_model_of(costs: CostsGiven) -> TransactionCostModel:
    """The cost model of what was given: a model, calibrated costs or their file; None: defaults. Raises CostsError."""
    if isinstance(costs, str | Path):
        costs = read_costs(Path(costs))
    if isinstance(costs, Calibrated):
        return costs.model()
    return costs or TransactionCostModel()


@dataclass(frozen=True)
class BacktestConfig:
    """``H`` hours between decisions; dates inclusive, UTC (a plain end date is that whole day); capital in USD.

    ``leverage`` is the gross exposure: reached without costs, a bound with them. Raises ValueError.
    """

    H: int = 8
    start_date: str = ""
    end_date: str = ""
    initial_capital: float = 1_000_000.0
    leverage: float = 1.0
    use_costs: bool = True

    def __post_init__(self) -> None:
        if not (isinstance(self.H, int) and self.H > 0):
            raise ValueError(f"H {self.H!r} must be a whole number of hours above 0")
        if self.begin > self.end:
            raise ValueError(f"start_date {self.start_date} is after end_date {self.end_date}")

    @property
    def begin(self) -> int:
        """ms UTC of the first decision that may be taken; without a start date the beginning of time."""
        return _ms(self.start_date, "start_date") if self.start_date else -(2**62)

    @property
    def end(self) -> int:
        """ms UTC of the last period's end."""
        if not self.end_date:
            return 2**62
        whole_day = 24 * HOUR_MS if len(self.end_date) <= 10 else 0
        return _ms(self.end_date, "end_date") + whole_day


def _ms(date: str, name: str) -> int:
    try:
        return int(np.datetime64(date, "ms").astype(np.int64))
    except ValueError as error:
        raise ValueError(f"{name} {date!r} is not a date such as 2024-01-31 or 2024-01-31T08:00") from error


@dataclass(frozen=True)
class BacktestResult:
    """What `run_backtest` found; ``record`` is the shape that every report reads."""

    config: BacktestConfig
    walk: Walk

    @property
    def record(self) -> BacktestRecord:
        """The run period by period."""
        return self.walk.record

    def sharpe_ratio(self) -> float:
        """Of returns after everything, annualised over the periods of the report; NaN where returns do not vary."""
        kept = periods(self.record)
        ratio = sharpe(kept.returns, kept.ann) if len(kept.returns) > 1 else None
        return float("nan") if ratio is None else ratio

    def max_drawdown(self) -> float:
        """The deepest fall of equity from a peak, a positive fraction."""
        return drawdown(self.record.returns).depth

    def total_return(self) -> float:
        """Of the whole run, a fraction."""
        return float(self.record.equity[-1] / self.record.capital - 1.0)

    def weights(self) -> Any:
        """Weights after each decision, as a DataFrame."""
        import pandas as pd

        index = pd.to_datetime(self.walk.decided, unit="ms", utc=True)
        return pd.DataFrame(self.walk.weights, index=index, columns=list(self.walk.coins))


def run_backtest(
    config: BacktestConfig,
    alpha_price: Any,
    alpha_funding: Any,
    beta: Any,
    S: Any,
    realized_returns: Any,
    realized_funding: Any,
    *,
    costs: CostsGiven = None,
    cap: Any = np.inf,
    lot_usd: Any = None,
    funding: Literal["data", "default", "none"] = "data",
    delist_hours: float = 48.0,
) -> BacktestResult:
    """Walk a forecast forward; the rules are in `slipstream.simulation.walk_forward`.

    Frames are indexed by UTC stamps with a column per coin. ``alpha_price`` and ``alpha_funding`` at stamp t are the
    forecasts, made at t, of the price return and of the sum of funding rates over the next H hours; the book is built
    on their difference. ``realized_returns`` and ``realized_funding`` at stamp s are of the period that ends at s, of H
    hours or any part of it. ``beta`` is a frame like alpha or one number a coin; ``S`` one covariance (matrix or
    FactorCovariance) over H hours for all decisions, or a mapping from stamp to one. ``lot_usd`` is a lot's notional
    at the first price. ``costs`` may be a file of `slipstream costs calibrate`. Raises ValueError, SingularCovariance,
    FundingMissing, OptimiserFailed, CostsError.
    """
    coins, t_ms, returns = frame("realized_returns", realized_returns)
    keep = (t_ms > config.begin) & (t_ms <= config.end)
    if not keep.any():
        raise ValueError(
            f"no realised return between {config.start_date or 'the beginning'} and {config.end_date or 'the end'}: "
            f"they run from {moment(t_ms[0])} to {moment(t_ms[-1])}"
        )
    paid = None
    if realized_funding is not None:
        paid = same(frame("realized_funding", realized_funding), coins, t_ms, "realized_funding", "realized_returns")
        paid = paid[keep]
    d_names, d_ms, price = frame("alpha_price", alpha_price)
    if set(d_names) != set(coins):
        raise ValueError(f"alpha_price and realized_returns differ in coins: {', '.join(odd_ones(d_names, coins))}")
    price = price[:, [d_names.index(coin) for coin in coins]]
    carry = same(frame("alpha_funding", alpha_funding), coins, d_ms, "alpha_funding", "alpha_price")
    period = int(np.median(np.diff(t_ms))) if len(t_ms) > 1 else config.H * HOUR_MS
    chosen = decisions(d_ms, config, int(t_ms[keep][0]), int(t_ms[keep][-1]), period)
    exposures = _betas(beta, coins, d_ms)[chosen]
    market = Market(coins, t_ms[keep], returns[keep], paid)
    stamps = d_ms[chosen]
    forecasts = Forecasts(stamps, (price - carry)[chosen], exposures, _covariances(S, coins, stamps))
    walk = walk_forward(
        market,
        forecasts,
        WalkTerms(
            capital=config.initial_capital,
            gross=config.leverage,
            cap=aligned("cap", cap, coins),
            costs=cost_model_of(costs) if config.use_costs else None,
            lot_usd=None if lot_usd is None else aligned("lot_usd", lot_usd, coins),
            funding=funding,
            delist_hours=delist_hours,
            settings={"H": config.H, "start_date": config.start_date, "end_date": config.end_date},
        ),
    )
    return BacktestResult(config, walk)


def decisions(
    stamps: npt.NDArray[np.int64], config: BacktestConfig, first: int, last: int, period: int
) -> npt.NDArray[np.int64]:
    """Which forecasts trade: every H hours from the first in range. Raises ValueError where there is none, or a gap.

    ``first`` and ``last`` are ends of periods, ``period`` their length. The first forecast in range is made at the
    start of the first period or later: one from within it would earn what happened before it was made.
    """
    inside = np.flatnonzero((stamps >= config.begin) & (stamps < last))
    inside = inside[(stamps[inside] >= first) | (stamps[inside] == first - period)]
    if not len(inside):
        raise ValueError(f"no forecast between {config.start_date or 'the beginning'} and {moment(last)}")
    step = config.H * HOUR_MS
    due: npt.NDArray[np.int64] = inside[(stamps[inside] - stamps[inside[0]]) % step == 0]
    gaps = np.flatnonzero(np.diff(stamps[due]) != step)
    if len(gaps):
        raise ValueError(
            f"forecasts are missing after {moment(stamps[due[gaps[0]]])}: every {config.H} hours one is needed "
            f"({len(gaps)} gaps); fill them with NaN rows to hold nothing then"
        )
    return due


def _betas(beta: Any, coins: tuple[str, ...], stamps: npt.NDArray[np.int64]) -> Array:
    if getattr(beta, "ndim", 1) == 2:
        return same(frame("beta", beta), coins, stamps, "beta", "alpha_price")
    one = aligned("beta", beta, coins)
    if one.shape != (len(coins),):
        raise ValueError(f"beta has shape {one.shape}, expected ({len(coins)},) or a frame like alpha_price")
    return np.tile(one, (len(stamps), 1))


def _covariances(
    S: Any, coins: tuple[str, ...], stamps: npt.NDArray[np.int64]
) -> FactorCovariance | list[FactorCovariance]:
    if not isinstance(S, Mapping) or isinstance(S, FactorCovariance):
        return factorised(covariance_of(S, coins))
    by_ms = {_stamp(key): value for key, value in S.items()}
    lacking = [s for s in stamps.tolist() if s not in by_ms]
    if lacking:
        raise ValueError(f"S lacks {len(lacking)} of {len(stamps)} decisions, first {moment(lacking[0])}")
    return [factorised(covariance_of(by_ms[s], coins)) for s in stamps.tolist()]


def _stamp(key: Any) -> int:
    if isinstance(key, (int, np.integer)):
        return int(key)
    import pandas as pd

    stamp = pd.Timestamp(key)
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return int(stamp.value // 1_000_000)
