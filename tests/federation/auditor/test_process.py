"""The process around the fold: the bus in and out, the journal, a restart, and a replay byte for byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from slipstream.federation.auditor.auditor import Told
from slipstream.federation.auditor.limits import SECOND
from slipstream.federation.auditor.observe import Addressed, Observation, Resolve
from slipstream.model.breaks import Break, BreakKind, Level
from slipstream.model.mandate import Halt, Mandate, Resume, TradingState
from slipstream.model.messages import AuditReport, Beat, Configure, PodReport
from slipstream.model.order import Tif
from slipstream.model.topics import Topics
from slipstream.processes.auditor import (
    AuditorProcess,
    AuditTerms,
    heard_from,
    open_audit,
    sweep_pause,
    terms_of,
    verify_audit,
)
from slipstream.processes.fund import FundConfig, PodEntry
from slipstream.processes.host import Host
from slipstream.runtime.bus.memory import MemoryBroker, MemoryBus
from slipstream.runtime.bus.port import Received
from slipstream.runtime.decisions import DecisionJournal
from slipstream.runtime.telemetry import logger
from tests.federation.auditor.stage import FundStage, fund_stage
from tests.federation.auditor.test_lies import forges_fill

TOPICS = Topics("demo")


def fund(address: str, folder: Path) -> FundConfig:
    pods = (
        PodEntry(slug="brawler", config=Path("b.yml"), coins=("BTC", "ETH"), maker_share=0.0),
        PodEntry(slug="gradient", config=Path("g.yml"), coins=("SOL",)),
    )
    return FundConfig(account=address, state_dir=folder, pods=pods)


class Desk:
    """A process on a stage: what the stage's pods say goes through a real bus."""

    def __init__(self, stage: FundStage, process: AuditorProcess, bus: MemoryBus, group: Any) -> None:
        self.stage, self.process, self.bus = stage, process, bus
        self.got: list[Received] = []

    async def run(self, blocks: int) -> None:
        """Blocks go by; every fifth the process has its cycle."""
        for _ in range(blocks):
            await self.stage.block()
            for item in self.stage.bus:
                await self.say(item)
            self.stage.bus = []
            if self.stage.blocks % 5 == 0:
                await self.stage.until(lambda: not self.process.host.bus._inbox.qsize())  # type: ignore[attr-defined]
                await self.process.cycle()

    async def say(self, item: Any) -> None:
        topics = TOPICS
        if isinstance(item, PodReport):
            await self.bus.publish(topics.pod(item.pod, "report"), item)
        elif isinstance(item, Mandate):
            await self.bus.publish(topics.mandate(item.pod), item)
        elif isinstance(item, Beat):
            await self.bus.publish(topics.beat(item.process), item)

    def of(self, kind: type) -> list[Any]:
        """Messages of a kind that the auditor sent."""
        return [item.message for item in self.got if isinstance(item.message, kind) and item.sender == "auditor"]


@asynccontextmanager
async def desk(
    stage: FundStage, journal: DecisionJournal[Observation, Told], broker: MemoryBroker, folder: Path
) -> AsyncIterator[Desk]:
    clock: Any = SimpleNamespace(now=lambda: stage.ns, speed=1.0)
    config = fund(stage.address, folder)
    reader = stage.reader()
    async with MemoryBus(broker, "auditor") as bus, MemoryBus(broker, "operator") as outer:
        await outer.subscribe(f"{TOPICS.root}/#")
        host = Host("auditor", config, clock, bus, TOPICS, 1)
        process = AuditorProcess(
            host, terms_of(config, 1.0), journal, {stage.address: reader}, logger(process="auditor")
        )
        out = Desk(stage, process, outer, stage.group)

        async def record() -> None:
            async for received in outer.messages():
                out.got.append(received)

        tasks = [stage.group.create_task(work) for work in (reader.run(), process.listen(), record())]
        await stage.until(lambda: reader.known_ns > 0)
        try:
            yield out
        finally:
            for task in tasks:
                task.cancel()


def wall(monkeypatch: pytest.MonkeyPatch, stage: FundStage) -> None:
    monkeypatch.setattr("slipstream.processes.auditor.time.time_ns", lambda: stage.ns)


async def test_a_forger_is_halted_over_the_bus_and_freed_by_the_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = MemoryBroker()
    async with fund_stage() as stage:
        wall(monkeypatch, stage)
        await stage.pods["brawler"].send(*[("BTC", "0.003", "1.02", Tif.IOC)] * 2)
        with open_audit(tmp_path / "audit.db") as journal:
            async with desk(stage, journal, broker, tmp_path) as run:
                stage.grant()
                await run.run(25)
                assert run.of(Break) == []
                assert run.of(AuditReport)[-1].pods[0].pod == "brawler"
                stage.pods["brawler"].lie = forges_fill
                await run.run(25)
                assert {item.kind for item in run.of(Break)} >= {BreakKind.FILL_FORGED}
                (halt,) = run.of(Halt)
                assert (halt.state, halt.who) == (TradingState.HALTED, "auditor")
                assert TOPICS.halt("auditor", "brawler") in broker.retained
                stage.pods["brawler"].lie = None
                stage.pods["brawler"].state = TradingState.HALTED
                await run.run(10)
                before = msgspec.msgpack.encode(run.process.memory)
            # a new process continues where the last one ended, and says what stands again
            async with desk(stage, journal, MemoryBroker(), tmp_path) as run:
                assert msgspec.msgpack.encode(run.process.memory) == before
                await run.process.repeat_halts()
                await stage.until(lambda: len(run.of(Halt)) == 1)
                assert run.process.memory.halted == {"brawler": Level.HALTED}
                order = Configure(1, "auditor", {"resolve": "fill_forged/brawler/BTC"}, "ann", "restated", stage.ns)
                await run.bus.publish(TOPICS.configure("auditor"), order)
                await run.run(30)
                closed = [item for item in run.of(Break) if item.resolved_by.startswith("ann")]
                assert [item.resolved_by for item in closed] == ["ann: restated"]
                assert run.of(Resume)[-1].whose == "auditor"
                assert run.process.memory.halted == {}
                assert run.process.status()["halted"] == {}
            verdict = verify_audit(journal, terms_of(fund(stage.address, tmp_path), 1.0))
            assert verdict.identical, verdict.difference
            assert verdict.rows == journal.last_seq > 10


def test_only_those_who_may_halt_are_heard() -> None:
    def received(topic: str, message: Any) -> Received:
        return Received(topic, message, "x", False, 0)

    halt = Halt(1, TradingState.HALTED, "breaker", "w", "c")
    assert heard_from(received(TOPICS.halt("breaker", "brawler"), halt)) == Addressed("brawler", halt)
    assert heard_from(received(TOPICS.halt("allocator", "brawler"), halt)) is None
    own = Halt(1, TradingState.HALTED, "auditor", "w", "c")
    assert heard_from(received(TOPICS.halt("auditor", "brawler"), own)) is None
    resume = heard_from(received(TOPICS.halt("breaker", "all"), Resume(1, "breaker", "w")))
    assert isinstance(resume, Addressed)
    assert isinstance(resume.message, Resume)
    assert resume.message.whose == "breaker"
    asked = Configure(1, "auditor", {"resolve": "pnl/brawler"}, "ann", "because", 3)
    assert heard_from(received(TOPICS.configure("auditor"), asked)) == Resolve("pnl/brawler", "ann", "because")
    assert heard_from(received(TOPICS.configure("brawler"), Configure(1, "brawler", {"a": "b"}, "a", "b", 3))) is None


def test_nobody_is_heard_in_another_s_name() -> None:
    def received(topic: str, message: Any) -> Received:
        return Received(topic, message, "x", False, 0)

    report = PodReport(
        pod="gradient", account="0x", run=9, seq=9, ns=1, wall_ns=1, phase="running", state=TradingState.ACTIVE
    )
    assert heard_from(received(TOPICS.pod("gradient", "report"), report)) == report
    assert heard_from(received(TOPICS.pod("brawler", "report"), report)) is None
    beat = Beat("breaker", 1, 1, 1, 1, 1)
    assert heard_from(received(TOPICS.beat("breaker"), beat)) == beat
    assert heard_from(received(TOPICS.beat("brawler"), beat)) is None


def test_times_of_the_config_are_wall_seconds(tmp_path: Path) -> None:
    terms = terms_of(fund("0x" + "a" * 40, tmp_path), 60.0)
    assert terms.limits.grace_ns == 42 * SECOND
    assert terms.processes == ("brawler", "gradient", "allocator", "breaker")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(terms), type=AuditTerms) == terms


def test_sweeps_of_many_accounts_fit_the_request_weight() -> None:
    assert sweep_pause(1, 400) == sweep_pause(0, 400) == 8.0
    for accounts in (2, 10, 50):
        assert accounts * 30.0 * 60.0 / sweep_pause(accounts, 400) <= 300
