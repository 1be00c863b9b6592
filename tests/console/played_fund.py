"""A fund played on a bus: pods with the real link and the real permit; allocator, auditor and breaker by script."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from slipstream.console.discovery import FundFile, write_fund_file
from slipstream.execution.permit import Permit
from slipstream.model.breaks import Break
from slipstream.model.events import Event
from slipstream.model.mandate import Halt, Mandate, Resume, Stage, TradingState
from slipstream.model.messages import (
    AuditedPod,
    AuditReport,
    Beat,
    Configure,
    Decision,
    Flatten,
    PodReport,
    StageChange,
)
from slipstream.runtime.bus.acl import processes
from slipstream.runtime.bus.broker import BrokerOptions, EmbeddedBroker
from slipstream.runtime.bus.connect import connect
from slipstream.runtime.bus.port import Bus
from slipstream.runtime.link import Link, LinkOptions
from tests.console.fund_messages import PODS, REALM, SPEED, TOPICS, VENUE, audit, broken, mandate, report, stage

_BEGAN = time.time_ns()


def venue_now() -> int:
    return VENUE + (time.time_ns() - _BEGAN) * SPEED


class PlayedPod:
    """What a link sees of a pod; it obeys its permit and keeps one order while ACTIVE."""

    def __init__(self, slug: str) -> None:
        self.slug = slug
        self.permit = Permit(slug, require_mandate=False)
        self.flat = False
        self.deaf = False

    def put(self, event: Event) -> None:
        if isinstance(event, Mandate | Halt | Resume) and not self.deaf:
            self.permit.fold(event)

    def now(self) -> int:
        return venue_now()

    def report(self, seq: int) -> PodReport:
        said = report(self.slug).message
        assert isinstance(said, PodReport)
        state = self.permit.state(self.now())
        given = self.permit.mandate
        return msgspec.structs.replace(
            said,
            seq=seq,
            ns=self.now(),
            wall_ns=time.time_ns(),
            state=state,
            reasons=tuple(self.permit.reasons(self.now())),
            orders=said.orders if state is TradingState.ACTIVE else (),
            lines=() if self.flat else said.lines,
            mandate_version=given.version if given is not None else 0,
        )


class PlayedFund:
    """The processes; ``url`` gives the bus of each."""

    def __init__(self, url: Callable[[str], str], *, every: float = 0.05, breaks: tuple[Break, ...] = ()) -> None:
        self.url = url
        self.every = every
        self.breaks = {b.id: b for b in breaks}
        self.pods = {slug: PlayedPod(slug) for slug in PODS}
        self.silent: set[str] = set()
        self.stubborn = False
        self._cycle = 0

    def bus(self, process: str) -> Bus:
        return connect(self.url(process), process, realm=REALM, pod=process in PODS)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for slug, pod in self.pods.items():
                group.create_task(self._pod(slug, pod))
            for name, act in (("auditor", self._auditor), ("allocator", self._allocator), ("breaker", self._breaker)):
                group.create_task(self._process(name, act))

    async def _pod(self, slug: str, pod: PlayedPod) -> None:
        options = LinkOptions(realm=REALM, beat_every=self.every, report_every=self.every)
        async with self.bus(slug) as bus:
            await Link(bus, pod, options).run()

    async def _process(self, name: str, act: Callable[[Bus], Coroutine[Any, Any, None]]) -> None:
        async with self.bus(name) as bus, asyncio.TaskGroup() as group:
            group.create_task(self._beat(name, bus))
            group.create_task(act(bus))

    async def _beat(self, name: str, bus: Bus) -> None:
        seq = 0
        while True:
            seq += 1
            if name not in self.silent:
                await bus.publish(TOPICS.beat(name), Beat(name, 1234, 7, seq, venue_now(), time.time_ns()))
            await asyncio.sleep(self.every)

    async def _auditor(self, bus: Bus) -> None:
        await bus.subscribe(TOPICS.configure("auditor"))

        async def speak() -> None:
            while True:
                self._cycle += 1
                said = audit(*self.breaks.values(), cycle=self._cycle).message
                assert isinstance(said, AuditReport)
                pods = tuple(self._seen(p) for p in said.pods)
                said = msgspec.structs.replace(said, ns=venue_now(), wall_ns=time.time_ns(), pods=pods)
                await bus.publish(TOPICS.audit, said, retain=True)
                await asyncio.sleep(self.every)

        async with asyncio.TaskGroup() as group:
            group.create_task(speak())
            async for received in bus.messages():
                if isinstance(received.message, Configure):
                    asked = received.message
                    found = self.breaks.get(asked.values["resolve"])
                    if found is None or self.stubborn:
                        said = Decision("resolve", "", "not resolved: the auditor is asleep", venue_now())
                        await bus.publish(TOPICS.decision("auditor"), said)
                        continue
                    del self.breaks[found.id]
                    by = f"{asked.who}: {asked.why}"
                    over = msgspec.structs.replace(found, resolved_ns=venue_now(), resolved_by=by)
                    await bus.publish(TOPICS.broken(found.pod or "fund"), over)

    def _seen(self, pod: AuditedPod) -> AuditedPod:
        if not self.pods[pod.pod].flat:
            return pod
        return msgspec.structs.replace(pod, lines=(), gross=Decimal(0), net_exposure=Decimal(0), open_orders=0)

    async def _allocator(self, bus: Bus) -> None:
        await bus.subscribe(TOPICS.configure("allocator"))
        for slug in PODS:
            await bus.publish(TOPICS.stage(slug), stage(slug).message, retain=True)

        async def renew() -> None:
            version = 2
            while True:
                version += 1
                for slug in PODS:
                    given = mandate(slug, version).message
                    assert isinstance(given, Mandate)
                    lease = msgspec.structs.replace(given, expires_ns=venue_now() + 30 * SPEED * 10**9)
                    await bus.publish(TOPICS.mandate(slug), lease, retain=True)
                await asyncio.sleep(5.0)

        text = "gradient from 30000 to 25000"
        await bus.publish(TOPICS.decision("allocator"), Decision("allocate", "gradient", text, venue_now(), ("thin",)))
        version = 10
        async with asyncio.TaskGroup() as group:
            group.create_task(renew())
            async for received in bus.messages():
                asked = received.message
                assert isinstance(asked, Configure)
                for key, value in asked.values.items():
                    version += 1
                    slug = key.removeprefix("stage.")
                    change = StageChange(version, slug, Stage.EVALUATION, Stage(value), asked.who, asked.why, asked.ns)
                    await bus.publish(TOPICS.stage(slug), change, retain=True)

    async def _breaker(self, bus: Bus) -> None:
        await bus.subscribe(TOPICS.flatten("+"))
        async for received in bus.messages():
            if isinstance(received.message, Flatten):
                order = received.message
                for slug in [order.pod] if order.pod else list(self.pods):
                    why = f"flatten by {order.who}: {order.why}"
                    halt = Halt(order.generation, TradingState.HALTED, "breaker", why, "slipstream resume", order.ns)
                    await bus.publish(TOPICS.halt("breaker", slug), halt, retain=True)
                    self.pods[slug].flat = True


@asynccontextmanager
async def playing(fund: PlayedFund) -> AsyncIterator[PlayedFund]:
    """The fund runs while the block does."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(fund.run())
        try:
            yield fund
        finally:
            task.cancel()


def fund_file(port: int) -> FundFile:
    """What `slipstream up` would write."""
    url = f"mqtt://127.0.0.1:{port}"
    return FundFile(realm=REALM, bus_url=url, credentials="bus/credentials.json", pods=PODS, speed=float(SPEED))


async def _serve(directory: str) -> None:
    """Play on a real broker until interrupted: for looking at the views."""
    folder = Path(directory)
    options = BrokerOptions(directory=folder / "bus", processes=processes(PODS), realm=REALM)
    async with EmbeddedBroker(options) as broker:
        write_fund_file(folder, fund_file(broker.port))
        await PlayedFund(broker.url, every=1.0, breaks=(broken(),)).run()


if __name__ == "__main__":
    import sys

    asyncio.run(_serve(sys.argv[1]))
