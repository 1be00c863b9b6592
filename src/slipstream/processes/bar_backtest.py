"""The backtest of any strategy that decides at the close of bars: vectorised, or by the kernel that trades live."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.costs.calibrated import read_costs
from slipstream.core.portfolio.record import BacktestRecord
from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.execution.kernel import Kernel
from slipstream.execution.settings import KernelConfig
from slipstream.model.errors import ConfigError
from slipstream.model.events import Event
from slipstream.model.instrument import Instrument
from slipstream.model.order import Tif
from slipstream.processes.backtest_request import BacktestRequest
from slipstream.processes.bar_market import as_plan, funding_of, market_of, settings_of
from slipstream.simulation.bars import BarResult, BarTerms, BarVenue, run_bars
from slipstream.simulation.vectorised import Costs, Result, settled_rates
from slipstream.simulation.vectorised import backtest as run_plan

Array = npt.NDArray[np.float64]
DAY_NS = 24 * 3_600_000_000_000


def backtest(request: BacktestRequest) -> BacktestRecord:
    """Run a strategy over bars. Raises ConfigError and ValueError (what the user can mend)."""
    request.refuse(("replay", "hours"), "this strategy is tested on bars")
    config: Any = settings_of(request)
    bars = market_of(request, config)
    if request.kernel:
        return by_kernel(request, config, bars)
    decided = as_plan(request.entry.hook("decisions")(bars, config))
    capital = float(config.trade.capital) if request.capital is None else request.capital
    costs = costs_of(request)
    result = run_plan(bars, decided, costs=costs, capital=capital, funding=funding_of(request))
    if not (result.turnover > 0.0).any():
        raise ConfigError("nothing was ever held: too few bars to warm up, or too few liquid coins")
    return record_of(request, config, bars, result, costs)


def costs_of(request: BacktestRequest) -> Costs:
    """What trading costs, from the request; returns alone know no volume, so no impact by it. Raises CostsError."""
    if request.costs is not None:
        request.refuse(("half_spread", "impact"), "--costs says what they are, coin by coin")
        return Costs(calibrated=read_costs(request.costs), maker_share=request.maker_share or 0.0)
    impact = 0.0 if request.returns_csv is not None else request.impact
    given = {"half_spread": request.half_spread, "impact": impact, "maker_share": request.maker_share}
    return msgspec.structs.replace(Costs(), **{name: value for name, value in given.items() if value is not None})


def ends_of(bars: Bars) -> npt.NDArray[np.int64]:
    """When each bar closes, ms UTC."""
    ends: npt.NDArray[np.int64] = bars.opened + round(bars.hours * HOUR_MS)
    return ends


def settings_said(request: BacktestRequest, config: Any) -> dict[str, object]:
    """What a reader needs to repeat the run."""
    given = {name: getattr(request, name) for name in ("bars", "funding", "returns_csv", "replay", "costs")}
    return {
        "strategy": request.entry.slug,
        "config": {key: value for key, value in config.public().items() if not key.endswith("_text")},
        "seed": request.seed,
        **{name: str(path) for name, path in given.items() if path is not None},
    }


def funding_said(request: BacktestRequest) -> str:
    """How funding was taken, in words."""
    return "FUNDING LEFT OUT, as asked" if request.no_funding else "funding by settlement, on what was held then"


def record_of(request: BacktestRequest, config: Any, bars: Bars, result: Result, costs: Costs) -> BacktestRecord:
    """The vectorised account's outcome. The record begins with the bar of the first trade."""
    first = int(np.flatnonzero(result.turnover > 0.0)[0])
    cut = slice(first, None)
    before = np.concatenate([[result.equity[0]], result.equity[:-1]])
    ruined = np.flatnonzero(result.equity <= 0.0)
    if ruined.size:
        cut = slice(first, int(ruined[0]))
    found = [f"{len(result.closings)} positions closed at the last price of a coin whose bars ended"]
    found = found if result.closings else []
    if result.funding_gaps:
        found.append(f"{result.funding_gaps} settlements that the source lacks were charged at the default rate")
    if ruined.size:
        found.append(f"the account lost everything at bar {int(ruined[0])}: the record ends before it")
    return BacktestRecord(
        slug=request.entry.slug,
        title=request.entry.title,
        stamps=ends_of(bars)[cut],
        equity=result.equity[cut],
        capital=float(before[first]),
        gross=(np.abs(result.weights).sum(axis=1) * result.equity)[cut],
        net=(result.weights.sum(axis=1) * result.equity)[cut],
        turnover=(result.turnover * before)[cut],
        costs={name: part[cut] for name, part in result.costs.items()},
        funding=result.funding[cut],
        coin_pnl={coin: float(pnl) for coin, pnl in zip(bars.coins, result.coin_pnl, strict=True) if pnl},
        assumptions=(
            "decided at a bar's close, filled in full at the next bar's open: no queue, no partial fill",
            *costs.said(),
            funding_said(request),
            f"the largest trade was {result.worst_share:.2%} of its coin's day",
        ),
        settings=settings_said(request, config),
        findings=(*bars.notes, *found),
    )


# ---- the kernel over bars ---------------------------------------------------------------------------------------


def by_kernel(request: BacktestRequest, config: Any, bars: Bars) -> BacktestRecord:
    """The pod's kernel over the bars: what it ordered, filled by the rules of `slipstream.simulation.bars`."""
    request.refuse(("impact", "maker_share"), "the kernel's orders are filled whole, passive or crossing")
    if request.capital is not None:  # what the pod sizes its book by, too; the config's caps hold all the same
        sized = config.trade.model_copy(update={"capital": Decimal(repr(request.capital))})
        config = config.model_copy(update={"trade": sized})
    terms = BarTerms(capital=config.trade.capital)
    if request.costs is not None:
        request.refuse(("half_spread",), "--costs says what it is, coin by coin")
        terms = terms.priced(read_costs(request.costs).model(), bars.coins)
    elif request.half_spread is not None:
        terms = msgspec.structs.replace(terms, half_spread=Decimal(repr(request.half_spread)))
    entry = request.entry
    strategy = entry.recalled({"config": config.public(), "coins": bars.coins}, entry.slug)
    perps = instruments_of(bars)
    settings = patient(entry.hook("kernel")(config, 1.0), bars)
    kernel = Kernel(strategy, (), settings, entry.slug, 1)
    paid = np.zeros(len(bars.opened) + 1)

    def before(t: int, venue: BarVenue) -> list[Event]:
        paid[t] = float(venue.funding)
        return []

    market = msgspec.structs.replace(bars, funding=None, funding_gaps=None) if request.no_funding else bars
    result = run_bars(kernel, market, perps, terms, before=before)
    paid[-1] = float(result.funding)
    if not result.fills:
        raise ConfigError("nothing was ever traded: too few bars to warm up, or too few liquid coins")
    last = {
        coin: Decimal(repr(float(column[np.flatnonzero(np.isfinite(column))[-1]])))
        for coin, column in zip(bars.coins, bars.close.T, strict=True)
        if np.isfinite(column).any()
    }
    pnl = {coin: float(kernel.desk.ledger.line(coin).net(px)) for coin, px in last.items()}
    return kernel_record(request, config, bars, result, terms, np.diff(paid), pnl)


def patient(settings: KernelConfig, bars: Bars) -> KernelConfig:
    """The pod's settings where prices come once a bar: fresh until the next, and requests are not rationed."""
    limits = msgspec.structs.replace(
        settings.limits,
        max_feed_age_ns=max(DAY_NS, 2 * round(bars.hours * HOUR_MS) * 1_000_000),
        actions_per_second=1_000.0,
        burst=1_000_000,
        fat_finger=0.5,
        require_mandate=False,
    )
    return msgspec.structs.replace(settings, limits=limits)


def instruments_of(bars: Bars) -> list[Instrument]:
    """Perps with lots like the venue's: size decimals grow with the digits of the first price."""
    made = []
    for asset, coin in enumerate(bars.coins):
        held = bars.close[:, asset][np.isfinite(bars.close[:, asset])]
        digits = math.floor(math.log10(float(held[0]))) if held.size else 0
        made.append(Instrument(coin=coin, asset=asset, size_decimals=min(5, max(0, digits)), max_leverage=10))
    return made


def kernel_record(
    request: BacktestRequest,
    config: Any,
    bars: Bars,
    result: BarResult,
    terms: BarTerms,
    funding: Array,
    pnl: dict[str, float],
) -> BacktestRecord:
    """The kernel's outcome, from its first fill on."""
    ends = ends_of(bars)
    parts = ("fee", "spread", "impact") if terms.books else ("fee", "spread")
    series = {name: np.zeros(len(ends)) for name in ("turnover", "fee", "spread", "impact")}
    for fill, (spread, impact) in zip(result.fills, result.crossed, strict=True):
        bar = min(int(np.searchsorted(ends, fill.ns // 1_000_000)), len(ends) - 1)
        usd = float(fill.px * fill.sz)
        series["turnover"][bar] += usd
        series["fee"][bar] += float(fill.fee)
        series["spread"][bar] += float(spread)
        series["impact"][bar] += float(impact)
    first = int(np.flatnonzero(series["turnover"])[0])
    marks = np.where(result.positions != 0.0, result.positions * _carried(bars.close), 0.0)
    return BacktestRecord(
        slug=request.entry.slug,
        title=f"{request.entry.title} (kernel)",
        stamps=ends[first:],
        equity=result.equity[first:],
        capital=float(result.equity[first - 1]) if first else float(terms.capital),
        gross=np.abs(marks).sum(axis=1)[first:],
        net=marks.sum(axis=1)[first:],
        turnover=series["turnover"][first:],
        costs={name: series[name][first:] for name in parts},
        funding=funding[first:],
        coin_pnl={coin: usd for coin, usd in pnl.items() if usd},
        assumptions=(
            "the live kernel over bars, looking once after each open: a crossing order fills whole at the touch"
            f"{' and its impact' if terms.books else ''}, a resting one ({Tif.ALO.value}) only beyond its price; no "
            f"depth, no queue{'' if terms.books else ', no impact'}",
            f"half spread {_spread_said(terms)}, taker {float(terms.taker_fee):.5%}, maker "
            f"{float(terms.maker_fee):.5%}",
            funding_said(request),
            "lots by the first price of a coin; the venue's own may differ",
        ),
        settings={**settings_said(request, config), "kernel": True},
        findings=(*bars.notes, *_lacking_said(request, bars, result)),
    )


def _lacking_said(request: BacktestRequest, bars: Bars, result: BarResult) -> list[str]:
    """How many settlements of what was held were charged without a rate."""
    if request.no_funding or bars.funding is None:
        return []
    count = int(settled_rates(bars)[1][result.positions != 0.0].sum())  # no trade is between a settlement and its close
    return [f"{count} settlements that the source lacks were charged at the default rate"] if count else []


def _spread_said(terms: BarTerms) -> str:
    """The half spread of every coin, or of the least and the most."""
    if not terms.books:
        return f"{float(terms.half_spread):.5%}"
    halves = sorted(float(half) for half, _ in terms.books.values())
    return f"{halves[0]:.5%} to {halves[-1]:.5%} by coin, and impact, calibrated from books"


def _carried(prices: Array) -> Array:
    """Each price, or the last one before it; 0 before the first."""
    places = np.where(np.isfinite(prices), np.arange(len(prices))[:, None], 0)
    last = np.maximum.accumulate(places, axis=0)
    return np.nan_to_num(np.take_along_axis(prices, last, axis=0))
