"""Named timers: the last SetTimer of a name holds."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from slipstream.model.commands import Command, SetTimer
from slipstream.model.events import Timer


class Timers:
    """What is due when. As many entries as names, plus those moved and not yet passed."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def set(self, command: SetTimer) -> None:
        """Set or move a timer."""
        if self._at.get(command.name) == command.at_ns:
            return
        self._at[command.name] = command.at_ns
        heapq.heappush(self._heap, (command.at_ns, command.name))
        if len(self._heap) > 64 + 4 * len(self._at):
            self._heap = [(at_ns, name) for name, at_ns in self._at.items()]
            heapq.heapify(self._heap)

    def arm(self, commands: Iterable[Command]) -> None:
        """Set the timers among some commands."""
        for command in commands:
            if isinstance(command, SetTimer):
                self.set(command)

    @property
    def next_ns(self) -> int | None:
        """When the next timer is due, or None."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now_ns: int) -> list[Timer]:
        """Timers whose time has come, earliest first; each fires once."""
        out = []
        while (at_ns := self.next_ns) is not None and at_ns <= now_ns:
            _, name = heapq.heappop(self._heap)
            del self._at[name]
            out.append(Timer(name, now_ns))
        return out
