"""Binance's combined streams as they come: raw frames, for whoever keeps them; reconnecting, with a watch on silence.

`BinanceFeed` and `BinanceDepth` read their streams into events; this one reads nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from slipstream.model.errors import ConfigError
from slipstream.venues.binance.feed import LIFE_SECONDS, STREAMS


class RawStream:
    """One connection to ``url`` (http ones are turned into WebSocket) for named streams, such as btcusdt@bookTicker.

    The owner hears `on_open`, `on_frame` with every frame as sent, and `on_close` with the reason. ``silent``: a
    connection that brought nothing for so many wall seconds is given up.
    """

    def __init__(
        self,
        url: str,
        streams: Sequence[str],
        *,
        on_open: Callable[[], None],
        on_frame: Callable[[bytes], None],
        on_close: Callable[[str], None],
        silent: float = 15.0,
        max_pause: float = 30.0,
    ) -> None:
        """Raises ConfigError if there is nothing to hear, or too much for one connection."""
        if not 0 < len(streams) <= STREAMS:
            raise ConfigError(f"a connection to Binance takes 1 to {STREAMS} streams, not {len(streams)}")
        base = url.rstrip("/")
        base = "ws" + base.removeprefix("http") if base.startswith("http") else base
        self._url = f"{base}/stream?streams={'/'.join(streams)}"
        self._on_open = on_open
        self._on_frame = on_frame
        self._on_close = on_close
        self._silent = silent
        self._max_pause = max_pause

    async def run(self) -> None:
        """Stay connected until cancelled."""
        pause = 0.25
        while True:
            began = time.monotonic()
            try:
                reason = await self._live(began)
            except TimeoutError:
                reason = f"no connection, or silent for {self._silent:g} s"
            except (OSError, WebSocketException) as error:
                reason = f"{type(error).__name__}: {error}"
            self._on_close(reason)
            if time.monotonic() - began > 60.0:
                pause = 0.25
            await asyncio.sleep(pause * (0.5 + random.random()))
            pause = min(self._max_pause, pause * 2.0)

    async def _live(self, began: float) -> str:
        async with connect(
            self._url,
            compression=None,
            max_queue=4_096,
            ping_interval=60.0,
            ping_timeout=20.0,
            open_timeout=10.0,
            close_timeout=1.0,
        ) as socket:
            self._on_open()
            while time.monotonic() - began < LIFE_SECONDS:
                async with asyncio.timeout(self._silent):
                    self._on_frame(await socket.recv(decode=False))
        return "a day old"
