"""Alerts through apprise to a real webhook on loopback: told, counted, retried, and never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from slipstream.model.errors import ConfigError
from slipstream.model.messages import Alert
from slipstream.model.ports import Notifier
from slipstream.runtime.notify import QUEUE, STUCK_MAX, AppriseNotifier, Channel, Patience
from slipstream.runtime.throttle import Note

QUICK = Patience(delivery=5.0, pauses=(0.01, 0.02), leaving=1.0)


class Hook:
    """A webhook: what it got, what it answers."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        await self.open.wait()
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.got.append(await request.json())
        return web.Response(status=status)


@asynccontextmanager
async def webhook() -> AsyncIterator[Hook]:
    hook = Hook()
    app = web.Application()
    app.router.add_post("/hook-of-secret", hook.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hook.url = f"json://me:hunter2@127.0.0.1:{runner.addresses[0][1]}/hook-of-secret"
        yield hook
    finally:
        hook.open.set()
        await runner.cleanup()


@asynccontextmanager
async def running(notifier: AppriseNotifier) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(notifier.run())
        yield
        task.cancel()


async def until(so: Callable[[], Any]) -> None:
    async with asyncio.timeout(20.0):
        while not so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def alert(key: str, level: str = "warn") -> Alert:
    return Alert(key, level, f"about {key}", "body", 0)


async def test_a_real_webhook_gets_a_matter_once_and_plain_lines() -> None:
    async with webhook() as hook:
        notifier = AppriseNotifier([hook.url], per_minute=60.0, patience=QUICK)
        port: Notifier = notifier
        async with running(notifier):
            notifier.tell(alert("break/position", "error"))
            notifier.tell(alert("break/position", "error"))
            port.notify(["the fund is up", "two pods"])
            await until(lambda: len(hook.got) == 2)
        assert [one["title"] for one in hook.got] == ["[error] about break/position", "[info] the fund is up"]
        assert (hook.got[0]["type"], hook.got[0]["message"], hook.got[1]["message"]) == ("failure", "body", "two pods")
        assert notifier.statistics() == {"sent": 2, "lost": 0, "counted": 1, "held_back": 0, "errors": {}}


async def test_what_was_held_back_comes_as_one_line_when_its_time_has_come() -> None:
    now = [0.0]
    async with webhook() as hook:
        notifier = AppriseNotifier([hook.url], per_minute=2.0, patience=QUICK, clock=lambda: now[0])
        for number in range(5):
            notifier.tell(alert(f"k{number}"))
        now[0] = 31.0
        async with running(notifier):
            await until(lambda: len(hook.got) == 3)
        assert hook.got[2]["title"] == "[warning] 3 alerts held back: 3 warning"
        assert hook.got[2]["message"].splitlines() == [f"warning: about k{number}" for number in (2, 3, 4)]


async def test_a_failed_delivery_is_tried_again_and_said_once_without_secrets() -> None:
    heard: list[str] = []
    async with webhook() as hook:
        hook.answers = [500, 500, 200, 500]
        notifier = AppriseNotifier([hook.url], per_minute=60.0, patience=QUICK, failed=heard.append)
        async with running(notifier):
            notifier.tell(alert("a"))
            notifier.tell(alert("b"))
            await until(lambda: len(hook.got) == 2)
        assert [one["title"] for one in hook.got] == ["[warning] about a", "[warning] about b"]
    (line,) = heard
    assert line.startswith("alerts.urls[0] (json): ") and "500" in line
    assert "hunter2" not in line and "hook-of-secret" not in line


async def test_a_dead_address_is_noticed_and_the_others_are_told() -> None:
    heard: list[str] = []
    async with webhook() as hook, webhook() as gone:
        dead = gone.url.rsplit(":", 1)[0] + ":9/hook-of-secret"
        notifier = AppriseNotifier([dead, hook.url], per_minute=60.0, patience=QUICK, failed=heard.append)
        async with running(notifier):
            notifier.tell(alert("a"))
            await until(lambda: len(hook.got) == 1 and notifier.statistics()["lost"] == 1)
        assert list(notifier.statistics()["errors"]) == ["alerts.urls[0] (json)"]
    assert len(heard) == 1 and "hunter2" not in heard[0]


async def test_a_webhook_that_hangs_holds_up_neither_the_loop_nor_the_others() -> None:
    patience = Patience(delivery=0.1, pauses=(), leaving=0.1)
    async with webhook() as slow, webhook() as hook:
        slow.open.clear()
        notifier = AppriseNotifier([slow.url, hook.url], per_minute=60.0, patience=patience)
        async with running(notifier):
            for number in range(STUCK_MAX + 2):
                notifier.tell(alert(f"k{number}"))
            await until(lambda: notifier.channels[0].lost == STUCK_MAX + 2)
            await until(lambda: len(hook.got) == STUCK_MAX + 2)
            assert notifier.channels[0].error == "no answer within 0.1 s"
            slow.open.set()
            await until(lambda: notifier.channels[0]._stuck == 0)
            notifier.tell(alert("later"))
            await until(lambda: any("later" in one["title"] for one in slow.got))


async def test_what_waits_when_leaving_is_still_sent() -> None:
    async with webhook() as hook:
        notifier = AppriseNotifier([hook.url], per_minute=60.0, patience=QUICK)
        async with running(notifier):
            await asyncio.sleep(0)
            for number in range(3):
                notifier.tell(alert(f"k{number}"))
        assert [one["title"][-2:] for one in hook.got] == ["k0", "k1", "k2"]


async def test_a_plugin_that_breaks_is_a_failed_delivery_and_the_queue_is_bounded() -> None:
    heard: list[str] = []

    def broken(note: Note) -> str | None:
        raise RuntimeError("token-in-text")

    channel = Channel("x", broken, heard.append, Patience(delivery=1.0, pauses=(), leaving=1.0))
    for _ in range(QUEUE + 5):
        channel.put(Note("info", "t", "b"))
    assert channel.dropped == 5
    async with asyncio.TaskGroup() as group:
        task = group.create_task(channel.run())
        await until(lambda: channel.lost == QUEUE)
        task.cancel()
    assert heard == ["x: RuntimeError in apprise"]


def test_an_address_that_is_none_is_named_without_its_password() -> None:
    with pytest.raises(ConfigError, match=r"alerts\.urls\[1\].*nonsense") as error:
        AppriseNotifier(["json://127.0.0.1:9/x", "nonsense://me:hunter2@host/path"], per_minute=1.0)
    assert "hunter2" not in str(error.value)
