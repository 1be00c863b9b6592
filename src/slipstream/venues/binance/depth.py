"""Binance books kept in step by updates: a feed of `L2Book` events that starts anew at every gap."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from slipstream.model.errors import ConfigError, FeedStale, Retry
from slipstream.model.events import Disconnect, Event, L2Book, Reconnect
from slipstream.model.ports import Clock
from slipstream.venues.binance.book import DepthUpdate, LocalBook
from slipstream.venues.binance.feed import LIFE_SECONDS, MS, PUBLIC_URL, STREAMS, VENUE
from slipstream.venues.binance.rest import URL, BinanceRest

NAME = "binance.depth"
QUEUE = 4_096  # updates that wait while a snapshot is read
SNAPSHOT_SECONDS = 1.0  # between two snapshots of one symbol


class DepthOptions(msgspec.Struct, frozen=True, kw_only=True):
    """``symbols`` maps Binance's names to our coins; ``levels`` of each side are told.

    ``silent`` (wall seconds): a connection without any update for longer is given up.
    """

    symbols: Mapping[str, str]
    url: str = PUBLIC_URL
    rest_url: str = URL
    levels: int = 20
    snapshot_levels: int = 1_000
    silent: float = 10.0
    max_pause: float = 30.0


class DepthEnvelope(msgspec.Struct):
    """A message of a combined stream."""

    data: DepthUpdate | None = None


class BinanceDepth:
    """A `Feed` of books of venue "binance"."""

    def __init__(self, options: DepthOptions, clock: Clock) -> None:
        """Raises ConfigError if there is nothing to watch, or too much for one connection."""
        if not 0 < len(options.symbols) <= STREAMS:
            raise ConfigError(f"books need 1 to {STREAMS} symbols, not {len(options.symbols)}")
        base = options.url.rstrip("/")
        base = "ws" + base.removeprefix("http") if base.startswith("http") else base
        self._url = f"{base}/stream?streams=" + "/".join(f"{name.lower()}@depth@100ms" for name in options.symbols)
        self._options = options
        self._clock = clock
        self._closing = False
        self._decode = msgspec.json.Decoder(DepthEnvelope).decode
        self._books: dict[str, LocalBook] = {}
        self._asked: dict[str, float] = {}

    async def events(self) -> AsyncIterator[Event]:
        """Books as they change, once joined; Disconnect and Reconnect around every gap of the connection."""
        pause = 0.25
        async with aiohttp.ClientSession() as session:
            rest = BinanceRest(session, self._options.rest_url)
            while self._is_open():
                began, reason = time.monotonic(), "closed by the exchange"
                try:
                    async with connect(
                        self._url, compression=None, max_queue=QUEUE, ping_interval=60.0, open_timeout=10.0
                    ) as socket:
                        self._books = {name: LocalBook() for name in self._options.symbols}
                        yield Reconnect(NAME, self._clock.now())
                        async for event in self._read(socket, rest, began):
                            yield event
                except (OSError, TimeoutError, WebSocketException, Retry) as error:
                    reason = f"{type(error).__name__}: {error}"
                if not self._is_open():
                    return
                yield Disconnect(NAME, reason, self._clock.now())
                pause = 0.25 if time.monotonic() - began > 60.0 else min(self._options.max_pause, pause * 2.0)
                await asyncio.sleep(pause * (0.5 + random.random()))

    def _is_open(self) -> bool:
        return not self._closing

    async def _read(self, socket: ClientConnection, rest: BinanceRest, began: float) -> AsyncIterator[Event]:
        while self._is_open() and time.monotonic() - began < LIFE_SECONDS:
            async with asyncio.timeout(self._options.silent):
                text: Any = await socket.recv()
            try:
                update = self._decode(text).data
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # answers to subscriptions and the like
            if update is None or update.s not in self._books:
                continue
            book = self._books[update.s]
            with suppress(FeedStale):  # the book is empty then and asks for a snapshot
                book.apply(update)
            if book.needs_snapshot:
                await self._join(update.s, book, rest)
            if book.is_ready:
                bids, asks = book.levels(self._options.levels)
                coin = self._options.symbols[update.s]
                yield L2Book(VENUE, coin, bids, asks, update.T * MS, self._clock.now())

    async def _join(self, symbol: str, book: LocalBook, rest: BinanceRest) -> None:
        now = time.monotonic()
        if now - self._asked.get(symbol, -SNAPSHOT_SECONDS) < SNAPSHOT_SECONDS:
            return
        self._asked[symbol] = now
        snapshot = await rest.depth(symbol, self._options.snapshot_levels)
        with suppress(FeedStale):  # older than the first update: once more after the next one
            book.snapshot(snapshot)

    async def close(self) -> None:
        """Leave after the message under way."""
        self._closing = True
