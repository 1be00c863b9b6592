"""The link without a broker: what a message becomes, and what silence becomes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from slipstream.execution.permit import WATCH
from slipstream.model.events import Event
from slipstream.model.mandate import Halt, Mandate, Resume, TradingState
from slipstream.model.messages import Beat, Configure, Message, PodReport
from slipstream.model.topics import Topics
from slipstream.runtime.bus.memory import MemoryBroker, MemoryBus
from slipstream.runtime.bus.port import Received
from slipstream.runtime.link import STATUS_EVERY, Link, LinkOptions

TOPICS = Topics("test")


class FakePod:
    """Remembers what it was given."""

    slug = "puppet"

    def __init__(self) -> None:
        self.events: list[Event] = []

    def put(self, event: Event) -> None:
        self.events.append(event)

    def now(self) -> int:
        return 77

    def report(self, seq: int) -> PodReport:
        return PodReport(
            pod="puppet", account="0x", run=1, seq=seq, ns=77, wall_ns=0, phase="running", state=TradingState.ACTIVE
        )


class Wall:
    """A wall clock moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def given(**changes: Any) -> tuple[Link, FakePod, Wall]:
    pod, wall = FakePod(), Wall()
    return Link(None, pod, LinkOptions(realm="test", **changes), wall=wall), pod, wall  # type: ignore[arg-type]


def came(topic: str, message: Message, *, retained: bool = False) -> Received:
    return Received(topic, message, "somebody", retained, 0)


def beat(process: str) -> Beat:
    return Beat(process, 1, 1, 1, 0, 0)


def test_only_its_own_mandates_and_limits_reach_the_kernel() -> None:
    link, pod, _ = given()
    mine = Mandate(1, "puppet", Decimal(1), Decimal(1))
    link.take(came(TOPICS.mandate("puppet"), mine))
    link.take(came(TOPICS.mandate("puppet"), Mandate(2, "other", Decimal(1), Decimal(1))))
    limits = Configure(1, "puppet", {"gross_cap": "5"}, "operator", "small", 0)
    link.take(came(TOPICS.configure("puppet"), limits))
    assert pod.events == [mine, limits]


def test_a_writer_halts_and_clears_for_itself_alone_but_the_operator_clears_all() -> None:
    link, pod, _ = given()
    halt = Halt(5, TradingState.HALTED, "auditor", "a break", "resolve")
    link.take(came(TOPICS.halt("auditor", "puppet"), halt))
    link.take(came(TOPICS.halt("allocator", "puppet"), halt))
    link.take(came(TOPICS.halt("breaker", "all"), Resume(6, "breaker", "over")))
    link.take(came(TOPICS.halt("operator", "all"), Resume(7, "operator", "over")))
    assert pod.events == [halt, Resume(6, "breaker", "over", whose="breaker"), Resume(7, "operator", "over")]


def test_without_the_breakers_beat_it_only_reduces_until_it_is_back() -> None:
    link, pod, wall = given(guard_after=6.0)
    wall.now += 6.0
    link.watch()
    assert not pod.events
    wall.now += 0.1
    link.watch()
    link.watch()
    (halt,) = pod.events
    assert isinstance(halt, Halt) and halt.state is TradingState.REDUCING and halt.who == WATCH
    link.take(came(TOPICS.beat("auditor"), beat("auditor")))
    link.take(came(TOPICS.beat("breaker"), beat("breaker"), retained=True))
    link.watch()
    assert len(pod.events) == 1
    link.take(came(TOPICS.beat("breaker"), beat("breaker")))
    link.watch()
    assert pod.events[1:] == [Resume(77, WATCH, "the breaker is back", 77, whose=WATCH)]


def test_a_pod_without_a_guard_watches_nobody() -> None:
    link, pod, wall = given(guard="")
    wall.now += 1000.0
    link.watch()
    assert not pod.events


async def test_a_will_left_behind_is_replaced_by_the_pods_own_word() -> None:
    broker = MemoryBroker()
    lost = msgspec.structs.replace(FakePod().report(0), phase="lost")
    async with MemoryBus(broker, "puppet") as bus, MemoryBus(broker, "console") as console:
        topic = TOPICS.pod("puppet", "status")
        link = Link(bus, FakePod(), LinkOptions(realm="test"))
        for _ in range(2):
            await bus.publish(topic, lost, retain=True)
            for _ in range(STATUS_EVERY):
                await link.tell()
        await console.subscribe(topic)
        async for received in console.messages():
            assert received.retained and isinstance(received.message, PodReport)
            assert received.message.phase == "running"
            break
