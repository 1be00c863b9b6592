"""When a strategy over bars looks at its book, and which rebalance it has carried out.

It looks once a minute. A rebalance is due at fixed venue times; what keeps it from being decided is said once.
"""

from __future__ import annotations

from slipstream.execution.rebalance import last_due
from slipstream.execution.strategy import View
from slipstream.model.events import Event, Timer
from slipstream.model.intents import Note, Wake
from slipstream.model.mandate import TradingState

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE


class Schedule:
    """The rebalances of one strategy. ``name`` is its timer's; times are ns of venue time."""

    def __init__(self, name: str, *, every_ns: int, offset_ns: int, deadline_ns: int) -> None:
        self.name = name
        self.every_ns = every_ns
        self.offset_ns = offset_ns
        self.deadline_ns = deadline_ns
        self.done_ns = 0  # when the last rebalance was due that was carried out
        self.waiting = ""
        self._awake = False

    @property
    def next_ns(self) -> int:
        """When the next rebalance is due; 0 before the first."""
        return self.done_ns + self.every_ns if self.done_ns else 0

    def is_look(self, event: Event) -> bool:
        """Whether it is time to look."""
        return isinstance(event, Timer) and event.name == self.name

    def wakes(self, event: Event, now_ns: int) -> list[Wake]:
        """What keeps the looks coming: the first soon after the start, every other a minute after the one before."""
        out: list[Wake] = []
        if not self._awake and now_ns > 0:
            self._awake = True
            out.append(Wake(self.name, now_ns + MINUTE // 4))
        if self.is_look(event):
            out.append(Wake(self.name, now_ns + MINUTE))
        return out

    def is_due(self, now_ns: int, *, anew: bool) -> bool:
        """Whether there is something to decide. ``anew``: this process has no book yet, whatever one before it did."""
        return anew or last_due(now_ns, self.every_ns, self.offset_ns) > self.done_ns

    def wait(self, why: str) -> list[Note]:
        """Leave it due, and say why, unless that was said last."""
        said, self.waiting = self.waiting, why
        return [Note(f"rebalance waits: {why}")] if why != said else []

    def take(self, now_ns: int) -> bool:
        """Carry out what is due; whether it is to be traded.

        A process that starts anew takes up a rebalance that was interrupted, and leaves one that had its time alone.
        """
        self.waiting = ""
        due = last_due(now_ns, self.every_ns, self.offset_ns)
        late = due <= self.done_ns and now_ns - due > self.deadline_ns
        self.done_ns = due
        return not late


def obstacle(view: View, closed_ns: int, max_age_ns: float, *, leased: bool, priced: bool) -> str:
    """Why nothing can be decided now; empty if it can.

    ``closed_ns`` is when the newest bar closed, 0 without any; ``leased``: a mandate is required; ``priced``: some
    coin has a price.
    """
    if not closed_ns:
        return "no bars yet"
    age = view.now_ns - closed_ns
    if age > max_age_ns:
        return f"the newest bar closed {age / HOUR:.1f} h ago"
    if view.trading_state is TradingState.HALTED:
        return "halted"
    if leased and view.mandate is None:
        return "no mandate"
    return "" if priced else "no prices yet"
