"""Frames that make no sense, to every door: always an answer in the venue's words, never a bug's 500."""

from __future__ import annotations

import asyncio
import io
import random
from typing import Any

import aiohttp
import msgspec

from slipstream.venues.emulator.info import ANSWERS
from slipstream.venues.emulator.subscriptions import KINDS

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**40, 1.5, -0.0, 1e308, "", "0", "BTC", "0x", "0x" + "1" * 40,
    "0x" + "g" * 40, "\u0000", "🙂" * 10, "1e5", "NaN", [], [[]], {}, {"a": {}}, ["BTC"], "9" * 400,
)  # fmt: skip


def mutated(rng: random.Random, value: Any) -> Any:
    """The value with something in it changed, dropped, doubled or replaced."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        out = dict(value)
        key = rng.choice(list(out))
        choice = rng.random()
        if choice < 0.2:
            del out[key]
        elif choice < 0.3:
            out[rng.choice(("coin", "user", "a", "type", "x" * 50))] = rng.choice(ODD)
        else:
            out[key] = mutated(rng, out[key])
        return out
    if isinstance(value, list) and value and rng.random() < 0.8:
        out_list = list(value)
        at = rng.randrange(len(out_list))
        out_list[at : at + 1] = (
            [] if rng.random() < 0.2 else [mutated(rng, out_list[at])] * rng.choice((1, 1, 1, 2, 50))
        )
        return out_list
    return rng.choice(ODD)


def seeds(trader: Any) -> list[Any]:
    """Well-formed requests to begin from."""
    user, signed = trader.user, trader.signed
    common = {"user": user, "coin": "BTC", "oid": 1, "startTime": 0, "endTime": 2**41, "builder": user, "dex": "",
              "req": {"coin": "BTC", "interval": "1m", "startTime": 0, "endTime": 2**42}, "nSigFigs": 5, "mantissa": 2,
              "aggregateByTime": True, "vaultAddress": user}  # fmt: skip
    out = [{"type": kind, **common} for kind in ANSWERS]
    cloid = "0x" + "1" * 32
    actions = [
        trader.order(cloid=cloid),
        {"type": "cancel", "cancels": [{"a": 0, "o": 1}]},
        {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": cloid}]},
        {"type": "batchModify", "modifies": [{"oid": 1, "order": trader.order()["orders"][0]}]},
        {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 5},
        {"type": "scheduleCancel", "time": 5},
        {"type": "twapOrder", "twap": {"a": 0, "b": True, "s": "1", "r": False, "m": 30, "t": False}},
        {"type": "usdSend", "signatureChainId": "0x66eee", "hyperliquidChain": "Testnet", "destination": user,
         "amount": "1", "time": 5},
    ]  # fmt: skip
    return out + [signed(action) for action in actions]


async def test_http_answers_every_frame(trader: Any) -> None:
    rng = random.Random(11)
    begin = seeds(trader)
    counts: dict[int, int] = {}
    for i in range(3_000):
        body = rng.choice(begin)
        path = "/exchange" if "action" in body else "/info"
        for _ in range(rng.randrange(1, 4)):
            body = mutated(rng, body)
        if rng.random() < 0.1:
            path = rng.choice(("/info", "/exchange", "/control/fault", "/control/clock", "/control/truth"))
        raw = msgspec.json.encode(body) if rng.random() < 0.9 else rng.randbytes(rng.randrange(200))
        if path.startswith("/control") and b"hang" in raw:
            continue
        status, answer = await trader.post(path, raw)
        counts[status] = counts.get(status, 0) + 1
        assert status in (200, 400, 422) or (status == 500 and answer is None), (i, path, raw, status, answer)
        if i % 100 == 0:
            trader.venue.control.answer("clear", b"", "127.0.0.1")
            trader.venue.control.answer("clock", b'{"paused":false,"speed":1,"skew_ms":0}', "127.0.0.1")
    assert counts[200] > 300 and counts[422] > 300, counts
    assert (await trader.send(trader.order()))["status"] == "ok"


async def test_sockets_answer_every_frame(trader: Any, http: aiohttp.ClientSession) -> None:
    rng = random.Random(12)
    begin: list[Any] = [
        {"method": "subscribe", "subscription": {"type": kind, "user": trader.user, "coin": "BTC", "interval": "1m"}}
        for kind in KINDS
    ]
    begin += [{"method": "post", "id": 1, "request": {"type": "info", "payload": {"type": "meta"}}}]
    begin += [{"method": "post", "id": 1, "request": {"type": "action", "payload": trader.signed(trader.order())}}]
    begin += [{"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": 1}, {"method": "SET_PROPERTY", "params": []}]
    for path in ("/ws", "/stream?streams=btcusdt@depth/nope", "/ws/btcusdt@aggTrade"):
        async with http.ws_connect(trader.venue.url + path) as ws:
            for i in range(700):
                body = rng.choice(begin)
                for _ in range(rng.randrange(1, 4)):
                    body = mutated(rng, body)
                if rng.random() < 0.1:
                    await ws.send_bytes(rng.randbytes(rng.randrange(100)))
                else:
                    await ws.send_bytes(msgspec.json.encode(body), compress=None)
                if i % 50 == 0:
                    await trader.venue.step()
            await ws.send_json({"method": "GET_PROPERTY", "id": 77} if path != "/ws" else {"method": "ping"})
            async with asyncio.timeout(10):
                while True:
                    frame = msgspec.json.decode((await ws.receive()).data)
                    if isinstance(frame, dict) and (frame.get("channel") == "pong" or frame.get("id") == 77):
                        break
    assert (await trader.send(trader.order()))["status"] == "ok"
    assert trader.venue.venue.hub.peers == {}


async def test_an_oversized_body_is_refused(trader: Any) -> None:
    async with trader.http.post(trader.venue.url + "/info", data=io.BytesIO(b"x" * (1 << 20) + b"y")) as answer:
        assert answer.status == 413
