"""Backtest of weights on bars: one pass over time, all coins at once. Nothing after a bar changes anything before it.

- A decision is taken at a bar's close, from what was known then, and sizes positions by equity and prices of then.
- It trades at the next bar's open (or close), at that price, plus costs: fee, half spread, and the square-root law
  ``Y sigma_day sqrt(Q / V_day)``, Y being the average-cost coefficient (specification, section 1.4).
- Between decisions units stay, so that weights drift. A coin without a bar is not traded and keeps its last price.
- Funding falls due at settlements after a bar's open up to its close, on units held after the open's trades, valued at
  the mean of open and close. A settlement that the source lacks is charged at the venue's default rate and counted.
- A coin without bars for ``delist_hours`` is closed at its last price, with the costs of a trade, and reported.
- Every order is filled in full: no queue, no partial fill. Judge sizes by ``worst_share`` of a day's volume.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.signals.bars import Bars

Array = npt.NDArray[np.float64]
DEFAULT_RATE = 1.25e-5


class FundingMissing(ValueError):
    """A perp backtest was asked for without funding."""


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Fractions of the traded notional. ``maker_share`` of it pays the maker's fee and no half spread."""

    taker_fee: float = 0.00045
    maker_fee: float = 0.00015
    maker_share: float = 0.0
    half_spread: float = 0.0002
    impact: float = 1.0

    @property
    def fee(self) -> float:
        """Fee of a traded dollar."""
        return self.maker_share * self.maker_fee + (1.0 - self.maker_share) * self.taker_fee

    @property
    def spread(self) -> float:
        """Half spread of a traded dollar."""
        return (1.0 - self.maker_share) * self.half_spread

    @property
    def linear(self) -> float:
        """Fee and half spread of a traded dollar."""
        return self.fee + self.spread


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided when: ``targets`` maps a bar to the weights (N,) decided at its close, multiples of equity.

    ``sigma_day`` and ``daily_usd`` (T, N) are a day's volatility and traded USD as known at each close.
    """

    targets: Mapping[int, Array]
    sigma_day: Array
    daily_usd: Array


class Closing(msgspec.Struct, frozen=True):
    """A position closed because its coin's bars ended."""

    coin: str
    bar: int
    usd: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """``equity`` (T,) USD at closes; ``weights`` (T, N) held then; PnL by coin (N,), USD: price, funding, costs apart.

    ``returns`` (T,) are of equity, bar by bar. ``turnover`` (T,) is traded notional over equity. ``worst_share`` is the
    largest trade as a part of its coin's day. ``funding_gaps`` counts settlements charged at the default rate.
    ``costs`` (fee, spread, impact) and ``funding`` (received; negative: paid) are USD by bar, (T,).
    """

    opened: npt.NDArray[np.int64]
    hours: float
    equity: Array
    returns: Array
    turnover: Array
    weights: Array
    price_pnl: Array
    funding_paid: Array
    costs_paid: Array
    costs: dict[str, Array]
    funding: Array
    closings: tuple[Closing, ...]
    funding_gaps: int
    worst_share: float

    @property
    def coin_pnl(self) -> Array:
        """Net PnL by coin, USD."""
        return self.price_pnl - self.funding_paid - self.costs_paid


def _filled(prices: Array) -> Array:
    """Each price, or the last one before it."""
    places = np.where(np.isfinite(prices), np.arange(len(prices))[:, None], -1)
    last = np.maximum.accumulate(places, axis=0)
    out = np.take_along_axis(prices, np.maximum(last, 0), axis=0)
    return np.where(last >= 0, out, np.nan)


class _Run:
    """The account while it is carried along the bars."""

    def __init__(self, bars: Bars, plan: Plan, costs: Costs, capital: float) -> None:
        n = len(bars.coins)
        self.bars, self.plan, self.costs = bars, plan, costs
        self.units = np.zeros(n)
        self.equity = capital
        self.mark = np.full(n, np.nan)
        self.price_pnl, self.funding, self.cost = np.zeros(n), np.zeros(n), np.zeros(n)
        self.gaps, self.worst, self.traded, self.impact = 0, 0.0, 0.0, 0.0

    def revalue(self, prices: Array) -> None:
        """Carry the positions to new prices; NaN leaves a coin where it is."""
        gain = np.where(np.isfinite(prices) & (self.units != 0.0), self.units * (prices - self.mark), 0.0)
        self.price_pnl += gain
        self.equity += float(gain.sum())
        self.mark = np.where(np.isfinite(prices), prices, self.mark)

    def trade(self, wanted: Array, prices: Array, known: int) -> None:
        """Go to ``wanted`` units wherever there is a price; ``known`` is the last closed bar."""
        can = np.isfinite(prices)
        change = np.where(can, wanted - self.units, 0.0)
        usd = np.abs(np.where(can, change * prices, 0.0))
        moved = usd > 0.0
        sigma, day = self.plan.sigma_day[known][moved], self.plan.daily_usd[known][moved]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(day > 0.0, usd[moved] / day, 1.0)
        impact = usd[moved] * self.costs.impact * np.nan_to_num(sigma) * np.sqrt(share)
        paid = np.zeros_like(usd)
        paid[moved] = usd[moved] * self.costs.linear + impact
        self.impact += float(impact.sum())
        self.worst = max(self.worst, float(share.max(initial=0.0)))
        self.cost += paid
        self.equity -= float(paid.sum())
        self.traded += float(usd.sum())
        self.units = self.units + change

    def settle(self, bar: int) -> None:
        """Pay the bar's funding."""
        rates, gaps = self.bars.funding, self.bars.funding_gaps
        if rates is None:
            return
        lacking = np.zeros(len(self.units)) if gaps is None else gaps[bar].astype(np.float64)
        middle = (self.bars.open[bar] + self.bars.close[bar]) / 2.0
        held = self.units != 0.0
        value = np.where(held, self.units * np.where(np.isfinite(middle), middle, self.mark), 0.0)
        paid = value * (np.nan_to_num(rates[bar]) + DEFAULT_RATE * lacking)
        self.gaps += int(lacking[held].sum())
        self.funding += paid
        self.equity -= float(paid.sum())


class _Series:
    """What is written down bar by bar."""

    def __init__(self, bars: int) -> None:
        self.impact, self.funding = np.zeros(bars), np.zeros(bars)


def backtest(
    bars: Bars,
    plan: Plan,
    *,
    costs: Costs | None = None,
    capital: float = 1_000_000.0,
    execute: Literal["open", "close"] = "open",
    funding: Literal["data", "none"] = "data",
    delist_hours: float = 48.0,
) -> Result:
    """Run a plan over bars. Raises FundingMissing without funding unless ``funding="none"``; ValueError for bad input.

    An account that has lost everything is closed there: the rest of its returns are 0.
    """
    if funding == "data" and bars.funding is None:
        raise FundingMissing('the bars carry no funding: give a funding file, or say funding="none" to leave it out')
    _check(bars, plan, capital)
    if funding == "none":
        bars = msgspec.structs.replace(bars, funding=None, funding_gaps=None)
    run = _Run(bars, plan, costs or Costs(), capital)
    t_max, n = bars.close.shape
    equity, turnover, weights = np.zeros(t_max), np.zeros(t_max), np.zeros((t_max, n))
    series = _Series(t_max)
    closings: list[Closing] = []
    silent = np.zeros(n)
    pending: Array | None = None
    for t in range(t_max):
        run.traded, run.impact, paid_before = 0.0, 0.0, float(run.funding.sum())
        run.revalue(bars.open[t])
        if pending is not None and execute == "open":
            run.trade(pending, bars.open[t], t - 1)
        run.settle(t)
        run.revalue(bars.close[t])
        if pending is not None and execute == "close":
            run.trade(pending, bars.close[t], t - 1)
        silent = np.where(np.isfinite(bars.close[t]), 0.0, silent + bars.hours)
        ended = (run.units != 0.0) & (silent >= delist_hours)
        if ended.any():
            closings += [Closing(bars.coins[j], t, float(run.units[j] * run.mark[j])) for j in np.flatnonzero(ended)]
            run.trade(np.where(ended, 0.0, run.units), np.where(ended, run.mark, np.nan), t)
        if run.equity <= 0.0:
            run.units = np.zeros(n)
        equity[t], turnover[t] = run.equity, run.traded
        series.impact[t], series.funding[t] = run.impact, paid_before - float(run.funding.sum())
        if run.equity > 0.0:
            weights[t] = np.where(run.units != 0.0, run.units * run.mark, 0.0) / run.equity
        pending = _units(plan.targets.get(t), run)
    before = np.concatenate([[capital], equity[:-1]])
    alive = before > 0.0
    returns = np.where(alive, equity / np.where(alive, before, 1.0) - 1.0, 0.0)
    return Result(
        opened=bars.opened,
        hours=bars.hours,
        equity=equity,
        returns=returns,
        turnover=np.where(alive, turnover / np.where(alive, before, 1.0), 0.0),
        weights=weights,
        price_pnl=run.price_pnl,
        funding_paid=run.funding,
        costs_paid=run.cost,
        costs={"fee": turnover * run.costs.fee, "spread": turnover * run.costs.spread, "impact": series.impact},
        funding=series.funding,
        closings=tuple(closings),
        funding_gaps=run.gaps,
        worst_share=run.worst,
    )


def _units(target: Array | None, run: _Run) -> Array | None:
    if target is None or run.equity <= 0.0:
        return None
    wanted = target != 0.0
    return np.where(wanted, target * run.equity / np.where(wanted, run.mark, 1.0), 0.0)


def _check(bars: Bars, plan: Plan, capital: float) -> None:
    shape = bars.close.shape
    if not (capital > 0.0 and math.isfinite(capital)):
        raise ValueError(f"capital {capital} must be positive, in USD")
    for name in ("sigma_day", "daily_usd"):
        if getattr(plan, name).shape != shape:
            raise ValueError(f"plan.{name} has shape {getattr(plan, name).shape}, the bars {shape}")
    for bar, target in plan.targets.items():
        if not 0 <= bar < shape[0] or target.shape != (shape[1],):
            raise ValueError(
                f"target of bar {bar} has shape {target.shape}: there are {shape[0]} bars of {shape[1]} coins"
            )
        if not np.isfinite(target).all():
            raise ValueError(f"target of bar {bar} holds a weight that is not a number")
        blind = (target != 0.0) & ~np.isfinite(bars.close[bar])
        if blind.any():
            raise ValueError(
                f"target of bar {bar} holds {bars.coins[int(np.flatnonzero(blind)[0])]}, which has no bar then"
            )
