"""Brawler's backtest: its kernel against the emulated exchange, synthetic or replayed, in simulated time."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from slipstream.core.portfolio.record import BacktestRecord
from slipstream.model.errors import ConfigError
from slipstream.pods import kernel_config
from slipstream.processes.backtest_request import BacktestRequest
from slipstream.processes.bar_market import replaced, settings_of
from slipstream.processes.stepped_pod import SteppedPod
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.strategies.brawler.strategy import Brawler
from slipstream.venues.emulator.market.replay import ReplayMarket
from slipstream.venues.emulator.serve import ServeOptions, build_venue

HOURS = 1.0
CAPITAL = Decimal(100_000)
START_NS = 1_760_000_400_000_000_000  # a full minute
PERIOD_S = 60
HOUR_NS = 3_600_000_000_000
NO_BARS = (
    "a market maker is tested on books: --demo for made-up ones, --replay FOLDER for recorded ones, --tape FOLDER for "
    "ticks"
)


def backtest(request: BacktestRequest) -> BacktestRecord:
    """Run Brawler for some hours of venue time. Raises ConfigError (what the user can mend)."""
    if request.tick is not None:
        from slipstream.processes.tick_backtest import backtest as over_ticks

        return over_ticks(request)
    request.refuse(("bars", "funding", "returns_csv", "no_funding"), NO_BARS)
    request.refuse(("half_spread", "impact", "maker_share", "costs", "kernel"), "its orders meet a book")
    if request.demo == (request.replay is not None):
        raise ConfigError(f"backtest {request.entry.slug}: give one market: {NO_BARS}")
    config: Any = settings_of(request)
    capital = Decimal(repr(request.capital)).quantize(Decimal("0.01")) if request.capital is not None else CAPITAL
    pod = open_pod(request, config, capital)
    periods = int(hours_of(request, pod) * 3600 / PERIOD_S + 1e-9)
    if periods < 1:
        raise ConfigError(
            f"backtest {request.entry.slug}: less than a minute of venue time; give more --hours or books"
        )
    return watched(pod, request, config, float(capital), periods)


def hours_of(request: BacktestRequest, pod: SteppedPod) -> float:
    """How long to run: as asked, else an hour, and no longer than a recording lasts. Raises ConfigError."""
    market = pod.exchange.market
    if not isinstance(market, ReplayMarket):
        return request.hours or HOURS
    recorded = market.period / HOUR_NS
    if request.hours is not None and request.hours > recorded:
        raise ConfigError(
            f"--hours {request.hours:g}: the books of all coins together last {recorded:.2f} h; then it begins anew"
        )
    return request.hours or min(HOURS, recorded)


def open_pod(request: BacktestRequest, config: BrawlerConfig, capital: Decimal) -> SteppedPod:
    """The kernel on an exchange of its own, at its opening. Raises ConfigError: a coin or recording it lacks."""
    coins = tuple(entry.symbol for entry in config.symbols)
    venue = build_venue(
        ServeOptions(
            port=0,
            pace="stepped",
            seed=request.seed,
            coins=coins,
            start_ns=START_NS,
            limits=True,
            replay=str(request.replay) if request.replay is not None else None,
        )
    )
    return SteppedPod(Brawler(config), kernel_config(config, 1.0), venue, coins, capital)


def watched(
    pod: SteppedPod, request: BacktestRequest, config: BrawlerConfig, capital: float, periods: int
) -> BacktestRecord:
    """Run minute by minute and write down what the account does."""
    series = {name: np.zeros(periods) for name in ("equity", "gross", "net", "turnover", "fee", "funding")}
    stamps = np.zeros(periods, dtype=np.int64)
    fills = paid = 0
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("minutes of venue time", total=periods)
        for k in range(periods):
            pod.run(PERIOD_S)
            held = pod.exposures()
            stamps[k] = pod.now // 1_000_000
            series["equity"][k] = float(pod.equity)
            series["gross"][k] = float(sum(map(abs, held), Decimal(0)))
            series["net"][k] = float(sum(held, Decimal(0)))
            series["turnover"][k] = float(sum((f.px * f.sz for f in pod.fills[fills:]), Decimal(0)))
            series["fee"][k] = float(sum((f.fee for f in pod.fills[fills:]), Decimal(0)))
            series["funding"][k] = float(sum((f.usdc for f in pod.funding[paid:]), Decimal(0)))
            fills, paid = len(pod.fills), len(pod.funding)
            bar.advance(task)
    return record_of(pod, request, config, capital, stamps, series)


def record_of(
    pod: SteppedPod,
    request: BacktestRequest,
    config: BrawlerConfig,
    capital: float,
    stamps: np.ndarray[Any, np.dtype[np.int64]],
    series: dict[str, np.ndarray[Any, np.dtype[np.float64]]],
) -> BacktestRecord:
    """The account's minutes as a record."""
    marks = {coin: pod.exchange.contexts[coin].mark for coin in pod.coins}
    made = f"recorded books of {request.replay}" if request.replay is not None else "a synthetic market"
    seen = (
        "THE ANCHOR KNOWS THE FUTURE: books of one venue hold no reference price; it is made of their own mid half a "
        "second later; what is earned here is above what could be",
    )
    said: dict[str, object] = {"strategy": request.entry.slug, "config": config.public(), "seed": request.seed}
    if request.replay is not None:
        said["replay"] = str(request.replay)
    crossed = sum(fill.crossed for fill in pod.fills)
    stops = [str(report.body["text"]) for report in pod.reports if report.topic == "note"]
    return BacktestRecord(
        slug=request.entry.slug,
        title=request.entry.title,
        stamps=stamps,
        equity=series["equity"],
        capital=capital,
        gross=series["gross"],
        net=series["net"],
        turnover=series["turnover"],
        costs={"fee": series["fee"]},
        funding=series["funding"],
        coin_pnl={coin: float(pod.kernel.desk.ledger.line(coin).net(px)) for coin, px in marks.items()},
        assumptions=(
            f"the live kernel against the emulated exchange on {made}; nothing it says is about real queues",
            "orders reach the book within 100 ms, behind what rested at their price; fills are known 100 ms later",
            "others react to our quotes only as the market process does: it takes those the fair price has passed",
            "fees by the venue's schedule for a new account; funding by the venue's hourly settlement",
            "equity at the venue's mark price",
            *(seen if request.replay is not None else ()),
            *replaced(request),
        ),
        settings=said,
        findings=(
            f"{len(pod.fills)} fills, {crossed} of them crossing; {pod.requests} requests",
            f"{len(stops)} notes of the strategy" + (f", the last: {stops[-1]}" if stops else ""),
        ),
    )
