"""Closed bars against the emulator: history first, then each new bar, never one twice and never an open one."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from slipstream.model.events import Candle, Disconnect, Event, FundingRate, Reconnect
from slipstream.runtime.clock import venue_clock
from slipstream.venues.emulator.faults import Rule
from slipstream.venues.emulator.serve import ServeOptions, running_venue
from slipstream.venues.hyperliquid.candles import FEED, HOUR_NS, CandleFeed, CandleOptions


async def test_history_then_new_bars_in_order() -> None:
    # an hour of the venue is a second of the wall
    async with running_venue(ServeOptions(port=0, speed=3600.0, coins=("BTC", "ETH"))) as venue:
        clock = await venue_clock(venue.url)
        options = CandleOptions(url=venue.url, coins=("BTC", "ETH"), interval="1h", bars=20)
        feed = CandleFeed(options, clock, speed=clock.speed)
        bars: list[Candle] = []
        seen_live, ready = 0, False
        try:
            async with asyncio.timeout(20):
                async for event in feed.events():
                    if isinstance(event, Reconnect):
                        assert event.feed == FEED and len(bars) >= 38
                        ready = True
                    elif isinstance(event, Candle):
                        assert event.close_ns <= clock.now()
                        bars.append(event)
                        seen_live += ready
                    if seen_live >= 4:
                        break
        finally:
            await feed.close()
    keys = [(bar.coin, bar.open_ns) for bar in bars]
    assert len(keys) == len(set(keys))
    for coin in ("BTC", "ETH"):
        opens = [bar.open_ns for bar in bars if bar.coin == coin]
        assert opens == sorted(opens) and {b - a for a, b in pairwise(opens)} == {HOUR_NS}
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)


async def test_settled_funding_comes_first_by_the_page() -> None:
    async with running_venue(ServeOptions(port=0, coins=("BTC", "ETH"))) as venue:
        clock = await venue_clock(venue.url)
        options = CandleOptions(url=venue.url, coins=("BTC", "ETH"), bars=3, funding_hours=700)
        feed = CandleFeed(options, clock, speed=clock.speed)
        rates: list[FundingRate] = []
        try:
            async with asyncio.timeout(20):
                async for event in feed.events():
                    if not isinstance(event, FundingRate):
                        break
                    rates.append(event)
        finally:
            await feed.close()
        for coin in ("BTC", "ETH"):
            mine = [one for one in rates if one.coin == coin]
            assert len(mine) == 700 and mine[-1].event_ns <= clock.now()
            assert {round((b.event_ns - a.event_ns) / HOUR_NS, 4) for a, b in pairwise(mine)} == {1.0}
            rows = venue.venue.feed.funding_history(coin, 0, 10**14)
            told = {row["time"] * 1_000_000: float(row["fundingRate"]) for row in rows}
            assert all(one.rate == told[one.event_ns] for one in mine)


def test_an_interval_without_bars_is_refused() -> None:
    with pytest.raises(ValueError, match="7h"):
        CandleFeed(CandleOptions(url="http://127.0.0.1:1", coins=("BTC",), interval="7h"), None)  # type: ignore[arg-type]


async def test_a_venue_that_cannot_tell_its_funding_for_a_while_is_asked_until_it_can() -> None:
    """The averages of a pod need the whole history: it waits, said once, and gets every hour in the end."""
    async with running_venue(ServeOptions(port=0, coins=("BTC", "ETH"), control=True)) as venue:
        clock = await venue_clock(venue.url)
        venue.venue.faults.add(Rule(kind="server_error", path="info", status=500, count=3))
        options = CandleOptions(url=venue.url, coins=("BTC", "ETH"), bars=3, funding_hours=48)
        feed = CandleFeed(options, clock, speed=clock.speed)
        told: list[Event] = []
        try:
            async with asyncio.timeout(30):
                async for event in feed.events():
                    if isinstance(event, Candle):
                        break
                    told.append(event)
        finally:
            await feed.close()
    assert isinstance(told[0], Disconnect) and "500" in told[0].reason and isinstance(told[1], Reconnect)
    assert [type(event) for event in told].count(Disconnect) == 1
    assert len([event for event in told if isinstance(event, FundingRate)]) >= 2 * 47
