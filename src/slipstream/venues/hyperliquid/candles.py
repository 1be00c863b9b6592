"""Closed bars of many coins, by REST: the history at the start, then every bar soon after it closed.

Where it is asked for, the settled funding of the past comes first: a pod's averages of it need not wait for days.

Bars come in the order of their times, all coins of one time together; one that is still open is never delivered. A bar
that the venue does not have (no trade in it) does not come at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import aiohttp
import msgspec

from slipstream.model.errors import RateLimited, Retry, VenueRejected
from slipstream.model.events import Candle, Disconnect, Event, FundingRate, Reconnect
from slipstream.model.ports import Clock
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.rest import Rest

Row = TypeVar("Row")
FEED = "hl.candles"
HOUR_NS = 3_600_000_000_000
MS = 1_000_000
INTERVALS = {f"{hours}h": hours * HOUR_NS for hours in (1, 2, 4, 8, 12)} | {"1d": 24 * HOUR_NS}
SETTLE = 0.3  # wall seconds after a close before its bars are read
PAUSE, PAUSE_MAX = 0.5, 30.0
FUNDING_PAGE = 500  # rows that one answer holds


class WireCandle(msgspec.Struct):
    """One row of candleSnapshot: times in ms, prices and volume as text."""

    t: int
    o: str
    h: str
    l: str  # noqa: E741 - the venue's name
    c: str
    v: str


class WireRate(msgspec.Struct, rename="camel"):
    """One row of fundingHistory."""

    time: int
    funding_rate: str


class CandleOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which bars of which coins; ``bars`` and ``funding_hours`` are history.

    ``ip_weight`` is this feed's share of the weight a minute.
    """

    url: str
    coins: tuple[str, ...]
    interval: str = "4h"
    bars: int = 1_100
    funding_hours: int = 0
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
        if self._options.funding_hours:
            for coin in self._options.coins:
                async for event in self._settled(rest, coin):
                    yield event
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
        """Add a coin's closed bars from a time on to ``found``."""
        span = {"startTime": start_ns // MS, "endTime": self._clock.now() // MS}
        body = {"req": {"coin": coin, "interval": self._options.interval, **span}}
        rows: list[WireCandle] = []
        async for event in self._ask(rest, "candleSnapshot", body, WireCandle, rows):
            yield event
        now = self._clock.now()
        found.extend(
            bar for row in rows if (bar := self._bar(coin, row, now)).open_ns >= start_ns and bar.close_ns <= now
        )

    async def _settled(self, rest: Rest, coin: str) -> AsyncIterator[Event]:
        """A coin's funding of the past, oldest first, page by page."""
        start = (self._clock.now() - self._options.funding_hours * HOUR_NS) // MS
        while True:
            rows: list[WireRate] = []
            body = {"coin": coin, "startTime": start, "endTime": self._clock.now() // MS}
            async for event in self._ask(rest, "fundingHistory", body, WireRate, rows):
                yield event
            for row in rows:
                yield FundingRate("hl", coin, float(row.funding_rate), row.time * MS, self._clock.now())
            if len(rows) < FUNDING_PAGE:
                return
            start = max(row.time for row in rows) + 1

    async def _ask(
        self, rest: Rest, kind: str, body: dict[str, Any], row: type[Row], rows: list[Row]
    ) -> AsyncIterator[Event]:
        """Fill ``rows`` with the venue's answer; one that does not answer is asked again."""
        pause = PAUSE
        while True:
            try:
                rows += await rest.info(kind, list[row], **body)  # type: ignore[valid-type]
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
            return

    def _bar(self, coin: str, row: WireCandle, now: int) -> Candle:
        open_ns = row.t * MS
        prices = (float(row.o), float(row.h), float(row.l), float(row.c), float(row.v))
        return Candle("hl", coin, self._step, open_ns, *prices, open_ns + self._step, now)

    async def close(self) -> None:
        """Leave."""
        if self._session is not None:
            await self._session.close()
