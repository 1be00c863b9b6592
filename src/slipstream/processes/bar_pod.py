"""The pod of any strategy that trades on closed bars: config, key, connectors, journal and clock, by its entry.

What a strategy brings: its class (made of config, coins and the pod's name), its config's model, and the hook
``kernel`` (config, venue's speed -> the kernel's settings). `pod_command` makes the function behind
`slipstream pod <slug>`.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
import typer

from slipstream.accounts import Given, read_environment
from slipstream.model.errors import ConfigError
from slipstream.processes import pod_flags as flags
from slipstream.processes.host import clock_of
from slipstream.processes.pod_plan import STALE_NS, PodOptions, PodPlan, host, plan_pod, read_config
from slipstream.runtime.pacing import paced
from slipstream.runtime.parts import Outcome, PodParts
from slipstream.runtime.pod import run_pod
from slipstream.strategies.registry import Entry, find
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.broker import HyperliquidBroker
from slipstream.venues.hyperliquid.candles import CandleFeed, CandleOptions
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.rest import Rest
from slipstream.venues.hyperliquid.signing import Signer

SNAPSHOT = "memory.json"


class BarPodOptions(PodOptions, frozen=True, kw_only=True):
    """What `slipstream pod <slug>` was asked for; None: not said. ``slug`` is the pod's name."""

    slug: str


class BarPodPlan(PodPlan, frozen=True, kw_only=True):
    """A pod that is fully decided, before anything is connected. ``config`` is of the entry's model."""

    entry: Entry
    slug: str


def plan_bar_pod(entry: Entry, options: BarPodOptions, environ: Mapping[str, str], folder: Path) -> BarPodPlan:
    """Read everything that a pod is decided by. Raises ConfigError and SecretError, all before a connection."""
    environment = read_environment(options.slug, environ, folder)
    config = read_config(options.slug, options, entry.config_model(), environment)
    base = plan_pod(options.slug, options, config, environment)
    return BarPodPlan(**msgspec.structs.asdict(base), entry=entry, slug=options.slug)


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
    clock = await clock_of(config.hl_url, local=plan.is_local)
    coins = await coins_of(config, member.entry.coins if member is not None else ())
    record = {"strategy": entry.slug, "config": config.public(), "coins": list(coins), **plan.owner()}
    with plan.journal(record) as journal:
        where = plan.broker_options(journal, coins, stale_ns=int(4 * STALE_NS * clock.speed), books=False)
        hours = round(config.signal.bar_hours)
        feed = CandleOptions(
            url=config.hl_url,
            coins=coins,
            interval="1d" if hours == 24 else f"{hours}h",
            funding_hours=entry.hook("funding")(config) if entry.funding else 0,
        )
        parts = PodParts(
            strategy=entry.recalled(record, plan.slug),
            config=plan.kernel(entry.hook("kernel")(config, clock.speed)),
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
        async with paced(clock, config.hl_url):
            yield plan.linked(parts)


async def run_bar_pod(plan: BarPodPlan) -> Outcome:
    """Connect, run until told to stop, and leave. Raises what keeps the pod from starting."""
    async with bar_pod_parts(plan) as parts:
        return await run_pod(parts)


def pod_command(strategy: str, summary: str) -> Callable[..., None]:
    """The function behind `slipstream pod <strategy>`; ``summary`` is its help."""
    sample = Path(f"configs/{strategy}.yml")

    def command(
        config: flags.ConfigFile = sample,
        slug: Annotated[str, typer.Option(help="The pod's name, where a fund runs several books.")] = strategy,
        api_key: flags.ApiKey = None,
        api_secret: flags.ApiSecret = None,
        main_wallet: flags.MainWallet = None,
        log_level: flags.LogLevel = None,
        log_style: flags.LogStyle = "console",
        hl_url: flags.HlUrl = None,
        state_dir: flags.StateDir = None,
        status_port: flags.StatusPort = None,
        keystore: flags.Keystore = None,
        password_file: flags.PasswordFile = None,
        mainnet: flags.Mainnet = False,
        fund: flags.Fund = None,
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
        host(slug, partial(plan_bar_pod, find(strategy), options, os.environ, Path.cwd()), run_bar_pod, log_style)

    command.__doc__ = summary
    return command
