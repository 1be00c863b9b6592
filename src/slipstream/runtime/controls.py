"""What an operator may order of a running pod: a halt, a resume, tighter limits. Each becomes a kernel event."""

from __future__ import annotations

from collections.abc import Callable

from slipstream.execution.kernel import Kernel
from slipstream.model.events import Event
from slipstream.model.mandate import Halt, Resume
from slipstream.model.messages import Configure
from slipstream.runtime.clock import WaitingClock
from slipstream.runtime.status import Configure as StatusConfigure
from slipstream.runtime.status import Order


class Controls:
    """The orders of one pod's status page; ``put`` takes an event in."""

    def __init__(self, slug: str, kernel: Kernel, clock: WaitingClock, put: Callable[[Event], None]) -> None:
        self._slug = slug
        self._kernel = kernel
        self._clock = clock
        self._put = put

    def halt(self, order: Order) -> int:
        """Latch a halt of our own; its generation."""
        generation = self._kernel.desk.permit.next_generation
        clears = "POST /resume, or the operator's resume command"
        self._put(Halt(generation, order.state, order.who, order.why, clears, self._clock.now()))
        return generation

    def resume(self, order: Order) -> int:
        """Clear every halt known now; the generation cleared up to."""
        generation = self._kernel.desk.permit.next_generation - 1
        self._put(Resume(generation, order.who, order.why, self._clock.now()))
        return generation

    def configure(self, wanted: StatusConfigure) -> int:
        """Tighten limits within the config. Raises ConfigError if the config does not allow it; the generation."""
        self._kernel.desk.check(wanted.values)
        now = self._clock.now()
        self._put(Configure(now, self._slug, wanted.values, wanted.who, wanted.why, now))
        return now
