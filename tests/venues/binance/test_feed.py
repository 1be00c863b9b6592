"""The reference feed against the emulated exchange's Binance side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from slipstream.model.errors import ConfigError, NotConnected, VenueRejected
from slipstream.model.events import Bbo, Disconnect, Event, L2Book, Reconnect, Trade
from slipstream.model.instrument import Side
from slipstream.model.ports import Feed
from slipstream.venues.binance.depth import BinanceDepth, DepthOptions
from slipstream.venues.binance.feed import AggTrade, BinanceFeed, BookTicker, FeedOptions, symbol_of, to_event
from slipstream.venues.binance.rest import BinanceRest
from slipstream.venues.emulator.serve import RunningVenue, ServeOptions, running_venue

SYMBOLS = {"BTCUSDT": "BTC", "ETHUSDT": "ETH"}


class Wall:
    def now(self) -> int:
        return time.time_ns()


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    options = ServeOptions(port=0, pace="clock", control=True, coins=("BTC", "ETH"))
    async with running_venue(options) as running:
        yield running


@asynccontextmanager
async def listening(options: FeedOptions | DepthOptions) -> AsyncIterator[list[Event]]:
    feed: Feed = BinanceDepth(options, Wall()) if isinstance(options, DepthOptions) else BinanceFeed(options, Wall())
    events: list[Event] = []

    async def listen() -> None:
        async for event in feed.events():
            events.append(event)  # noqa: PERF401

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(listen())
        try:
            yield events
        finally:
            await feed.close()
            task.cancel()


async def until(found: Any, seconds: float = 8.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (out := found()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return out


async def test_best_prices_by_our_names(venue: RunningVenue) -> None:
    async with listening(FeedOptions(symbols=SYMBOLS, url=venue.url)) as events:
        await until(lambda: {e.coin for e in events if isinstance(e, Bbo)} == {"BTC", "ETH"})
        assert isinstance(events[0], Reconnect) and events[0].feed == "binance"
        bbo = next(e for e in events if isinstance(e, Bbo))
        assert bbo.venue == "binance" and 0 < bbo.bid_px < bbo.ask_px
        assert abs(bbo.event_ns - bbo.recv_ns) < 5_000_000_000


async def test_it_comes_back_after_every_cut(venue: RunningVenue) -> None:
    async with listening(FeedOptions(symbols=SYMBOLS, url=venue.url)) as events:
        for times in (1, 2):
            await until(lambda times=times: sum(isinstance(e, Reconnect) for e in events) == times)
            seen = len(events)
            await until(lambda seen=seen: any(isinstance(e, Bbo) for e in events[seen:]))
            assert venue.control is not None
            venue.control.answer("drop", b"{}", "127.0.0.1")
            await until(lambda times=times: sum(isinstance(e, Disconnect) for e in events) == times)


async def test_a_silent_connection_is_given_up(venue: RunningVenue) -> None:
    async with listening(FeedOptions(symbols=SYMBOLS, url=venue.url, stale_ns=1_000_000_000)) as events:
        await until(lambda: any(isinstance(e, Bbo) for e in events))
        assert venue.control is not None
        venue.control.answer("clock", b'{"paused": true}', "127.0.0.1")
        gone = await until(lambda: next((e for e in events if isinstance(e, Disconnect)), None))
        assert gone.reason == "every symbol is silent"


async def test_trades_have_a_feed_of_their_own(venue: RunningVenue) -> None:
    options = FeedOptions(symbols=SYMBOLS, url=f"{venue.url}/market", kind="aggTrade")
    async with listening(options) as events:
        trade = await until(lambda: next((e for e in events if isinstance(e, Trade)), None))
        assert trade.venue == "binance" and trade.px > 0 and trade.sz > 0
        assert events[0] == Reconnect("binance.trades", events[0].ns)


async def test_books_are_joined_to_a_snapshot_and_followed(venue: RunningVenue) -> None:
    options = DepthOptions(symbols=SYMBOLS, url=f"{venue.url}/public", rest_url=venue.url, levels=5)
    async with listening(options) as events:
        await until(lambda: sum(isinstance(e, L2Book) and e.coin == "BTC" for e in events) >= 5)
        book = [e for e in events if isinstance(e, L2Book)][-1]
        assert book.venue == "binance" and 0 < book.bids[0][0] < book.asks[0][0]
        assert list(book.bids) == sorted(book.bids, reverse=True) and len(book.asks) == 5
        assert not any(isinstance(e, Disconnect) for e in events)


def test_messages_as_events() -> None:
    sold = to_event(AggTrade("BTCUSDT", 5, "97900.1", "0.5", 7, True), "BTC", 9)
    assert sold == Trade("binance", "BTC", 97900.1, 0.5, Side.SELL, 5, 7_000_000, 9)
    best = to_event(BookTicker("BTCUSDT", "1.5", "2", "1.6", "3", 7), "BTC", 9)
    assert best == Bbo("binance", "BTC", 1.5, 2.0, 1.6, 3.0, 7_000_000, 9)


def test_names() -> None:
    assert symbol_of("BTC") == "BTCUSDT"
    assert symbol_of("kPEPE") == "1000PEPEUSDT"
    assert symbol_of("kite") == "kiteUSDT"
    with pytest.raises(ConfigError, match="1 to 200 symbols"):
        BinanceFeed(FeedOptions(symbols={}), Wall())


async def test_reads(venue: RunningVenue) -> None:
    async with aiohttp.ClientSession() as session:
        rest = BinanceRest(session, venue.url)
        ticker = await rest.ticker("BTCUSDT")
        assert 0 < float(ticker.bid_price) < float(ticker.ask_price)
        book = await rest.depth("BTCUSDT", 20)
        assert float(book.bids[0][0]) < float(book.asks[0][0])
        now_ms = time.time_ns() // 1_000_000
        bars = await rest.klines("BTCUSDT", "1m", now_ms - 600_000, 5)
        assert 0 < len(bars) <= 5 and float(bars[0].low) <= float(bars[0].open) <= float(bars[0].high)
        with pytest.raises(VenueRejected):
            await rest.ticker("NOSUCHUSDT")
        with pytest.raises(NotConnected):
            await BinanceRest(session, "http://127.0.0.1:1").ticker("BTCUSDT")
