"""`slipstream up`: the demo fund. Starts the emulated venue and the pods on it, shows them, stops them in order."""

from __future__ import annotations

import asyncio
import json
import os
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

from slipstream.console.fund_view import headline, render
from slipstream.model.errors import ConfigError
from slipstream.runtime.supervisor import Process, Spec, State, Supervisor
from slipstream.venues.hyperliquid.signing import Signer

POLL = 0.5  # seconds between two looks at the processes
PLAIN_EVERY = 5.0  # seconds between two lines where nobody watches a terminal


class UpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `slipstream up` was asked for. ``duration`` 0 runs until Ctrl-C; ``port`` 0 takes a free one.

    ``directory`` belongs to this start alone: a venue that starts afresh needs journals that do.
    """

    config: Path
    directory: Path
    port: int = 0
    seed: int = 7
    speed: float = 1.0
    coins: tuple[str, ...] = ()
    replay: Path | None = None
    duration: float = 0.0
    plain: bool = False


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def demo_key(path: Path) -> str:
    """The demo account's key, made at the first start: play money on the local venue, nothing else."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
            out.write("0x" + secrets.token_hex(32))
    return path.read_text().strip()


async def _fetch(session: aiohttp.ClientSession, url: str, body: object = None) -> Any:
    """The JSON behind a URL, or None while nobody answers."""
    try:
        async with session.get(url) if body is None else session.post(url, json=body) as response:
            return json.loads(await response.read()) if response.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None


class Fund:
    """The processes of one `up` and what they say of themselves."""

    def __init__(self, options: UpOptions, session: aiohttp.ClientSession) -> None:
        self.options = options
        self.session = session
        self.venue_url = f"http://127.0.0.1:{options.port or free_port()}"
        self.pod_urls = {"brawler": f"http://127.0.0.1:{free_port()}"}
        self._key = demo_key(options.directory / "brawler" / "demo.key")
        self.address = Signer(self._key).address
        self.venue: Mapping[str, Any] = {}
        self.pods: dict[str, Mapping[str, Any]] = {}

    def specs(self) -> list[Spec]:
        """The venue first, then the pods."""
        options, logs = self.options, self.options.directory / "log"
        command = (sys.executable, "-m", "slipstream")
        venue = [*command, "venue", "--port", self.venue_url.rsplit(":", 1)[1], "--seed", str(options.seed)]
        venue += ["--speed", str(options.speed)]
        if options.coins:
            venue += ["--coins", ",".join(options.coins)]
        if options.replay is not None:
            venue += ["--replay", str(options.replay)]
        pod = [*command, "pod", "brawler", "--config", str(options.config), "--hl-url", self.venue_url]
        pod += ["--cex-url", self.venue_url, "--state-dir", str(options.directory / "brawler")]
        pod += ["--status-port", self.pod_urls["brawler"].rsplit(":", 1)[1]]
        key = {"SLIPSTREAM_BRAWLER_API_SECRET": self._key}
        return [
            Spec("venue", tuple(venue), logs / "venue.log", ready=self._venue_ready, ready_timeout=90.0),
            Spec("brawler", tuple(pod), logs / "brawler.log", env=key, ready=self._pod_ready, ready_timeout=90.0),
        ]

    async def _venue_ready(self) -> bool:
        body = await _fetch(self.session, self.venue_url + "/healthz")
        if body is None:
            return False
        self.venue = body
        # naming the address brings its test money
        return await self._account() is not None

    async def _pod_ready(self) -> bool:
        return await _fetch(self.session, self.pod_urls["brawler"] + "/healthz") is not None

    async def _account(self) -> Any:
        body = {"type": "clearinghouseState", "user": self.address}
        return await _fetch(self.session, self.venue_url + "/info", body)

    async def look(self) -> None:
        """Read every process's status once."""
        urls = {name: url + "/status" for name, url in self.pod_urls.items()}
        venue, *pods = await asyncio.gather(
            _fetch(self.session, self.venue_url + "/healthz"), *(_fetch(self.session, u) for u in urls.values())
        )
        self.venue = venue or self.venue
        self.pods.update({name: pod for name, pod in zip(urls, pods, strict=True) if pod is not None})

    async def left(self) -> list[str]:
        """What rests and what is held on the venue, in words. Says so if the venue no longer answers."""
        orders = await _fetch(self.session, self.venue_url + "/info", {"type": "openOrders", "user": self.address})
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


def _rows(supervisor: Supervisor, fund: Fund) -> list[tuple[str, str, str]]:
    urls = {"venue": fund.venue_url, **fund.pod_urls}
    return [
        (p.spec.name, p.state.value, p.first_error or f"{urls[p.spec.name]}  pid {p.pid}") for p in supervisor.processes
    ]


async def _show(fund: Fund, supervisor: Supervisor, console: Console, stop: asyncio.Event, *, plain: bool) -> None:
    """Refresh the view until told to stop or a process has failed for good."""
    until = time.monotonic() + fund.options.duration if fund.options.duration > 0 else float("inf")
    said = 0.0
    async with AsyncExitStack() as stack:
        live = None if plain else stack.enter_context(Live(console=console, screen=False, auto_refresh=False))
        while not stop.is_set() and time.monotonic() < until:
            await fund.look()
            pods = list(fund.pods.values())
            if live is not None:
                live.update(render(fund.venue, _rows(supervisor, fund), pods), refresh=True)
            elif time.monotonic() - said > PLAIN_EVERY:
                said = time.monotonic()
                console.print(headline(fund.venue, pods), soft_wrap=True, highlight=False)
            if any(p.state is State.FAILED for p in supervisor.processes):
                return
            try:
                await asyncio.wait_for(stop.wait(), POLL)
            except TimeoutError:
                continue


async def up(options: UpOptions) -> int:
    """Run the demo fund until Ctrl-C, SIGTERM or ``duration``; 0 if every process was well, 1 otherwise."""
    if not options.config.exists():
        raise ConfigError(f"{options.config}: no such file; give one with --config, such as configs/brawler.yml")
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
            async with Supervisor(fund.specs(), say) as supervisor:
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
