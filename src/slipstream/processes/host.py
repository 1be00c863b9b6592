"""What every process of a fund stands on: its config, the venue's clock, the bus, and a beat that says it lives."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from slipstream.model.errors import ConfigError, NotConnected
from slipstream.model.messages import Beat
from slipstream.model.topics import Topics
from slipstream.processes.fund import FundConfig
from slipstream.runtime.bus.connect import connect
from slipstream.runtime.bus.port import Bus
from slipstream.runtime.clock import ScaledClock, WallClock, venue_clock
from slipstream.runtime.pacing import keep_pace

BEAT_EVERY = 1.0  # wall seconds
STALLED = 30.0  # wall seconds without a round of work: longer than any request takes
VENUE_PATIENCE = 60.0  # wall seconds to wait for a local venue that is still starting


class Work:
    """When a process last did what it is for. One that no longer does must not say that it lives."""

    def __init__(self) -> None:
        self._done_at = time.monotonic()

    def done(self) -> None:
        """Another round."""
        self._done_at = time.monotonic()

    @property
    def stalled(self) -> bool:
        """Whether rounds have ceased."""
        return time.monotonic() - self._done_at > STALLED


class Host(msgspec.Struct, frozen=True):
    """The ground of one process. ``speed`` is venue time per wall time."""

    name: str
    fund: FundConfig
    clock: ScaledClock
    bus: Bus
    topics: Topics
    run: int
    work: Work = msgspec.field(default_factory=Work)

    @property
    def speed(self) -> float:
        """Venue seconds a wall second, nominally."""
        return self.clock.speed

    async def beat(self) -> None:
        """Beat until cancelled, while the process is at work."""
        seq = 0
        while True:
            if not self.work.stalled:
                seq += 1
                beat = Beat(self.name, os.getpid(), self.run, seq, self.clock.now(), time.time_ns())
                await self.bus.publish(self.topics.beat(self.name), beat)
            await asyncio.sleep(BEAT_EVERY)


async def clock_of(url: str, *, local: bool) -> ScaledClock:
    """The venue's clock; a local venue may still be starting. Raises NotConnected."""
    if not local:
        return WallClock()
    give_up = time.monotonic() + VENUE_PATIENCE
    while True:
        try:
            return await venue_clock(url)
        except NotConnected:
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(0.5)


@asynccontextmanager
async def hosted(fund: FundConfig, name: str, *, local: bool) -> AsyncIterator[Host]:
    """A process's ground, its beat going. Raises ConfigError without a bus, NotConnected without a venue."""
    if fund.bus.url is None:
        raise ConfigError(
            f"{name}: no bus; give bus.url in the fund's config or SLIPSTREAM_FUND_BUS__URL "
            "(mqtt://process:password@host:port); `slipstream up` starts a broker of its own"
        )
    clock = await clock_of(fund.hl_url, local=local)
    bus = connect(fund.bus.url, name, realm=fund.realm)
    host = Host(name, fund, clock, bus, Topics(fund.realm), int(time.time()) & 0xFFFFFFFF)
    async with bus, asyncio.TaskGroup() as group:
        tasks = [group.create_task(host.beat(), name="beat")]
        if clock.speed != 1.0:
            tasks.append(group.create_task(keep_pace(clock, fund.hl_url), name="pace"))
        try:
            yield host
        finally:
            for task in tasks:
                task.cancel()
