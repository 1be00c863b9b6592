"""The process that tells people: what it hears on the bus, and that the bus is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from slipstream.model.messages import Alert, Beat
from slipstream.model.topics import Topics
from slipstream.processes.alerts import tell, watch_bus
from slipstream.runtime.bus.acl import ALERTS, rights
from slipstream.runtime.bus.memory import MemoryBroker, MemoryBus, matches

TOPICS = Topics("test")


class Told:
    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def tell(self, alert: Alert) -> None:
        self.alerts.append(alert)


def alert(key: str) -> Alert:
    return Alert(key, "error", key, "", 0)


async def until(so: Callable[[], Any]) -> None:
    async with asyncio.timeout(10.0):
        while not so():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_alerts_of_everybody_are_told_and_its_own_are_not() -> None:
    broker, told = MemoryBroker(), Told()
    async with (
        MemoryBus(broker, ALERTS) as own,
        MemoryBus(broker, "maker") as maker,
        MemoryBus(broker, "auditor") as auditor,
        asyncio.TaskGroup() as group,
    ):
        task = group.create_task(tell(own, told, TOPICS))
        await asyncio.sleep(0)
        await maker.publish(TOPICS.alert("maker"), alert("one"))
        await own.publish(TOPICS.alert(ALERTS), alert("circle"))
        await maker.publish(TOPICS.alert("maker"), Beat("maker", 1, 1, 1, 0, 0))
        await auditor.publish(TOPICS.alert("auditor"), alert("two"))
        await until(lambda: len(told.alerts) == 2)
        task.cancel()
    assert [one.key for one in told.alerts] == ["one", "two"]


async def test_each_absence_of_the_bus_is_told_once() -> None:
    broker, told = MemoryBroker(), Told()
    async with MemoryBus(broker, ALERTS) as bus, asyncio.TaskGroup() as group:
        task = group.create_task(watch_bus(bus, told, lost_after=0.02, every=0.001))
        for count in (1, 2):
            broker.stop()
            began = time.monotonic()
            await until(lambda wanted=count: len(told.alerts) == wanted)  # type: ignore[misc]
            assert time.monotonic() - began >= 0.02
            broker.start()
        task.cancel()
    assert len({one.key for one in told.alerts}) == 2 and told.alerts[0].level == "critical"


def test_it_hears_alerts_and_may_say_nothing_for_others() -> None:
    may = rights(ALERTS, "test")
    assert any(matches(one, TOPICS.alert("maker")) for one in may.subscribe)
    for topic in (
        TOPICS.halt("operator", "all"),
        TOPICS.mandate("maker"),
        TOPICS.alert("maker"),
        TOPICS.flatten("all"),
    ):
        assert not any(matches(one, topic) for one in may.publish)
