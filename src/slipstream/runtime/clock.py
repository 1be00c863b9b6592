"""Clocks: the wall's, one that runs at a venue's speed, and one that a test moves by hand.

A clock also waits: `wait` returns when an asyncio.Event is set or the clock reaches a time, whichever is first.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

import aiohttp

from slipstream.model.errors import NotConnected

MIN_DELAY = 0.0005  # seconds; below this a timer would only spin


class WaitingClock(Protocol):
    """A clock that can be waited on."""

    def now(self) -> int:
        """The time now, ns since the epoch."""
        ...

    async def wait(self, event: asyncio.Event, until_ns: int | None) -> None:
        """Return when the event is set or the time has come (None: the event alone)."""
        ...


class ScaledClock:
    """Venue time = ``origin`` + ``speed`` x (wall - ``since``). At speed 1 with an offset it is a venue's own clock."""

    def __init__(
        self, speed: float = 1.0, offset_ns: int = 0, *, wall: Callable[[], int] = time.monotonic_ns, start_ns: int = 0
    ) -> None:
        if not 0.0 < speed < float("inf"):
            raise ValueError(f"speed is {speed}; give a factor above 0")
        self.speed = speed
        self._wall = wall
        self._since = wall()
        self._origin = (start_ns or time.time_ns()) + offset_ns

    def now(self) -> int:
        """The venue's time now, ns. It never goes back."""
        return self._origin + int((self._wall() - self._since) * self.speed)

    def set(self, now_ns: int) -> None:
        """Move to the venue's time, forwards only: a correction backwards is made by standing still until then."""
        current = self.now()
        self._since = self._wall()
        self._origin = max(now_ns, current)

    def delay(self, until_ns: int) -> float:
        """Wall seconds until a time; never below the shortest useful sleep."""
        return max(MIN_DELAY, (until_ns - self.now()) / self.speed / 1e9)

    async def wait(self, event: asyncio.Event, until_ns: int | None) -> None:
        """Return when the event is set or the time has come."""
        if event.is_set():
            return
        if until_ns is None:
            await event.wait()
            return
        try:
            async with asyncio.timeout(self.delay(until_ns)):
                await event.wait()
        except TimeoutError:
            return


class WallClock(ScaledClock):
    """The machine's clock, monotonic after start."""

    def __init__(self) -> None:
        super().__init__(1.0)


class SimClock:
    """A clock that stands until a test moves it; waiters wake in the order of their times."""

    def __init__(self, now_ns: int) -> None:
        self._now = now_ns
        self._waiters: list[tuple[int, int, asyncio.Event]] = []
        self._number = count()

    def now(self) -> int:
        """The time now, ns."""
        return self._now

    async def wait(self, event: asyncio.Event, until_ns: int | None) -> None:
        """Return when the event is set or the clock was moved to the time."""
        if event.is_set() or (until_ns is not None and until_ns <= self._now):
            await asyncio.sleep(0)
            return
        due = asyncio.Event()
        if until_ns is not None:
            heapq.heappush(self._waiters, (until_ns, next(self._number), due))
        first = asyncio.ensure_future(event.wait())
        second = asyncio.ensure_future(due.wait())
        try:
            await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            first.cancel()
            second.cancel()
            await asyncio.gather(first, second, return_exceptions=True)

    def advance(self, ns: int) -> None:
        """Move the clock and wake who waited for it."""
        self._now += ns
        while self._waiters and self._waiters[0][0] <= self._now:
            heapq.heappop(self._waiters)[2].set()


async def venue_clock(url: str, *, patience: float = 5.0) -> ScaledClock:
    """A clock synced from a venue's ``/healthz`` (``time`` in ms, ``speed``), half the round trip taken off.

    Raises NotConnected if nobody answers there, or something that is not a venue.
    """
    address = url.rstrip("/") + "/healthz"
    limit = aiohttp.ClientTimeout(total=patience)
    try:
        async with aiohttp.ClientSession(timeout=limit) as session:
            asked = time.monotonic_ns()
            async with session.get(address) as response:
                body = await response.json(content_type=None)
                took = time.monotonic_ns() - asked
            if response.status != 200:
                raise NotConnected(f"{address}: HTTP {response.status}; the venue is not ready")
            speed = float(body["speed"])
            now_ns = int(float(body["time"]) * 1e6)
            return ScaledClock(speed, start_ns=now_ns + int(took / 2 * speed))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NotConnected(f"{address}: {error or 'no answer'}; is the venue running?") from error
    except (KeyError, TypeError, ValueError) as error:
        raise NotConnected(f"{address}: not a venue's answer ({type(error).__name__}: {error})") from error
