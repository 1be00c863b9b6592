"""Venue time: it starts where it is told and runs ``speed`` times as fast as the wall."""

from __future__ import annotations

import time
from collections.abc import Callable

MS = 1_000_000
MOST_SKEW_NS = 60_000_000_000


class VenueClock:
    """Maps wall time to venue time, both ns since the epoch. Can be paused, re-paced and skewed.

    A skew shifts what the venue takes for its clients' time (nonces, expiry). Venue time itself, and with it every
    event's time, shifts along by a minute at the most: more would mean days of market to be made up.
    """

    def __init__(self, start_ns: int, speed: float = 1.0, wall: Callable[[], int] = time.time_ns) -> None:
        """Start at venue time ``start_ns`` now. Raises ValueError for a speed outside 1 to 3,600."""
        self._wall = wall
        self._origin_wall = wall()
        self._origin = start_ns
        self._paused = False
        self.skew_ns = 0
        self.speed = 1.0
        self.set_speed(speed)

    def wall_ms(self) -> int:
        """The venue's idea of its clients' clock, ms: the wall, and whatever skew it was told to have."""
        return (self._wall() + self.skew_ns) // MS

    def now(self) -> int:
        """Venue time, ns."""
        elapsed = 0 if self._paused else self._wall() - self._origin_wall
        return self._origin + int(elapsed * self.speed) + self._shift

    @property
    def _shift(self) -> int:
        return max(-MOST_SKEW_NS, min(MOST_SKEW_NS, self.skew_ns))

    @property
    def paused(self) -> bool:
        """Whether time stands still."""
        return self._paused

    def _rebase(self) -> None:
        self._origin = self.now() - self._shift
        self._origin_wall = self._wall()

    def set_speed(self, speed: float) -> None:
        """Go on at another pace from this moment. Raises ValueError outside 1 to 3,600."""
        if not 1.0 <= speed <= 3_600.0:
            raise ValueError(f"speed must be from 1 to 3600, not {speed}")
        self._rebase()
        self.speed = float(speed)

    def slip(self, to_ns: int) -> None:
        """Fall back to a venue time that could be kept."""
        self._rebase()
        self._origin = min(self._origin, to_ns - self._shift)

    def pause(self) -> None:
        """Stop time."""
        self._rebase()
        self._paused = True

    def resume(self) -> None:
        """Let time go on from where it stopped."""
        self._origin_wall = self._wall()
        self._paused = False

    def forward(self, ns: int) -> None:
        """Move time ahead by some ns (of venue time)."""
        if ns < 0:
            raise ValueError(f"time only goes forward, not by {ns} ns")
        self._origin += ns
