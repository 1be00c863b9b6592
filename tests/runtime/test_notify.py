"""Alerts: one matter once, so many a minute, and a real webhook on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from slipstream.model.errors import ConfigError
from slipstream.model.messages import Alert
from slipstream.runtime.notify import Gate, Notifier, NotifyOptions, addresses


def alert(key: str, level: str = "warn") -> Alert:
    return Alert(key, level, f"about {key}", "body", 0)


def test_one_matter_is_told_once_again_when_worse_and_again_after_a_while() -> None:
    gate = Gate(per_minute=60.0, repeat_s=100.0)
    assert gate.passes(alert("a"), 0.0)
    assert not gate.passes(alert("a"), 1.0)
    assert gate.passes(alert("a", "error"), 2.0)
    assert not gate.passes(alert("a", "warn"), 3.0)
    assert gate.passes(alert("b"), 3.0)
    assert gate.passes(alert("a", "warn"), 200.0)


def test_what_the_rate_holds_back_is_summed_up_and_told_later() -> None:
    gate = Gate(per_minute=2.0, repeat_s=1e6)
    told = [gate.passes(alert(f"k{i}"), 0.0) for i in range(14)]
    assert sum(told) == 2 and gate.summary(0.0) is None
    summary = gate.summary(31.0)
    assert summary is not None and summary.title == "12 alerts were held back" and "and 2 more" in summary.body
    assert gate.summary(1e6) is None
    assert gate.passes(alert("k13"), 1e6), "what was held back was not told: it still may be"


def test_an_address_that_is_none_is_named_without_its_password() -> None:
    with pytest.raises(ConfigError, match="nonsense://host") as error:
        Notifier(NotifyOptions(urls=("nonsense://me:hunter2@host/path",)))
    assert "hunter2" not in str(error.value)
    assert "hunter2" not in addresses(["json://me:hunter2@host:1/x"])


async def until(so: Callable[[], Any]) -> None:
    async with asyncio.timeout(20.0):
        while not so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_real_webhook_gets_it_and_a_dead_one_is_noticed() -> None:
    got: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        with Notifier(NotifyOptions(urls=(f"json://127.0.0.1:{port}/hook",))) as notifier:
            assert notifier.alert(alert("break/position", "error"))
            assert not notifier.alert(alert("break/position", "error"))
            notifier.notify(["the fund is up", "two pods"])
            await until(lambda: len(got) == 2)
            assert notifier.sent == 2 and notifier.first_error is None
            assert got[0]["title"] == "slipstream: about break/position" and got[0]["type"] == "failure"
    finally:
        await runner.cleanup()
    with Notifier(NotifyOptions(urls=(f"json://127.0.0.1:{port}/hook",))) as notifier:
        notifier.alert(alert("x"))
        await until(lambda: notifier.failed == 1)
        assert "was not delivered" in (notifier.first_error or "")
