"""Each kind of trouble, from the client's side, and the venue's truth behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import msgspec
import pytest

CLOID = "0x" + "cd" * 16


async def statuses(trader: Any, cloid: str = CLOID) -> str:
    answer = await trader.info("orderStatus", user=trader.user, oid=cloid)
    return answer["order"]["status"] if answer["status"] == "order" else "unknownOid"


async def test_too_many_for_a_count(trader: Any) -> None:
    await trader.control("too_many", path="info", count=2)
    codes = [(await trader.post("/info", {"type": "meta"}))[0] for _ in range(3)]
    assert codes == [429, 429, 200]
    assert (await trader.post("/exchange", trader.signed(trader.order())))[0] == 200


async def test_server_error_is_html_and_executes_nothing(trader: Any) -> None:
    await trader.control("server_error", path="exchange", count=1, status=502)
    status, page = await trader.post("/exchange", trader.signed(trader.order(cloid=CLOID)))
    assert status == 502 and page.startswith("<html>")
    assert await statuses(trader) == "unknownOid"


async def test_reset_after_accept_leaves_an_order_behind(trader: Any) -> None:
    await trader.control("reset_after_accept", path="exchange", count=1)
    with pytest.raises(aiohttp.ClientError):
        await trader.post("/exchange", trader.signed(trader.order(cloid=CLOID)))
    assert await statuses(trader) == "open"


async def test_drop_before_execute_leaves_none(trader: Any) -> None:
    await trader.control("drop_before_execute", path="exchange", count=1)
    with pytest.raises(aiohttp.ClientError):
        await trader.post("/exchange", trader.signed(trader.order(cloid=CLOID)))
    assert await statuses(trader) == "unknownOid"


async def test_hang_gives_no_answer(trader: Any) -> None:
    await trader.control("hang", path="exchange", count=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await trader.post("/exchange", trader.signed(trader.order(cloid=CLOID)))
    assert await statuses(trader) == "unknownOid"


async def test_latency_delays_the_answer(trader: Any) -> None:
    await trader.control("latency", path="info", ms=120, count=1)
    loop = asyncio.get_running_loop()
    start = loop.time()
    await trader.info("meta")
    assert loop.time() - start >= 0.12


async def test_a_fault_ends_with_its_seconds(trader: Any) -> None:
    now = [100.0]
    trader.venue.venue.faults._clock = lambda: now[0]
    await trader.control("too_many", seconds=5)
    assert (await trader.post("/info", {"type": "meta"}))[0] == 429
    now[0] += 5.1
    assert (await trader.post("/info", {"type": "meta"}))[0] == 200


async def test_probability_is_seeded(trader: Any) -> None:
    async def run() -> list[int]:
        trader.venue.venue.faults._rng.seed(3)
        await trader.control("too_many", path="info", probability=0.5)
        codes = [(await trader.post("/info", {"type": "meta"}))[0] for _ in range(20)]
        await trader.control("clear")
        return codes

    first = await run()
    assert first == await run() and set(first) == {200, 429}


async def test_post_only_window(trader: Any) -> None:
    await trader.control("post_only", seconds=60)
    refused = await trader.send(trader.order())
    assert "Only post-only orders allowed" in refused["response"]["data"]["statuses"][0]["error"]
    assert "resting" in (await trader.send(trader.order(tif="Alo")))["response"]["data"]["statuses"][0]
    await trader.control("clear")
    assert "resting" in (await trader.send(trader.order()))["response"]["data"]["statuses"][0]


async def test_clock_skew_makes_nonces_stale(trader: Any) -> None:
    await trader.control("clock", skew_ms=3 * 86_400_000)
    refused = await trader.send(trader.order())
    assert refused["status"] == "err" and "nonce too low" in refused["response"]
    await trader.control("clock", skew_ms=-3 * 86_400_000)
    assert "nonce too high" in (await trader.send(trader.order()))["response"]
    await trader.control("clock", skew_ms=5_000)
    soon = trader.venue.venue.clock.wall_ms() - 1_000
    assert (await trader.send(trader.order(), expiresAfter=soon))["response"] == "Action already expired"
    before = trader.venue.exchange.now_ns
    trader.venue.venue.advance(trader.venue.venue.clock.now())
    assert trader.venue.exchange.now_ns - before > 3_000_000_000  # events carry the skewed time
    await trader.control("clock", skew_ms=0)
    assert (await trader.send(trader.order()))["status"] == "ok"


async def test_bad_control_requests_say_what_is_wrong(trader: Any) -> None:
    for verb, body, part in (
        ("fly", {}, "known:"),
        ("too_many", {"count": 0}, "count must be at least 1"),
        ("freeze", {"chanel": "bbo"}, "unknown field 'chanel'"),
        ("deposit", {"address": "0x1", "usdc": "1"}, "40 hex digits"),
        ("deposit", {"address": "0x" + "1" * 40, "usdc": "-1"}, "positive"),
        ("deposit", {"address": "0x" + "1" * 40, "usdc": "lots"}, "deposit"),
        ("clock", {"speed": 0}, "speed must be from 1 to 3600"),
        ("step", {"blocks": 0}, "blocks must be"),
        ("snapshot", {}, "--snapshot"),
    ):
        status, answer = await trader.post(f"/control/{verb}", body)
        assert status in (400, 404) and part in answer["error"], answer


async def test_truth_and_deposit(trader: Any) -> None:
    await trader.control("deposit", address=trader.user, usdc="12.5")
    await trader.send(trader.order(cloid=CLOID))
    truth = await trader.control("truth", user=trader.user)
    assert truth["account"]["usd"] == "100012.5"
    assert [o["cloid"] for o in truth["account"]["open_orders"].values()] == [CLOID]


class Listener:
    """A socket whose frames are collected by hand."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def until_pong(self) -> list[Any]:
        """Every frame that came before the answer to a ping."""
        await self.ws.send_json({"method": "ping"})
        out = []
        while True:
            frame = msgspec.json.decode((await self.ws.receive(timeout=5)).data)
            if frame["channel"] == "pong":
                return out
            out.append(frame)


async def subscribed(trader: Any, ws: aiohttp.ClientWebSocketResponse, *subscriptions: dict[str, Any]) -> Listener:
    for subscription in subscriptions:
        await ws.send_json({"method": "subscribe", "subscription": subscription})
    listener = Listener(ws)
    await listener.until_pong()
    return listener


async def test_freeze_one_stream_while_the_socket_lives(trader: Any, http: Any) -> None:
    async with http.ws_connect(trader.venue.ws_url) as ws:
        listener = await subscribed(trader, ws, {"type": "l2Book", "coin": "BTC"}, {"type": "l2Book", "coin": "ETH"})
        await trader.control("freeze", channel="l2Book", coin="BTC")
        await trader.venue.step(10)
        assert {f["data"]["coin"] for f in await listener.until_pong()} == {"ETH"}
        await trader.control("clear")
        await trader.venue.step(10)
        assert {f["data"]["coin"] for f in await listener.until_pong()} == {"BTC", "ETH"}


async def test_duplicate_and_reorder(trader: Any, http: Any) -> None:
    async with http.ws_connect(trader.venue.ws_url) as ws:
        listener = await subscribed(trader, ws, {"type": "orderUpdates", "user": trader.user})
        await trader.control("duplicate", channel="orderUpdates", user=trader.user.upper().replace("0X", "0x"), count=1)
        await trader.send(trader.order())
        frames = await listener.until_pong()
        assert len(frames) == 2 and frames[0] == frames[1]
        await trader.control("reorder", channel="orderUpdates", count=1)
        await trader.send(trader.order())
        assert await listener.until_pong() == []
        await trader.send(trader.order())
        oids = [f["data"][0]["order"]["oid"] for f in await listener.until_pong()]
        assert len(oids) == 2 and oids[0] > oids[1]


async def test_delayed_messages_come_late_and_in_order(trader: Any, http: Any) -> None:
    async with http.ws_connect(trader.venue.ws_url) as ws:
        listener = await subscribed(trader, ws, {"type": "orderUpdates", "user": trader.user})
        await trader.control("delay", channel="orderUpdates", ms=150, jitter_ms=50, count=3)
        for _ in range(3):
            await trader.send(trader.order())
        assert await listener.until_pong() == []
        frames = [msgspec.json.decode((await ws.receive(timeout=5)).data) for _ in range(3)]
        oids = [f["data"][0]["order"]["oid"] for f in frames]
        assert oids == sorted(oids)


async def test_drop_sockets_by_channel_user_and_all(trader: Any, http: Any) -> None:
    async with http.ws_connect(trader.venue.ws_url) as one, http.ws_connect(trader.venue.ws_url) as two:
        await subscribed(trader, one, {"type": "orderUpdates", "user": trader.user})
        await subscribed(trader, two, {"type": "bbo", "coin": "BTC"})
        assert await trader.control("drop", user=trader.user) == {"dropped": 1}
        while not one.closed:
            await one.receive(timeout=5)
        assert await trader.control("drop", channel="trades") == {"dropped": 0}
        assert await trader.control("drop") == {"dropped": 1}
        while not two.closed:
            await two.receive(timeout=5)
    assert trader.venue.venue.hub.topics == {}


async def test_posted_actions_meet_the_same_faults(trader: Any, http: Any) -> None:
    async with http.ws_connect(trader.venue.ws_url) as ws:

        async def post(number: int) -> Any:
            request = {"type": "action", "payload": trader.signed(trader.order(cloid=CLOID))}
            await ws.send_json({"method": "post", "id": number, "request": request})
            return msgspec.json.decode((await ws.receive(timeout=5)).data)["data"]

        await trader.control("too_many", path="exchange", count=1)
        assert (await post(1))["response"]["type"] == "error"
        assert await statuses(trader) == "unknownOid"
        answer = await post(2)
        assert answer["id"] == 2 and answer["response"]["payload"]["status"] == "ok"
        await trader.control("reset_after_accept", path="exchange", count=1)
        request = {"type": "action", "payload": trader.signed(trader.order(cloid="0x" + "ef" * 16))}
        await ws.send_json({"method": "post", "id": 3, "request": request})
        while not ws.closed:
            await ws.receive(timeout=5)
    assert await statuses(trader, "0x" + "ef" * 16) == "open"
