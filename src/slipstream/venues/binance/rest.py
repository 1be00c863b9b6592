"""Binance USD-M's public REST: best prices, depth, candles. Read only, always with a timeout."""

from __future__ import annotations

from typing import Any, TypeVar

import aiohttp
import msgspec

from slipstream.model.errors import NotConnected, RateLimited, Retry, VenueRejected
from slipstream.venues.binance.book import Snapshot

T = TypeVar("T")
URL = "https://fapi.binance.com"
KLINES = 1_500  # candles of one answer at most


class Ticker(msgspec.Struct, rename="camel"):
    """`ticker/bookTicker`."""

    symbol: str
    bid_price: str
    bid_qty: str
    ask_price: str
    ask_qty: str
    time: int = 0


class DayTicker(msgspec.Struct, rename="camel"):
    """`ticker/24hr`: what a symbol traded in the last 24 hours; ``quote_volume`` in its quote asset."""

    symbol: str
    quote_volume: str
    last_price: str


class Kline(msgspec.Struct, frozen=True, array_like=True):
    """A candle; times in ms. The exchange sends further fields that are not read."""

    open_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    close_ms: int


class BinanceRest:
    """Reads of one host. ``timeout`` is seconds for a whole request."""

    def __init__(self, session: aiohttp.ClientSession, url: str = URL, timeout: float = 10.0) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(5.0, timeout))
        self.used_weight = 0

    async def ticker(self, symbol: str) -> Ticker:
        """A symbol's best prices."""
        return await self._get("ticker/bookTicker", Ticker, symbol=symbol)

    async def days(self) -> list[DayTicker]:
        """The last 24 hours of every symbol."""
        return await self._get("ticker/24hr", list[DayTicker])

    async def depth(self, symbol: str, limit: int = 1_000) -> Snapshot:
        """A symbol's book."""
        return await self._get("depth", Snapshot, symbol=symbol, limit=limit)

    async def klines(self, symbol: str, interval: str, start_ms: int, limit: int = KLINES) -> list[Kline]:
        """Candles from a time on, oldest first."""
        return await self._get("klines", list[Kline], symbol=symbol, interval=interval, startTime=start_ms, limit=limit)

    async def _get(self, path: str, kind: type[T], **params: Any) -> T:
        """Raises NotConnected, RateLimited (429; 418 is a ban), Retry, or VenueRejected with its text."""
        try:
            async with self._session.get(
                f"{self._url}/fapi/v1/{path}", params=params, timeout=self._timeout
            ) as response:
                text, status, headers = await response.read(), response.status, response.headers
        except aiohttp.ClientConnectorError as error:
            raise NotConnected(f"{self._url}: {error.os_error.strerror or error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retry(f"{path}: {type(error).__name__} {error}") from error
        used = headers.get("X-MBX-USED-WEIGHT-1M", "")
        self.used_weight = int(used) if used.isdigit() else self.used_weight
        if status in (418, 429):
            wait = headers.get("Retry-After", "")
            raise RateLimited(f"{path}: the exchange says {status}", float(wait) if wait.isdigit() else 60.0)
        if status >= 500:
            raise Retry(f"{path}: the exchange answers {status}")
        if status != 200:
            raise VenueRejected(f"{path}: the exchange answers {status}: {text[:200].decode('utf-8', 'replace')}")
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Retry(f"{path}: cannot read the answer: {error}") from error
