"""The breaker as a process: what it keeps, what it hears, and what it does with its hands."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from slipstream.federation.breaker.state import BreakerTerms, Heard, Reduce, Tick
from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Resume, TradingState
from slipstream.model.messages import Alert, Beat
from slipstream.model.topics import Topics
from slipstream.processes import breaker as process_module
from slipstream.processes.breaker import Breaker, Story, open_breaker, unguarded
from slipstream.processes.fund import FundOptions, load_fund
from slipstream.processes.host import Host
from slipstream.runtime.bus.memory import MemoryBroker, MemoryBus
from slipstream.runtime.bus.port import Received
from slipstream.runtime.clock import ScaledClock
from slipstream.runtime.decisions import DecisionJournal, verify
from slipstream.runtime.telemetry import logger
from slipstream.venues.hyperliquid.hands import Hands

FUND = Path(__file__).parents[2] / "configs" / "fund.yml"
TERMS = BreakerTerms(pods=("brawler", "gradient"), schedule_cancel_ns=0)
SECOND = 1_000_000_000


class Idle:
    """Hands whose every reduction is too small."""

    async def reduce(self, cloid: str, coin: str, side: Side, sz: Decimal, px: Decimal) -> str:
        return str({"error": "Order must have minimum value of $10."})

    async def cancel(self, orders: Sequence[tuple[str, str]]) -> list[str]:
        return []


def started(journal: DecisionJournal[Any, Any], bus: MemoryBus, wall: ScaledClock | None = None) -> Breaker:
    fund = load_fund(FundOptions(fund=FUND), env={})
    host = Host("breaker", fund, ScaledClock(1.0), bus, Topics(fund.realm), 1)
    return Breaker(host, TERMS, journal, cast("Hands", Idle()), logger(process="breaker"), wall=wall)


async def test_pods_on_an_account_that_no_breaker_guards_are_named(tmp_path: Path) -> None:
    fund = load_fund(FundOptions(fund=FUND, account="0x" + "a" * 40), env={})
    assert unguarded(fund, "0x" + "a" * 40) == ()
    pods = (fund.pods[0], fund.pods[1].model_copy(update={"account": "0x" + "B" * 40}))
    split = fund.model_copy(update={"pods": pods})
    assert unguarded(split, "0x" + "a" * 40) == ("gradient",)
    async with MemoryBus(MemoryBroker(), "breaker") as bus:
        await bus.subscribe("#")
        with open_breaker(tmp_path / "journal.db") as journal:
            process = started(journal, bus)
            await process.warn(unguarded(split, "0x" + "a" * 40))
            assert "gradient" in (process.status()["error"] or "")
            async for received in bus.messages():
                assert isinstance(received.message, Alert)
                assert received.message.level == "critical" and "gradient" in received.message.body
                break


async def test_a_reduction_that_the_venue_refuses_is_said(tmp_path: Path) -> None:
    async with MemoryBus(MemoryBroker(), "breaker") as bus:
        with open_breaker(tmp_path / "journal.db") as journal:
            process = started(journal, bus)
            await process._act(Reduce("brawler", "BTC", Side.SELL, Decimal("0.00001"), Decimal(60_000), 1, "flatten"))
            assert "minimum value" in (process.status()["error"] or ""), "else the position stays and nobody knows why"


async def test_nobody_is_heard_in_another_s_name(tmp_path: Path) -> None:
    topics = Topics("demo")
    async with MemoryBus(MemoryBroker(), "breaker") as bus:
        with open_breaker(tmp_path / "journal.db") as journal:
            hear = started(journal, bus).hears
            beat, halt = Beat("auditor", 1, 1, 1, 1, 1), Halt(1, TradingState.HALTED, "auditor", "w", "c")
            assert hear(Received(topics.beat("auditor"), beat, "x", False, 1)) is not None
            assert hear(Received(topics.beat("brawler"), beat, "x", False, 1)) is None, (
                "a pod cannot keep the auditor alive"
            )
            assert hear(Received(topics.halt("auditor", "all"), halt, "x", False, 1)) is not None
            assert hear(Received(topics.halt("allocator", "all"), halt, "x", False, 1)) is None
            mine = hear(Received(topics.halt("allocator", "all"), Resume(9, "allocator", "w"), "x", False, 1))
            assert mine is not None and isinstance(mine.message, Resume) and mine.message.whose == "allocator"
            every = hear(Received(topics.halt("operator", "all"), Resume(9, "operator", "w"), "x", False, 1))
            assert every is not None and isinstance(every.message, Resume) and every.message.whose == ""


@pytest.mark.parametrize("step_s", [3600, -3600])
async def test_a_step_of_the_wall_s_clock_neither_kills_nor_blinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: int
) -> None:
    topics, now, offset = Topics("demo"), 0, 0
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000 * SECOND + now + offset)

    async def beats(process: Breaker, *names: str) -> None:
        for name in names:
            said = Received(topics.beat(name), Beat(name, 1, 1, 1, 1, 1), name, False, time.time_ns())
            heard = process.hears(said)
            assert heard is not None
            await process.take(heard)

    async with MemoryBus(MemoryBroker(), "breaker") as bus:
        with open_breaker(tmp_path / "journal.db") as journal:
            process = started(journal, bus, ScaledClock(wall=lambda: now))
            everybody = ("brawler", "gradient", "auditor")
            await beats(process, *everybody)
            offset = step_s * SECOND
            now += SECOND
            await process.take(process.tick())
            assert not any(watch.dead for watch in process._story.state.pods.values())
            for _ in range(10):
                now += SECOND
                await beats(process, "gradient", "auditor")
                await process.take(process.tick())
            dead = {slug for slug, watch in process._story.state.pods.items() if watch.dead}
            assert dead == {"brawler"} and process._story.state.silent == ()


async def live(process: Breaker, seconds: int, wall_ns: int) -> int:
    """Beats and ticks as they come; the wall's time after them."""
    for n in range(seconds):
        wall_ns += SECOND
        for name in ("brawler", "auditor", *(("gradient",) if n % 40 < 20 else ())):
            await process.take(Heard(Beat(name, 1, 1, n, wall_ns, wall_ns), name, wall_ns, wall_ns))
        await process.take(Tick(wall_ns, wall_ns))
    return wall_ns


async def test_weeks_of_beats_neither_fill_the_disk_nor_slow_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "CHECKPOINT_ROWS", 40)
    monkeypatch.setattr(process_module, "KEEP_ROWS", 90)
    async with MemoryBus(MemoryBroker(), "breaker") as bus:
        with open_breaker(tmp_path / "journal.db") as journal:
            process = started(journal, bus)
            now = process._story.state.started_wall_ns
            halt = Halt(now, TradingState.HALTED, "operator", "stop", "resume", now)
            await process.take(Heard(halt, "gradient", now, now))
            now = await live(process, 60, now)
            state, last = process._story.state, journal.last_seq
        with open_breaker(tmp_path / "journal.db") as journal:
            assert sum(1 for _ in journal.read_raw()) <= 90 + 40
            again = started(journal, bus)
            assert again.recovered <= 40 < last
            assert again._story.state.pods["gradient"].halts == state.pods["gradient"].halts
            await live(again, 60, now)
        story = Story()
        with open_breaker(tmp_path / "journal.db", read_only=True) as journal:
            verdict = verify(journal, story, on_session=story.turn, restore=story.restore)
        assert verdict.skipped > 0 and verdict.outputs > 0, "from a checkpoint in the middle of a life"
        assert verdict.identical, verdict.difference
