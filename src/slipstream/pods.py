"""`slipstream pod <slug>`: makes a pod of a config, a key, connectors, a journal and a clock, and runs it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from slipstream.accounts import Given, read_environment
from slipstream.execution.settings import KernelConfig, Limits
from slipstream.execution.strategy import Strategy
from slipstream.model.errors import ConfigError
from slipstream.processes import pod_flags as flags
from slipstream.processes.pod_plan import STALE_NS, PodOptions, PodPlan, host, plan_pod, read_config
from slipstream.runtime.addresses import is_local
from slipstream.runtime.clock import ScaledClock, WallClock, venue_clock
from slipstream.runtime.pacing import paced
from slipstream.runtime.parts import Outcome, PodParts
from slipstream.runtime.pod import run_pod
from slipstream.runtime.records import Session
from slipstream.strategies.brawler.config import MILLI, BrawlerConfig, from_public
from slipstream.strategies.brawler.inventory import read_inventory
from slipstream.strategies.brawler.strategy import SLUG, Brawler
from slipstream.strategies.registry import find
from slipstream.venues.binance.feed import PUBLIC_URL, BinanceFeed, FeedOptions, symbol_of
from slipstream.venues.hyperliquid.broker import HyperliquidBroker
from slipstream.venues.hyperliquid.signing import Signer


class BrawlerOptions(PodOptions, frozen=True, kw_only=True):
    """What `slipstream pod brawler` was asked for; None: not said."""

    inventory_file: Path | None = None
    cex_url: str | None = None


class Plan(PodPlan, frozen=True, kw_only=True):
    """A Brawler pod that is fully decided. ``elsewhere`` is the inventory held outside its account, by coin."""

    config: BrawlerConfig
    elsewhere: Mapping[str, Decimal]

    @property
    def snapshot_path(self) -> Path | None:
        """Where estimates are kept: inside the state directory unless absolute."""
        path = self.config.state_snapshot_path
        return None if path is None else self.state_dir / path

    @property
    def cex_url(self) -> str | None:
        """The anchor's address: as configured, else a local venue's own; None is Binance's."""
        return self.config.cex_url or (self.config.hl_url if is_local(self.config.hl_url) else None)


def plan_brawler(options: BrawlerOptions, environ: Mapping[str, str], folder: Path) -> Plan:
    """Read everything that a pod is decided by. Raises ConfigError and SecretError, all before a connection."""
    environment = read_environment(SLUG, environ, folder)
    config = read_config(SLUG, options, BrawlerConfig, environment, {"cex_url": options.cex_url})
    if config.log_level is None:
        level = environment.variables.get("BRAWLER_LOG_LEVEL") or "info"
        config = config.model_copy(update={"log_level": level})
    base = plan_pod(SLUG, options, config, environment)
    symbols = [entry.symbol for entry in config.symbols]
    elsewhere = read_inventory(options.inventory_file, symbols) if options.inventory_file is not None else {}
    return Plan(**msgspec.structs.asdict(base), elsewhere=elsewhere)


def kernel_config(config: BrawlerConfig, speed: float) -> KernelConfig:
    """The gate's limits and the kernel's patience at a venue's speed."""
    portfolio = config.portfolio
    limits = Limits(
        gross_cap=portfolio.gross_cap,
        coin_cap=portfolio.coin_cap or portfolio.gross_cap,
        max_order=portfolio.coin_cap or portfolio.gross_cap,
        fat_finger=config.fat_finger,
        max_feed_age_ns=config.kill_switch.hl_max_lag_ms * MILLI,
        require_mandate=config.require_mandate,
        actions_per_second=config.actions_per_second,
    )
    return KernelConfig(limits=limits).scaled(speed)


def record_of(plan: Plan, speed: float) -> dict[str, Any]:
    """What the journal keeps of a pod: enough to build its strategy again, and whose account it is. No secrets."""
    return {
        "config": plan.config.public(),
        "speed": speed,
        "elsewhere": {coin: str(size) for coin, size in plan.elsewhere.items()},
        **plan.owner(),
    }


def strategy_of(session: Session) -> Strategy:
    """The strategy that a journalled session ran, for `slipstream replay`. Raises ConfigError."""
    record = session.strategy_config
    if "strategy" not in record and session.slug != SLUG:
        raise ConfigError(f"journal: no strategy is called {session.slug!r} in this release")
    return find(record.get("strategy", SLUG)).recalled(record, session.slug)


def recalled(record: Mapping[str, Any], slug: str) -> Strategy:
    """The Brawler that a session's record describes."""
    elsewhere = {coin: Decimal(size) for coin, size in record.get("elsewhere", {}).items()}
    return Brawler(from_public(record["config"]).scaled(float(record.get("speed", 1.0))), elsewhere, slug=slug)


def anchor_feed(plan: Plan, clock: ScaledClock) -> BinanceFeed:
    """The reference venue's best prices, under our coins' names."""
    symbols = {entry.cex_symbol or symbol_of(entry.symbol): entry.symbol for entry in plan.config.symbols}
    url = plan.cex_url or PUBLIC_URL
    return BinanceFeed(FeedOptions(symbols=symbols, url=url, stale_ns=int(STALE_NS * clock.speed)), clock)


@asynccontextmanager
async def brawler_parts(plan: Plan) -> AsyncIterator[PodParts]:
    """Everything a Brawler pod is made of, its journal open. Raises what keeps the pod from starting."""
    clock = await venue_clock(plan.config.hl_url) if plan.is_local else WallClock()
    config = plan.config.scaled(clock.speed)
    record = record_of(plan, clock.speed)
    with plan.journal(record) as journal:
        coins = tuple(entry.symbol for entry in config.symbols)
        where = plan.broker_options(journal, coins, stale_ns=int(STALE_NS * clock.speed))
        parts = PodParts(
            strategy=Brawler(config, plan.elsewhere),
            config=plan.kernel(kernel_config(plan.config, clock.speed)),
            broker=HyperliquidBroker(where, Signer(plan.keys.key.reveal()), clock),
            feeds={"binance": anchor_feed(plan, clock)},
            journal=journal,
            clock=clock,
            strategy_config=record,
            snapshot_path=plan.snapshot_path,
            status_port=config.status_port,
            status_token=plan.status_token,
            account=plan.keys.account,
        )
        async with paced(clock, config.hl_url):
            yield plan.linked(parts)


async def run_brawler(plan: Plan) -> Outcome:
    """Connect, run until told to stop, and leave. Raises what keeps the pod from starting."""
    async with brawler_parts(plan) as parts:
        return await run_pod(parts)


def brawler(
    config: flags.ConfigFile = Path("configs/brawler.yml"),
    api_key: flags.ApiKey = None,
    api_secret: flags.ApiSecret = None,
    main_wallet: flags.MainWallet = None,
    inventory_file: Annotated[Path | None, typer.Option(help="Inventory held elsewhere, JSON.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning, error; else BRAWLER_LOG_LEVEL.")] = None,
    log_style: flags.LogStyle = "console",
    hl_url: flags.HlUrl = None,
    cex_url: Annotated[str | None, typer.Option(help="The anchor's WebSocket base; http(s) is turned into it.")] = None,
    state_dir: flags.StateDir = None,
    status_port: flags.StatusPort = None,
    keystore: flags.Keystore = None,
    password_file: flags.PasswordFile = None,
    mainnet: flags.Mainnet = False,
    fund: flags.Fund = None,
) -> None:
    """Market maker anchored to Binance. Values: flags, then config, then environment, then the env file."""
    options = BrawlerOptions(
        config=config,
        credentials=Given(api_key, api_secret, main_wallet),
        inventory_file=inventory_file,
        log_level=log_level,
        hl_url=hl_url,
        cex_url=cex_url,
        state_dir=state_dir,
        status_port=status_port,
        keystore=keystore,
        password_file=password_file,
        mainnet=mainnet,
        fund=fund,
    )
    host(SLUG, partial(plan_brawler, options, os.environ, Path.cwd()), run_brawler, log_style)
