"""The sockets of the house: what an adapter must offer to plug in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Protocol

from slipstream.model.commands import Command
from slipstream.model.events import Event
from slipstream.model.instrument import Instrument


class Clock(Protocol):
    """Time in ns since the epoch; simulated clocks are siblings of the wall's."""

    def now(self) -> int:
        """The time now, ns."""
        ...


class Feed(Protocol):
    """A source of events: connects, reconnects, resubscribes and says so with Disconnect and Reconnect."""

    def events(self) -> AsyncIterator[Event]:
        """Events in the order they were received, until closed."""
        ...

    async def close(self) -> None:
        """Leave; pending events may be dropped."""
        ...


class Broker(Feed, Protocol):
    """A feed of account events that also takes commands. Answers come back as events, never as returns."""

    async def start(self) -> Sequence[Instrument]:
        """Connect, check the key against the account, reconcile; the venue's instruments."""
        ...

    async def send(self, commands: Sequence[Command]) -> None:
        """Send Place, Modify, Cancel and Query commands, batched as the venue likes best."""
        ...


class Journal(Protocol):
    """Append-only record of events and commands; a single writer."""

    def append(self, events: Sequence[Event], commands: Sequence[Command]) -> int:
        """Make both durable, in order, before returning; the sequence number of the last row.

        Raises JournalError: the caller must stop sending.
        """
        ...

    def read(self, start: int = 0) -> Iterator[tuple[int, Event, tuple[Command, ...]]]:
        """Rows from a sequence number on, in order."""
        ...


class Notifier(Protocol):
    """Tells people."""

    def notify(self, lines: Iterable[str]) -> None:
        """Send some lines; never raises."""
        ...
