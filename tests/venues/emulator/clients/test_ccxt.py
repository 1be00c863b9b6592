"""The installed ccxt, REST and streams, trades on a running venue and reads the reference exchange beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import ccxt.async_support as ccxt
import ccxt.pro as ccxt_pro
import pytest

from slipstream.venues.emulator.serve import RunningVenue

KEY = "0x" + "33" * 32
ADDRESS = "0x5cbdd86a2fa8dc4bddd8a8f69dba48572eec07fb"
SYMBOL = "ETH/USDC:USDC"
# aiohttp and ccxt warn about their own affairs (unclosed loops, deprecated arguments)
pytestmark = pytest.mark.filterwarnings("ignore")


@asynccontextmanager
async def client(venue: RunningVenue, module: Any = ccxt, **options: Any) -> AsyncIterator[Any]:
    exchange = module.hyperliquid(
        {
            "urls": {"api": {"public": venue.url, "private": venue.url, "ws": {"public": venue.ws_url}}},
            "walletAddress": ADDRESS,
            "privateKey": KEY,
            "enableRateLimit": False,
            "options": {"fetchMarkets": {"types": ["swap"]}, **options},
        }
    )
    try:
        yield exchange
    finally:
        await exchange.close()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


async def test_markets_orders_positions_and_balance(venue: RunningVenue) -> None:
    async with asyncio.timeout(60), client(venue) as exchange:
        markets = await exchange.load_markets()
        assert markets[SYMBOL]["active"] and markets[SYMBOL]["precision"]["amount"] == 0.0001
        balance = await exchange.fetch_balance()
        assert balance["USDC"]["total"] == 100_000
        ticker = (await exchange.fetch_tickers([SYMBOL]))[SYMBOL]
        px = ticker["last"] or ticker["close"]
        resting = await exchange.create_order(SYMBOL, "limit", "buy", 0.5, round(px * 0.9, 1))
        assert [o["id"] for o in await exchange.fetch_open_orders(SYMBOL)] == [resting["id"]]
        assert (await exchange.fetch_order(resting["id"], SYMBOL))["status"] == "open"
        edited = await exchange.edit_order(resting["id"], SYMBOL, "limit", "buy", 0.4, round(px * 0.89, 1))
        await exchange.cancel_order(edited["id"], SYMBOL)
        assert await exchange.fetch_open_orders(SYMBOL) == []
        await exchange.create_order(SYMBOL, "market", "sell", 0.25, px)
        positions = await exchange.fetch_positions([SYMBOL])
        assert positions[0]["side"] == "short" and positions[0]["contracts"] == 0.25
        assert (await exchange.fetch_my_trades(SYMBOL))[0]["amount"] > 0
        await exchange.set_leverage(7, SYMBOL, {"marginMode": "cross"})
        book = await exchange.fetch_order_book(SYMBOL)
        assert len(book["bids"]) == 20 and book["bids"][0][0] < book["asks"][0][0]
        assert len(await exchange.fetch_ohlcv(SYMBOL, "1h", limit=10)) >= 9
        assert await exchange.fetch_funding_rates([SYMBOL])


async def test_streams_and_orders_over_the_socket(venue: RunningVenue) -> None:
    async with asyncio.timeout(60), client(venue, ccxt_pro) as exchange:
        await exchange.load_markets()
        await exchange.fetch_balance()

        async def step() -> None:
            while True:
                await venue.step(5)
                await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as group:
            stepping = group.create_task(step())
            book = await exchange.watch_order_book(SYMBOL)
            assert book["bids"][0][0] < book["asks"][0][0]
            assert (await exchange.watch_trades(SYMBOL))[0]["price"] > 0
            assert (await exchange.watch_ticker(SYMBOL))["last"] is not None
            assert (await exchange.watch_ohlcv(SYMBOL, "1m"))[0][4] > 0
            orders = group.create_task(exchange.watch_orders(SYMBOL))
            mine = group.create_task(exchange.watch_my_trades(SYMBOL))
            await until(lambda: sum(t.user == ADDRESS for t in venue.venue.hub.topics) == 2)
            px = (book["bids"][0][0] + book["asks"][0][0]) / 2
            placed = await exchange.create_order_ws(SYMBOL, "market", "buy", 0.1, px)
            assert placed["id"]
            assert (await orders)[0]["symbol"] == SYMBOL
            assert (await mine)[0]["symbol"] == SYMBOL
            stepping.cancel()


async def test_reference_exchange(venue: RunningVenue) -> None:
    base = f"{venue.url}/fapi"
    names = ("fapiPublic", "fapiPublicV2", "fapiPublicV3", "fapiPrivate", "fapiPrivateV2", "fapiPrivateV3")
    rest = {name: f"{base}/v{name[-1] if name[-1].isdigit() else 1}" for name in names}
    exchange = ccxt_pro.binanceusdm(
        {
            "urls": {"api": {**rest, "ws": {"linear": venue.ws_url}}},
            "enableRateLimit": False,
            "options": {"fetchMargins": False, "fetchCurrencies": False},
        }
    )
    exchange.has["fetchCurrencies"] = False
    try:
        async with asyncio.timeout(60):
            markets = await exchange.load_markets()
            assert markets["BTC/USDT:USDT"]["precision"]["price"] == 0.1
            assert (await exchange.fetch_ticker("BTC/USDT:USDT"))["quoteVolume"] > 0
            assert len((await exchange.fetch_order_book("BTC/USDT:USDT", 50))["bids"]) == 50
            assert len(await exchange.fetch_ohlcv("BTC/USDT:USDT", "1h", limit=24)) == 24
            assert await exchange.fetch_trades("BTC/USDT:USDT")
            assert (await exchange.fetch_funding_rate("BTC/USDT:USDT"))["fundingRate"] is not None
            assert len(await exchange.fetch_funding_rate_history("BTC/USDT:USDT", limit=5)) == 5
            assert (await exchange.fetch_open_interest("BTC/USDT:USDT"))["openInterestAmount"] > 0

            async def step() -> None:
                while True:
                    await venue.step(5)
                    await asyncio.sleep(0.01)

            async with asyncio.TaskGroup() as group:
                stepping = group.create_task(step())
                best = (await exchange.watch_bids_asks(["BTC/USDT:USDT"]))["BTC/USDT:USDT"]
                assert best["bid"] < best["ask"]
                assert (await exchange.watch_trades("BTC/USDT:USDT"))[0]["price"] > 0
                book = await exchange.watch_order_book("BTC/USDT:USDT")
                for _ in range(20):
                    book = await exchange.watch_order_book("BTC/USDT:USDT")
                    assert book["bids"][0][0] < book["asks"][0][0]
                stepping.cancel()
    finally:
        await exchange.close()
