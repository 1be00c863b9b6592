"""Portfolios for research: optimise a book, with and without costs, and walk it forward through history.

Takes numpy arrays or pandas objects; what comes in with coin names goes out with them. Names, when present, must agree:
nothing is reordered silently but columns of the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from slipstream.core.costs.model import TransactionCostModel
from slipstream.core.portfolio.cost_aware import OptimiserFailed, solve_cost_aware
from slipstream.core.portfolio.covariance import FactorCovariance, SingularCovariance, factorised
from slipstream.core.portfolio.neutral import neutral_weights, scaled_to_gross
from slipstream.core.portfolio.record import BacktestRecord
from slipstream.core.stats.performance import drawdown, sharpe
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
    "run_backtest",
]

Array = npt.NDArray[np.float64]
HOURS_A_YEAR = 8_760.0


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
    costs: TransactionCostModel | None = None,
    *,
    capital: float = 1_000_000.0,
    leverage: float = 1.0,
    cap: Any = np.inf,
) -> Any:
    """The best book after the costs of trading from ``w_old`` with sum |w| <= ``leverage`` and |w_i| <= ``cap``.

    ``capital`` is what turns weights into the notionals that costs are about. The gross exposure is a bound, not a
    target: a book that is not worth its costs stays small. Raises ValueError, SingularCovariance, OptimiserFailed.
    """
    names = names_of(alpha)
    a = values_of(alpha)
    model = costs or TransactionCostModel()
    fee, impact = (model.aligned(names) if names else model).in_weights(capital, len(a))
    bound = np.abs(aligned("cap", cap, names))
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

    @property
    def periods_a_year(self) -> float:
        """How many periods make a year of 8760 hours."""
        stamps = self.record.stamps
        return HOURS_A_YEAR * HOUR_MS / float(np.median(np.diff(stamps))) if len(stamps) > 1 else HOURS_A_YEAR

    def sharpe_ratio(self) -> float:
        """Of returns after everything, annualised; NaN where returns do not vary."""
        if len(self.record.stamps) < 2:
            return float("nan")
        ratio = sharpe(self.record.returns, self.periods_a_year)
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
    costs: TransactionCostModel | None = None,
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
    at the first price. Raises ValueError, SingularCovariance, FundingMissing, OptimiserFailed.
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
        raise ValueError(f"alpha_price and realized_returns differ in coins: {', '.join(_odd(d_names, coins))}")
    price = price[:, [d_names.index(coin) for coin in coins]]
    carry = same(frame("alpha_funding", alpha_funding), coins, d_ms, "alpha_funding", "alpha_price")
    chosen = decisions(d_ms, config, int(t_ms[keep][0]), int(t_ms[keep][-1]))
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
            costs=(costs or TransactionCostModel()) if config.use_costs else None,
            lot_usd=None if lot_usd is None else aligned("lot_usd", lot_usd, coins),
            funding=funding,
            delist_hours=delist_hours,
            settings={"H": config.H, "start_date": config.start_date, "end_date": config.end_date},
        ),
    )
    return BacktestResult(config, walk)


def decisions(stamps: npt.NDArray[np.int64], config: BacktestConfig, first: int, last: int) -> npt.NDArray[np.int64]:
    """Which forecasts trade: every H hours from the first in range. Raises ValueError where there is none, or a gap."""
    inside = np.flatnonzero((stamps >= config.begin) & (stamps < last))
    before = inside[stamps[inside] < first]
    inside = inside[max(0, len(before) - 1) :]
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


def _odd(one: Sequence[str], other: Sequence[str]) -> list[str]:
    return sorted(set(one) ^ set(other))[:8]


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


def frame(name: str, table: Any) -> tuple[tuple[str, ...], npt.NDArray[np.int64], Array]:
    """(coins, stamps in ms UTC, values) of a DataFrame. Raises ValueError on doubles, disorder and non-numbers."""
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise ValueError(f"{name} must be a DataFrame with a row per stamp and a column per coin, is {type(table)}")
    if not len(table) or not len(table.columns):
        raise ValueError(f"{name} is empty: {table.shape}")
    index = table.index
    if isinstance(index, pd.DatetimeIndex):
        index = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
        stamps = index.as_unit("ms").asi8.astype(np.int64)
    elif pd.api.types.is_integer_dtype(index.dtype):
        stamps = index.to_numpy(dtype=np.int64)
        if stamps.min() < 10**11:
            raise ValueError(f"{name} is indexed by small whole numbers such as {stamps[0]}: give UTC stamps, or ms")
    else:
        raise ValueError(f"{name} is indexed by {index.dtype}: give UTC stamps (DatetimeIndex) or whole ms")
    steps = np.diff(stamps)
    if (steps <= 0).any():
        at = int(np.flatnonzero(steps <= 0)[0]) + 1
        fault = "double" if steps[at - 1] == 0 else "out of order"
        raise ValueError(f"{name}: stamp {moment(stamps[at])} (row {at}) is {fault}: sort the rows and drop doubles")
    names = tuple(str(column) for column in table.columns)
    if len(set(names)) != len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise ValueError(f"{name} has columns twice: {', '.join(twice)}")
    try:
        values = table.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} holds something that is no number: {error}") from error
    return names, stamps, values


def same(
    table: tuple[tuple[str, ...], npt.NDArray[np.int64], Array],
    coins: tuple[str, ...],
    stamps: npt.NDArray[np.int64],
    name: str,
    model: str,
) -> Array:
    """A frame's values in the order of ``coins``, if it has the stamps and coins of another. Raises ValueError."""
    names, own, values = table
    if set(names) != set(coins):
        raise ValueError(f"{name} and {model} differ in coins: {', '.join(_odd(names, coins))}")
    if len(own) != len(stamps) or (own != stamps).any():
        odd = np.setxor1d(own, stamps)
        raise ValueError(f"{name} has {len(own)} stamps, {model} {len(stamps)}; first that differs: {moment(odd[0])}")
    return values[:, [names.index(coin) for coin in coins]]


def names_of(values: Any) -> tuple[str, ...]:
    """Coin names of a Series; empty for an array. Raises ValueError on names that come twice."""
    index = getattr(values, "index", None)
    if index is None or callable(index):
        return ()
    names = tuple(str(name) for name in index)
    if len(set(names)) != len(names):
        raise ValueError("alpha names a coin twice")
    return names


def values_of(values: Any) -> Array:
    """Numbers of an array or Series. Raises ValueError."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"not numbers: {error}") from error


def aligned(name: str, values: Any, coins: tuple[str, ...]) -> Array:
    """Numbers in the order of ``coins`` where both have names. Raises ValueError for names that differ."""
    own = getattr(values, "index", None)
    if own is None or callable(own) or not coins:
        return values_of(values)
    names = [str(n) for n in own]
    if set(names) != set(coins) or len(names) != len(coins):
        raise ValueError(f"{name} and alpha differ in coins: {', '.join(_odd(names, coins)) or 'one comes twice'}")
    return values_of(values)[[names.index(coin) for coin in coins]]


def covariance_of(S: Any, coins: tuple[str, ...]) -> Any:
    """A covariance in the order of ``coins``: FactorCovariance and arrays as they are. Raises ValueError."""
    if isinstance(S, FactorCovariance) or not hasattr(S, "columns") or not coins:
        return S if isinstance(S, FactorCovariance) else values_of(S)
    rows, columns = [str(n) for n in S.index], [str(n) for n in S.columns]
    if rows != columns or set(rows) != set(coins) or len(rows) != len(coins):
        raise ValueError(f"S must have the coins of alpha in rows and columns; differing: {_odd(rows, coins)}")
    order = [rows.index(coin) for coin in coins]
    return values_of(S)[np.ix_(order, order)]


def like(model: Any, values: Array) -> Any:
    """A Series where the model was one."""
    if hasattr(model, "index") and not callable(model.index):
        return type(model)(values, index=model.index)
    return values
