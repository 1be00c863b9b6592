"""What a request is worth now: the price that makes the address budget last."""

from __future__ import annotations

from slipstream.strategies.brawler.config import SECOND

UNTOLD = 10_000  # requests that an address begins with; assumed until the venue tells
TRICKLE = 0.1  # requests a second that the venue grants even an exhausted address
DOUBLING = 8.0  # so many requests ahead of the pace double the price
_LIMIT = 40.0


class Pace:
    """A leaky account of requests. The pace spreads what is left over ``horizon_s``; requests ahead of it are a debt
    that the pace pays off. The price of a request doubles for every `DOUBLING` of debt."""

    def __init__(self, horizon_s: float, most: float) -> None:
        """``most`` bounds the pace, requests a second, however much is left."""
        self._horizon = horizon_s
        self._most = most
        self._rate = 0.0
        self._ns = 0
        self.debt = 0.0

    def move(self, now_ns: int, left: int | None) -> None:
        """Time passes; ``left`` requests of the address budget remain (None: not told)."""
        if self._ns:
            self.debt = max(0.0, self.debt - self._rate * (now_ns - self._ns) / SECOND)
        self._ns = now_ns
        self._rate = min(self._most, max(TRICKLE, (UNTOLD if left is None else left) / self._horizon))

    def spend(self, requests: int) -> None:
        """So many requests are asked for."""
        self.debt += requests

    @property
    def factor(self) -> float:
        """What the price of a request is to be multiplied by; 1 without debt."""
        return float(2.0 ** min(_LIMIT, self.debt / DOUBLING))
