"""`slipstream pod <slug>`: makes a pod of a config, a key, connectors, a journal and a clock, and runs it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from slipstream.accounts import Given, Keys, find_keys, read_environment
from slipstream.execution.settings import KernelConfig, Limits
from slipstream.execution.strategy import Strategy
from slipstream.model.errors import ConfigError, SlipstreamError
from slipstream.processes.membership import Membership, membership
from slipstream.runtime.addresses import is_local as is_local  # the other processes take it from here
from slipstream.runtime.clock import ScaledClock, WallClock, venue_clock
from slipstream.runtime.config import load
from slipstream.runtime.journal import Journal, open_journal
from slipstream.runtime.pacing import keep_pace
from slipstream.runtime.parts import Outcome, PodParts
from slipstream.runtime.pod import run, run_pod
from slipstream.runtime.records import Session
from slipstream.runtime.secrets import Secret
from slipstream.runtime.telemetry import start_logging
from slipstream.strategies.brawler.config import MILLI, BrawlerConfig, from_public
from slipstream.strategies.brawler.inventory import read_inventory
from slipstream.strategies.brawler.strategy import SLUG, Brawler
from slipstream.strategies.registry import find
from slipstream.venues.binance.feed import PUBLIC_URL, BinanceFeed, FeedOptions, symbol_of
from slipstream.venues.hyperliquid.broker import BrokerOptions, HyperliquidBroker
from slipstream.venues.hyperliquid.signing import Signer

STALE_NS = 15_000_000_000  # a connection whose streams are all silent for so long is made anew


class BrawlerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `slipstream pod brawler` was asked for; None: not said."""

    config: Path
    credentials: Given = Given()
    inventory_file: Path | None = None
    log_level: str | None = None
    log_style: str = "console"
    hl_url: str | None = None
    cex_url: str | None = None
    state_dir: Path | None = None
    status_port: int | None = None
    keystore: Path | None = None
    password_file: Path | None = None
    mainnet: bool = False
    fund: Path | None = None


class Plan(msgspec.Struct, frozen=True):
    """A pod that is fully decided, before anything is connected."""

    config: BrawlerConfig
    keys: Keys
    elsewhere: Mapping[str, Decimal]
    state_dir: Path
    status_token: Secret | None
    mainnet: bool = False
    membership: Membership | None = None

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
    config = load(
        options.config,
        BrawlerConfig,
        env_prefix="SLIPSTREAM_BRAWLER_",
        env=environment.variables,
        overrides={
            "hl_url": options.hl_url,
            "cex_url": options.cex_url,
            "state_dir": str(options.state_dir) if options.state_dir is not None else None,
            "status_port": options.status_port,
            "log_level": options.log_level,
        },
    )
    if config.log_level is None:
        level = environment.variables.get("BRAWLER_LOG_LEVEL") or "info"
        config = config.model_copy(update={"log_level": level})
    member = membership(options.fund, SLUG, environment.variables)
    hidden = config.hyperliquid_api_secret
    given = Given(
        api_key=config.hyperliquid_api_key,
        api_secret=hidden.get_secret_value() if hidden is not None else None,
        main_wallet=member.account if member is not None else config.hyperliquid_main_wallet,
    )
    state_dir = Path(config.state_dir)
    keys = find_keys(
        SLUG,
        options.credentials,
        given,
        environment,
        config_path=options.config,
        keystore=options.keystore,
        password_file=options.password_file,
        test_key=state_dir / "test.key" if is_local(config.hl_url) else None,
    )
    symbols = [entry.symbol for entry in config.symbols]
    elsewhere = read_inventory(options.inventory_file, symbols) if options.inventory_file is not None else {}
    token = environment.variables.get("SLIPSTREAM_BRAWLER_STATUS_TOKEN", "").strip()
    status_token = Secret(token, "SLIPSTREAM_BRAWLER_STATUS_TOKEN") if token else None
    return Plan(config, keys, elsewhere, state_dir, status_token, options.mainnet, member)


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
        "account": plan.keys.account,
        "venue": plan.config.hl_url if not is_local(plan.config.hl_url) else "local",
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


def check_owner(journal: Journal, record: Mapping[str, Any]) -> None:
    """A journal belongs to one account at one venue. Raises ConfigError if it is another's."""
    sessions = journal.sessions()
    if not sessions:
        return
    last = sessions[-1].strategy_config
    for key in ("account", "venue"):
        if key in last and last[key] != record[key]:
            raise ConfigError(
                f"journal {journal.name} belongs to {key} {last[key]}, not {record[key]}; choose another --state-dir"
            )


def anchor_feed(plan: Plan, clock: ScaledClock) -> BinanceFeed:
    """The reference venue's best prices, under our coins' names."""
    symbols = {entry.cex_symbol or symbol_of(entry.symbol): entry.symbol for entry in plan.config.symbols}
    url = plan.cex_url or PUBLIC_URL
    return BinanceFeed(FeedOptions(symbols=symbols, url=url, stale_ns=int(STALE_NS * clock.speed)), clock)


@asynccontextmanager
async def brawler_parts(plan: Plan) -> AsyncIterator[PodParts]:
    """Everything a Brawler pod is made of, its journal open. Raises what keeps the pod from starting."""
    local = is_local(plan.config.hl_url)
    clock = await venue_clock(plan.config.hl_url) if local else WallClock()
    config = plan.config.scaled(clock.speed)
    record = record_of(plan, clock.speed)
    plan.state_dir.mkdir(parents=True, exist_ok=True)
    member = plan.membership
    with open_journal(member.journal if member is not None else plan.state_dir / "journal.db") as journal:
        check_owner(journal, record)
        where = BrokerOptions(
            url=config.hl_url,
            account=plan.keys.account,
            coins=tuple(entry.symbol for entry in config.symbols),
            nonce_file=plan.state_dir / f"nonce-{plan.keys.signer}",
            allow_mainnet=plan.mainnet,
            stale_ns=int(STALE_NS * clock.speed),
            since_ns=journal.sessions()[-1].ns if journal.sessions() else None,
        )
        where = member.broker(where) if member is not None else where
        broker = HyperliquidBroker(where, Signer(plan.keys.key.reveal()), clock)
        settings = kernel_config(plan.config, clock.speed)
        parts = PodParts(
            strategy=Brawler(config, plan.elsewhere),
            config=member.kernel(settings) if member is not None else settings,
            broker=broker,
            feeds={"binance": anchor_feed(plan, clock)},
            journal=journal,
            clock=clock,
            strategy_config=record,
            snapshot_path=plan.snapshot_path,
            status_port=config.status_port,
            status_token=plan.status_token,
            account=plan.keys.account,
        )
        parts = member.parts(parts) if member is not None else parts
        async with asyncio.TaskGroup() as group:
            pace = group.create_task(keep_pace(clock, config.hl_url)) if clock.speed != 1.0 else None
            try:
                yield parts
            finally:
                if pace is not None:
                    pace.cancel()


async def run_brawler(plan: Plan) -> Outcome:
    """Connect, run until told to stop, and leave. Raises what keeps the pod from starting."""
    async with brawler_parts(plan) as parts:
        return await run_pod(parts)


def brawler(
    config: Annotated[Path, typer.Option(help="Config file.")] = Path("configs/brawler.yml"),
    api_key: Annotated[str | None, typer.Option(help="Address of the API wallet; checked against the secret.")] = None,
    api_secret: Annotated[
        str | None, typer.Option(help="Private key. Others can read flags: prefer environment or keystore.")
    ] = None,
    main_wallet: Annotated[str | None, typer.Option(help="Account to trade; default: the key's own address.")] = None,
    inventory_file: Annotated[Path | None, typer.Option(help="Inventory held elsewhere, JSON.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning, error; else BRAWLER_LOG_LEVEL.")] = None,
    log_style: Annotated[str, typer.Option(help="console or json.")] = "console",
    hl_url: Annotated[str | None, typer.Option(help="Hyperliquid, or a local venue.")] = None,
    cex_url: Annotated[str | None, typer.Option(help="The anchor's WebSocket base; http(s) is turned into it.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Journal, nonces, estimates.")] = None,
    status_port: Annotated[int | None, typer.Option(help="Port of the status page on loopback; 0: a free one.")] = None,
    keystore: Annotated[Path | None, typer.Option(help="Keystore (version 3) with the private key.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="File with the keystore's password.")] = None,
    mainnet: Annotated[bool, typer.Option("--mainnet", help="Allow the real venue, with real money.")] = False,
    fund: Annotated[Path | None, typer.Option(help="Run as a pod of the fund in this file.")] = None,
) -> None:
    """Market maker anchored to Binance. Values: flags, then config, then environment, then the env file."""
    options = BrawlerOptions(
        config=config,
        credentials=Given(api_key, api_secret, main_wallet),
        inventory_file=inventory_file,
        log_level=log_level,
        log_style=log_style,
        hl_url=hl_url,
        cex_url=cex_url,
        state_dir=state_dir,
        status_port=status_port,
        keystore=keystore,
        password_file=password_file,
        mainnet=mainnet,
        fund=fund,
    )
    try:
        plan = plan_brawler(options, os.environ, Path.cwd())
        start_logging(plan.config.log_level or "info", style=log_style)
        outcome = run(run_brawler(plan))
    except SlipstreamError as error:
        typer.echo(f"pod brawler: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None
    if outcome.error is not None:
        typer.echo(f"pod brawler: {outcome.error}", err=True)
    raise typer.Exit(outcome.exit_code)
