"""One socket's way out: frames wait here until the network takes them."""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import WSMsgType, web

MOST = 20_000  # frames; who reads slower than this is cut off
QUIET_SECONDS = 60.0


class Outbox:
    """A bounded queue of text frames with a single writer."""

    def __init__(self, transport: asyncio.BaseTransport | None) -> None:
        self._transport = transport
        self._frames: deque[bytes] = deque()
        self._news = asyncio.Event()
        self.gone = False

    def push(self, frame: bytes) -> None:
        """Queue a frame; a reader too slow to follow is cut off."""
        if self.gone:
            return
        if len(self._frames) >= MOST:
            self.close()
            return
        self._frames.append(frame)
        self._news.set()

    def close(self) -> None:
        """Cut the connection: no closing handshake, nothing queued gets out."""
        self.gone = True
        self._frames.clear()
        self._news.set()
        if self._transport is not None:
            abort = getattr(self._transport, "abort", self._transport.close)
            abort()

    async def write(self, ws: web.WebSocketResponse, quiet: float | None = QUIET_SECONDS) -> None:
        """Send what is queued until the connection is gone; close it after ``quiet`` seconds without a frame."""
        try:
            while not self.gone:
                while self._frames:
                    await ws.send_frame(self._frames.popleft(), WSMsgType.TEXT)
                self._news.clear()
                if self._frames or self.gone:
                    continue
                async with asyncio.timeout(quiet):
                    await self._news.wait()
        except TimeoutError:
            await ws.close(code=1000, message=b"Inactive")
        except ConnectionError:
            self.gone = True
