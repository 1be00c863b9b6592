"""Our own accounting of the venue's IP weight, so that it never has to refuse us: 1,200 in any 60 s.

The address budget is the kernel's to count (`slipstream.execution.budget`); the connector reads it as `Budget` events.
Source: the venue's docs, "Rate limits and user limits".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from slipstream.model.errors import RateLimited

WINDOW = 60.0  # seconds
WEIGHT = 1_200
LIGHT = frozenset(
    {
        "l2Book",
        "allMids",
        "clearinghouseState",
        "orderStatus",
        "spotClearinghouseState",
        "exchangeStatus",
    }
)
HEAVY = frozenset({"userRole"})
PER_ROWS = frozenset(
    {"recentTrades", "historicalOrders", "userFills", "userFillsByTime", "fundingHistory", "userFunding"}
)


def info_weight(kind: str) -> int:
    """Weight of an /info request before its rows are known."""
    return 2 if kind in LIGHT else 60 if kind in HEAVY else 20


def rows_weight(kind: str, rows: int) -> int:
    """Weight that the rows of an answer add."""
    return rows // 20 if kind in PER_ROWS else rows // 60 if kind == "candleSnapshot" else 0


def action_weight(batch: int) -> int:
    """Weight of an /exchange request with so many orders or cancels."""
    return 1 + batch // 40


class Weights:
    """A sliding window of IP weight. ``now`` is a monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float], limit: int = WEIGHT, reserve: int = 100) -> None:
        """``reserve`` is kept for actions: reads stop earlier than orders and cancels do."""
        self._now = now
        self._limit = limit
        self._reserve = reserve
        self._used: deque[tuple[float, int]] = deque()
        self._sum = 0

    def _expire(self, now: float) -> None:
        while self._used and self._used[0][0] <= now - WINDOW:
            self._sum -= self._used.popleft()[1]

    def spend(self, weight: int, *, action: bool = False) -> None:
        """Count a request about to be sent. Raises RateLimited, with the wait in seconds, if it does not fit."""
        now = self._now()
        self._expire(now)
        limit = self._limit if action else self._limit - self._reserve
        if self._sum + weight > limit:
            wait = self._used[0][0] + WINDOW - now if self._used else WINDOW
            raise RateLimited(f"{self._sum} of {limit} request weight used in the last minute", wait)
        self.add(weight)

    def add(self, weight: int) -> None:
        """Count what an answer cost in addition."""
        if weight:
            self._used.append((self._now(), weight))
            self._sum += weight

    @property
    def used(self) -> int:
        """Weight of the last minute."""
        self._expire(self._now())
        return self._sum
