"""Binance USD-M as a reference feed: best prices or trades by WebSocket, reconnecting, with a staleness watch.

The exchange routes best prices and trades apart (``/public`` and ``/market``): each has a feed of its own.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Literal

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from slipstream.model.errors import ConfigError
from slipstream.model.events import Bbo, Disconnect, Event, Reconnect, Trade
from slipstream.model.instrument import Side
from slipstream.model.ports import Clock

VENUE = "binance"
MS = 1_000_000
LIFE_SECONDS = 23 * 3_600.0  # the exchange ends every connection after 24 hours
STREAMS = 200  # on one connection at most
PUBLIC_URL = "wss://fstream.binance.com/public"
MARKET_URL = "wss://fstream.binance.com/market"


class BookTicker(msgspec.Struct):
    """A `bookTicker` message."""

    s: str
    b: str
    B: str
    a: str
    A: str
    T: int


class AggTrade(msgspec.Struct):
    """An `aggTrade` message; ``m``: the buyer rested, so a seller took."""

    s: str
    a: int
    p: str
    q: str
    T: int
    m: bool


class TickerEnvelope(msgspec.Struct):
    """A best price of a combined stream."""

    data: BookTicker | None = None


class TradeEnvelope(msgspec.Struct):
    """A trade of a combined stream."""

    data: AggTrade | None = None


class FeedOptions(msgspec.Struct, frozen=True, kw_only=True):
    """``symbols`` maps Binance's names to our coins. ``url`` is the WebSocket base, ``http`` ones are turned into it.

    ``kind`` is what to hear: trades belong to `MARKET_URL`. ``stale_ns`` (venue time): a connection on which every
    symbol has been silent for longer is given up.
    """

    symbols: Mapping[str, str]
    url: str = PUBLIC_URL
    kind: Literal["bookTicker", "aggTrade"] = "bookTicker"
    stale_ns: int = 10_000_000_000
    max_pause: float = 30.0


def symbol_of(coin: str) -> str:
    """Binance's name of a coin's USDT perp (kPEPE is 1000PEPEUSDT)."""
    return f"1000{coin[1:]}USDT" if coin[:1] == "k" and coin[1:].isupper() else f"{coin}USDT"


class BinanceFeed:
    """A `Feed` of `Bbo` (or `Trade`) events of venue "binance". A 1000-unit symbol has the prices of our k-coin."""

    def __init__(self, options: FeedOptions, clock: Clock) -> None:
        """Raises ConfigError if there is nothing to watch, or too much for one connection."""
        if not 0 < len(options.symbols) <= STREAMS:
            raise ConfigError(f"the anchor needs 1 to {STREAMS} symbols, not {len(options.symbols)}")
        base = options.url.rstrip("/")
        if base.startswith("http"):
            base = "ws" + base.removeprefix("http")
        names = "/".join(f"{name.lower()}@{options.kind}" for name in options.symbols)
        self._url = f"{base}/stream?streams={names}"
        self._options = options
        self._clock = clock
        self._closing = False
        self._heard_ns = 0
        trades = options.kind == "aggTrade"
        self._name = f"{VENUE}.trades" if trades else VENUE
        envelope: Any = TradeEnvelope if trades else TickerEnvelope
        self._decode = msgspec.json.Decoder(envelope).decode

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
                    yield Reconnect(self._name, self._clock.now())
                    self._heard_ns = self._clock.now()
                    async for event in self._read(socket, began):
                        yield event
                    reason = self._why(began)
            except (OSError, TimeoutError, WebSocketException) as error:
                reason = f"{type(error).__name__}: {error}"
            if not self._is_open():
                return
            yield Disconnect(self._name, reason, self._clock.now())
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
                row = self._decode(text).data
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # answers to subscriptions and the like
            if row is None or row.s not in self._options.symbols:
                continue
            self._heard_ns = self._clock.now()
            yield to_event(row, self._options.symbols[row.s], self._heard_ns)

    async def close(self) -> None:
        """Leave after the message under way."""
        self._closing = True


def to_event(row: BookTicker | AggTrade, coin: str, recv_ns: int) -> Bbo | Trade:
    """A message as an event under our coin's name."""
    if isinstance(row, AggTrade):
        side = Side.SELL if row.m else Side.BUY
        return Trade(VENUE, coin, float(row.p), float(row.q), side, row.a, row.T * MS, recv_ns)
    return Bbo(VENUE, coin, float(row.b), float(row.B), float(row.a), float(row.A), row.T * MS, recv_ns)
