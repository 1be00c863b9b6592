"""The pod's queue: many feeds in, one batch out; when the pod falls behind, stale prices give way to newer ones.

Bbo, L2Book and AssetContext of a coin are superseded by their next; public trades are kept up to a bound, then the
oldest go. Everything about the account is kept: it is bounded by what the venue sends.
"""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec

from slipstream.model.events import AssetContext, Bbo, Event, L2Book, Trade

Key = tuple[type, str, str]


class InboxCounts(msgspec.Struct, frozen=True):
    """What went through: events taken in, prices superseded before anyone saw them, trades dropped, waiting now."""

    taken: int
    superseded: int
    dropped_trades: int
    waiting: int


class Inbox:
    """Events in order of arrival. `ready` is set while something waits."""

    def __init__(self, max_trades: int = 10_000) -> None:
        self.ready = asyncio.Event()
        self._slots: list[Event | None] = []
        self._newest: dict[Key, int] = {}
        self._trades: deque[int] = deque()
        self._max_trades = max_trades
        self._taken = self._superseded = self._dropped = 0

    def put(self, event: Event) -> None:
        """Take an event in."""
        self._taken += 1
        place = len(self._slots)
        if isinstance(event, Bbo | L2Book | AssetContext):
            key = (type(event), event.venue, event.coin)
            old = self._newest.get(key)
            if old is not None:
                self._slots[old] = None
                self._superseded += 1
            self._newest[key] = place
        elif isinstance(event, Trade):
            self._trades.append(place)
            if len(self._trades) > self._max_trades:
                self._slots[self._trades.popleft()] = None
                self._dropped += 1
        self._slots.append(event)
        if place > 1024 and self._dead * 2 > place:
            self._compact()
        self.ready.set()

    @property
    def _dead(self) -> int:
        return self._superseded + self._dropped - self._buried

    _buried = 0

    def _compact(self) -> None:
        """Drop the places of superseded events: a pod that stands still for an hour stays small."""
        kept = [event for event in self._slots if event is not None]
        self._clear()
        for place, event in enumerate(kept):
            if isinstance(event, Bbo | L2Book | AssetContext):
                self._newest[type(event), event.venue, event.coin] = place
            elif isinstance(event, Trade):
                self._trades.append(place)
        self._slots = list(kept)

    def _clear(self) -> None:
        self._slots = []
        self._newest.clear()
        self._trades.clear()
        self._buried = self._superseded + self._dropped

    def take(self) -> list[Event]:
        """Everything that waits, in order."""
        batch = [event for event in self._slots if event is not None]
        self._clear()
        self.ready.clear()
        return batch

    def counts(self) -> InboxCounts:
        """Figures for people."""
        return InboxCounts(self._taken, self._superseded, self._dropped, len(self._slots) - self._dead)
