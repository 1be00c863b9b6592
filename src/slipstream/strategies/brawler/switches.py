"""Kill switches: each suspends at once and resumes by itself, after the trouble has been over for a while."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec
import numpy as np
from numba.extending import register_jitable

from slipstream.strategies.brawler.plain import plain

NEVER = -1
SWITCH_DTYPE = np.dtype(
    [
        ("first_ns", np.int64),  # the patience
        ("longest_ns", np.int64),
        ("memory_ns", np.int64),
        ("is_open", np.int64),
        ("backoff_ns", np.int64),
        ("since_ns", np.int64),
        ("clear_ns", np.int64),  # since when the trouble is over, or NEVER
        ("resumed_ns", np.int64),  # or NEVER
    ]
)
SUSPENDED, RESUMED, UNCHANGED = 1, -1, 0


class Finding(IntEnum):
    """What one look at a condition says. Between CLEAR and BAD lies hysteresis: nothing changes."""

    CLEAR = 0
    BETWEEN = 1
    BAD = 2


CLEAR, BETWEEN, BAD = 0, 1, 2  # the same for compiled code


def level(value: float, limit: float, resume: float) -> int:
    """BAD from ``limit`` on, CLEAR below ``resume``. A value that is not a number is BAD."""
    if value < resume:
        return CLEAR
    return BETWEEN if value < limit else BAD


def above(value: float, limit: float, resume: float) -> Finding:
    """`level` as a Finding."""
    return Finding(level(value, limit, resume))


def turn(state: Any, finding: int, now_ns: int) -> int:
    """Take one look at the condition of a `SWITCH_DTYPE`: SUSPENDED, RESUMED or UNCHANGED."""
    if not state.is_open:
        if finding != BAD:
            return UNCHANGED
        if state.resumed_ns != NEVER and now_ns - state.resumed_ns <= state.memory_ns:
            state.backoff_ns = min(state.backoff_ns * 2, state.longest_ns)
        else:
            state.backoff_ns = state.first_ns
        state.is_open = 1  # open: no current flows, quoting is suspended
        state.since_ns = now_ns
        state.clear_ns = NEVER
        return SUSPENDED
    if finding != CLEAR:
        state.clear_ns = NEVER
        return UNCHANGED
    if state.clear_ns == NEVER:
        state.clear_ns = now_ns
    if now_ns - state.clear_ns < state.backoff_ns:
        return UNCHANGED
    state.is_open = 0
    state.resumed_ns = now_ns
    return RESUMED


for _function in (level, turn):
    register_jitable(_function)  # stays plain Python, and may be called from compiled code


class Patience(msgspec.Struct, frozen=True):
    """How long the trouble must be over: ``first_ns``, doubling to ``longest_ns`` each time it is back within
    ``memory_ns`` of a resumption."""

    first_ns: int
    longest_ns: int
    memory_ns: int


def closed(patience: Patience) -> Any:
    """The state of a switch that has not seen trouble."""
    given = msgspec.structs.asdict(patience)
    return plain(SWITCH_DTYPE, **given, backoff_ns=patience.first_ns, clear_ns=NEVER, resumed_ns=NEVER)


class Switch:
    """One condition's latch. ``look`` says what changed: True suspended, False resumed, None nothing."""

    def __init__(self, reason: str, patience: Patience) -> None:
        self.reason = reason
        self.detail = ""
        self.state = closed(patience)

    def look(self, finding: Finding, detail: str, now_ns: int) -> bool | None:
        """Take one look at the condition."""
        changed = turn(self.state, finding, now_ns)
        if changed == SUSPENDED:
            self.detail = detail
        return None if changed == UNCHANGED else changed == SUSPENDED

    @property
    def is_open(self) -> bool:
        """Whether quoting is suspended."""
        return bool(self.state.is_open)

    @property
    def since_ns(self) -> int:
        """When the last suspension began."""
        return int(self.state.since_ns)

    @property
    def backoff_ns(self) -> int:
        """How long the trouble must be over before this suspension ends."""
        return int(self.state.backoff_ns)
