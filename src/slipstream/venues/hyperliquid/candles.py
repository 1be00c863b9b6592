"""Closed bars of many coins, by REST: the history at the start, then every bar soon after it closed.

Bars come in the order of their times, all coins of one time together; one that is still open is never delivered. A bar
that the venue does not have (no trade in it) does not come at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import msgspec

from slipstream.model.errors import RateLimited, Retry, VenueRejected
from slipstream.model.events import Candle, Disconnect, Event, Reconnect
from slipstream.model.ports import Clock
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.rest import Rest

FEED = "hl.candles"
HOUR_NS = 3_600_000_000_000
MS = 1_000_000
INTERVALS = {f"{hours}h": hours * HOUR_NS for hours in (1, 2, 4, 8, 12)} | {"1d": 24 * HOUR_NS}
SETTLE = 0.3  # wall seconds after a close before its bars are read
PAUSE, PAUSE_MAX = 0.5, 30.0


class WireCandle(msgspec.Struct):
    """One row of candleSnapshot: times in ms, prices and volume as text."""

    t: int
    o: str
    h: str
    l: str  # noqa: E741 - the venue's name
    c: str
    v: str


class CandleOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which bars of which coins; ``bars`` of history. ``ip_weight``: this feed's share of the weight a minute."""

    url: str
    coins: tuple[str, ...]
    interval: str = "4h"
    bars: int = 1_100
    ip_weight: int = 1_000


class CandleFeed:
    """A `Feed` of `Candle`. ``clock`` is the venue's; ``speed`` how much faster than the wall it runs."""

    def __init__(self, options: CandleOptions, clock: Clock, *, speed: float = 1.0) -> None:
        if options.interval not in INTERVALS:
            raise ValueError(f"interval {options.interval!r}; choose one of {', '.join(INTERVALS)}")
        self._options = options
        self._clock = clock
        self._speed = speed
        self._step = INTERVALS[options.interval]
        self._weights = Weights(time.monotonic, options.ip_weight, reserve=0)
        self._session: aiohttp.ClientSession | None = None
        self._last: dict[str, int] = {}  # open time of the last bar delivered, by coin
        self._down = False

    async def events(self) -> AsyncIterator[Event]:
        """Bars, and Disconnect and Reconnect when the venue stops and starts answering."""
        self._session = aiohttp.ClientSession()
        rest = Rest(self._session, self._options.url, self._weights, 20.0)
        since = self._boundary() - self._options.bars * self._step
        started = False
        while True:
            found: list[Candle] = []
            for coin in self._options.coins:
                async for event in self._read(rest, coin, self._last.get(coin, since - self._step) + self._step, found):
                    yield event
            for candle in sorted(found, key=lambda one: (one.open_ns, one.coin)):
                self._last[candle.coin] = max(self._last.get(candle.coin, 0), candle.open_ns)
                yield candle
            if not started:
                started = True
                yield Reconnect(FEED, self._clock.now())
            await self._until_next()

    def _boundary(self) -> int:
        """The last time at which a bar closed."""
        return self._clock.now() // self._step * self._step

    async def _until_next(self) -> None:
        close = self._boundary() + self._step
        while (left := close - self._clock.now()) > 0:  # noqa: ASYNC110 - a venue's clock sets no event
            # in short sleeps: a clock that is steered may run slower or faster meanwhile
            await asyncio.sleep(min(5.0, max(0.01, left / 1e9 / self._speed)))
        await asyncio.sleep(SETTLE)

    async def _read(self, rest: Rest, coin: str, start_ns: int, found: list[Candle]) -> AsyncIterator[Event]:
        """Add a coin's closed bars from a time on to ``found``; a venue that does not answer is asked again."""
        pause = PAUSE
        while True:
            body = {"coin": coin, "interval": self._options.interval, "startTime": start_ns // MS}
            body["endTime"] = self._clock.now() // MS
            try:
                rows = await rest.info("candleSnapshot", list[WireCandle], req=body)
            except RateLimited:
                await asyncio.sleep(1.0)  # the weight comes back by the second
                continue
            except (Retry, VenueRejected) as error:
                if not self._down:
                    self._down = True
                    yield Disconnect(FEED, str(error), self._clock.now())
                await asyncio.sleep(pause)
                pause = min(PAUSE_MAX, pause * 2)
                continue
            if self._down:
                self._down = False
                yield Reconnect(FEED, self._clock.now())
            now = self._clock.now()
            found.extend(
                bar for row in rows if (bar := self._bar(coin, row, now)).open_ns >= start_ns and bar.close_ns <= now
            )
            return

    def _bar(self, coin: str, row: WireCandle, now: int) -> Candle:
        open_ns = row.t * MS
        prices = (float(row.o), float(row.h), float(row.l), float(row.c), float(row.v))
        return Candle("hl", coin, self._step, open_ns, *prices, open_ns + self._step, now)

    async def close(self) -> None:
        """Leave."""
        if self._session is not None:
            await self._session.close()
