"""Kill switches: each suspends at once and resumes by itself, after the trouble has been over for a while."""

from __future__ import annotations

from enum import Enum

import msgspec


class Finding(Enum):
    """What one look at a condition says. Between CLEAR and BAD lies hysteresis: nothing changes."""

    CLEAR = 0
    BETWEEN = 1
    BAD = 2


def above(value: float, limit: float, resume: float) -> Finding:
    """BAD from ``limit`` on, CLEAR below ``resume``. A value that is not a number is BAD."""
    if value < resume:
        return Finding.CLEAR
    return Finding.BETWEEN if value < limit else Finding.BAD


class Patience(msgspec.Struct, frozen=True):
    """How long the trouble must be over: ``first_ns``, doubling to ``longest_ns`` each time it is back within
    ``memory_ns`` of a resumption."""

    first_ns: int
    longest_ns: int
    memory_ns: int


class Switch:
    """One condition's latch. ``look`` says what changed: True suspended, False resumed, None nothing."""

    def __init__(self, reason: str, patience: Patience) -> None:
        self.reason = reason
        self.detail = ""
        self.is_open = False  # open: no current flows, quoting is suspended
        self._patience = patience
        self._backoff_ns = patience.first_ns
        self._clear_ns: int | None = None  # since when the trouble is over
        self._resumed_ns: int | None = None
        self.since_ns = 0

    def look(self, finding: Finding, detail: str, now_ns: int) -> bool | None:
        """Take one look at the condition."""
        if not self.is_open:
            if finding is not Finding.BAD:
                return None
            relapsed = self._resumed_ns is not None and now_ns - self._resumed_ns <= self._patience.memory_ns
            doubled = min(self._backoff_ns * 2, self._patience.longest_ns)
            self._backoff_ns = doubled if relapsed else self._patience.first_ns
            self.is_open, self.detail, self.since_ns, self._clear_ns = True, detail, now_ns, None
            return True
        if finding is not Finding.CLEAR:
            self._clear_ns = None
            return None
        if self._clear_ns is None:
            self._clear_ns = now_ns
        if now_ns - self._clear_ns < self._backoff_ns:
            return None
        self.is_open, self._resumed_ns = False, now_ns
        return False

    @property
    def backoff_ns(self) -> int:
        """How long the trouble must be over before this suspension ends."""
        return self._backoff_ns
