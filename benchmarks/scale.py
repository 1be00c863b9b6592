"""How a fund's cost grows with its pods: a venue, a broker, the auditor, and N light pods, each a process of its own.

    uv run --no-sync python benchmarks/scale.py [--pods 2,10,50] [--seconds 40]

A light pod keeps one bid and one ask resting in one coin, moves them every few seconds, journals everything, beats and
reports like any other; four share an account, with its own key and the three agents that the venue grants it. Told for
each N: the auditor's cycle (median, 95th percentile, its own figure), what the console's fold and the journals take,
memory and processor time a process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil

from slipstream.console.fund_state import begin, filters, fold
from slipstream.execution.settings import KernelConfig, Limits
from slipstream.execution.strategy import View
from slipstream.model.cloid import breaker_prefix, pod_prefix
from slipstream.model.events import Event, Timer
from slipstream.model.instrument import Side
from slipstream.model.intents import Intent, Quote, QuoteSide, Wake
from slipstream.model.mandate import Mandate, Stage
from slipstream.model.messages import AuditReport, Beat
from slipstream.model.topics import Topics
from slipstream.processes.agents import approve, own_key
from slipstream.runtime.bus.acl import FEDERATION
from slipstream.runtime.bus.broker import BrokerOptions as BusOptions
from slipstream.runtime.bus.broker import EmbeddedBroker
from slipstream.runtime.bus.connect import connect
from slipstream.runtime.clock import venue_clock
from slipstream.runtime.journal import open_journal
from slipstream.runtime.link import LinkOptions
from slipstream.runtime.parts import PodParts
from slipstream.runtime.pod import run, run_pod
from slipstream.venues.hyperliquid.broker import BrokerOptions, HyperliquidBroker
from slipstream.venues.hyperliquid.signing import Signer

REALM, COIN = "scale", "BTC"
SHARE = 4  # pods to an account
TOPICS = Topics(REALM)
SECOND = 1_000_000_000


class Light:
    """One quote each side, well away from the market, moved every three seconds."""

    def __init__(self, slug: str) -> None:
        self.slug = slug
        self._turn = 0

    def on_event(self, event: Event, view: View) -> list[Intent]:
        if not self._turn:
            self._turn = 1
            return [Wake("light", view.now_ns + SECOND)]
        if not (isinstance(event, Timer) and event.name == "light"):
            return []
        self._turn += 1
        out: list[Intent] = [Wake("light", view.now_ns + 3 * SECOND)]
        bbo, instrument = view.bbo("hl", COIN), view.instruments.get(COIN)
        if bbo is None or instrument is None or not bbo.mid > 0.0:
            return out
        away = Decimal("0.01") + Decimal(self._turn % 5) / 1000
        mid = Decimal(repr(bbo.mid))
        size = instrument.round_size(Decimal(30) / mid + instrument.lot)
        bid = QuoteSide(instrument.passive_price(mid * (1 - away), Side.BUY), size)
        ask = QuoteSide(instrument.passive_price(mid * (1 + away), Side.SELL), size)
        return [*out, Quote(COIN, bid, ask)]

    def snapshot(self) -> dict[str, object]:
        return {}

    def restore(self, state: Mapping[str, object]) -> None:
        return None

    def status(self) -> dict[str, object]:
        return {}


async def light_pod(slug: str, url: str, bus_url: str, folder: Path, account: str) -> None:
    """One pod until it is told to stop."""
    key = own_key(folder / "key")
    clock = await venue_clock(url)
    limits = Limits(gross_cap=Decimal(1000), coin_cap=Decimal(1000), max_order=Decimal(500), require_mandate=True)
    signer = Signer(key)
    where = BrokerOptions(
        url=url,
        account=account,
        prefixes=(pod_prefix(slug), breaker_prefix(slug)),
        coins=(COIN,),
        nonce_file=folder / "nonce",
        books=False,
        sweep_every=60.0,
    )
    with open_journal(folder / "journal.db") as journal:
        await run_pod(
            PodParts(
                strategy=Light(slug),
                config=KernelConfig(limits=limits, owns_account=False),
                broker=HyperliquidBroker(where, signer, clock),
                journal=journal,
                clock=clock,
                account=account,
                bus=connect(bus_url, slug, realm=REALM, pod=True),
                link=LinkOptions(realm=REALM, guard=""),
                say=lambda _: None,
            )
        )


class Watch:
    """What was measured."""

    def __init__(self) -> None:
        self.cycles: list[float] = []
        self.folds: list[float] = []
        self.breaks: set[str] = set()
        self.heard = 0


async def measure(count: int, seconds: float, folder: Path) -> dict[str, Any]:
    """One fund of so many pods."""
    slugs = [f"light{number:02d}" for number in range(count)]
    keys = {slug: Signer(own_key(folder / slug / "key")) for slug in slugs}
    owners = slugs[::SHARE]
    account_of = {slug: keys[owners[number // SHARE]].address for number, slug in enumerate(slugs)}
    with_path = [sys.executable, "-m", "slipstream", "venue", "--port", "0", "--coins", f"{COIN},ETH"]
    children: list[asyncio.subprocess.Process] = []
    venue = await asyncio.create_subprocess_exec(*with_path, stdout=asyncio.subprocess.PIPE)
    children.append(venue)
    assert venue.stdout is not None
    url = (await asyncio.wait_for(venue.stdout.readline(), 60)).decode().split("ready: ")[1].split(" ")[0]
    fund = folder / "fund.yml"
    pods = [
        {"slug": slug, "config": "none.yml", "account": account_of[slug], "gross_cap": 1000, "coin_cap": 1000}
        for slug in slugs
    ]
    fund.write_bytes(
        msgspec.json.encode(
            {
                "version": 1,
                "realm": REALM,
                "hl_url": url,
                "state_dir": str(folder),
                "account": "0x" + "1" * 40,
                "pods": pods,
                "audit": {"ip_weight": 1_200},  # as on an address of its own
            }
        )
    )
    options = BusOptions(realm=REALM, directory=folder / "bus", processes=(*FEDERATION, *slugs))
    watch = Watch()
    async with EmbeddedBroker(options) as broker, aiohttp.ClientSession() as session:
        for owner in owners:  # naming an address brings its test money
            body = {"type": "clearinghouseState", "user": keys[owner].address}
            async with session.post(url + "/info", json=body) as response:
                await response.read()
            agents = [slug for slug in slugs if account_of[slug] == keys[owner].address and slug != owner]
            await approve(session, url, keys[owner], [(slug, keys[slug].address) for slug in agents])
        environ = {**os.environ, "SLIPSTREAM_FUND_BUS__URL": broker.url("auditor")}
        argv = [sys.executable, "-m", "slipstream", "auditor", "--fund", str(fund), "--log-level", "error"]
        null = asyncio.subprocess.DEVNULL
        auditor = await asyncio.create_subprocess_exec(*argv, env=environ, stdout=null)
        children.append(auditor)
        lights = []
        for slug in slugs:
            argv = [sys.executable, __file__, "--light", slug, "--url", url, "--bus", broker.url(slug)]
            lights.append(
                await asyncio.create_subprocess_exec(
                    *argv, "--folder", str(folder / slug), "--account", account_of[slug], stdout=null
                )
            )
            await asyncio.sleep(0.2)
        children += lights
        operator = connect(broker.url("operator"), "operator-scale", realm=REALM)
        others = {name: connect(broker.url(name), name, realm=REALM) for name in ("allocator", "breaker")}
        try:
            async with operator, others["allocator"], others["breaker"], asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(listen(operator, tuple(slugs), watch)),
                    group.create_task(lend(others, slugs, url)),
                ]
                state_ready = asyncio.get_running_loop().time() + 60 + 3 * count
                while watch.heard < count and asyncio.get_running_loop().time() < state_ready:  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
                await asyncio.sleep(10.0)
                watch.cycles.clear()
                watch.folds.clear()
                watch.breaks.clear()
                busy = {p.pid: sum(psutil.Process(p.pid).cpu_times()[:2]) for p in children}
                began = time.monotonic()
                await asyncio.sleep(seconds)
                took = time.monotonic() - began
                cpu = {p.pid: (sum(psutil.Process(p.pid).cpu_times()[:2]) - busy[p.pid]) / took for p in children}
                memory = {p.pid: psutil.Process(p.pid).memory_info().rss / 2**20 for p in children}
                for task in tasks:
                    task.cancel()
        finally:
            for child in reversed(children):
                if child.returncode is None:
                    child.terminate()
            await asyncio.gather(*(asyncio.wait_for(child.wait(), 60) for child in children), return_exceptions=True)
            for child in children:
                if child.returncode is None:
                    child.kill()
    rows = 0
    for slug in slugs:
        with open_journal(folder / slug / "journal.db", read_only=True) as journal:
            rows += journal.last_seq
    cycles = sorted(watch.cycles)
    return {
        "pods": count,
        "cycle_ms": round(statistics.median(cycles) * 1e3, 1) if cycles else None,
        "cycle_p95_ms": round(cycles[int(0.95 * len(cycles))] * 1e3, 1) if cycles else None,
        "cycles": len(cycles),
        "console_fold_us": round(statistics.median(watch.folds) * 1e6, 1) if watch.folds else None,
        "breaks": sorted(watch.breaks),
        "auditor_cpu": round(cpu[auditor.pid], 3),
        "auditor_mb": round(memory[auditor.pid]),
        "pod_cpu": round(statistics.mean(cpu[p.pid] for p in lights), 4),
        "pod_mb": round(statistics.mean(memory[p.pid] for p in lights)),
        "venue_cpu": round(cpu[venue.pid], 3),
        "journal_rows_a_pod": rows // count,
    }


async def listen(bus: Any, slugs: tuple[str, ...], watch: Watch) -> None:
    """Fold what a console folds, and note the auditor's figures."""
    state = begin(REALM, slugs)
    await bus.subscribe(*filters(REALM))
    async for received in bus.messages():
        start = time.perf_counter()
        state = fold(state, received)
        watch.folds.append(time.perf_counter() - start)
        watch.heard = sum(1 for pod in state.pods.values() if pod.report is not None)
        if isinstance(received.message, AuditReport):
            watch.cycles.append(received.message.took_ns / 1e9)
            watch.breaks |= {one.id for one in received.message.breaks}


async def lend(others: dict[str, Any], slugs: list[str], url: str) -> None:
    """Leases for everyone, and the beats of those who are not part of this."""
    version = 0
    clock = await venue_clock(url)
    while True:
        version += 1
        now = clock.now()
        for slug in slugs if version % 10 == 1 else ():
            lease = Mandate(
                version,
                slug,
                Decimal(1000),
                Decimal(1000),
                {COIN: Decimal(1000)},
                0,
                Stage.INCUBATION,
                now,
                now + 60 * SECOND,
            )
            await others["allocator"].publish(TOPICS.mandate(slug), lease, retain=True)
        for process, bus in others.items():
            await bus.publish(TOPICS.beat(process), Beat(process, 1, 1, version, now, time.time_ns()))
        await asyncio.sleep(1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", default="2,10,50")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--light", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--bus", help=argparse.SUPPRESS)
    parser.add_argument("--account", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.light:
        run(light_pod(options.light, options.url, options.bus, options.folder, options.account))  # type: ignore[arg-type]
        return
    for count in map(int, options.pods.split(",")):
        with tempfile.TemporaryDirectory() as name:
            found = asyncio.run(measure(count, options.seconds, Path(name)))
        print(msgspec.json.encode(found).decode(), flush=True)


if __name__ == "__main__":
    main()
