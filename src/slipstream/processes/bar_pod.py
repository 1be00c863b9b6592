"""The pod of any strategy that trades on closed bars: config, key, connectors, journal and clock, by its entry.

What a strategy brings: its class (made of config, coins and the pod's name), its config's model, and the hook
``kernel`` (config, venue's speed -> the kernel's settings). `pod_command` makes the function behind
`slipstream pod <slug>`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
import typer

from slipstream.accounts import Given, Keys, find_keys, read_environment
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
from slipstream.strategies.registry import Entry, find
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.broker import BrokerOptions, HyperliquidBroker
from slipstream.venues.hyperliquid.candles import CandleFeed, CandleOptions
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.rest import Rest
from slipstream.venues.hyperliquid.signing import Signer

SNAPSHOT = "memory.json"


class BarPodOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `slipstream pod <slug>` was asked for; None: not said. ``slug`` is the pod's name."""

    config: Path
    slug: str
    credentials: Given = Given()
    log_level: str | None = None
    hl_url: str | None = None
    state_dir: Path | None = None
    status_port: int | None = None
    keystore: Path | None = None
    password_file: Path | None = None
    mainnet: bool = False
    fund: Path | None = None


class BarPodPlan(msgspec.Struct, frozen=True):
    """A pod that is fully decided, before anything is connected. ``config`` is of the entry's model."""

    entry: Entry
    slug: str
    config: Any
    keys: Keys
    state_dir: Path
    status_token: Secret | None
    mainnet: bool
    membership: Membership | None


def plan_bar_pod(entry: Entry, options: BarPodOptions, environ: Mapping[str, str], folder: Path) -> BarPodPlan:
    """Read everything that a pod is decided by. Raises ConfigError and SecretError, all before a connection."""
    slug = options.slug
    prefix = f"SLIPSTREAM_{slug.upper().replace('-', '_')}_"
    environment = read_environment(slug, environ, folder)
    config: Any = load(
        options.config,
        entry.config_model(),
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
    return BarPodPlan(entry, slug, config, keys, state_dir, status_token, options.mainnet, member)


async def coins_of(config: Any, granted: tuple[str, ...]) -> tuple[str, ...]:
    """The universe: as configured, else every perp that the venue still lists; within what the fund grants."""
    url = config.hl_url
    async with aiohttp.ClientSession() as session:
        rest = Rest(session, url, Weights(time.monotonic))
        listed = [i.coin for i in wire.to_instruments(await rest.info("meta", wire.Meta)) if not i.delisted]
    unknown = [coin for coin in config.coins if coin not in listed]
    if unknown:
        raise ConfigError(f"{url} lists no perp {unknown[0]!r}; it has {', '.join(sorted(listed))}")
    wanted = config.coins or tuple(listed)
    chosen = tuple(sorted(c for c in wanted if c not in config.exclude and (not granted or c in granted)))
    if len(chosen) < 2:
        raise ConfigError(f"a long-short book needs two coins at least; {len(chosen)} are left of {len(listed)}: {url}")
    return chosen


@asynccontextmanager
async def bar_pod_parts(plan: BarPodPlan) -> AsyncIterator[PodParts]:
    """Everything the pod is made of, its journal open. Raises what keeps it from starting."""
    config, member, entry = plan.config, plan.membership, plan.entry
    local = is_local(config.hl_url)
    clock = await clock_of(config.hl_url, local=local)
    coins = await coins_of(config, member.entry.coins if member is not None else ())
    record: dict[str, Any] = {
        "strategy": entry.slug,
        "config": config.public(),
        "coins": list(coins),
        "account": plan.keys.account,
        "venue": "local" if local else config.hl_url,
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
        settings = entry.hook("kernel")(config, clock.speed)
        hours = round(config.signal.bar_hours)
        feed = CandleOptions(
            url=config.hl_url,
            coins=coins,
            interval="1d" if hours == 24 else f"{hours}h",
            funding_hours=entry.hook("funding")(config) if entry.funding else 0,
        )
        parts = PodParts(
            strategy=entry.recalled(record, plan.slug),
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


async def run_bar_pod(plan: BarPodPlan) -> Outcome:
    """Connect, run until told to stop, and leave. Raises what keeps the pod from starting."""
    async with bar_pod_parts(plan) as parts:
        return await run_pod(parts)


def pod_command(strategy: str, summary: str) -> Callable[..., None]:
    """The function behind `slipstream pod <strategy>`; ``summary`` is its help."""
    sample = Path(f"configs/{strategy}.yml")

    def command(
        config: Annotated[Path, typer.Option(help="Config file.")] = sample,
        slug: Annotated[str, typer.Option(help="The pod's name, where a fund runs several books.")] = strategy,
        api_key: Annotated[
            str | None, typer.Option(help="Address of the API wallet; checked against the secret.")
        ] = None,
        api_secret: Annotated[
            str | None, typer.Option(help="Private key. Others can read flags: prefer environment or keystore.")
        ] = None,
        main_wallet: Annotated[
            str | None, typer.Option(help="Account to trade; default: the key's own address.")
        ] = None,
        log_level: Annotated[str | None, typer.Option(help="debug, info, warning, error.")] = None,
        log_style: Annotated[str, typer.Option(help="console or json.")] = "console",
        hl_url: Annotated[str | None, typer.Option(help="Hyperliquid, or a local venue.")] = None,
        state_dir: Annotated[Path | None, typer.Option(help="Journal, nonces, memory.")] = None,
        status_port: Annotated[int | None, typer.Option(help="Of the status page on loopback; 0: a free one.")] = None,
        keystore: Annotated[Path | None, typer.Option(help="Keystore (version 3) with the private key.")] = None,
        password_file: Annotated[Path | None, typer.Option(help="File with the keystore's password.")] = None,
        mainnet: Annotated[bool, typer.Option("--mainnet", help="Allow the real venue, with real money.")] = False,
        fund: Annotated[Path | None, typer.Option(help="Run as a pod of the fund in this file.")] = None,
    ) -> None:
        options = BarPodOptions(
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
        _host(find(strategy), options, log_style)

    command.__doc__ = summary
    return command


def _host(entry: Entry, options: BarPodOptions, log_style: str) -> None:
    """Run a pod and leave with its exit code; what the user can mend is one line."""
    try:
        plan = plan_bar_pod(entry, options, os.environ, Path.cwd())
        start_logging(plan.config.log_level or "info", style=log_style)
        outcome = run(run_bar_pod(plan))
    except SlipstreamError as error:
        typer.echo(f"pod {options.slug}: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None
    if outcome.error is not None:
        typer.echo(f"pod {options.slug}: {outcome.error}", err=True)
    raise typer.Exit(outcome.exit_code)
