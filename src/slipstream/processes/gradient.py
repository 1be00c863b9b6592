"""`slipstream pod gradient`: makes a trend pod of a config, a key, connectors, a journal and a clock, and runs it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
import typer

from slipstream.accounts import Given, Keys, find_keys, read_environment
from slipstream.execution.settings import SECOND, KernelConfig, Limits
from slipstream.model.errors import ConfigError, SlipstreamError
from slipstream.pods import STALE_NS, check_owner, is_local
from slipstream.processes.host import clock_of
from slipstream.processes.membership import Membership, membership
from slipstream.runtime.config import load
from slipstream.runtime.journal import open_journal
from slipstream.runtime.pacing import keep_pace
from slipstream.runtime.parts import Outcome, PodParts
from slipstream.runtime.pod import run, run_pod
from slipstream.runtime.secrets import Secret
from slipstream.runtime.telemetry import start_logging
from slipstream.strategies.gradient.config import GradientConfig
from slipstream.strategies.gradient.strategy import SLUG, Gradient
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.broker import BrokerOptions, HyperliquidBroker
from slipstream.venues.hyperliquid.candles import CandleFeed, CandleOptions
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.rest import Rest
from slipstream.venues.hyperliquid.signing import Signer

MINUTE = 60 * SECOND
MILLI = 1_000_000
SNAPSHOT = "memory.json"


class GradientOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `slipstream pod gradient` was asked for; None: not said."""

    config: Path
    slug: str = SLUG
    credentials: Given = Given()
    log_level: str | None = None
    hl_url: str | None = None
    state_dir: Path | None = None
    status_port: int | None = None
    keystore: Path | None = None
    password_file: Path | None = None
    mainnet: bool = False
    fund: Path | None = None


class GradientPlan(msgspec.Struct, frozen=True):
    """A pod that is fully decided, before anything is connected."""

    slug: str
    config: GradientConfig
    keys: Keys
    state_dir: Path
    status_token: Secret | None
    mainnet: bool
    membership: Membership | None


def plan_gradient(options: GradientOptions, environ: Mapping[str, str], folder: Path) -> GradientPlan:
    """Read everything that a pod is decided by. Raises ConfigError and SecretError, all before a connection."""
    slug = options.slug
    prefix = f"SLIPSTREAM_{slug.upper().replace('-', '_')}_"
    environment = read_environment(slug, environ, folder)
    config = load(
        options.config,
        GradientConfig,
        env_prefix=prefix,
        env=environment.variables,
        overrides={
            "hl_url": options.hl_url,
            "state_dir": str(options.state_dir) if options.state_dir is not None else None,
            "status_port": options.status_port,
            "log_level": options.log_level,
        },
    )
    member = membership(options.fund, slug, environment.variables)
    hidden = config.hyperliquid_api_secret
    given = Given(
        api_key=config.hyperliquid_api_key,
        api_secret=hidden.get_secret_value() if hidden is not None else None,
        main_wallet=member.account if member is not None else config.hyperliquid_main_wallet,
    )
    state_dir = Path(config.state_dir)
    keys = find_keys(
        slug,
        options.credentials,
        given,
        environment,
        config_path=options.config,
        keystore=options.keystore,
        password_file=options.password_file,
        test_key=state_dir / "test.key" if is_local(config.hl_url) else None,
    )
    token = environment.variables.get(f"{prefix}STATUS_TOKEN", "").strip()
    status_token = Secret(token, f"{prefix}STATUS_TOKEN") if token else None
    return GradientPlan(slug, config, keys, state_dir, status_token, options.mainnet, member)


def kernel_config(config: GradientConfig, speed: float) -> KernelConfig:
    """The gate's limits and the kernel's patience at a venue's speed; what is venue time already is not scaled."""
    trade = config.trade
    limits = Limits(
        gross_cap=config.gross_cap,
        coin_cap=config.coin_cap,
        max_order=trade.max_order_usd,
        fat_finger=config.fat_finger,
        max_feed_age_ns=config.max_feed_age_ms * MILLI,
        require_mandate=config.require_mandate,
        actions_per_second=config.actions_per_second,
    )
    scaled = KernelConfig(limits=limits, max_slippage=trade.max_slippage, requote_ns=2 * SECOND).scaled(speed)
    return msgspec.structs.replace(scaled, patience_ns=int(trade.passive_minutes * MINUTE))


async def coins_of(config: GradientConfig, url: str, granted: tuple[str, ...]) -> tuple[str, ...]:
    """The universe: as configured, else every perp that the venue still lists; within what the fund grants."""
    async with aiohttp.ClientSession() as session:
        rest = Rest(session, url, Weights(time.monotonic))
        listed = [i.coin for i in wire.to_instruments(await rest.info("meta", wire.Meta)) if not i.delisted]
    unknown = [coin for coin in config.coins if coin not in listed]
    if unknown:
        raise ConfigError(f"{url} lists no perp {unknown[0]!r}; it has {', '.join(sorted(listed))}")
    wanted = config.coins or tuple(listed)
    chosen = tuple(sorted(c for c in wanted if c not in config.exclude and (not granted or c in granted)))
    if len(chosen) < 2:
        raise ConfigError(f"a trend book needs two coins at least; {len(chosen)} are left of {len(listed)} at {url}")
    return chosen


@asynccontextmanager
async def gradient_parts(plan: GradientPlan) -> AsyncIterator[PodParts]:
    """Everything a Gradient pod is made of, its journal open. Raises what keeps the pod from starting."""
    config, member = plan.config, plan.membership
    clock = await clock_of(config.hl_url, local=is_local(config.hl_url))
    coins = await coins_of(config, config.hl_url, member.entry.coins if member is not None else ())
    record: dict[str, Any] = {
        "strategy": SLUG,
        "config": config.public(),
        "coins": list(coins),
        "account": plan.keys.account,
        "venue": config.hl_url if not is_local(config.hl_url) else "local",
    }
    plan.state_dir.mkdir(parents=True, exist_ok=True)
    with open_journal(member.journal if member is not None else plan.state_dir / "journal.db") as journal:
        check_owner(journal, record)
        where = BrokerOptions(
            url=config.hl_url,
            account=plan.keys.account,
            coins=coins,
            nonce_file=plan.state_dir / f"nonce-{plan.keys.signer}",
            allow_mainnet=plan.mainnet,
            stale_ns=int(4 * STALE_NS * clock.speed),
            since_ns=journal.sessions()[-1].ns if journal.sessions() else None,
            books=False,
        )
        where = member.broker(where) if member is not None else where
        settings = kernel_config(config, clock.speed)
        feed = CandleOptions(url=config.hl_url, coins=coins, interval=_interval(config))
        parts = PodParts(
            strategy=Gradient(config, coins, plan.slug),
            config=member.kernel(settings) if member is not None else settings,
            broker=HyperliquidBroker(where, Signer(plan.keys.key.reveal()), clock),
            feeds={"candles": CandleFeed(feed, clock, speed=clock.speed)},
            journal=journal,
            clock=clock,
            strategy_config=record,
            snapshot_path=plan.state_dir / (config.state_snapshot_path or SNAPSHOT),
            snapshot_every=10.0,
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


def _interval(config: GradientConfig) -> str:
    hours = config.signal.bar_hours
    return "1d" if hours == 24 else f"{hours}h"


async def run_gradient(plan: GradientPlan) -> Outcome:
    """Connect, run until told to stop, and leave. Raises what keeps the pod from starting."""
    async with gradient_parts(plan) as parts:
        return await run_pod(parts)


def gradient(
    config: Annotated[Path, typer.Option(help="Config file.")] = Path("configs/gradient.yml"),
    slug: Annotated[str, typer.Option(help="The pod's name, where a fund runs several books.")] = SLUG,
    api_key: Annotated[str | None, typer.Option(help="Address of the API wallet; checked against the secret.")] = None,
    api_secret: Annotated[
        str | None, typer.Option(help="Private key. Others can read flags: prefer environment or keystore.")
    ] = None,
    main_wallet: Annotated[str | None, typer.Option(help="Account to trade; default: the key's own address.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning, error.")] = None,
    log_style: Annotated[str, typer.Option(help="console or json.")] = "console",
    hl_url: Annotated[str | None, typer.Option(help="Hyperliquid, or a local venue.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Journal, nonces, memory.")] = None,
    status_port: Annotated[int | None, typer.Option(help="Port of the status page on loopback; 0: a free one.")] = None,
    keystore: Annotated[Path | None, typer.Option(help="Keystore (version 3) with the private key.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="File with the keystore's password.")] = None,
    mainnet: Annotated[bool, typer.Option("--mainnet", help="Allow the real venue, with real money.")] = False,
    fund: Annotated[Path | None, typer.Option(help="Run as a pod of the fund in this file.")] = None,
) -> None:
    """Trend book: long the strongest, short the weakest, rebalanced on schedule, passive first."""
    options = GradientOptions(
        config=config,
        slug=slug,
        credentials=Given(api_key, api_secret, main_wallet),
        log_level=log_level,
        hl_url=hl_url,
        state_dir=state_dir,
        status_port=status_port,
        keystore=keystore,
        password_file=password_file,
        mainnet=mainnet,
        fund=fund,
    )
    try:
        plan = plan_gradient(options, os.environ, Path.cwd())
        start_logging(plan.config.log_level or "info", style=log_style)
        outcome = run(run_gradient(plan))
    except SlipstreamError as error:
        typer.echo(f"pod {slug}: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None
    if outcome.error is not None:
        typer.echo(f"pod {slug}: {outcome.error}", err=True)
    raise typer.Exit(outcome.exit_code)
