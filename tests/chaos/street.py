"""A venue, a pod on it over real sockets, trouble between them, and the comparison of what both sides remember.

`python -m tests.chaos.street --runs 300 --seed 1` runs many; every run prints its seed and can be repeated alone.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from slipstream.execution.kernel import Kernel
from slipstream.model.commands import Modify, Place
from slipstream.model.events import Fill
from slipstream.pods import BrawlerOptions, brawler_parts, plan_brawler, strategy_of
from slipstream.runtime.journal import SqliteJournal
from slipstream.runtime.pod import Pod, run_pod
from slipstream.runtime.replay import recover, replay
from slipstream.runtime.telemetry import start_logging
from slipstream.venues.emulator.exchange import Exchange, queries
from slipstream.venues.emulator.serve import RunningVenue, ServeOptions, running_venue

SPEED = 20.0
CONFIG = """
version: 1
base_spread: 0.00002
k: 0.0
maker_fee: 0
lambda: 0.0002
sigma_window: 10
sigma_interval_ms: 200
quote_reprice_tolerance_ticks: 0
request_cost_usd: 0
max_volatility: 0.01
max_basis_deviation: 0.02
basis_halflife_s: 5
actions_per_second: 50
kill_switch:
  max_basis: 0.05
  backoff_s: 1
  backoff_max_s: 2
portfolio:
  gross_cap: 40000
  coin_cap: 20000
symbols:
  - symbol: BTC
    cex_symbol: BTCUSDT
    order_size: 0.01
    max_inventory: 0.08
  - symbol: ETH
    cex_symbol: ETHUSDT
    order_size: 0.3
    max_inventory: 2.4
"""

Fault = tuple[str, dict[str, Any]]
FAULTS: tuple[Fault, ...] = (
    ("drop", {}),
    ("freeze", {"channel": "bbo", "seconds": 0.5}),
    ("freeze", {"channel": "userFills", "seconds": 0.7}),
    ("freeze", {"channel": "orderUpdates", "seconds": 0.7}),
    ("delay", {"ms": 120, "jitter_ms": 200, "seconds": 0.7}),
    ("duplicate", {"seconds": 0.8, "probability": 0.7}),
    ("reorder", {"seconds": 0.8, "probability": 0.5}),
    ("too_many", {"path": "exchange", "count": 4}),
    ("too_many", {"path": "info", "count": 4}),
    ("server_error", {"path": "exchange", "count": 4}),
    ("server_error", {"path": "info", "count": 4, "status": 503}),
    ("reset_after_accept", {"path": "exchange", "count": 4}),
    ("drop_before_execute", {"path": "exchange", "count": 4}),
    ("hang", {"path": "exchange", "count": 2}),
    ("latency", {"ms": 150, "jitter_ms": 150, "seconds": 0.7}),
    ("post_only", {"seconds": 20.0}),
    ("clock", {"skew_ms": 1500}),
)


class Truth(msgspec.Struct):
    """What a run left behind: differences between the two sides (none is what we want), and how much happened."""

    faults: list[str]
    problems: list[str]
    fills: int
    orders: int
    restarts: int = 0


def control(venue: RunningVenue, verb: str, body: dict[str, Any]) -> None:
    """One control verb. Raises AssertionError if the venue refuses it."""
    assert venue.control is not None
    status, answer = venue.control.answer(verb, msgspec.json.encode(body), "127.0.0.1")
    assert status == 200, answer


async def trouble(
    venue: RunningVenue, rng: Random, faults: list[Fault], wait: Callable[[float], Awaitable[None]]
) -> None:
    """Bring faults about, one after another or together, then lift them and let things settle."""
    await wait(1.0)
    for fault in faults:
        control(venue, *fault)
        await wait(0.15 + 0.5 * rng.random())
    await wait(0.6)
    control(venue, "clear", {})
    await wait(2.5)


async def run_pod_under(folder: Path, venue: RunningVenue, work: Callable[[Pod], Awaitable[None]]) -> str | None:
    """One life of a pod; ``work`` happens while it runs, then it is stopped. Its error, if it ended with one."""
    config = folder / "brawler.yml"
    config.write_text(CONFIG)
    options = BrawlerOptions(config=config, hl_url=venue.url, state_dir=folder / "state")
    plan = plan_brawler(options, {}, folder)

    async def ready(pod: Pod) -> None:
        await work(pod)
        pod.stop("the run is over")

    async with brawler_parts(plan) as parts:
        outcome = await run_pod(
            replace(
                parts, on_ready=ready, handle_signals=False, say=lambda _: None, status_port=None, stop_timeout=15.0
            )
        )
    return outcome.error


def compare(exchange: Exchange, journal_path: Path) -> tuple[list[str], int, int]:
    """Differences between the venue's memory of the account and the pod's journal; fills; orders."""
    problems: list[str] = []
    with SqliteJournal(journal_path, read_only=True) as journal:
        sessions = journal.sessions()
        address = str(sessions[-1].strategy_config["account"])
        account = exchange.accounts[address]
        theirs = Counter((fill.tid, fill.oid) for fill in account.fills)
        ours: set[tuple[int, int]] = set()
        sent: Counter[str] = Counter()
        for _, event, commands in journal.read(0):
            if isinstance(event, Fill):
                ours.add((event.tid, event.oid))
            for command in commands:
                if isinstance(command, Place):
                    sent[command.cloid] += 1
                elif isinstance(command, Modify):
                    sent[command.new.cloid] += 1
        last = sessions[-1]
        kernel = Kernel(strategy_of(last), last.instruments, last.config, last.slug, last.run)
        recover(kernel, journal)
        verdict = replay(journal, strategy_of)
    if lost := theirs.keys() - ours:
        problems.append(f"{len(lost)} fills lost, such as {min(lost)}")
    if invented := ours - theirs.keys():
        problems.append(f"{len(invented)} fills the venue does not know, such as {min(invented)}")
    if doubled := [cloid for cloid, times in sent.items() if times > 1]:
        problems.append(f"{len(doubled)} cloids sent twice, such as {doubled[0]}")
    placed = Counter(order.cloid for order, *_ in _orders(exchange, address))
    if doubled := [cloid for cloid, times in placed.items() if times > 1]:
        problems.append(f"{len(doubled)} orders doubled on the venue, such as {doubled[0]}")
    if foreign := [cloid for cloid in placed if cloid not in sent]:
        problems.append(f"{len(foreign)} orders on the venue that the journal lacks, such as {foreign[0]}")
    if account.open_orders:
        problems.append(f"{len(account.open_orders)} orders still rest")
    for coin in account.positions.keys() | kernel.desk.ledger.lines.keys():
        there = account.positions[coin].szi if coin in account.positions else Decimal(0)
        here = kernel.desk.ledger.position(coin)
        if there != here:
            problems.append(f"{coin}: position {here} in the journal, {there} on the venue")
    if not verdict.identical:
        problems.append(f"replay differs: {verdict.difference}")
    return problems, len(theirs), len(placed)


def _orders(exchange: Exchange, address: str) -> list[tuple[Any, ...]]:
    return [(order,) for order in queries.historical_orders(exchange, address)]


async def faulty_run(folder: Path, seed: int, faults: list[Fault]) -> Truth:
    """One pod's life among faults, in one process, over real sockets."""
    rng = Random(seed)
    options = ServeOptions(port=0, seed=seed, speed=SPEED, coins=("BTC", "ETH"), control=True)
    async with running_venue(options) as venue:

        async def work(pod: Pod) -> None:
            async def wait(seconds: float) -> None:
                await pod.parts.clock.wait(asyncio.Event(), pod.parts.clock.now() + int(seconds * SPEED * 1e9))

            await trouble(venue, rng, faults, wait)

        error = await run_pod_under(folder, venue, work)
        problems, fills, orders = compare(venue.exchange, folder / "state" / "journal.db")
    if error is not None:
        problems.insert(0, f"the pod ended with an error: {error}")
    return Truth([f"{verb} {body}" for verb, body in faults], problems, fills, orders)


def choose(seed: int) -> list[Fault]:
    """The faults of a run: the first runs bring each fault alone, later ones random mixtures."""
    if seed < len(FAULTS):
        return [FAULTS[seed]]
    rng = Random(seed)
    return [rng.choice(FAULTS) for _ in range(rng.randint(2, 6))]


def main() -> int:
    """Many runs; 1 if any of them found a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first run; each later one adds 1")
    options = parser.parse_args()
    start_logging("error")
    bad = fills = orders = 0
    for seed in range(options.seed, options.seed + options.runs):
        with tempfile.TemporaryDirectory() as name:
            truth = asyncio.run(faulty_run(Path(name), seed, choose(seed)))
        fills, orders = fills + truth.fills, orders + truth.orders
        bad += bool(truth.problems)
        state = "; ".join(truth.problems) or "same"
        print(
            f"seed {seed}: {truth.fills} fills, {truth.orders} orders: {state}   [{' + '.join(truth.faults)}]",
            flush=True,
        )
    print(f"{options.runs} runs, {fills} fills, {orders} orders, {bad} runs with differences")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
