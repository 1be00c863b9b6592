"""How often a process may be started again: so many times within a window, later and later."""

from __future__ import annotations

from collections import deque


class RestartBudget:
    """``limit`` restarts within any ``window`` seconds; what lies further back counts no more.

    The wait before a restart doubles from ``backoff`` up to 30 s, and begins anew after a life longer than 60 s or
    than the window, whichever is less.
    """

    LONGEST = 30.0
    HEALTHY = 60.0

    def __init__(self, limit: int, window: float, backoff: float) -> None:
        self._limit = limit
        self._window = window
        self._backoff = backoff
        self._delay = backoff
        self._spent: deque[float] = deque()

    def left(self, now: float) -> int:
        """Restarts allowed at a time, seconds of any clock that only goes forward."""
        while self._spent and self._spent[0] <= now - self._window:
            self._spent.popleft()
        return self._limit - len(self._spent)

    def spend(self, now: float, lived: float) -> float | None:
        """Take one restart after a life of so many seconds: how long to wait before it; None: too many."""
        if lived >= min(self.HEALTHY, self._window):
            self._delay = self._backoff
        if self.left(now) <= 0:
            return None
        self._spent.append(now)
        delay, self._delay = self._delay, min(self._delay * 2.0, self.LONGEST)
        return delay
