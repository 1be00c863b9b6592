"""The bus within one process, for tests: the same manners as a broker's, without sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any

from slipstream.model.messages import Message
from slipstream.runtime.bus.envelope import pack, unpack
from slipstream.runtime.bus.port import Received

QUEUE = 10_000


def matches(filter_: str, topic: str) -> bool:
    """Whether an MQTT filter takes a topic: ``+`` is one level, a final ``#`` the rest."""
    wanted, levels = filter_.split("/"), topic.split("/")
    for number, part in enumerate(wanted):
        if part == "#":
            return True
        if number >= len(levels) or part not in ("+", levels[number]):
            return False
    return len(wanted) == len(levels)


class MemoryBroker:
    """Retained messages and those who listen. ``may_publish(process, topic)`` is its access list.

    ``stop`` and ``start`` take it away and bring it back.
    """

    def __init__(self, may_publish: Callable[[str, str], bool] = lambda process, topic: True) -> None:
        self.may_publish = may_publish
        self.retained: dict[str, bytes] = {}
        self.buses: list[MemoryBus] = []
        self.is_up = True

    def route(self, process: str, topic: str, data: bytes, retain: bool) -> None:
        """Deliver to whoever listens; what is not allowed vanishes, as with any broker."""
        if not self.may_publish(process, topic):
            return
        if retain:
            self.retained[topic] = data
        for bus in list(self.buses):
            bus.deliver(topic, data, retained=False)

    def stop(self) -> None:
        """Go away: nothing is delivered until `start`."""
        self.is_up = False
        for bus in self.buses:
            bus.went(time.monotonic())

    def start(self) -> None:
        """Come back: everyone gets what is retained, and what waited goes out."""
        self.is_up = True
        for bus in list(self.buses):
            bus.came()


class MemoryBus:
    """See `slipstream.runtime.bus.port.Bus`."""

    def __init__(self, broker: MemoryBroker, process: str, *, will: tuple[str, Message] | None = None) -> None:
        self._broker = broker
        self._process = process
        self._will = will
        self._filters: list[str] = []
        self._inbox: asyncio.Queue[Received] = asyncio.Queue()
        self._waiting: list[tuple[str, bytes, bool]] = []
        self._lost: float | None = None
        self._inside = False
        self._seq = 0
        self._counts = dict.fromkeys(("sent", "received", "dropped", "unreadable", "connects"), 0)

    async def __aenter__(self) -> MemoryBus:
        self._inside = True
        self._broker.buses.append(self)
        if self._broker.is_up:
            self.came()
        else:
            self.went(time.monotonic())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._inside = False
        if self in self._broker.buses:
            self._broker.buses.remove(self)

    def die(self) -> None:
        """End as a killed process does: the will is delivered."""
        self._leave()
        if self._will is not None:
            topic, message = self._will
            self._broker.route(self._process, topic, pack(self._process, 0, time.time_ns(), message), True)

    def went(self, at: float) -> None:
        """The broker is gone."""
        self._lost = self._lost or at

    def came(self) -> None:
        """The broker is there."""
        self._lost = None
        self._counts["connects"] += 1
        for topic, data in list(self._broker.retained.items()):
            self.deliver(topic, data, retained=True)
        waiting, self._waiting = self._waiting, []
        for topic, data, retain in waiting:
            self._put(topic, data, retain)

    def _put(self, topic: str, data: bytes, retain: bool) -> None:
        self._counts["sent"] += 1
        self._broker.route(self._process, topic, data, retain)

    async def publish(self, topic: str, message: Message, *, retain: bool = False) -> None:
        """Send, or keep until the broker is back."""
        self._seq += 1
        data = pack(self._process, self._seq, time.time_ns(), message)
        if self._inside and self._broker.is_up:
            self._put(topic, data, retain)
            return
        if retain:
            self._waiting = [one for one in self._waiting if not (one[2] and one[0] == topic)]
        self._waiting.append((topic, data, retain))
        if len(self._waiting) > QUEUE:
            self._waiting.pop(0)
            self._counts["dropped"] += 1

    async def subscribe(self, *filters: str) -> None:
        """Receive what matches; before or after connecting."""
        new = [one for one in filters if one not in self._filters]
        if self._inside and self._broker.is_up:
            for topic, data in list(self._broker.retained.items()):
                if any(matches(one, topic) for one in new) and not any(matches(one, topic) for one in self._filters):
                    self._receive(topic, data, retained=True)
        self._filters += new

    def deliver(self, topic: str, data: bytes, *, retained: bool) -> None:
        """Take a message in, if a filter wants it."""
        if any(matches(one, topic) for one in self._filters):
            self._receive(topic, data, retained=retained)

    def _receive(self, topic: str, data: bytes, *, retained: bool) -> None:
        self._counts["received"] += 1
        if self._inbox.qsize() >= QUEUE:
            self._inbox.get_nowait()
            self._counts["dropped"] += 1
        envelope = unpack(data)
        self._inbox.put_nowait(Received(topic, envelope.body, envelope.sender, retained, time.time_ns()))

    async def messages(self) -> AsyncIterator[Received]:
        """Messages in the order they arrived."""
        while True:
            yield await self._inbox.get()

    @property
    def is_connected(self) -> bool:
        """Whether the broker answers now."""
        return self._inside and self._broker.is_up

    @property
    def lost_since(self) -> float | None:
        """Monotonic seconds since when the broker has been away; None while it is there."""
        return self._lost

    def statistics(self) -> dict[str, Any]:
        """Counts."""
        return {**self._counts, "waiting": len(self._waiting), "unread": self._inbox.qsize(), "error": None}


_BROKERS: dict[str, MemoryBroker] = {}


def memory_broker(name: str) -> MemoryBroker:
    """The broker of a name, made when first asked for."""
    return _BROKERS.setdefault(name, MemoryBroker())
