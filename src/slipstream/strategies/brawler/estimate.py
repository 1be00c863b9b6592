"""Estimates from irregular event times: an exponential average and the volatility of a price on a fixed grid.

Both live on the event time of their source, so the same tape gives the same numbers however it was delivered.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

LN2 = math.log(2.0)


class Ema:
    """An exponential average whose weight depends on the time that passed: 1 - 2 ** (-dt / halflife)."""

    def __init__(self, halflife_ns: int) -> None:
        self._halflife = float(halflife_ns)
        self.value: float | None = None
        self._ns = 0
        self._since_ns = 0

    def add(self, value: float, ns: int) -> None:
        """Take an observation. One that is not newer than the last changes nothing."""
        if self.value is None:
            self.value, self._ns, self._since_ns = value, ns, ns
        elif ns > self._ns:
            self.value += (1.0 - math.exp(-LN2 * (ns - self._ns) / self._halflife)) * (value - self.value)
            self._ns = ns

    @property
    def age_ns(self) -> int:
        """Event time between the first and the last observation, ns."""
        return self._ns - self._since_ns

    def dump(self) -> dict[str, object]:
        """Plain values for `load`."""
        return {"value": self.value, "ns": self._ns, "since_ns": self._since_ns}

    def load(self, state: Mapping[str, object]) -> None:
        """Continue; an old average is soon forgotten, since its weight falls with the time that has passed."""
        value, ns, since_ns = state.get("value"), state.get("ns"), state.get("since_ns")
        if not (isinstance(value, int | float) and isinstance(ns, int) and isinstance(since_ns, int)):
            return
        if math.isfinite(value) and 0 <= since_ns <= ns:
            self.value, self._ns, self._since_ns = float(value), ns, since_ns


class Volatility:
    """Standard deviation of the last ``n`` log returns of a price sampled every ``interval``.

    At each grid time the sample is the last price before it. A silence longer than ``gap`` is not filled: the
    return across it is dropped, and a silence longer than the window empties it.
    """

    def __init__(self, n: int, interval_ns: int, gap_ns: int) -> None:
        self._interval = interval_ns
        self._gap = max(gap_ns, interval_ns)
        self._returns: deque[float] = deque(maxlen=n)
        self._n = n
        self._price = 0.0  # newest price and its time
        self._ns = 0
        self._sample = 0.0  # price at the last grid time passed
        self._cell = 0  # that grid time's number
        self.sigma = 0.0

    @property
    def count(self) -> int:
        """Returns in the window."""
        return len(self._returns)

    def add(self, price: float, ns: int) -> None:
        """Take a price above 0. One that is older than the last is ignored."""
        if ns < self._ns:
            return
        cell = ns // self._interval
        if self._price <= 0.0 or ns - self._ns > self._gap:
            if ns - self._ns > self._n * self._interval:
                self._returns.clear()
                self.sigma = 0.0
            self._sample, self._cell = price, cell
        elif cell > self._cell:
            # the price stood still from the last event to the last grid time before this one
            self._close()
            for _ in range(min(cell - self._cell - 1, self._n)):
                self._returns.append(0.0)
            self._cell = cell
            self.sigma = deviation(self._returns)
        self._price, self._ns = price, ns

    def _close(self) -> None:
        """The first grid time passed since the last sample: its price is the newest before it."""
        self._returns.append(math.log(self._price / self._sample))
        self._sample = self._price

    def dump(self) -> dict[str, object]:
        """Plain values for `load`."""
        return {
            "interval_ns": self._interval,
            "returns": list(self._returns),
            "price": self._price,
            "ns": self._ns,
            "sample": self._sample,
            "cell": self._cell,
        }

    def load(self, state: Mapping[str, object]) -> None:
        """Continue, if the state was sampled on the same grid; otherwise start afresh."""
        returns, price, ns = state.get("returns"), state.get("price"), state.get("ns")
        sample, cell = state.get("sample"), state.get("cell")
        if state.get("interval_ns") != self._interval or not isinstance(returns, list | tuple):
            return
        if not (isinstance(ns, int) and isinstance(cell, int)):
            return
        numbers = [float(x) for x in (*returns, price, sample) if isinstance(x, int | float)]
        if len(numbers) != len(returns) + 2 or not all(math.isfinite(x) for x in numbers):
            return
        *window, self._price, self._sample = numbers
        if self._price <= 0.0 or self._sample <= 0.0:
            self._price = 0.0
            return
        self._returns.extend(window)
        self._ns, self._cell = ns, cell
        self.sigma = deviation(self._returns)


def deviation(values: deque[float]) -> float:
    """Sample standard deviation (n - 1); 0 for fewer than two values."""
    n = len(values)
    if n < 2:
        return 0.0
    mean = sum(values) / n
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
