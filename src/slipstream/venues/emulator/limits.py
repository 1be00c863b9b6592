"""The venue's limits per IP: request weight and WebSocket use. Off unless asked for.

Source: the venue's docs, "Rate limits": 1,200 weight a minute; an info request weighs 2, 20 or 60 and more by the rows
it returns; an action 1 + floor(batch / 40).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

LIGHT = frozenset(
    {"l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState", "exchangeStatus"}
)
HEAVY = {"userRole": 60}
BY_ROWS = frozenset(
    {
        "recentTrades",
        "historicalOrders",
        "userFills",
        "userFillsByTime",
        "fundingHistory",
        "userFunding",
        "userNonFundingLedgerUpdates",
        "twapHistory",
        "userTwapSliceFills",
        "userTwapSliceFillsByTime",
        "delegatorHistory",
        "delegatorRewards",
    }
)


class LimitSettings(msgspec.Struct, frozen=True):
    """What one IP may do."""

    weight: int = 1_200  # a minute
    connections: int = 10
    new_connections: int = 30  # a minute
    subscriptions: int = 1_000
    users: int = 10
    messages: int = 2_000  # a minute
    posts: int = 100  # in flight


def info_weight(kind: str, rows: int) -> int:
    """The weight of an info request that returned some rows."""
    if kind == "candleSnapshot":
        return 20 + rows // 60
    base = 2 if kind in LIGHT else HEAVY.get(kind, 20)
    return base + (rows // 20 if kind in BY_ROWS else 0)


def action_weight(action: dict[str, Any]) -> int:
    """The weight of an action: one, and one more for every forty of its batch."""
    for name in ("orders", "cancels", "modifies"):
        batch = action.get(name)
        if isinstance(batch, list):
            return 1 + len(batch) // 40
    return 1


class Bucket:
    """A minute's allowance that refills steadily."""

    def __init__(self, size: int, now: float) -> None:
        self._size, self._left, self._at = float(size), float(size), now

    def take(self, n: float, now: float) -> bool:
        """Use some of it, if there is any; one big request may overdraw it."""
        self._left = min(self._size, self._left + (now - self._at) * self._size / 60.0)
        self._at = now
        if self._left <= 0.0:
            return False
        self._left -= n
        return True


class Visitor:
    """One IP's use."""

    def __init__(self, settings: LimitSettings, now: float) -> None:
        self.weight = Bucket(settings.weight, now)
        self.messages = Bucket(settings.messages, now)
        self.fresh = Bucket(settings.new_connections, now)
        self.connections = 0
        self.subscriptions = 0
        self.users: dict[str, int] = {}
        self.seen = now


class Limits:
    """Counts what every IP does, and says no where limits are on."""

    def __init__(
        self, on: bool, settings: LimitSettings | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.on = on
        self.settings = settings or LimitSettings()
        self._clock = clock
        self._visitors: dict[str, Visitor] = {}

    def _visitor(self, ip: str) -> Visitor:
        now = self._clock()
        if len(self._visitors) > 10_000:  # strangers of a minute ago
            self._visitors = {k: v for k, v in self._visitors.items() if v.connections or now - v.seen < 60.0}
        visitor = self._visitors.setdefault(ip, Visitor(self.settings, now))
        visitor.seen = now
        return visitor

    def weigh(self, ip: str, weight: int) -> bool:
        """Whether an IP may spend request weight."""
        return not self.on or self._visitor(ip).weight.take(weight, self._clock())

    def message(self, ip: str) -> bool:
        """Whether an IP may send one more WebSocket message."""
        return not self.on or self._visitor(ip).messages.take(1, self._clock())

    def connect(self, ip: str) -> str:
        """Count a new connection; the reason if it is one too many."""
        if not self.on:
            return ""
        visitor = self._visitor(ip)
        if visitor.connections >= self.settings.connections:
            return f"Cannot open more than {self.settings.connections} connections."
        if not visitor.fresh.take(1, self._clock()):
            return f"Cannot open more than {self.settings.new_connections} connections a minute."
        visitor.connections += 1
        return ""

    def disconnect(self, ip: str, topics: list[Any]) -> None:
        """A counted connection is gone, with its subscriptions."""
        if not self.on:
            return
        self._visitor(ip).connections -= 1
        for topic in topics:
            self.unsubscribe(ip, topic)

    def subscribe(self, ip: str, topic: Any) -> str:
        """Count a subscription; the venue's text if it is one too many."""
        if not self.on:
            return ""
        visitor = self._visitor(ip)
        if visitor.subscriptions >= self.settings.subscriptions:
            return f"Cannot track more than {self.settings.subscriptions} total subscriptions."
        if topic.user and topic.user not in visitor.users and len(visitor.users) >= self.settings.users:
            return f"Cannot track more than {self.settings.users} total users."
        visitor.subscriptions += 1
        if topic.user:
            visitor.users[topic.user] = visitor.users.get(topic.user, 0) + 1
        return ""

    def unsubscribe(self, ip: str, topic: Any) -> None:
        """A counted subscription is gone."""
        if not self.on:
            return
        visitor = self._visitor(ip)
        visitor.subscriptions -= 1
        if topic.user and topic.user in visitor.users:
            visitor.users[topic.user] -= 1
            if not visitor.users[topic.user]:
                del visitor.users[topic.user]
