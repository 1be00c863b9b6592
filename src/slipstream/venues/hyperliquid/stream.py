"""One WebSocket to the venue: connects, subscribes, pings, and does all of it again for as long as it takes.

Every close, whatever its code, is followed by another try after a jittered, growing pause. The owner hears `on_open`
when every subscription of a new connection was confirmed, `on_frame` for every frame, `on_close` when it is gone.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from slipstream.model.errors import Retry, VenueRejected
from slipstream.venues.hyperliquid.wire import Frame

PING_SECONDS = 20.0  # the venue closes a connection that was silent for 60 s
PONG_SECONDS = 10.0
CONNECTS = 25  # new connections a minute at most; the venue allows 30
SUBSCRIBE_SECONDS = 10.0
GOODBYE = 1.0  # seconds; a socket full of market data hears no answer to its farewell
PING = b'{"method":"ping"}'


class Stale(Exception):
    """The connection lives but a stream on it does not."""


class Stream:
    """See the module. ``now`` is a monotonic clock in seconds."""

    def __init__(
        self,
        url: str,
        subscriptions: Sequence[dict[str, Any]],
        *,
        on_open: Callable[[], Awaitable[None]],
        on_frame: Callable[[Frame], None],
        on_close: Callable[[str], None],
        now: Callable[[], float],
        max_pause: float = 30.0,
    ) -> None:
        self._url = "ws" + url.rstrip("/").removeprefix("http") + "/ws"
        self._subscriptions = list(subscriptions)
        self._on_open = on_open
        self._on_frame = on_frame
        self._on_close = on_close
        self._now = now
        self._max_pause = max_pause
        self._decode = msgspec.json.Decoder(Frame).decode
        self._connects: deque[float] = deque()
        self._pong = asyncio.Event()
        self._confirmed = asyncio.Event()
        self._missing = 0
        self._broken: asyncio.Future[None] | None = None
        self.connections = 0

    async def run(self) -> None:
        """Stay connected until cancelled."""
        pause = 0.25
        while True:
            await self._pace()
            began = self._now()
            try:
                reason = await self._live()
            except (OSError, TimeoutError, WebSocketException) as error:
                reason = f"{type(error).__name__}: {error}"
            self._on_close(reason)
            if self._now() - began > 60.0:
                pause = 0.25
            await asyncio.sleep(pause * (0.5 + random.random()))
            pause = min(self._max_pause, pause * 2.0)

    async def _pace(self) -> None:
        """Hold back where the venue would count too many new connections."""
        while self._connects and self._connects[0] <= self._now() - 60.0:
            self._connects.popleft()
        if len(self._connects) >= CONNECTS:
            await asyncio.sleep(self._connects[0] + 60.0 - self._now())
        self._connects.append(self._now())

    def drop(self, reason: str) -> None:
        """Give the connection up and make a new one."""
        if self._broken is not None and not self._broken.done():
            self._broken.set_exception(Stale(reason))

    async def _live(self) -> str:
        """One connection from start to end; why it ended."""
        reason = ""
        async with connect(
            self._url,
            compression=None,
            ping_interval=None,
            max_size=16 * 1024 * 1024,
            open_timeout=10.0,
            close_timeout=GOODBYE,
        ) as socket:
            self.connections += 1
            self._broken = asyncio.get_running_loop().create_future()
            self._missing = len(self._subscriptions)
            self._confirmed.clear()
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(self._read(socket)),
                        group.create_task(self._ping(socket)),
                        group.create_task(self._open(socket)),
                        group.create_task(self._watch()),
                    ]
                    await asyncio.wait(tasks[:1] + tasks[3:], return_when=asyncio.FIRST_COMPLETED)
                    for task in tasks:
                        task.cancel()
            except* (OSError, TimeoutError, WebSocketException, Stale, Retry, VenueRejected) as errors:
                reason = f"{type(errors.exceptions[0]).__name__}: {errors.exceptions[0]}"
            finally:
                self._broken.cancel()
        ours = asyncio.current_task()
        if ours is not None and ours.cancelling():
            # a group that fails while it is cancelled tells of the failure alone (Python 3.11): the stop would be lost
            raise asyncio.CancelledError
        return reason or f"closed by the venue, code {socket.close_code}"

    async def _watch(self) -> None:
        assert self._broken is not None
        with suppress(asyncio.CancelledError):
            await asyncio.shield(self._broken)

    async def _open(self, socket: ClientConnection) -> None:
        for subscription in self._subscriptions:
            await socket.send(msgspec.json.encode({"method": "subscribe", "subscription": subscription}), text=True)
        if self._subscriptions:
            async with asyncio.timeout(SUBSCRIBE_SECONDS):
                await self._confirmed.wait()
        await self._on_open()

    async def _ping(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            self._pong.clear()
            await socket.send(PING, text=True)
            async with asyncio.timeout(PONG_SECONDS):
                await self._pong.wait()

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            try:
                frame = self._decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # such as the greeting in plain text
            if frame.channel == "pong":
                self._pong.set()
            elif frame.channel == "subscriptionResponse" or (
                frame.channel == "error" and b"Already subscribed" in bytes(frame.data)
            ):
                self._missing -= 1
                if self._missing <= 0:
                    self._confirmed.set()
            else:
                self._on_frame(frame)
