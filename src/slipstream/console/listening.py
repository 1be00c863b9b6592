"""An operator's ear on the bus: hears for a bounded time, or until something is so, and folds what it hears."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from slipstream.console.discovery import FundAddress
from slipstream.console.fund_state import OPERATOR, FundState, begin, filters, fold
from slipstream.model.topics import Topics
from slipstream.runtime.bus.connect import connect
from slipstream.runtime.bus.port import Bus

READ_S = 3.5  # wall seconds: three missing beats are a death


class Listener:
    """The bus and the fund as heard so far. One reader at a time."""

    def __init__(self, bus: Bus, state: FundState) -> None:
        self.bus = bus
        self.state = state
        self.topics = Topics(state.realm)

    async def until(self, so: Callable[[FundState], bool], seconds: float) -> bool:
        """Hear until ``so`` holds, for at most ``seconds`` of the wall; whether it does."""
        if so(self.state):
            return True
        try:
            async with asyncio.timeout(seconds):
                async for received in self.bus.messages():
                    self.state = fold(self.state, received)
                    if so(self.state):
                        return True
        except TimeoutError:
            return False
        return so(self.state)

    async def read(self, seconds: float = READ_S) -> FundState:
        """What the fund says now: at once when everybody was heard, else after ``seconds`` of the wall."""
        await self.until(is_complete, seconds)
        return self.state

    def why_silent(self) -> str:
        """Why nothing is heard, as far as the bus knows."""
        error = self.bus.statistics().get("error")
        if not self.bus.is_connected:
            return f"the broker does not answer: {error}" if error else "the broker does not answer"
        return f"the broker answers, but nobody speaks{f' ({error})' if error else ''}"


def is_complete(state: FundState) -> bool:
    """Whether every process that should speak was heard, and the clock's speed is known."""
    if not state.expected:
        return False
    beats = all(name in state.processes for name in state.expected)
    pods = all(pod.report is not None for pod in state.pods.values())
    speed = state.speed_hint > 0 or any(view.speed is not None for view in state.processes.values())
    return beats and pods and speed and state.audit is not None


def operator_bus(address: FundAddress) -> Bus:
    """A connection of its own for every command: two operators do not push each other off. Raises ConfigError."""
    return connect(address.url, f"{OPERATOR}-{os.getpid()}-{time.monotonic_ns()}", realm=address.realm)


@asynccontextmanager
async def listening(address: FundAddress) -> AsyncIterator[Listener]:
    """An ear on a fund. Raises ConfigError if the address is none."""
    bus = operator_bus(address)
    await bus.subscribe(*filters(address.realm))
    async with bus:
        yield Listener(bus, begin(address.realm, address.pods, speed=address.speed))
