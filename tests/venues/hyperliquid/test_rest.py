"""What a failed request means, on a peer that fails in every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from slipstream.model.errors import NotConnected, OutcomeUnknown, RateLimited, Retry, VenueRejected
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.rest import Rest

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def peer() -> AsyncIterator[Callable[[Answer], Awaitable[Rest]]]:
    runners, sessions = [], []

    async def make(answer: Answer) -> Rest:
        app = web.Application()
        app.router.add_post("/{path}", answer)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        session = aiohttp.ClientSession()
        sessions.append(session)
        return Rest(session, f"http://127.0.0.1:{runner.addresses[0][1]}", Weights(lambda: 0.0), 0.3)

    yield make
    for session in sessions:
        await session.close()
    for runner in runners:
        await runner.cleanup()


def says(status: int, text: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text)

    return answer


async def resets(request: web.Request) -> web.StreamResponse:
    await request.read()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hangs(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(5)
    return web.Response()


ACTIONS: list[tuple[Answer, type[Exception]]] = [
    (says(429, "no"), RateLimited),
    (says(500, "null"), OutcomeUnknown),
    (says(502, "<html>"), OutcomeUnknown),
    (says(408, ""), OutcomeUnknown),
    (says(422, "Failed to deserialize"), VenueRejected),
    (says(200, "not json"), OutcomeUnknown),
    (says(200, '{"status":"err","response":"no such user"}'), VenueRejected),
    (resets, OutcomeUnknown),
    (hangs, OutcomeUnknown),
]


@pytest.mark.parametrize(("answer", "error"), ACTIONS)
async def test_actions(peer: Callable[[Answer], Awaitable[Rest]], answer: Answer, error: type[Exception]) -> None:
    rest = await peer(answer)
    with pytest.raises(error):
        await rest.exchange(b"{}")


async def test_an_action_is_sent_once(peer: Callable[[Answer], Awaitable[Rest]]) -> None:
    seen = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(await request.read())
        return await resets(request)

    rest = await peer(answer)
    with pytest.raises(OutcomeUnknown):
        await rest.exchange(b"{}")
    assert len(seen) == 1


READS: list[tuple[Answer, type[Exception]]] = [
    (says(429, "no"), RateLimited),
    (says(502, "<html>"), Retry),
    (says(422, "?"), VenueRejected),
    (says(200, "not json"), Retry),
    (resets, Retry),
    (hangs, Retry),
]


@pytest.mark.parametrize(("answer", "error"), READS)
async def test_reads(peer: Callable[[Answer], Awaitable[Rest]], answer: Answer, error: type[Exception]) -> None:
    rest = await peer(answer)
    with pytest.raises(error):
        await rest.info("meta", dict)


async def test_nobody_there_means_nothing_was_sent() -> None:
    async with aiohttp.ClientSession() as session:
        rest = Rest(session, "http://127.0.0.1:1", Weights(lambda: 0.0), 0.3)
        with pytest.raises(NotConnected):
            await rest.exchange(b"{}")
        with pytest.raises(NotConnected):
            await rest.info("meta", dict)


async def test_our_own_count_stops_reads_before_actions() -> None:
    now = [0.0]
    weights = Weights(lambda: now[0], 200, 100)
    weights.spend(60)
    weights.spend(40)
    with pytest.raises(RateLimited) as caught:
        weights.spend(2)
    assert caught.value.retry_after == 60.0
    weights.spend(100, action=True)
    with pytest.raises(RateLimited):
        weights.spend(1, action=True)
    now[0] = 60.0
    assert weights.used == 0
