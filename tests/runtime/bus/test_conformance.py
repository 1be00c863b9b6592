"""One suite over every adapter: in-process, nats-server, mosquitto. What a process may rely on, whichever it is."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from slipstream.model.errors import ConfigError
from slipstream.model.mandate import Mandate, Resume
from slipstream.model.messages import Alert, Beat, PodReport
from slipstream.model.topics import Topics
from slipstream.runtime.bus.acl import rights
from slipstream.runtime.bus.broker import BrokerOptions, EmbeddedBroker, find_broker
from slipstream.runtime.bus.connect import connect
from slipstream.runtime.bus.memory import MemoryBroker, MemoryBus, matches
from slipstream.runtime.bus.port import Bus, Received

REALM = "test"
TOPICS = Topics(REALM)
PROCESSES = ("allocator", "auditor", "breaker", "operator", "maker", "trend")


class Ground:
    """A broker of some kind, and buses on it."""

    def __init__(self, kind: str, broker: EmbeddedBroker | MemoryBroker, stack: AsyncExitStack) -> None:
        self.kind, self.broker, self.stack = kind, broker, stack

    def url(self, process: str) -> str:
        assert isinstance(self.broker, EmbeddedBroker)
        return self.broker.url(process)

    def make(self, process: str) -> Bus:
        if isinstance(self.broker, MemoryBroker):
            return MemoryBus(self.broker, process)
        return connect(self.broker.url(process), process, realm=REALM)

    async def bus(self, process: str, *filters: str) -> Bus:
        bus = self.make(process)
        await bus.subscribe(*filters)
        await self.stack.enter_async_context(bus)
        await until(lambda: bus.is_connected)
        return bus

    async def bounce(self) -> None:
        """Kill the broker; it comes back by itself."""
        if isinstance(self.broker, MemoryBroker):
            self.broker.stop()
            asyncio.get_running_loop().call_later(0.05, self.broker.start)
            return
        before, pid = self.broker.restarts, self.broker.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: self.broker.restarts > before)  # type: ignore[union-attr]


async def until(so: Callable[[], Any], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not so():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def take(bus: Bus, count: int, seconds: float = 10.0) -> list[Received]:
    out: list[Received] = []
    async with asyncio.timeout(seconds):
        async for received in bus.messages():
            out.append(received)
            if len(out) >= count:
                break
    return out


@pytest.fixture(params=["memory", "nats", "mosquitto"])
async def ground(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":

            def may(process: str, topic: str) -> bool:
                return any(matches(one, topic) for one in rights(process, REALM).publish)

            yield Ground("memory", MemoryBroker(may), stack)
            return
        try:
            find_broker(request.param)
        except ConfigError as error:
            pytest.skip(str(error))
        options = BrokerOptions(realm=REALM, directory=tmp_path / "bus", processes=PROCESSES, kind=request.param)
        broker = await stack.enter_async_context(EmbeddedBroker(options))
        yield Ground(request.param, broker, stack)


def lease(version: int, pod: str = "maker") -> Mandate:
    return Mandate(version, pod, Decimal("1234.5"), Decimal("1e4"), {"kPEPE/x": Decimal("0.1")})


def beat(seq: int, process: str = "maker") -> Beat:
    return Beat(process, 1, 1, seq, 0, 0)


async def test_a_message_arrives_whole_and_names_its_sender(ground: Ground) -> None:
    maker = await ground.bus("maker", TOPICS.mandate("maker"))
    allocator = await ground.bus("allocator")
    await allocator.publish(TOPICS.mandate("maker"), lease(7), retain=True)
    (received,) = await take(maker, 1)
    assert received.message == lease(7)
    assert (received.topic, received.sender) == (TOPICS.mandate("maker"), "allocator")


async def test_the_newest_retained_message_waits_for_latecomers(ground: Ground) -> None:
    allocator, early = await ground.bus("allocator"), await ground.bus("operator", TOPICS.mandate("+"))
    for version in (1, 2, 3):
        await allocator.publish(TOPICS.mandate("maker"), lease(version), retain=True)
    await allocator.publish(TOPICS.mandate("trend"), lease(9, "trend"), retain=True)
    seen: set[tuple[str, int]] = set()
    async with asyncio.timeout(10.0):
        async for received in early.messages():
            assert isinstance(received.message, Mandate)
            seen.add((received.message.pod, received.message.version))
            if {("maker", 3), ("trend", 9)} <= seen:
                break
    late = await ground.bus("auditor", TOPICS.mandate("+"))
    got = await take(late, 2)
    assert all(one.retained for one in got)
    assert sorted(one.message.version for one in got) == [3, 9]  # type: ignore[union-attr]


async def test_a_pod_may_write_its_own_topics_only_and_read_what_is_its_own(ground: Ground) -> None:
    maker = await ground.bus("maker", TOPICS.mandate("maker"))
    operator = await ground.bus("operator", f"{TOPICS.root}/#")
    for topic in (
        TOPICS.mandate("maker"),
        TOPICS.pod("trend", "report"),
        TOPICS.halt("operator", "all"),
        TOPICS.halt("auditor", "maker"),
        TOPICS.flatten("all"),
        TOPICS.beat("breaker"),
        TOPICS.audit,
    ):
        await maker.publish(topic, beat(1))
    await maker.publish(TOPICS.beat("maker"), beat(2))
    await maker.publish(TOPICS.pod("maker", "ack"), beat(3))
    got = await take(operator, 2)
    assert [one.topic for one in got] == [TOPICS.beat("maker"), TOPICS.pod("maker", "ack")]


async def test_what_is_said_while_the_broker_is_away_is_said_when_it_is_back_in_order(ground: Ground) -> None:
    maker = await ground.bus("maker")
    operator = await ground.bus("operator", TOPICS.beat("maker"), TOPICS.pod("maker", "report"))
    await maker.publish(TOPICS.beat("maker"), beat(0))
    await take(operator, 1)
    await ground.bounce()
    for seq in range(1, 201):
        await maker.publish(TOPICS.beat("maker"), beat(seq))
    for seq in (1, 2, 3):
        await maker.publish(TOPICS.beat("maker"), beat(1000 + seq), retain=True)
    seen: list[int] = []
    async with asyncio.timeout(20.0):
        async for received in operator.messages():
            assert isinstance(received.message, Beat)
            seen.append(received.message.seq)
            if received.message.seq == 1003:
                break
    plain = list(dict.fromkeys(seq for seq in seen if 0 < seq < 1000))
    if ground.kind == "memory":
        assert plain == list(range(1, 201))
    else:
        # a listener whose own connection comes back later misses what was not retained: order holds, and the last state
        assert plain == sorted(plain)
    assert 1003 in seen


async def test_a_listener_with_a_session_loses_nothing_while_it_is_away(ground: Ground) -> None:
    """The federation's own connections keep a session: what came while they were cut is delivered."""
    allocator = await ground.bus("allocator")
    auditor = await ground.bus("auditor", TOPICS.mandate("maker"))
    await allocator.publish(TOPICS.mandate("maker"), lease(0))
    await take(auditor, 1)
    await ground.bounce()
    await until(lambda: auditor.is_connected and allocator.is_connected, 20.0)
    for version in range(1, 101):
        await allocator.publish(TOPICS.mandate("maker"), lease(version))
    versions: list[int] = []
    async with asyncio.timeout(20.0):
        async for received in auditor.messages():
            assert isinstance(received.message, Mandate)
            versions.append(received.message.version)  # a word can come twice: what was not yet acknowledged at the cut
            if received.message.version == 100:
                break
    assert [version for version in dict.fromkeys(versions) if version] == list(range(1, 101))


async def test_a_large_message_passes_and_an_unread_queue_stays_bounded(ground: Ground) -> None:
    maker, operator = await ground.bus("maker"), await ground.bus("operator", TOPICS.alert("maker"))
    big = Alert("big", "warn", "t", "x" * 1_000_000, 0)
    await maker.publish(TOPICS.alert("maker"), big)
    (received,) = await take(operator, 1, 20.0)
    assert received.message == big
    assert operator.statistics()["unread"] <= 10_000


async def test_two_operators_do_not_push_each_other_off(ground: Ground) -> None:
    if ground.kind == "memory":
        pytest.skip("clients of one process have no ids")
    url = ground.url("operator")
    one, two = connect(url, "operator-1", realm=REALM), connect(url, "operator-2", realm=REALM)
    async with one, two:
        await one.subscribe(TOPICS.halt("+", "+"))
        await until(lambda: one.is_connected and two.is_connected)
        connects = one.statistics()["connects"]
        await two.publish(TOPICS.halt("operator", "all"), Resume(1, "operator", "why"), retain=True)
        assert (await take(one, 1))[0].message == Resume(1, "operator", "why")
        assert one.statistics()["connects"] == connects


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
async def test_the_will_of_a_process_that_died_or_hangs_is_delivered(ground: Ground, number: signal.Signals) -> None:
    if ground.kind == "memory":
        pytest.skip("nothing can be killed within one process")
    operator = await ground.bus("operator", TOPICS.pod("maker", "status"))
    script = (
        "import asyncio, sys\n"
        "from slipstream.runtime.bus.connect import connect\n"
        "async def main():\n"
        f"    bus = connect({ground.url('maker')!r}, 'maker', realm={REALM!r}, pod=True)\n"
        "    async with bus:\n"
        "        while not bus.is_connected: await asyncio.sleep(0.01)\n"
        "        print('connected', flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
    assert child.stdout is not None
    async with asyncio.timeout(20.0):
        assert (await child.stdout.readline()).strip() == b"connected"
    try:
        child.send_signal(number)
        (received,) = await take(operator, 1, 20.0)  # a hung one: one and a half keep-alives of 5 s, and some load
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
    assert isinstance(received.message, PodReport) and received.message.phase == "lost"


async def test_a_wrong_password_is_said_and_never_shown(ground: Ground) -> None:
    if ground.kind == "memory":
        pytest.skip("there are no passwords within one process")
    url = ground.url("maker").replace("@", "x@")
    bus = connect(url, "maker", realm=REALM)
    async with bus:
        await until(lambda: bus.statistics()["error"] is not None)
        assert not bus.is_connected and bus.lost_since is not None
        assert url.split(":")[2].split("@")[0] not in str(bus.statistics())
