"""Sends commands one batch after another, and turns what the broker raises into events.

- Retry (nothing was sent): a placement is rejected, a cancel refused; the kernel tries again as it sees fit.
- VenueRejected, InvalidOrder, Refused: the same, for good.
- anything else: the outcome is unknown. It is not a rejection; the kernel reads it by cloid.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from slipstream.model.commands import Cancel, Command, Modify, Place, Query
from slipstream.model.errors import InvalidOrder, Refused, Retry, VenueRejected
from slipstream.model.events import CancelReject, Event, Reject, Unknown
from slipstream.model.ports import Broker, Clock

WIRE = (Place, Modify, Cancel, Query)


class Sender:
    """An outbox and the task that empties it: what waits while a batch is under way goes out as one batch."""

    def __init__(self, broker: Broker, clock: Clock, deliver: Callable[[Event], None]) -> None:
        self._broker = broker
        self._clock = clock
        self._deliver = deliver
        self._waiting: list[Command] = []
        self._ready = asyncio.Event()
        self._busy = False
        self.first_error: str | None = None

    def put(self, commands: Sequence[Command]) -> None:
        """Add the commands that are for the venue."""
        self._waiting.extend(command for command in commands if isinstance(command, WIRE))
        if self._waiting:
            self._ready.set()

    def drop(self) -> list[Command]:
        """Take back everything that was not sent yet."""
        waiting, self._waiting = self._waiting, []
        return waiting

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is on its way."""
        return not self._busy and not self._waiting

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            batch = self.drop()
            if batch:
                self._busy = True
                try:
                    await self._send(batch)
                finally:
                    self._busy = False

    async def _send(self, batch: list[Command]) -> None:
        try:
            await self._broker.send(batch)
        except (Retry, VenueRejected, InvalidOrder, Refused) as error:
            self._note(error)
            self._answer(batch, not_sent, str(error))
        except Exception as error:
            self._note(error)
            self._answer(batch, not_known, f"{type(error).__name__}: {error}")

    def _note(self, error: Exception) -> None:
        if self.first_error is None:
            self.first_error = f"{type(error).__name__}: {error}"

    def _answer(self, batch: list[Command], answer: Callable[[Command, str, int], list[Event]], reason: str) -> None:
        now_ns = self._clock.now()
        for command in batch:
            for event in answer(command, reason, now_ns):
                self._deliver(event)


def not_sent(command: Command, reason: str, ns: int) -> list[Event]:
    """What a command that was not sent means."""
    if isinstance(command, Place):
        return [Reject(command.cloid, f"not sent: {reason}", ns)]
    if isinstance(command, Modify):
        text = f"not sent: {reason}"
        return [Reject(command.new.cloid, text, ns), CancelReject(command.cloid, text, ns)]
    if isinstance(command, Cancel):
        return [CancelReject(command.cloid, f"not sent: {reason}", ns)]
    return []  # a query is asked again by the kernel's own clock


def not_known(command: Command, reason: str, ns: int) -> list[Event]:
    """What a command whose fate is not known means."""
    if isinstance(command, Modify):
        return [Unknown(command.new.cloid, reason, ns), Unknown(command.cloid, reason, ns)]
    if isinstance(command, Place | Cancel):
        return [Unknown(command.cloid, reason, ns)]
    return []
