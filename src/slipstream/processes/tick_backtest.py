"""`slipstream backtest brawler --tape ...`: Brawler over recorded ticks, its compiled form or its pod's own kernel."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from rich.console import Console
from rich.progress import Progress

from slipstream.execution.kernel import Kernel
from slipstream.lob.replay.replay import Outcome, Replay
from slipstream.lob.replay.terms import ReplayTerms
from slipstream.model.errors import ConfigError
from slipstream.pods import kernel_config
from slipstream.processes.backtest_request import BacktestRequest
from slipstream.processes.bar_market import replaced, settings_of
from slipstream.processes.tick_market import HOUR_NS, Markets, open_markets
from slipstream.processes.tick_strategies import brawler_of, naive_of, sample_ns
from slipstream.processes.tick_terms import TickTerms, stated
from slipstream.simulation.tick.kernel_on_tape import Listing, TapeKernel
from slipstream.simulation.tick.markouts import HORIZONS_NS
from slipstream.simulation.tick.record import TickRecord, tick_record
from slipstream.simulation.tick.run import Rows, run
from slipstream.simulation.tick.run import told as told_of_run
from slipstream.simulation.tick.settled import Settlement, settled
from slipstream.simulation.tick.told import Told
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.strategies.brawler.strategy import Brawler

CAPITAL = 100_000.0
NAIVE = "symmetric"
NAIVE_TITLE = "Naive maker: a fixed width around the local mid"
NO_FUNDING = (
    "a backtest of perps that leaves funding out unasked is none: give --funding tape (FUNDING rows of the tapes), "
    "--funding FILE (coin, ts, rate), or say --funding none"
)
LONGEST_BLOCK_MS = 60_000.0
MOST_HOURS = 10.0 * 365 * 24
OF_TAPES = {"queue": "--queue", "partial": "--whole", "impact": "--own-impact"}
SHARED = 0.9  # of the traded tapes' time that all tapes should have; else it is said
NO_BARS = "ticks are replayed: the market is --tape (or --simulate)"


def backtest(request: BacktestRequest, *, quiet: bool = False) -> TickRecord:
    """Brawler over the tapes of a request. Raises ConfigError and ValueError (what the user can mend).

    ``quiet`` shows no progress: a sweep shows its own.
    """
    return _backtest(request, naive=False, quiet=quiet)


def backtest_naive(request: BacktestRequest, *, quiet: bool = False) -> TickRecord:
    """The naive maker, with the width, sizes and bounds of Brawler's config, over the same tapes."""
    return _backtest(request, naive=True, quiet=quiet)


def _backtest(request: BacktestRequest, *, naive: bool, quiet: bool) -> TickRecord:
    terms = checked(request)
    config: Any = settings_of(request)
    if terms.simulate is not None:
        found, findings = simulated(request, terms, config, naive, quiet)
    else:
        with open_markets(terms, names_of(config), request.seed) as markets:
            end_ns = end_of(markets, request.hours)
            with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
                task = bar.add_task("rows of the tapes", total=markets.rows)
                passed = partial(bar.advance, task)
                found = told(markets, terms, config, end_ns, request.kernel, passed, naive=naive)
            findings = found_in(markets, config, found)
    capital = request.capital or CAPITAL
    slug, title = (NAIVE, NAIVE_TITLE) if naive else (request.entry.slug, request.entry.title)
    return tick_record(
        found,
        slug=slug,
        title=title,
        capital=capital,
        assumptions=(how(request, naive), *words_of(terms), *replaced(request)),
        settings=settings(request, terms, config),
        findings=findings,
    )


def simulated(
    request: BacktestRequest, terms: TickTerms, config: BrawlerConfig, naive: bool, quiet: bool
) -> tuple[Told, tuple[str, ...]]:
    """A run in a market that reacts: its money, and what to know of it. Raises ConfigError."""
    from slipstream.processes.tick_simulate import simulate

    if request.kernel:
        raise ConfigError("--kernel has no meaning with --simulate: the compiled form of the strategy runs there")
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("hours of the market", total=terms.simulate)
        found = simulate(terms, config, request.seed, lambda hours: bar.update(task, completed=hours), naive=naive)
    found = without_funding(found) if terms.funding == "none" else found
    return found, (f"{found.fills.count} fills, {int((~found.fills.maker).sum())} of them taking",)


def words_of(terms: TickTerms) -> tuple[str, ...]:
    """How market and fills were made, in words."""
    if terms.simulate is None:
        return stated(terms)
    from slipstream.processes.tick_simulate import stated as stated_of_simulation

    return stated_of_simulation(terms)


def checked(request: BacktestRequest) -> TickTerms:
    """The terms of a request that can be run. Raises ConfigError."""
    terms = request.tick
    if terms is None or (not terms.tapes and terms.simulate is None):
        raise ConfigError(f"backtest {request.entry.slug}: no tape: give --tape FOLDER, or --simulate HOURS")
    request.refuse(("bars", "returns_csv", "demo", "replay"), NO_BARS)
    request.refuse(("half_spread", "impact", "maker_share", "costs"), "its orders meet a book")
    if request.capital is not None and not math.isfinite(request.capital):
        raise ConfigError(f"--capital {request.capital}: give so many USD")
    if not 0.0 <= terms.block_ms <= LONGEST_BLOCK_MS:
        raise ConfigError(f"--block-ms {terms.block_ms:g}: a block lasts {LONGEST_BLOCK_MS:g} ms at most")
    if terms.simulate is not None:
        request.refuse(("hours",), "--simulate says how long")
        if not 0.0 < terms.simulate <= MOST_HOURS:
            raise ConfigError(f"--simulate {terms.simulate:g}: give hours, {MOST_HOURS:,.0f} at most")
        for name, flag in OF_TAPES.items():
            if getattr(terms, name) != getattr(TickTerms(), name):
                raise ConfigError(f"{flag} has no meaning with --simulate: orders really rest and take there")
        if terms.funding not in ("", "none", "tape"):
            raise ConfigError("--funding: a simulated market settles its own, every hour; leave it out, or say none")
        return replace(terms, funding=terms.funding or "tape")
    if not terms.funding:
        raise ConfigError(NO_FUNDING)
    stated(terms)  # an anchor's words that are none are said before anything is read
    return terms


def how(request: BacktestRequest, naive: bool) -> str:
    """Which form of the strategy ran."""
    if naive:
        return "the naive maker, compiled: one quote a side around the local mid, the width of the config's base_spread"
    if request.kernel:
        return "the pod's own kernel, event by event, on the exchange of the tick engine"
    return "the compiled form of the strategy, whose requests a test holds equal to the pod's kernel"


def names_of(config: BrawlerConfig) -> list[tuple[str, str]]:
    """Every configured coin with its name at the reference exchange."""
    return [(entry.symbol, entry.cex_symbol or "") for entry in config.symbols]


def end_of(markets: Markets, hours: float | None) -> int | None:
    """When to stop, ns of the exchange's time; None: at the tapes' end. Raises ConfigError beyond it."""
    if hours is None:
        return None
    if hours > markets.hours * (1.0 + 1e-9):
        raise ConfigError(f"--hours {hours:g}: the tapes last {markets.hours:.3f} h together")
    return markets.begin_ns + round(hours * HOUR_NS)


def of_coins(config: BrawlerConfig, coins: Sequence[str]) -> BrawlerConfig:
    """The config of some of its coins."""
    return config.model_copy(update={"symbols": [entry for entry in config.symbols if entry.symbol in coins]})


def told(
    markets: Markets,
    terms: TickTerms,
    config: BrawlerConfig,
    end_ns: int | None,
    kernel: bool = False,
    progress: Callable[[int], None] = lambda _: None,
    *,
    naive: bool = False,
) -> Told:
    """Run and settle. Raises ConfigError, ValueError."""
    span = (end_ns or markets.end_ns) - markets.begin_ns
    replay_terms = ReplayTerms(horizons_ns=HORIZONS_NS, sample_ns=sample_ns(terms, span), volume=markets.volume)
    chosen = of_coins(config, markets.coins)
    settlements = settlements_of(terms, markets)
    rows = markets.merged(end_ns)
    if kernel and not naive:
        outcome, last = on_kernel(markets, replay_terms, chosen, rows, progress)
    else:
        traded = markets.terms[: len(markets.coins)]
        strategy = (
            naive_of(markets.coins, traded, chosen)
            if naive
            else brawler_of(markets.coins, markets.instruments(), chosen)
        )
        outcome, last = run(markets.terms, replay_terms, strategy, rows, progress)
    found = told_of_run(markets.terms, len(markets.homes), replay_terms, outcome, last)
    return settled(found if terms.funding == "tape" else without_funding(found), settlements)


def on_kernel(
    markets: Markets, terms: ReplayTerms, config: BrawlerConfig, chunks: Iterable[Rows], progress: Callable[[int], None]
) -> tuple[Outcome, int]:
    """The pod's kernel over the tapes."""
    instruments = markets.instruments()
    listings = [Listing("hl", coin, instruments[coin]) for coin in markets.coins]
    listings += [Listing("binance", coin) for coin in markets.coins]
    strategy = Brawler(config)
    kernel = Kernel(strategy, (), kernel_config(config, 1.0), strategy.slug, 1)
    driven = TapeKernel(kernel, Replay(markets.terms, None, terms), listings, Decimal(repr(CAPITAL)))
    last = [0]

    def passed() -> Iterable[Rows]:
        for rows in chunks:
            last[0] = int(rows["exch_ns"][-1])
            progress(len(rows))
            yield rows

    return driven.run(passed()), last[0]


def settlements_of(terms: TickTerms, markets: Markets) -> list[Settlement]:
    """Funding of a file, of the coins that are traded. Raises ConfigError, ValueError: no funding where some is due."""
    if terms.funding == "none":
        return []
    if terms.funding == "tape":
        without = [t.header.market.name for t in markets.homes if not t.header.kinds.get("funding")]
        if without:
            raise ConfigError(
                f"--funding tape: {', '.join(without)} has no FUNDING row; give a file (coin, ts, rate), or say "
                "--funding none"
            )
        return []
    from slipstream.data.tables import rows_of

    out = []
    by_coin = dict(rows_of(Path(terms.funding), "funding")[1])
    due = list(range(-(-markets.begin_ns // HOUR_NS) * HOUR_NS, markets.end_ns + 1, HOUR_NS))
    for coin in markets.coins:
        told_of = by_coin.get(coin)
        rates: dict[int, float] = (
            {} if told_of is None else dict(zip(told_of["settle_ns"].tolist(), told_of["rate"].tolist(), strict=True))
        )
        lacking = [ns for ns in due if not np.isfinite(rates.get(ns, np.nan))]
        if lacking:
            when = np.datetime64(lacking[0], "ns").astype("datetime64[m]")
            raise ConfigError(
                f"--funding {terms.funding}: no rate of {coin} at {when}Z, within the tapes; complete the file, "
                "or say --funding none"
            )
        out += [Settlement(coin, ns, rates[ns]) for ns in due]
    return out


def without_funding(found: Told) -> Told:
    """The run as if no settlement had been on its tapes."""
    nothing = np.zeros_like(found.samples.funding)
    return dataclasses.replace(found, samples=dataclasses.replace(found.samples, funding=nothing))


def found_in(markets: Markets, config: BrawlerConfig, found: Told) -> tuple[str, ...]:
    """What a reader should know of the tapes and the run."""
    out = [f"{found.fills.count} fills, {int((~found.fills.maker).sum())} of them taking"]
    absent = [entry.symbol for entry in config.symbols if entry.symbol not in markets.coins]
    if absent:
        out.append(f"configured, and without a tape: {', '.join(absent)}")
    longest = max(tape.header.seconds for tape in markets.homes) / 3600.0
    if markets.hours < SHARED * longest:
        out.append(
            f"ONLY {markets.hours:.3f} OF {longest:.3f} HOURS ARE COMMON TO ALL TAPES: the others had no anchor, or no "
            "other market"
        )
    for tape in markets.homes:
        if not tape.header.kinds.get("trade"):
            out.append(f"the tape {tape.header.market.name} HAS NO TRADES: fills come by prices that moved through us")
        told_of = ", ".join(f"{one.reason} {one.count:,} times ({one.action})" for one in tape.header.findings)
        if told_of:
            out.append(f"the tape {tape.header.market.name}: {told_of}")
    return tuple(out)


def settings(request: BacktestRequest, terms: TickTerms, config: BrawlerConfig) -> dict[str, object]:
    """What a reader needs to repeat the run."""
    words = {name: getattr(terms, name) for name in terms.__struct_fields__ if name not in ("tapes", "simulate")}
    return {
        "strategy": request.entry.slug,
        "tapes": [path.name for path in terms.tapes],
        "ticks": {name: value for name, value in words.items() if value is not None},
        "seed": request.seed,
        "config": config.public(),
    }
