"""Keeps a clock with a venue whose time runs faster than the wall, also when the venue cannot keep its speed.

Such a venue slips: its time falls behind what its speed promises. A clock that ran on would find every price stale. So
the venue is asked now and then; a clock that is behind jumps ahead, one that is ahead runs slower until they agree.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from slipstream.model.errors import NotConnected
from slipstream.runtime.clock import ScaledClock, venue_clock

SLOWEST = 0.02  # of the nominal speed: time goes on, however far ahead the clock is


def steer(clock: ScaledClock, nominal: float, venue_ns: int, pace: float, within: float) -> None:
    """Set a clock's speed so that it meets the venue's time in ``within`` wall seconds; ``pace`` is the venue's."""
    ahead = max(0, clock.now() - venue_ns)
    clock.set(venue_ns)  # jumps ahead, or starts a new stretch from where it is
    clock.speed = min(nominal, max(SLOWEST * nominal, pace - ahead / 1e9 / within))


async def keep_pace(clock: ScaledClock, url: str, *, every: float = 1.0) -> None:
    """Steer until cancelled, asking every so many wall seconds. A venue that does not answer is asked again."""
    nominal = clock.speed
    last: tuple[int, int] | None = None
    while True:
        await asyncio.sleep(every)
        try:
            found = await venue_clock(url)
        except (NotConnected, aiohttp.ClientError):
            last = None
            continue
        wall_ns, venue_ns = time.monotonic_ns(), found.now()
        pace = nominal
        if last is not None and wall_ns > last[0]:
            pace = max(0.0, (venue_ns - last[1]) / (wall_ns - last[0]))
        last = (wall_ns, venue_ns)
        steer(clock, nominal, venue_ns, pace, every)


@asynccontextmanager
async def paced(clock: ScaledClock, url: str) -> AsyncIterator[None]:
    """The clock keeps pace with the venue for as long as this is open, where its time is not the wall's."""
    async with asyncio.TaskGroup() as group:
        pace = group.create_task(keep_pace(clock, url), name="pace") if clock.speed != 1.0 else None
        try:
            yield
        finally:
            if pace is not None:
                pace.cancel()
