"""Binance USD-M best prices as a reference feed: `bookTicker` by WebSocket, reconnecting, with a staleness watch."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from slipstream.model.errors import ConfigError
from slipstream.model.events import Bbo, Disconnect, Event, Reconnect
from slipstream.model.ports import Clock

VENUE = "binance"
MS = 1_000_000
LIFE_SECONDS = 23 * 3_600.0  # the exchange ends every connection after 24 hours
STREAMS = 200  # on one connection at most
PUBLIC_URL = "wss://fstream.binance.com/public"


class BookTicker(msgspec.Struct):
    """A `bookTicker` message."""

    s: str
    b: str
    B: str
    a: str
    A: str
    T: int


class Envelope(msgspec.Struct):
    """A message of a combined stream."""

    data: BookTicker | None = None


class FeedOptions(msgspec.Struct, frozen=True, kw_only=True):
    """``symbols`` maps Binance's names to our coins. ``url`` is the WebSocket base, ``http`` ones are turned into it.

    ``stale_ns`` (venue time): a connection on which every symbol has been silent for longer is given up.
    """

    symbols: Mapping[str, str]
    url: str = PUBLIC_URL
    stale_ns: int = 10_000_000_000
    max_pause: float = 30.0


def symbol_of(coin: str) -> str:
    """Binance's name of a coin's USDT perp (kPEPE is 1000PEPEUSDT)."""
    return f"1000{coin[1:]}USDT" if coin[:1] == "k" and coin[1:].isupper() else f"{coin}USDT"


class BinanceFeed:
    """A `Feed` of `Bbo` events of venue "binance". Prices of 1000-unit symbols are those of our k-coins as they are."""

    def __init__(self, options: FeedOptions, clock: Clock) -> None:
        """Raises ConfigError if there is nothing to watch, or too much for one connection."""
        if not 0 < len(options.symbols) <= STREAMS:
            raise ConfigError(f"the anchor needs 1 to {STREAMS} symbols, not {len(options.symbols)}")
        base = options.url.rstrip("/")
        if base.startswith("http"):
            base = "ws" + base.removeprefix("http")
        names = "/".join(f"{name.lower()}@bookTicker" for name in options.symbols)
        self._url = f"{base}/stream?streams={names}"
        self._options = options
        self._clock = clock
        self._closing = False
        self._heard_ns = 0
        self._decode = msgspec.json.Decoder(Envelope).decode

    async def events(self) -> AsyncIterator[Event]:
        """Best prices as they come; Disconnect and Reconnect around every gap. Ends after `close`."""
        pause = 0.25
        while self._is_open():
            began = time.monotonic()
            reason = "closed"
            try:
                async with connect(
                    self._url, compression=None, ping_interval=60.0, ping_timeout=20.0, open_timeout=10.0
                ) as socket:
                    yield Reconnect(VENUE, self._clock.now())
                    self._heard_ns = self._clock.now()
                    async for event in self._read(socket, began):
                        yield event
                    reason = self._why(began)
            except (OSError, TimeoutError, WebSocketException) as error:
                reason = f"{type(error).__name__}: {error}"
            if not self._is_open():
                return
            yield Disconnect(VENUE, reason, self._clock.now())
            if time.monotonic() - began > 60.0:
                pause = 0.25
            await asyncio.sleep(pause * (0.5 + random.random()))
            pause = min(self._options.max_pause, pause * 2.0)

    def _why(self, began: float) -> str:
        if self._stale():
            return "every symbol is silent"
        return "a day old" if time.monotonic() - began > LIFE_SECONDS else "closed by the exchange"

    def _is_open(self) -> bool:
        return not self._closing

    def _stale(self) -> bool:
        return self._clock.now() - self._heard_ns > self._options.stale_ns

    async def _read(self, socket: ClientConnection, began: float) -> AsyncIterator[Event]:
        """Messages until the connection ends, falls silent or is a day old."""
        while self._is_open() and not self._stale() and time.monotonic() - began < LIFE_SECONDS:
            text: Any = None
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    text = await socket.recv()
            if text is None:
                continue
            try:
                ticker = self._decode(text).data
            except msgspec.DecodeError:
                continue  # answers to subscriptions and the like
            if ticker is None or ticker.s not in self._options.symbols:
                continue
            recv_ns = self._clock.now()
            self._heard_ns = recv_ns
            yield Bbo(
                VENUE,
                self._options.symbols[ticker.s],
                float(ticker.b),
                float(ticker.B),
                float(ticker.a),
                float(ticker.A),
                ticker.T * MS,
                recv_ns,
            )

    async def close(self) -> None:
        """Leave after the message under way."""
        self._closing = True
