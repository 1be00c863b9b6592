"""`slipstream up`: the demo fund. A local venue, a broker, the fund's processes; shown, and stopped in order.

The run directory holds everything of one start: keys of play money, passwords of the bus, the fund's resolved config,
a journal and a log for each process.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from rich.console import Console
from rich.live import Live

from slipstream.console.discovery import FundFile, write_fund_file
from slipstream.console.fund_state import FundState, begin, filters, fold
from slipstream.console.fund_view import fund_line, fund_screen
from slipstream.model.errors import ConfigError
from slipstream.processes.agents import approve, own_key
from slipstream.processes.fund import FundConfig, FundOptions, load_fund
from slipstream.runtime.bus.acl import FEDERATION, OPERATOR
from slipstream.runtime.bus.broker import BrokerOptions, EmbeddedBroker
from slipstream.runtime.bus.connect import connect
from slipstream.runtime.bus.port import Bus
from slipstream.runtime.supervisor import Limits, Process, Spec, State, Supervisor
from slipstream.venues.hyperliquid.signing import Signer

POLL = 0.5  # seconds between two looks at the processes
PLAIN_EVERY = 5.0  # seconds between two lines where nobody watches a terminal
ALIVE = 8.0  # seconds without a beat after which a process hangs
ONE_NAME = ("brawler",)  # strategies whose keys, settings and journal go by their own name
PROCESSES = ("auditor", "breaker", "allocator")
NAMED_AGENTS = 3  # of one account, by the venue's rules


class UpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `slipstream up` was asked for. ``duration`` 0 runs until Ctrl-C; ``port`` 0 takes a free one.

    ``directory`` belongs to this start alone: a venue that starts afresh needs journals that do.
    """

    fund: Path
    directory: Path
    port: int = 0
    seed: int = 7
    speed: float = 60.0
    coins: tuple[str, ...] = ()
    replay: Path | None = None
    duration: float = 0.0
    plain: bool = False
    control: bool = False


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _fetch(session: aiohttp.ClientSession, url: str, body: object = None) -> Any:
    """The JSON behind a URL, or None while nobody answers."""
    try:
        async with session.get(url) if body is None else session.post(url, json=body) as response:
            return json.loads(await response.read()) if response.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None


def resolve(options: UpOptions, hl_url: str, account: str) -> FundConfig:
    """The fund as this start runs it. Raises ConfigError if it names a file that is not there."""
    wanted = FundOptions(fund=options.fund, state_dir=options.directory, hl_url=hl_url, account=account)
    fund = load_fund(wanted)
    for pod in fund.pods:
        if not pod.config.is_file():
            raise ConfigError(f"{options.fund}: pod {pod.slug}: {pod.config}: no such file")
        if pod.kind in ONE_NAME and pod.slug != pod.kind:
            raise ConfigError(f"{options.fund}: pod {pod.slug}: {pod.kind} runs under its own name alone; call it that")
    return fund


class Fund:
    """The processes of one `up`, and what is heard of them."""

    def __init__(self, options: UpOptions, session: aiohttp.ClientSession) -> None:
        self.options = options
        self.session = session
        self.venue_url = f"http://127.0.0.1:{options.port or free_port()}"
        directory = options.directory
        self.master = Signer(own_key(directory / "master.key"))
        self.config = resolve(options, self.venue_url, self.master.address)
        self.pods = tuple(pod.slug for pod in self.config.pods)
        if len(self.pods) > NAMED_AGENTS:
            raise ConfigError(
                f"{options.fund}: {len(self.pods)} pods on one account: the venue lets it approve {NAMED_AGENTS} "
                "agents by name, and one without for the breaker; run the others as a fund on another account"
            )
        self.signers = ("breaker", *self.pods)
        self._keys = {name: own_key(directory / name / "agent.key") for name in self.signers}
        self.venue: Mapping[str, Any] = {}
        self.state: FundState = begin(self.config.realm, self.pods, speed=options.speed)
        self._approved = False

    def broker(self) -> EmbeddedBroker:
        """The fund's own broker."""
        return EmbeddedBroker(
            BrokerOptions(
                realm=self.config.realm,
                directory=self.options.directory / "bus",
                processes=(*FEDERATION, *self.pods),
                port=self.config.bus.port,
            )
        )

    def write(self, broker: EmbeddedBroker) -> Path:
        """Write the resolved config for the processes, and where the fund is for those who look for it."""
        directory = self.options.directory
        path = directory / "fund.yml"
        plain = self.config.model_dump(mode="json", exclude_none=True)
        path.write_text(
            "# made by `slipstream up`: what this run's processes read\n" + json.dumps(plain, indent=1) + "\n"
        )
        write_fund_file(
            directory,
            FundFile(
                realm=self.config.realm,
                bus_url=f"mqtt://127.0.0.1:{broker.port}",
                credentials="bus/credentials.json",
                pods=self.pods,
                speed=self.options.speed,
            ),
        )
        return path

    def specs(self, fund: Path, broker: EmbeddedBroker) -> list[Spec]:
        """The venue first, then who watches, who lends, and who trades."""
        options, logs = self.options, self.options.directory / "log"
        command = (sys.executable, "-m", "slipstream")
        venue = [*command, "venue", "--port", self.venue_url.rsplit(":", 1)[1], "--seed", str(options.seed)]
        venue += ["--speed", str(options.speed)]
        if options.coins:
            venue += ["--coins", ",".join(options.coins)]
        if options.replay is not None:
            venue += ["--replay", str(options.replay)]
        if options.control:
            venue.append("--control")
        specs = [Spec("venue", tuple(venue), logs / "venue.log", ready=self.is_venue_ready, ready_timeout=90.0)]
        for name in PROCESSES:
            argv = (*command, name, "--fund", str(fund))
            specs.append(self._spec(name, argv, broker, after=("venue",)))
        if self.config.alerts.urls:
            # it sends no beat: it has nothing to do with the venue's time
            env = {"SLIPSTREAM_FUND_BUS__URL": broker.url("alerts")}
            argv = (*command, "alerts", "--fund", str(fund))
            specs.append(Spec("alerts", argv, logs / "alerts.log", env=env, after=("venue",)))
        for pod in self.config.pods:
            folder = self.options.directory / pod.slug
            pod_argv = [*command, "pod", pod.kind, "--fund", str(fund), "--config", str(pod.config)]
            pod_argv += ["--hl-url", self.venue_url, "--state-dir", str(folder), "--status-port", "0"]
            if pod.slug != pod.kind:
                pod_argv += ["--slug", pod.slug]
            if pod.kind == "brawler":
                pod_argv += ["--cex-url", self.venue_url]
            limits = Limits(memory_mb=pod.max_memory_mb)
            specs.append(self._spec(pod.slug, tuple(pod_argv), broker, after=("venue", *PROCESSES), limits=limits))
        return specs

    def _spec(
        self,
        name: str,
        argv: tuple[str, ...],
        broker: EmbeddedBroker,
        *,
        after: tuple[str, ...],
        limits: Limits = Limits(),
    ) -> Spec:
        env = {"SLIPSTREAM_FUND_BUS__URL": broker.url(name)}
        if name in self._keys:
            env[f"SLIPSTREAM_{name.upper().replace('-', '_')}_API_SECRET"] = self._keys[name]
        if name in self.pods:
            env[f"SLIPSTREAM_{name.upper().replace('-', '_')}_STATUS_TOKEN"] = secrets.token_urlsafe(16)

        async def heard() -> bool:
            view = self.state.processes.get(name)
            return view is not None and time.time_ns() - view.heard_ns < ALIVE * 1e9

        log = self.options.directory / "log" / f"{name}.log"
        return Spec(name, argv, log, env=env, ready=heard, ready_timeout=120.0, alive=heard, limits=limits, after=after)

    async def is_venue_ready(self) -> bool:
        body = await _fetch(self.session, self.venue_url + "/healthz")
        if body is None:
            return False
        self.venue = body
        # naming the address brings its test money
        if await self._account() is None:
            return False
        if not self._approved:
            # the breaker's agent has no name: three with a name are all that an account may have
            agents = [("" if name == "breaker" else name, Signer(self._keys[name]).address) for name in self.signers]
            await approve(self.session, self.venue_url, self.master, agents)
            self._approved = True
        return True

    async def _account(self) -> Any:
        body = {"type": "clearinghouseState", "user": self.master.address}
        return await _fetch(self.session, self.venue_url + "/info", body)

    async def look(self) -> None:
        """Ask the venue how it is."""
        self.venue = await _fetch(self.session, self.venue_url + "/healthz") or self.venue

    async def listen(self, bus: Bus) -> None:
        """Fold what is heard, until cancelled."""
        await bus.subscribe(*filters(self.config.realm))
        async for received in bus.messages():
            self.state = fold(self.state, received)

    async def left(self) -> list[str]:
        """What rests and what is held on the venue, in words. Says so if the venue no longer answers."""
        user = self.master.address
        orders = await _fetch(self.session, self.venue_url + "/info", {"type": "openOrders", "user": user})
        account = await self._account()
        if orders is None or account is None:
            return ["the venue no longer answers: what is left there is not known"]
        out = [f"{len(orders)} orders rest" if orders else "no order rests"]
        for row in account["assetPositions"]:
            position = row["position"]
            out.append(f"position {position['coin']} {position['szi']} at {position['entryPx']}")
        if len(out) == 1:
            out.append("no position is open")
        out.append(f"account value {account['marginSummary']['accountValue']} USDC")
        return out


def _detail(process: Process) -> str:
    row = process.row()
    restarts = f"{row.restarts} restarts" if row.restarts else ""
    return "  ".join(part for part in (f"pid {row.pid}" if row.pid else "", restarts, row.first_error) if part)


async def _show(fund: Fund, supervisor: Supervisor, console: Console, stop: asyncio.Event, *, plain: bool) -> None:
    """Refresh the view until told to stop or a process has failed for good."""
    until = time.monotonic() + fund.options.duration if fund.options.duration > 0 else float("inf")
    said = 0.0
    async with AsyncExitStack() as stack:
        live = None if plain else stack.enter_context(Live(console=console, screen=False, auto_refresh=False))
        while not stop.is_set() and time.monotonic() < until:
            await fund.look()
            if live is not None:
                rows = [(p.spec.name, p.state.value, _detail(p)) for p in supervisor.processes]
                live.update(fund_screen(fund.state, time.time_ns(), processes=rows), refresh=True)
            elif time.monotonic() - said > PLAIN_EVERY:
                said = time.monotonic()
                console.print(fund_line(fund.state, time.time_ns()), soft_wrap=True, highlight=False)
            if any(p.state is State.FAILED for p in supervisor.processes):
                return
            try:
                await asyncio.wait_for(stop.wait(), POLL)
            except TimeoutError:
                continue


async def up(options: UpOptions) -> int:
    """Run the demo fund until Ctrl-C, SIGTERM or ``duration``; 0 if every process was well, 1 otherwise."""
    if not options.fund.exists():
        raise ConfigError(f"{options.fund}: no such file; give one with --fund, such as configs/fund.yml")
    console = Console()
    plain = options.plain or not console.is_terminal
    stop = asyncio.Event()
    starting = True
    main = asyncio.current_task()

    def end() -> None:
        stop.set()
        if starting and main is not None:
            main.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)

    def say(process: Process) -> None:
        if process.state is not State.STARTING:
            console.print(process.line(), soft_wrap=True, highlight=False, markup=False)

    well = False
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5.0)) as session:
        fund = Fund(options, session)
        try:
            async with AsyncExitStack() as stack:
                broker = await stack.enter_async_context(fund.broker())
                console.print(f"broker       ready      {broker.kind} on 127.0.0.1:{broker.port}", highlight=False)
                bus = connect(broker.url(OPERATOR), f"{OPERATOR}-up", realm=fund.config.realm)
                await stack.enter_async_context(bus)
                group = await stack.enter_async_context(asyncio.TaskGroup())
                listener = group.create_task(fund.listen(bus), name="listen")
                stack.callback(listener.cancel)
                supervisor = await stack.enter_async_context(Supervisor(fund.specs(fund.write(broker), broker), say))
                starting = False
                well = supervisor.is_healthy
                if well:
                    await _show(fund, supervisor, console, stop, plain=plain)
                    well = all(p.state is not State.FAILED for p in supervisor.processes)
                    for process in reversed(supervisor.processes[1:]):
                        await process.stop()
                    for line in await fund.left():
                        console.print(line, soft_wrap=True, highlight=False)
        except asyncio.CancelledError:
            if not stop.is_set():
                raise
            well = True
    console.print(f"logs and journals: {options.directory}", soft_wrap=True, highlight=False)
    return 0 if well else 1
