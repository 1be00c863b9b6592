"""The venue as a server: `serve` for a process, `running_venue` for tests and demos in this one."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
from aiohttp import web

from slipstream.model.errors import ConfigError
from slipstream.venues.emulator import persistence
from slipstream.venues.emulator.auth import Network
from slipstream.venues.emulator.blockloop import make_blocks
from slipstream.venues.emulator.clock import VenueClock
from slipstream.venues.emulator.control import Control
from slipstream.venues.emulator.exchange import Exchange, ExchangeSettings
from slipstream.venues.emulator.faults import Faults
from slipstream.venues.emulator.feed import Feed
from slipstream.venues.emulator.limits import Limits
from slipstream.venues.emulator.opening import market_of, open_market
from slipstream.venues.emulator.server import Server
from slipstream.venues.emulator.state import Block
from slipstream.venues.emulator.venue import BLOCK_NS, Pace, Venue


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a venue is started.

    ``pace``: "clock" makes a block every 100 ms; "stepped" only when `RunningVenue.step` is called; "instant" as soon
    as an action arrives. ``start_ns`` is the venue time at start (default: the wall's). ``settings`` replaces the
    exchange's rules; seed, faucet and the address budget still come from here.
    """

    host: str = "127.0.0.1"
    port: int = 3001
    seed: int = 7
    speed: float = 1.0
    faucet: Decimal = Decimal(100_000)
    replay: str | None = None
    coins: tuple[str, ...] = ()
    limits: bool = False
    control: bool = False
    snapshot: str | None = None
    snapshot_seconds: float = 60.0
    network: Network = "any"
    pace: Pace = "clock"
    start_ns: int | None = None
    settings: ExchangeSettings | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ConfigError(f"--port must be from 0 to 65535, not {self.port}")
        if not 1.0 <= self.speed <= 3_600.0:
            raise ConfigError(f"--speed must be from 1 to 3600, not {self.speed}")
        if not self.faucet.is_finite() or self.faucet < 0 or self.faucet != round(self.faucet, 6):
            raise ConfigError(f"--faucet must be at least 0 USDC in whole millionths, not {self.faucet}")
        if self.snapshot_seconds <= 0:
            raise ConfigError(f"snapshots are written every so many seconds, not every {self.snapshot_seconds}")


class RunningVenue:
    """A venue that answers at ``url``."""

    def __init__(self, venue: Venue, url: str, control: Control | None) -> None:
        self.venue = venue
        self.url = url
        self.ws_url = "ws" + url.removeprefix("http") + "/ws"
        self.control = control

    @property
    def exchange(self) -> Exchange:
        """The exchange behind it."""
        return self.venue.exchange

    async def step(self, blocks: int = 1, ms: int = BLOCK_NS // 1_000_000) -> list[Block]:
        """Make blocks of some ms of venue time; between them everybody else gets their turn."""
        made: list[Block] = []
        for _ in range(blocks):
            made += self.venue.step(1, ms * 1_000_000)
            await asyncio.sleep(0)
        return made


def build_venue(options: ServeOptions) -> Venue:
    """The venue of some options, from its snapshot if there is one. Raises ConfigError."""
    market_name = market_of(options.replay, options.coins, options.seed)
    saved = persistence.read(Path(options.snapshot), market_name) if options.snapshot else None
    now_ns = options.start_ns if options.start_ns is not None else time.time_ns()
    market = open_market(options.replay, options.coins, options.seed, now_ns, saved.state if saved else None)
    settings = msgspec.structs.replace(
        options.settings or ExchangeSettings(),
        seed=options.seed,
        faucet=options.faucet,
        address_budget=options.limits,
    )
    if saved is None:
        exchange = Exchange(market.instruments, market, settings, now_ns)
    else:
        try:
            exchange = Exchange.load(saved.exchange, market, settings)
        except ValueError as error:
            raise ConfigError(f"snapshot {options.snapshot}: {error}") from error
        now_ns = max(saved.now_ns, now_ns) if options.speed == 1.0 else saved.now_ns
    return Venue(
        exchange,
        Feed(market),
        VenueClock(now_ns, options.speed),
        faults=Faults(options.seed),
        limits=Limits(options.limits),
        network=options.network,
        pace=options.pace,
    )


@asynccontextmanager
async def running_venue(options: ServeOptions | None = None) -> AsyncIterator[RunningVenue]:
    """A venue for the length of a block. Without options: an ephemeral port, stepped by hand, control on."""
    options = options or ServeOptions(port=0, pace="stepped", control=True)
    venue = build_venue(options)
    market_name = market_of(options.replay, options.coins, options.seed)
    file = Path(options.snapshot) if options.snapshot else None

    def save() -> str | None:
        if file is None:
            return None
        persistence.write(file, persistence.encode(venue.exchange, market_name))
        return str(file)

    control = Control(venue, save) if options.control else None
    server = Server(venue, control)
    runner = web.AppRunner(server.app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    try:
        url = await _listen(runner, options)
        async with asyncio.TaskGroup() as group:
            tasks = []
            if options.pace == "clock":
                tasks.append(group.create_task(make_blocks(venue)))
            if file is not None:
                tasks.append(group.create_task(_keep_saving(venue, file, market_name, options.snapshot_seconds)))
            venue.ready = True
            try:
                yield RunningVenue(venue, url, control)
            finally:
                venue.ready = False
                for task in tasks:
                    task.cancel()
    finally:
        venue.close()
        for peer in list(venue.hub.peers):
            peer.close()
        await runner.cleanup()
        save()


async def _listen(runner: web.AppRunner, options: ServeOptions) -> str:
    site = web.TCPSite(runner, options.host, options.port, reuse_address=True)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}; choose another --host or --port"
        ) from error
    host, port = runner.addresses[0][:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def _keep_saving(venue: Venue, file: Path, market_name: str, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        data = persistence.encode(venue.exchange, market_name)
        try:
            await asyncio.to_thread(persistence.write, file, data)
            venue.trouble = ""
        except ConfigError as error:
            # the venue goes on: its users' orders matter more than the file, and the next try may succeed
            if not venue.trouble:
                print(f"error: {error}", file=sys.stderr, flush=True)
            venue.trouble = str(error)


async def serve(options: ServeOptions, ready: Callable[[RunningVenue], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. ``ready`` is called once the venue answers. Raises ConfigError."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with running_venue(options) as running:
            if ready is not None:
                ready(running)
            await stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
