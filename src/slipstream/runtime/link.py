"""A pod's link to its fund: beats and reports go out, mandates, halts and new limits come in.

The bus is a hint. What comes in becomes an event of the kernel, journalled like any other; what does not come in makes
the lease expire. While no beat of the breaker is heard the pod only reduces: nobody could stop it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from slipstream.execution.permit import WATCH
from slipstream.model.events import Event
from slipstream.model.mandate import Halt, Mandate, Resume, TradingState
from slipstream.model.messages import Beat, Configure, Decision, PodReport
from slipstream.model.topics import ALL, Topics
from slipstream.runtime.bus.port import Bus, Received

STATUS_EVERY = 10  # reports between two that replace whatever stands as the pod's status


class LinkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Wall seconds. ``guard`` is the process without whose beat the pod only reduces; empty: none."""

    realm: str
    beat_every: float = 1.0
    report_every: float = 1.0
    guard: str = "breaker"
    guard_after: float = 6.0


class Linked(Protocol):
    """The pod, as its link sees it."""

    @property
    def slug(self) -> str:
        """Its name."""
        ...

    def put(self, event: Event) -> None:
        """Take an event in."""
        ...

    def report(self, seq: int) -> PodReport:
        """What it says of itself now."""
        ...

    def now(self) -> int:
        """Venue time, ns."""
        ...


class Link:
    """Runs for as long as the pod does; a lost bus ends nothing."""

    def __init__(self, bus: Bus, pod: Linked, options: LinkOptions, *, wall: Callable[[], float] = time.monotonic):
        self._bus = bus
        self._pod = pod
        self._options = options
        self._topics = Topics(options.realm)
        self._wall = wall
        self._heard = wall()
        self._guarded = True
        self._said: tuple[object, ...] = ()
        self._phase = ""
        self._seq = 0

    async def run(self) -> None:
        """Talk and listen until cancelled."""
        topics, slug = self._topics, self._pod.slug
        await self._bus.subscribe(
            topics.mandate(slug),
            topics.halt("+", slug),
            topics.halt("+", ALL),
            topics.configure(slug),
            topics.beat(self._options.guard or "breaker"),
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._beat())
            group.create_task(self._tell())

    async def _listen(self) -> None:
        async for received in self._bus.messages():
            self.take(received)

    def take(self, received: Received) -> None:
        """Turn a message into an event of the kernel."""
        message = received.message
        if isinstance(message, Beat):
            if message.process == self._options.guard and not received.retained:
                self._heard = self._wall()
        elif isinstance(message, Mandate | Configure):
            if message.pod == self._pod.slug:
                self._pod.put(message)
        elif isinstance(message, Halt | Resume):
            writer = received.topic.split("/")[-2]
            # a writer speaks for itself alone; only the operator clears what others have latched
            if message.who.partition(":")[0] != writer and writer != "operator":
                return
            if isinstance(message, Resume) and writer != "operator":
                message = msgspec.structs.replace(message, whose=writer)
            self._pod.put(message)

    async def _beat(self) -> None:
        seq = 0
        while True:
            seq += 1
            report = self._pod.report(self._seq)
            beat = Beat(self._pod.slug, os.getpid(), report.run, seq, self._pod.now(), time.time_ns())
            await self._bus.publish(self._topics.beat(self._pod.slug), beat)
            self.watch()
            await asyncio.sleep(self._options.beat_every)

    def watch(self) -> None:
        """Reduce while the guard's beat is missing; go on when it is back."""
        if not self._options.guard:
            return
        silent = self._wall() - self._heard
        if silent <= self._options.guard_after:
            if not self._guarded:
                self._guarded = True
                now = self._pod.now()
                self._pod.put(Resume(now, WATCH, f"the {self._options.guard} is back", now, whose=WATCH))
        elif self._guarded:
            self._guarded = False
            now = self._pod.now()
            why = f"no beat of the {self._options.guard} for more than {self._options.guard_after:g} s"
            self._pod.put(Halt(now, TradingState.REDUCING, WATCH, why, "its beat comes back", now))

    async def _tell(self) -> None:
        while True:
            await self.tell()
            await asyncio.sleep(self._options.report_every)

    async def tell(self) -> None:
        """Report once; say what changed."""
        self._seq += 1
        report = self._pod.report(self._seq)
        await self._bus.publish(self._topics.pod(report.pod, "report"), report, retain=True)
        # a will that a torn connection left behind must not outlive it
        if report.phase != self._phase or self._seq % STATUS_EVERY == 1:
            self._phase = report.phase
            await self._bus.publish(self._topics.pod(report.pod, "status"), report, retain=True)
        said = (report.state, report.reasons)
        if said != self._said:
            self._said = said
            text = f"{report.state.value} under mandate {report.mandate_version}"
            decision = Decision("obeys", report.pod, text, report.ns, report.reasons)
            await self._bus.publish(self._topics.pod(report.pod, "ack"), decision)
