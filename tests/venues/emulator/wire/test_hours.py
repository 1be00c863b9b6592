"""What the venue does by itself, as streams and reads tell it: funding, TWAP slices, triggers, liquidation."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import aiohttp
import msgspec

HOUR_MS = 3_600_000


async def listen(trader: Any, ws: aiohttp.ClientWebSocketResponse, *kinds: str) -> None:
    for kind in kinds:
        await ws.send_json({"method": "subscribe", "subscription": {"type": kind, "user": trader.user}})
    await heard(ws)


async def heard(ws: aiohttp.ClientWebSocketResponse) -> list[tuple[str, Any]]:
    await ws.send_json({"method": "ping"})
    out = []
    while (frame := msgspec.json.decode((await ws.receive(timeout=10)).data))["channel"] != "pong":
        out.append((frame["channel"], frame.get("data")))
    return out


async def test_an_hour_of_funding(trader: Any, http: Any) -> None:
    venue = trader.venue
    async with http.ws_connect(venue.ws_url) as ws:
        await trader.send(trader.order("1.01", "0.5", "Ioc"))
        await listen(trader, ws, "userFundings", "userEvents")
        now = venue.exchange.now_ns // 1_000_000
        await venue.step(1, HOUR_MS - now % HOUR_MS + 1_000)
        frames = await heard(ws)
        (told,) = [d["fundings"] for channel, d in frames if channel == "userFundings"]
        (event,) = [d["funding"] for channel, d in frames if channel == "user" and "funding" in d]
        (row,) = await trader.info("userFunding", user=trader.user, startTime=0)
        assert told == [event] and event == {
            "time": row["time"],
            **{k: v for k, v in row["delta"].items() if k != "type"},
        }
        assert row["time"] % HOUR_MS < 5_000 and Decimal(row["delta"]["szi"]) == Decimal("0.5")
        rate = Decimal(row["delta"]["fundingRate"])
        assert (Decimal(row["delta"]["usdc"]) < 0) == (rate > 0)
        history = await trader.info("fundingHistory", coin="BTC", startTime=row["time"] - HOUR_MS // 2)
        assert Decimal(history[-1]["fundingRate"]) == rate
        state = await trader.info("clearinghouseState", user=trader.user)
        funding = Decimal(state["assetPositions"][0]["position"]["cumFunding"]["allTime"])
        assert funding == -Decimal(row["delta"]["usdc"])


async def test_a_twap_from_start_to_end(trader: Any, http: Any) -> None:
    venue = trader.venue
    async with http.ws_connect(venue.ws_url) as ws:
        await listen(trader, ws, "userTwapHistory", "userTwapSliceFills", "twapStates")
        twap = {"a": 0, "b": True, "s": "0.02", "r": False, "m": 5, "t": False}
        answer = await trader.send({"type": "twapOrder", "twap": twap})
        number = answer["response"]["data"]["status"]["running"]["twapId"]
        started = await heard(ws)
        frames = dict(started)
        assert frames["userTwapHistory"]["history"][0]["status"] == {"status": "activated"}
        assert frames["twapStates"]["states"][0][0] == number
        await venue.step(66, 5_000)
        frames_list = await heard(ws)
        both = [*started, *frames_list]
        slices = [row for channel, d in both if channel == "userTwapSliceFills" for row in d["twapSliceFills"]]
        assert sum(Decimal(row["fill"]["sz"]) for row in slices) == Decimal("0.02")
        assert {row["twapId"] for row in slices} == {number}
        ends = [d["history"][0]["status"]["status"] for channel, d in frames_list if channel == "userTwapHistory"]
        assert ends == ["finished"]
        assert len(await trader.info("userTwapSliceFills", user=trader.user)) == len(slices)


async def test_a_liquidation_is_told(trader: Any, http: Any) -> None:
    venue = trader.venue
    await trader.send({"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 40})
    for _ in range(6):
        await trader.send(trader.order("1.01", "6", "Ioc"))
    account = venue.exchange.accounts[trader.user]
    assert account.positions["BTC"].szi > 10
    mark = venue.exchange.contexts["BTC"].mark
    notional = account.positions["BTC"].szi * mark
    value = (await trader.control("truth", user=trader.user))["clearinghouse"]["marginSummary"]["accountValue"]
    await trader.send(
        {"type": "createVault", "name": "v", "description": "", "initialUsd": 100_000_000, "nonce": trader.nonce}
    )
    # make the account poor, as a fall of the price would
    account.usd -= Decimal(value) - notional / 200
    async with http.ws_connect(venue.ws_url) as ws:
        await listen(trader, ws, "userEvents", "userFills")
        await venue.step(20, 5_000)
        frames = await heard(ws)
        assert any("liquidation" in d for channel, d in frames if channel == "user"), frames[:3]
        marked = [f for channel, d in frames if channel == "userFills" for f in d["fills"] if "liquidation" in f]
        assert marked and set(marked[0]["liquidation"]) == {"liquidatedUser", "markPx", "method"}
