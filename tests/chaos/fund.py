"""A whole fund among faults: real processes, a real broker, real sockets, and one venue that remembers everything.

`python -m tests.chaos.fund --faults 1000 --seed 1` injects faults, alone and in mixtures, lifts them, waits until the
fund has come back by itself (or says by name what is broken), and at the end compares the venue's memory with every
journal. It prints its seed; the same seed is the same script of faults.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import msgspec

from slipstream.console.reading import open_breaks
from slipstream.execution.kernel import Kernel
from slipstream.model.cloid import BREAKER, breaker_prefix, pod_prefix
from slipstream.model.commands import Modify, Place
from slipstream.model.events import Fill
from slipstream.model.mandate import Mandate, TradingState
from slipstream.pods import strategy_of
from slipstream.runtime.bus.acl import OPERATOR
from slipstream.runtime.bus.broker import EmbeddedBroker
from slipstream.runtime.bus.connect import connect
from slipstream.runtime.journal import open_journal
from slipstream.runtime.replay import recover, replay
from slipstream.runtime.supervisor import Spec, Supervisor
from slipstream.up import Fund, UpOptions
from slipstream.venues.emulator.exchange import queries
from slipstream.venues.emulator.serve import RunningVenue, ServeOptions, running_venue
from tests.chaos.street import FAULTS as VENUE_FAULTS
from tests.chaos.street import control

ROOT = Path(__file__).resolve().parents[2]
ZERO = Decimal(0)
SETTLE = 75.0  # wall seconds that the fund may take to come back after the faults are lifted
SLACK = Decimal("1.03")  # a price may move between the order and its fill

PROCESS_FAULTS = ("kill", "hang", "journal locked", "disk full")


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong: a venue's control verb, or something that befalls a process."""

    kind: str
    target: str = ""
    body: dict[str, Any] = {}

    def __str__(self) -> str:
        return " ".join(part for part in (self.kind, self.target, str(self.body or "")) if part)


def choose(rng: Random, processes: tuple[str, ...]) -> list[Fault]:
    """One to fourteen faults that come together."""
    out = []
    for _ in range(rng.choice((1, 2, 4, 6, 8, 10, 14))):
        if rng.random() < 0.5:
            verb, body = rng.choice(VENUE_FAULTS)
            out.append(Fault(verb, body=body))
        elif rng.random() < 0.15:
            out.append(Fault("kill", "broker"))
        else:
            out.append(Fault(rng.choice(PROCESS_FAULTS), rng.choice(processes)))
    return out


class Verdict(msgspec.Struct):
    """What a run found."""

    seed: int
    faults: int = 0
    rounds: int = 0
    problems: list[str] = []
    named: Counter[str] = msgspec.field(default_factory=Counter)
    kinds: Counter[str] = msgspec.field(default_factory=Counter)
    fills: int = 0
    orders: int = 0
    restarts: int = 0
    venue_hours: float = 0.0
    worst_share: Decimal = ZERO


class Ground(msgspec.Struct):
    """A running fund and its venue."""

    venue: RunningVenue
    fund: Fund
    broker: EmbeddedBroker
    supervisor: Supervisor
    mandates: dict[str, list[Mandate]]

    @property
    def address(self) -> str:
        return self.fund.master.address

    def pid(self, name: str) -> int | None:
        return self.broker.pid if name == "broker" else self.supervisor[name].pid


@asynccontextmanager
async def running_fund(
    folder: Path, config: Path, seed: int, speed: float, coins: tuple[str, ...]
) -> AsyncIterator[Ground]:
    """A fund at work, every process ready."""
    options = ServeOptions(port=0, seed=seed, speed=speed, coins=coins, control=True)
    async with AsyncExitStack() as stack:
        venue = await stack.enter_async_context(running_venue(options))
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5.0)))
        port = int(venue.url.rsplit(":", 1)[1])
        fund = Fund(UpOptions(fund=config, directory=folder, port=port, speed=speed, coins=coins), session)
        assert await fund.is_venue_ready()
        broker = await stack.enter_async_context(fund.broker())
        bus = connect(broker.url(OPERATOR), f"{OPERATOR}-chaos", realm=fund.config.realm)
        await stack.enter_async_context(bus)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        listener = group.create_task(fund.listen(bus))
        stack.callback(listener.cancel)
        specs = [_patient(spec) for spec in fund.specs(fund.write(broker), broker) if spec.name != "venue"]
        supervisor = await stack.enter_async_context(Supervisor(specs))
        ground = Ground(venue, fund, broker, supervisor, {slug: [] for slug in fund.pods})
        noting = group.create_task(_note_mandates(ground))
        stack.callback(noting.cancel)
        yield ground


def _patient(spec: Spec) -> Spec:
    after = tuple(name for name in spec.after or () if name != "venue")
    return msgspec.structs.replace(spec, after=after, max_restarts=100_000, restart_window=4.0, alive_misses=3)


async def _note_mandates(ground: Ground) -> None:
    """Every mandate that was in force, for the comparison at the end."""
    while True:
        for slug, view in ground.fund.state.pods.items():
            known = ground.mandates[slug]
            if view.mandate is not None and (not known or known[-1].version != view.mandate.version):
                known.append(view.mandate)
        await asyncio.sleep(0.1)


async def inject(ground: Ground, fault: Fault) -> None:
    """Bring one fault about. A process that is between two lives has trouble enough."""
    if not fault.target:
        control(ground.venue, fault.kind, fault.body)
        return
    pid = ground.pid(fault.target)
    if pid is None:
        return
    journal = ground.fund.options.directory / fault.target / "journal.db"
    try:
        if fault.kind == "kill":
            os.kill(pid, signal.SIGKILL)
        elif fault.kind == "hang":
            os.kill(pid, signal.SIGSTOP)
        elif fault.kind == "disk full":
            # the next write that would make any file of the process larger than now fails
            size = max((path.stat().st_size for path in journal.parent.glob("journal.db*")), default=0)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        elif journal.exists():
            asyncio.get_running_loop().run_in_executor(None, _lock, journal, 3.5)
    except ProcessLookupError:
        return


def _lock(path: Path, seconds: float) -> None:
    """Hold the write lock as a foreign program might: longer than a journal waits."""
    try:
        with sqlite3.connect(path, timeout=1.0, isolation_level=None) as connection:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        return


async def lift(ground: Ground, faults: list[Fault]) -> None:
    """A good day again; what hangs is woken only if the supervisor has not killed it by then."""
    control(ground.venue, "clear", {})
    for fault in faults:
        pid = ground.pid(fault.target) if fault.target else None
        if pid is None:
            continue
        try:
            if fault.kind == "hang":
                os.kill(pid, signal.SIGCONT)
            elif fault.kind == "disk full":
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (ProcessLookupError, PermissionError):
            continue


def unsettled(ground: Ground) -> list[str]:
    """What keeps the fund from being itself again, a line each."""
    state, now = ground.fund.state, time.time_ns()
    out = []
    for process in ground.supervisor.processes:
        view = state.processes.get(process.spec.name)
        if process.state.value != "ready" or view is None or now - view.heard_ns > 3_000_000_000:
            out.append(f"{process.spec.name} is {process.state.value}")
    for slug, pod in state.pods.items():
        report = pod.report
        if report is None or now - pod.report_heard_ns > 3_000_000_000:
            out.append(f"{slug} does not report")
        elif report.state is not TradingState.ACTIVE:
            out.append(f"{slug} is {report.state.value}: {'; '.join(report.reasons)}")
    out += [f"break {b.id} ({b.level.value}): {b.evidence[0] if b.evidence else ''}" for b in open_breaks(state)]
    return out


async def settle(ground: Ground, patience: float = SETTLE) -> list[str]:
    """Wait until the fund is itself again; what still is not after ``patience``."""
    give_up = time.monotonic() + patience
    calm = 0
    while time.monotonic() < give_up:
        calm = calm + 1 if not unsettled(ground) else 0
        if calm >= 3:
            return []
        await asyncio.sleep(0.25)
    return unsettled(ground)


async def chaos(
    folder: Path,
    config: Path,
    seed: int,
    faults: int,
    *,
    speed: float,
    coins: tuple[str, ...],
    minutes: float = 1e9,
    say: Any = print,
) -> Verdict:
    """A run of so many faults, or of so many minutes if that is less."""
    rng = Random(seed)
    verdict = Verdict(seed)
    async with running_fund(folder, config, seed, speed, coins) as ground:
        began = ground.venue.exchange.now_ns
        left = await settle(ground, 90.0)
        if left:
            verdict.problems.append(f"before any fault: {left}")
        names = tuple(p.spec.name for p in ground.supervisor.processes)
        stop_at = time.monotonic() + minutes * 60.0
        while verdict.faults < faults and time.monotonic() < stop_at:
            chosen = choose(rng, names)
            for fault in chosen:
                await inject(ground, fault)
                verdict.kinds[fault.kind] += 1
                await asyncio.sleep(0.1 + rng.random() * 0.4)
            # most troubles are short; some hang for longer than anybody waits
            await asyncio.sleep(16.0 if rng.random() < 0.04 else 0.3 + rng.random())
            await lift(ground, chosen)
            verdict.faults += len(chosen)
            verdict.rounds += 1
            left = await settle(ground)
            text = " + ".join(map(str, chosen))
            unnamed = [line for line in left if not line.startswith("break ") and "halted by auditor" not in line]
            for line in left:
                verdict.named[line.partition(":")[0]] += 1
            if left and not any(line.startswith("break ") for line in left):
                verdict.problems.append(f"round {verdict.rounds} [{text}]: not itself again: {unnamed}")
            for b in open_breaks(ground.fund.state):
                # everybody is honest here: what only an operator could close accuses somebody falsely
                if "operator" in b.clears:
                    verdict.problems.append(f"round {verdict.rounds} [{text}]: false alarm {b.id}: {b.evidence[:1]}")
            say(f"{verdict.faults:5d} faults  [{text}]  {'; '.join(left) or 'itself again'}", flush=True)
        verdict.venue_hours = (ground.venue.exchange.now_ns - began) / 3.6e12
        verdict.restarts = sum(p.restarts for p in ground.supervisor.processes) + ground.broker.restarts
        for process in reversed(ground.supervisor.processes):
            await process.stop()
        compare(ground, verdict)
    return verdict


def owner(cloid: str | None, pods: tuple[str, ...]) -> str | None:
    """The pod an order belongs to; None if nobody's."""
    for slug in pods:
        if cloid is not None and cloid.startswith((pod_prefix(slug), breaker_prefix(slug))):
            return slug
    return None


def compare(ground: Ground, verdict: Verdict) -> None:
    """Hold the venue's memory against every pod's journal, fill by fill and order by order."""
    exchange, pods = ground.venue.exchange, ground.fund.pods
    account = exchange.accounts[ground.address]
    theirs: dict[str, set[tuple[int, int]]] = {slug: set() for slug in pods}
    positions: dict[tuple[str, str], Decimal] = {}
    for fill in account.fills:
        slug = owner(fill.cloid, pods)
        if slug is None:
            verdict.problems.append(f"fill {fill.tid} of {fill.coin} belongs to nobody: {fill.cloid}")
            continue
        theirs[slug].add((fill.tid, fill.oid))
        _exposure(ground, verdict, slug, fill, positions)
    verdict.fills = len(account.fills)
    placed = Counter(order.cloid for order in queries.historical_orders(exchange, ground.address))
    verdict.orders = len(placed)
    verdict.problems += [f"order {cloid} is on the venue {n} times" for cloid, n in placed.items() if n > 1]
    sent: Counter[str] = Counter()
    for slug in pods:
        try:
            sent += _journal(ground, verdict, slug, theirs[slug], positions)
        except Exception as error:  # a journal that cannot be read is a finding, not the end of the comparison
            verdict.problems.append(f"{slug}: its journal cannot be compared: {type(error).__name__}: {error}")
    for cloid in placed:
        if cloid not in sent and not str(cloid).startswith(pod_prefix(BREAKER)):
            verdict.problems.append(f"order {cloid} is in no journal")
    verdict.problems += [f"cloid {cloid} was sent {n} times" for cloid, n in sent.items() if n > 1]
    if account.open_orders:
        verdict.problems.append(f"{len(account.open_orders)} orders still rest")


def _exposure(
    ground: Ground, verdict: Verdict, slug: str, fill: Any, positions: dict[tuple[str, str], Decimal]
) -> None:
    """A fill that enlarges a position must leave it within the widest mandate that could have been in force."""
    key = (slug, fill.coin)
    before = positions.get(key, ZERO)
    after = before + Decimal(str(fill.sz)) * (1 if fill.side.value == "B" else -1)
    positions[key] = after
    if abs(after) <= abs(before):
        return
    caps = [m.coin_caps.get(fill.coin, ZERO) if m.coin_caps else m.gross_cap for m in ground.mandates[slug]]
    widest = max(caps, default=ZERO)
    worth = abs(after) * Decimal(str(fill.px))
    if widest:
        verdict.worst_share = max(verdict.worst_share, worth / widest)
    if worth > widest * SLACK:
        verdict.problems.append(
            f"{slug}: {worth:.2f} USD of {fill.coin} at {fill.time}, the widest cap was {widest:.2f}"
        )


def _journal(
    ground: Ground, verdict: Verdict, slug: str, theirs: set[tuple[int, int]], positions: dict[tuple[str, str], Decimal]
) -> Counter[str]:
    """One pod's journal against its part of the venue's memory; the cloids it sent."""
    sent: Counter[str] = Counter()
    ours: set[tuple[int, int]] = set()
    mine = (pod_prefix(slug), breaker_prefix(slug))
    with open_journal(ground.fund.config.journal_of(slug), read_only=True) as journal:
        for _, event, commands in journal.read(0):
            if isinstance(event, Fill) and event.cloid is not None and event.cloid.startswith(mine):
                ours.add((event.tid, event.oid))
            for command in commands:
                place = command.new if isinstance(command, Modify) else command
                if isinstance(place, Place):
                    sent[place.cloid] += 1
        sessions = journal.sessions()
        last = sessions[-1]
        kernel = Kernel(strategy_of(last), last.instruments, last.config, last.slug, last.run)
        recover(kernel, journal)
        again = replay(journal, strategy_of)
    if lost := theirs - ours:
        verdict.problems.append(f"{slug}: {len(lost)} fills lost, such as {min(lost)}")
    if invented := ours - theirs:
        verdict.problems.append(f"{slug}: {len(invented)} fills that the venue does not know, such as {min(invented)}")
    for coin in kernel.desk.ledger.lines.keys() | {c for s, c in positions if s == slug}:
        here, there = kernel.desk.ledger.position(coin), positions.get((slug, coin), ZERO)
        if here != there:
            verdict.problems.append(f"{slug}: {coin} is {here} in the journal, {there} by the venue's fills")
    if not again.identical:
        verdict.problems.append(f"{slug}: replay differs: {again.difference}")
    return sent


def main() -> int:
    """1 if anything was lost, doubled, unattributed, too large, or not itself again without a name for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=float, default=60.0)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many minutes")
    parser.add_argument("--fund", type=Path, default=ROOT / "configs" / "fund.yml")
    parser.add_argument("--coins", default="")
    parser.add_argument("--keep", type=Path, default=None, help="keep the run's folder here")
    options = parser.parse_args()
    os.chdir(ROOT)
    coins = tuple(coin for coin in options.coins.split(",") if coin)
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        verdict = asyncio.run(
            chaos(
                folder,
                options.fund,
                options.seed,
                options.faults,
                speed=options.speed,
                coins=coins,
                minutes=options.minutes,
            )
        )
    print(
        f"seed {verdict.seed}: {verdict.faults} faults in {verdict.rounds} rounds over "
        f"{verdict.venue_hours:.1f} venue hours, "
        f"{verdict.fills} fills, {verdict.orders} orders, {verdict.restarts} restarts, "
        f"largest exposure {verdict.worst_share:.1%} of its cap, {len(verdict.problems)} problems"
    )
    print("kinds:", dict(verdict.kinds))
    print("named while settling:", dict(verdict.named))
    for problem in verdict.problems:
        print("PROBLEM", problem)
    return 1 if verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main())
