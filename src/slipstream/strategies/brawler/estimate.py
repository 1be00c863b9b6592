"""Estimates from irregular event times: an exponential average and the volatility of a price on a fixed grid.

Both live on the event time of their source, so the same tape gives the same numbers however it was delivered. The
arithmetic is in functions over a state, which compiled code calls too; the classes are the pod's own such state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numba.extending import register_jitable

from slipstream.strategies.brawler.plain import plain

LN2 = math.log(2.0)
AVERAGE_DTYPE = np.dtype(
    [
        ("halflife", np.float64),  # ns
        ("value", np.float64),
        ("ns", np.int64),  # of the newest observation, and of the first
        ("since_ns", np.int64),
        ("seen", np.int64),  # 0: no observation yet
    ]
)
WINDOW_DTYPE = np.dtype(
    [
        ("size", np.int64),  # returns kept
        ("interval", np.int64),  # ns
        ("gap", np.int64),  # ns
        ("head", np.int64),  # place of the oldest return in the ring
        ("count", np.int64),
        ("ns", np.int64),  # newest price and its time
        ("cell", np.int64),  # number of the last grid time passed, and the price there
        ("price", np.float64),
        ("sample", np.float64),
        ("sigma", np.float64),
    ]
)


def average_in(state: Any, value: float, ns: int) -> None:
    """Take an observation into an `AVERAGE_DTYPE`. One that is not newer than the last changes nothing."""
    if state.seen == 0:
        state.value = value
        state.ns = ns
        state.since_ns = ns
        state.seen = 1
    elif ns > state.ns:
        state.value += (1.0 - math.exp(-LN2 * (ns - state.ns) / state.halflife)) * (value - state.value)
        state.ns = ns


def price_in(state: Any, ring: Any, price: float, ns: int) -> None:
    """Take a price above 0 into a `WINDOW_DTYPE` and its ring of returns. One older than the last is ignored.

    The window is summed anew when a grid time has passed, at most once an interval: no rounding gathers over days.
    """
    if ns < state.ns:
        return
    cell = ns // state.interval
    if state.price <= 0.0 or ns - state.ns > state.gap:
        if ns - state.ns > state.size * state.interval:
            state.count = 0
            state.head = 0
            state.sigma = 0.0
        state.sample = price
        state.cell = cell
    elif cell > state.cell:
        # the price stood still from the last event to the last grid time before this one
        push(state, ring, math.log(state.price / state.sample))
        state.sample = state.price
        for _ in range(min(cell - state.cell - 1, state.size)):
            push(state, ring, 0.0)
        state.cell = cell
        state.sigma = deviation(ring, state.head, state.count, state.size)
    state.price = price
    state.ns = ns


def push(state: Any, ring: Any, value: float) -> None:
    """Add a return to the window, in place of the oldest if it is full."""
    if state.count < state.size:
        ring[(state.head + state.count) % state.size] = value
        state.count += 1
    else:
        ring[state.head] = value
        state.head = (state.head + 1) % state.size


def deviation(ring: Any, head: int, count: int, size: int) -> float:
    """Sample standard deviation (n - 1) of a ring's values, summed oldest first; 0 for fewer than two."""
    if count < 2:
        return 0.0
    total = 0.0
    place = head
    for _ in range(count):
        total += ring[place]
        place = place + 1 if place + 1 < size else 0
    mean = total / count
    squares = 0.0
    for _ in range(count):
        place = place - 1 if place > 0 else size - 1
        squares += (ring[place] - mean) * (ring[place] - mean)
    return math.sqrt(squares / (count - 1))


for _function in (push, deviation, average_in, price_in):
    register_jitable(_function)  # stays plain Python, and may be called from compiled code


class Ema:
    """An exponential average whose weight depends on the time that passed: 1 - 2 ** (-dt / halflife)."""

    def __init__(self, halflife_ns: int) -> None:
        self.state = plain(AVERAGE_DTYPE, halflife=float(halflife_ns))

    @property
    def value(self) -> float | None:
        """The average; None before any observation."""
        return float(self.state.value) if self.state.seen else None

    def add(self, value: float, ns: int) -> None:
        """Take an observation. One that is not newer than the last changes nothing."""
        average_in(self.state, value, ns)

    @property
    def age_ns(self) -> int:
        """Event time between the first and the last observation, ns."""
        return int(self.state.ns - self.state.since_ns)

    def dump(self) -> dict[str, object]:
        """Plain values for `load`."""
        return {"value": self.value, "ns": self.state.ns, "since_ns": self.state.since_ns}

    def load(self, state: Mapping[str, object]) -> None:
        """Continue; an old average is soon forgotten, since its weight falls with the time that has passed."""
        value, ns, since_ns = state.get("value"), state.get("ns"), state.get("since_ns")
        if not (isinstance(value, int | float) and isinstance(ns, int) and isinstance(since_ns, int)):
            return
        if math.isfinite(value) and 0 <= since_ns <= ns:
            ours = self.state
            ours.value, ours.ns, ours.since_ns, ours.seen = float(value), ns, since_ns, 1


class Volatility:
    """Standard deviation of the last ``n`` log returns of a price sampled every ``interval``.

    At each grid time the sample is the last price before it. A silence longer than ``gap`` is not filled: the
    return across it is dropped, and a silence longer than the window empties it.
    """

    def __init__(self, n: int, interval_ns: int, gap_ns: int) -> None:
        self.state = plain(WINDOW_DTYPE, size=n, interval=interval_ns, gap=max(gap_ns, interval_ns))
        self.ring = [0.0] * n

    @property
    def sigma(self) -> float:
        """The deviation, per interval; 0 before two returns."""
        return float(self.state.sigma)

    @property
    def count(self) -> int:
        """Returns in the window."""
        return int(self.state.count)

    def add(self, price: float, ns: int) -> None:
        """Take a price above 0. One that is older than the last is ignored."""
        price_in(self.state, self.ring, price, ns)

    def dump(self) -> dict[str, object]:
        """Plain values for `load`."""
        state = self.state
        return {
            "interval_ns": state.interval,
            "returns": [self.ring[(state.head + place) % state.size] for place in range(state.count)],
            "price": state.price,
            "ns": state.ns,
            "sample": state.sample,
            "cell": state.cell,
        }

    def load(self, state: Mapping[str, object]) -> None:
        """Continue, if the state was sampled on the same grid; otherwise start afresh."""
        returns, price, ns = state.get("returns"), state.get("price"), state.get("ns")
        sample, cell = state.get("sample"), state.get("cell")
        if state.get("interval_ns") != self.state.interval or not isinstance(returns, list | tuple):
            return
        if not (isinstance(ns, int) and isinstance(cell, int)):
            return
        numbers = [float(x) for x in (*returns, price, sample) if isinstance(x, int | float)]
        if len(numbers) != len(returns) + 2 or not all(math.isfinite(x) for x in numbers):
            return
        *window, newest, sampled = numbers
        if newest <= 0.0 or sampled <= 0.0:
            return
        ours = self.state
        for value in window:
            push(ours, self.ring, value)
        ours.price, ours.sample, ours.ns, ours.cell = newest, sampled, ns, cell
        ours.sigma = deviation(self.ring, ours.head, ours.count, ours.size)
