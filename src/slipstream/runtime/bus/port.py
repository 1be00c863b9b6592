"""What a bus must offer: publish, subscribe, receive; reconnecting is its own affair."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Protocol

import msgspec

from slipstream.model.messages import Message


class Received(msgspec.Struct, frozen=True):
    """A message as it arrived. ``retained``: it was there before we subscribed; ``received_ns`` is wall time."""

    topic: str
    message: Message
    sender: str
    retained: bool
    received_ns: int


class Bus(Protocol):
    """One process's connection to the fund's bus; an async context manager.

    A lost broker raises nothing: the bus reconnects and subscribes anew. While it is away the newest retained message
    of each topic and a bounded number of others are kept, the oldest dropped. Delivery is at least once.
    """

    async def __aenter__(self) -> Bus:
        """Begin to connect; returns at once, connected or not."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave in order: no will is sent."""
        ...

    async def publish(self, topic: str, message: Message, *, retain: bool = False) -> None:
        """Send, or keep until the broker is back."""
        ...

    async def subscribe(self, *filters: str) -> None:
        """Receive what matches; before or after connecting."""
        ...

    def messages(self) -> AsyncIterator[Received]:
        """Messages in the order they arrived, until the bus is left."""
        ...

    @property
    def is_connected(self) -> bool:
        """Whether the broker answers now."""
        ...

    @property
    def lost_since(self) -> float | None:
        """Monotonic seconds since when the broker has been away; None while it is there."""
        ...

    def statistics(self) -> dict[str, Any]:
        """Counts: sent, received, waiting, dropped, unreadable, reconnects, and the first error."""
        ...
