"""Conversations over the socket: confirmations, errors, posts, limits; and the reference exchange's streams."""

from __future__ import annotations

import asyncio
import base64
import socket
import struct
import zlib
from itertools import pairwise
from typing import Any

import aiohttp
import msgspec
import pytest

from slipstream.venues.emulator.binance_stream import read_stream
from slipstream.venues.emulator.serve import ServeOptions, running_venue
from slipstream.venues.emulator.subscriptions import KINDS


class Talk:
    """A socket on which everything up to the answer to a ping can be read."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def say(self, **message: Any) -> list[Any]:
        await self.ws.send_json(message)
        return await self.heard()

    async def heard(self) -> list[Any]:
        await self.ws.send_json({"method": "ping"})
        out = []
        while True:
            frame = msgspec.json.decode((await self.ws.receive(timeout=5)).data)
            if frame.get("channel") == "pong":
                return out
            out.append(frame)


async def test_every_subscription_is_confirmed_in_its_normal_form(trader: Any, http: Any) -> None:
    async with http.ws_connect(trader.venue.ws_url) as ws:
        talk = Talk(ws)
        for kind, fields in KINDS.items():
            values = {"user": trader.user.upper().replace("0X", "0x"), "coin": "BTC", "interval": "1m"}
            wanted = {"type": kind, **{name: values[name] for name in fields}}
            first, *rest = await talk.say(method="subscribe", subscription=wanted)
            confirmed = first["data"]["subscription"]
            assert first["channel"] == "subscriptionResponse" and confirmed["type"] == kind
            assert confirmed.get("user", trader.user) == trader.user
            assert all(f["channel"] in (kind, "user") for f in rest), rest
            again = await talk.say(method="subscribe", subscription=wanted)
            assert again[0]["channel"] == "error" and again[0]["data"].startswith("Already subscribed: {")
        for kind, fields in KINDS.items():
            values = {"user": trader.user, "coin": "BTC", "interval": "1m"}
            wanted = {"type": kind, **{name: values[name] for name in fields}}
            (left,) = await talk.say(method="unsubscribe", subscription=wanted)
            assert left["data"]["method"] == "unsubscribe"
            (error,) = await talk.say(method="unsubscribe", subscription=wanted)
            assert error["data"].startswith("Already unsubscribed: {")
        assert trader.venue.venue.hub.topics == {}


async def test_books_echo_their_aggregation(trader: Any, http: Any) -> None:
    async with http.ws_connect(trader.venue.ws_url) as ws:
        talk = Talk(ws)
        first, book = await talk.say(method="subscribe", subscription={"type": "l2Book", "coin": "BTC"})
        assert first["data"]["subscription"] == {"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None}
        assert len(book["data"]["levels"][0]) == 20
        _, fast = await talk.say(method="subscribe", subscription={"type": "l2Book", "coin": "BTC", "fast": True})
        assert fast["data"]["fast"] is True and len(fast["data"]["levels"][0]) == 5


@pytest.mark.parametrize(
    "message,start",
    [
        ("not json", "Error parsing JSON into valid websocket request: not json"),
        ('{"method":"fly"}', "Error parsing JSON"),
        ('{"method":"subscribe"}', "Invalid subscription null"),
        ('{"method":"subscribe","subscription":{"type":"l2Book","coin":"NOPE"}}', "Invalid subscription {"),
        ('{"method":"subscribe","subscription":{"type":"userFills","user":"0x1"}}', "Invalid subscription {"),
        ('{"method":"subscribe","subscription":{"type":"l2Book","coin":"BTC","nSigFigs":9}}', "Invalid subscription {"),
        ('{"method":"post","id":"x","request":{}}', "Error parsing JSON"),
        ('{"method":"post","id":1,"request":{"type":"explorer","payload":{}}}', "Error parsing JSON"),
    ],
)
async def test_errors_keep_the_socket(trader: Any, http: Any, message: str, start: str) -> None:
    async with http.ws_connect(trader.venue.ws_url) as ws:
        await ws.send_str(message)
        (error,) = await Talk(ws).heard()
        assert error["channel"] == "error" and error["data"].startswith(start)


async def test_user_streams_after_a_trade(trader: Any, http: Any) -> None:
    async with http.ws_connect(trader.venue.ws_url) as ws:
        talk = Talk(ws)
        kinds = ("orderUpdates", "userEvents", "userFills", "clearinghouseState", "openOrders", "userHistoricalOrders")
        for kind in kinds:
            await talk.say(method="subscribe", subscription={"type": kind, "user": trader.user})
        await trader.send(trader.order("1.01", "0.02", "Ioc"))
        frames = {f["channel"]: f["data"] for f in await talk.heard()}
        assert frames["orderUpdates"][0]["status"] == "filled"
        assert sum(float(f["sz"]) for f in frames["user"]["fills"]) == pytest.approx(0.02)
        assert frames["userFills"]["user"] == trader.user and not frames["userFills"].get("isSnapshot")
        assert frames["userFills"]["fills"] == frames["user"]["fills"]
        state = frames["clearinghouseState"]["clearinghouseState"]
        assert state["assetPositions"][0]["position"]["szi"] == "0.02"
        assert frames["userHistoricalOrders"]["orderHistory"][0]["status"] == "filled"
        account = trader.venue.exchange.accounts[trader.user]
        assert [f["tid"] for f in frames["userFills"]["fills"]] == [f.tid for f in account.fills]


async def test_bbo_speaks_on_change_only_and_equals_the_book(trader: Any, http: Any) -> None:
    async with http.ws_connect(trader.venue.ws_url) as ws:
        talk = Talk(ws)
        await talk.say(method="subscribe", subscription={"type": "bbo", "coin": "BTC"})
        told = []
        for _ in range(40):
            await trader.venue.step()
            told += [f["data"]["bbo"] for f in await talk.heard()]
        assert len(told) > 2 and all(a != b for a, b in pairwise(told))
        book = await trader.info("l2Book", coin="BTC")
        assert told[-1] == [book["levels"][0][0], book["levels"][1][0]]


async def test_fast_contexts_unpack_to_prices(trader: Any, http: Any) -> None:
    async with http.ws_connect(trader.venue.ws_url) as ws:
        _, frame = await Talk(ws).say(method="subscribe", subscription={"type": "fastAssetCtxs"})
        prices = msgspec.json.decode(zlib.decompress(base64.b64decode(frame["data"]), -15))
        assert set(prices) == {"BTC", "ETH"} and set(prices["BTC"]) == {"markPx", "midPx"}


async def test_posts(trader: Any, http: Any) -> None:
    async with http.ws_connect(trader.venue.ws_url) as ws:

        async def post(number: int, kind: str, payload: Any) -> Any:
            await ws.send_json({"method": "post", "id": number, "request": {"type": kind, "payload": payload}})
            data = msgspec.json.decode((await ws.receive(timeout=5)).data)["data"]
            assert data["id"] == number
            return data["response"]

        info = await post(1, "info", {"type": "l2Book", "coin": "BTC"})
        assert (
            info["type"] == "info" and info["payload"]["type"] == "l2Book" and info["payload"]["data"]["coin"] == "BTC"
        )
        action = await post(2, "action", trader.signed(trader.order()))
        assert "resting" in action["payload"]["response"]["data"]["statuses"][0]
        assert (await post(3, "info", {"type": "nonsense"}))["type"] == "error"
        assert (await post(4, "action", {"nonce": 1}))["type"] == "error"


async def test_socket_limits(http: Any, make_trader: Any, options: Any) -> None:
    async with running_venue(options(limits=True)) as venue:
        trader = make_trader(venue, http)
        async with http.ws_connect(venue.ws_url) as ws:
            talk = Talk(ws)
            for i in range(10):
                subscription = {"type": "userFills", "user": f"0x{i:040x}"}
                assert (await talk.say(method="subscribe", subscription=subscription))[0]["channel"] != "error"
            error, *_ = await talk.say(method="subscribe", subscription={"type": "userFills", "user": trader.user})
            assert error["data"] == "Cannot track more than 10 total users."
            others = [await http.ws_connect(venue.ws_url) for _ in range(9)]
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(venue.ws_url)
            assert refused.value.status == 429
            for other in others:
                await other.close()
        async with http.ws_connect(venue.ws_url) as ws:  # the closed ones count no more
            assert (await Talk(ws).say(method="subscribe", subscription={"type": "allMids"}))[0]["channel"] != "error"


async def test_reference_depth_chains_from_snapshot_to_updates(trader: Any, http: Any) -> None:
    """The documented way to keep a local book ends at the exchange's own book."""
    venue = trader.venue
    async with http.ws_connect(venue.url + "/ws/btcusdt@depth@100ms") as ws:
        await venue.step(3)
        async with http.get(venue.url + "/fapi/v1/depth?symbol=BTCUSDT&limit=100") as answer:
            snapshot = await answer.json()
        book = {side: dict(map(tuple, snapshot[side])) for side in ("bids", "asks")}
        last, chained = snapshot["lastUpdateId"], None
        await venue.step(30)
        top = venue.venue.feed.best(venue.venue.feed.symbols["BTCUSDT"])
        while chained is None or chained < top.update_id:
            event = msgspec.json.decode((await ws.receive(timeout=5)).data)
            assert event["e"] == "depthUpdate" and event["s"] == "BTCUSDT"
            if event["u"] < last:
                continue
            if chained is None:
                assert event["U"] <= last <= event["u"]
            else:
                assert event["pu"] == chained
            chained = event["u"]
            for side, key in (("bids", "b"), ("asks", "a")):
                for px, qty in event[key]:
                    book[side].pop(px, None) if qty == "0" else book[side].__setitem__(px, qty)
        assert max(book["bids"], key=float) == top.bid and min(book["asks"], key=float) == top.ask
        exact = venue.venue.feed.depth(venue.venue.feed.symbols["BTCUSDT"], 100)
        assert book["bids"] == {px: qty for px, qty in exact.bids}  # noqa: C416
        assert book["asks"] == {px: qty for px, qty in exact.asks}  # noqa: C416


async def test_reference_streams_by_subscription_on_the_shared_path(trader: Any, http: Any) -> None:
    for path in ("/ws", "/public/ws", "/market/ws", "/stream"):
        async with http.ws_connect(trader.venue.url + path) as ws:
            await ws.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker", "btcusdt@aggTrade"], "id": 1})
            assert msgspec.json.decode((await ws.receive(timeout=5)).data) == {"result": None, "id": 1}
            await trader.venue.step(20)
            seen = set()
            while len(seen) < 2:
                frame = msgspec.json.decode((await ws.receive(timeout=5)).data)
                data = frame["data"] if path == "/stream" else frame
                seen.add(data["e"])
            await ws.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 2})
            await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 3})
            while (frame := msgspec.json.decode((await ws.receive(timeout=5)).data)).get("id") != 3:
                pass
            assert frame["result"] == ["btcusdt@bookTicker"]


def test_stream_names() -> None:
    symbols: Any = {"BTCUSDT": None}
    for name in ("btcusdt@depth5@100ms", "btcusdt@kline_1m", "btcusdt@markPrice@1s", "!bookTicker", "btcusdt@depth"):
        assert read_stream(name, symbols, False) is not None, name
    for name in ("btcusdt", "ethusdt@depth", "btcusdt@kline", "btcusdt@kline_7m", "btcusdt@trade5", "BTCUSDT@depth"):
        assert read_stream(name, symbols, False) is None, name


async def test_reference_rest_refuses_in_its_own_words(trader: Any, http: Any) -> None:
    for path, status, code in (
        ("v1/depth?symbol=NOPE", 400, -1121),
        ("v1/depth", 400, -1102),
        ("v1/depth?symbol=BTCUSDT&limit=7", 400, -4021),
        ("v1/klines?symbol=BTCUSDT&interval=7m", 400, -1120),
        ("v1/klines?symbol=BTCUSDT&interval=1m&limit=x", 400, -1100),
        ("v9/ping", 404, -5000),
    ):
        async with http.get(f"{trader.venue.url}/fapi/{path}") as answer:
            body = await answer.json()
            assert (answer.status, body["code"]) == (status, code), body


async def test_who_leaves_before_being_greeted_is_not_counted_for_ever() -> None:
    greeting = (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    async with running_venue(ServeOptions(port=0, limits=True)) as venue:
        port = int(venue.url.rsplit(":", 1)[1])
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", port)) as raw:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raw.sendall(greeting)  # and a reset at once: the venue reads both in one turn
        async with asyncio.timeout(10), aiohttp.ClientSession() as session:
            while True:
                async with session.post(venue.url + "/info", json={"type": "exchangeStatus"}) as answer:
                    assert answer.status == 200
                if venue.venue.limits._visitors["127.0.0.1"].connections == 0:
                    break
