"""What the oracle is made of: delays, one market's rules and book, orders and fills, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

DEPTH, BEST, CLEAR, TRADE, FUNDING, MORE = 1, 2, 3, 4, 5, 64
START, FEED, RESPONSE, TIMER = range(4)
FREE, PENDING, OPEN, CANCELLING, MODIFYING, DONE = range(6)
GTC, IOC, ALO = range(3)
NEW, CANCEL, MODIFY = range(3)
ACCEPTED, FILLED, PART_FILLED, CANCELLED, EXPIRED, MODIFIED = range(6)
WOULD_TRADE, NOT_REDUCING, TOO_LATE, BAD_REQUEST, NO_LIQUIDITY, REDUCE_CANCELLED = range(6, 12)
BY_QUEUE, BY_PRICE, BY_CROSS, AS_TAKER = range(4)
OVER = {FILLED, CANCELLED, EXPIRED, WOULD_TRADE, NOT_REDUCING, NO_LIQUIDITY, REDUCE_CANCELLED}
NEVER = 2**63 - 1
DAY_NS = 86_400 * 10**9

Row = tuple[int, int, int, int, int, int, int]  # exch_ns, local_ns, lots, tick, market, kind, side


@dataclass
class Delay:
    """("recorded", offset), ("constant", ns), ("lognormal", median, sigma, seed) or ("table", rows of (at, ns))."""

    terms: tuple[Any, ...]
    state: int = 0
    last: int = -(2**63)

    def __post_init__(self) -> None:
        if self.terms[0] == "lognormal":
            self.state = self.terms[3]

    def _uniform(self) -> float:
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        z = self.state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        z ^= z >> 31
        return ((z >> 11) + 0.5) / 2**53

    def alone(self, now: int, recorded: int) -> int:
        kind, *terms = self.terms
        if kind == "constant":
            return int(terms[0])
        if kind == "recorded":
            return max(recorded + int(terms[0]), 0)
        if kind == "lognormal":
            normal = math.sqrt(-2.0 * math.log(self._uniform())) * math.cos(2.0 * math.pi * self._uniform())
            return int(terms[0] * math.exp(terms[1] * normal))
        rows = terms[0]
        if now <= rows[0][0]:
            return int(rows[0][1])
        for (a, at_a), (b, at_b) in pairwise(rows):
            if a <= now < b:
                return int((at_b - at_a) / (b - a) * (now - a)) + int(at_a)
        return int(rows[-1][1])

    def least(self) -> int:
        """The shortest delay there can be."""
        kind, *terms = self.terms
        return int(terms[0]) if kind == "constant" else min(ns for _, ns in terms[0]) if kind == "table" else 0

    def arrival(self, now: int, recorded: int = 0) -> int:
        self.last = max(self.last, now + self.alone(now, recorded))
        return self.last


@dataclass
class Rules:
    """The terms of one market. ``tiers``: (above, taker, maker); ``decimals`` None: fees are not truncated."""

    model: str = "risk_averse"
    power: float = 1.0
    partial: bool = False
    capped: bool = True
    impact: bool = False
    block_ns: int = 0
    tick_size: Fraction = Fraction(1, 2)
    lot_size: Fraction = Fraction(1, 4)
    feed: tuple[Any, ...] = ("recorded", 0)
    entry: tuple[Any, ...] = ("constant", 0)
    response: tuple[Any, ...] = ("constant", 0)
    tiers: Sequence[tuple[float, float, float]] = ((0.0, 0.0, 0.0),)
    decimals: int | None = None


@dataclass
class Quote:
    bid_tick: int = -1
    bid_lots: int = 0
    ask_tick: int = -1
    ask_lots: int = 0
    trade_tick: int = -1
    trade_lots: int = 0
    trade_side: int = 0
    event_ns: int = 0
    recv_ns: int = 0


@dataclass
class Order:
    """What is known here, and what the exchange has."""

    id: int = 0
    market: int = 0
    side: int = 0
    tick: int = 0
    lots: int = 0
    left: int = 0
    tif: int = 0
    reduce_only: int = 0
    state: int = FREE
    placed_ns: int = 0
    in_flight: int = 0
    rests: bool = False
    book_tick: int = 0
    book_left: int = 0
    front: float = 0.0
    cum: float = 0.0


@dataclass
class Market:
    """One exchange. ``known`` are the lots last said of a tick; ``best`` may hide some that a crossing overtook."""

    rules: Rules
    known: dict[int, dict[int, int]] = field(default_factory=lambda: {1: {}, -1: {}})
    best: dict[int, int] = field(default_factory=lambda: {1: -1, -1: -1})
    own: list[int] = field(default_factory=list)  # slots, in the order in which they joined
    news: list[tuple[int, Row, Quote, Fraction]] = field(default_factory=list)
    position: int = 0
    cash: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    funding: Fraction = Fraction(0)
    row_delay: int = 0

    def __post_init__(self) -> None:
        self.feed, self.entry, self.response = (
            Delay(terms) for terms in (self.rules.feed, self.rules.entry, self.rules.response)
        )

    def settle(self, side: int, worse_than: int | None = None) -> None:
        """The best of a side is the best known tick, worse than a given one."""
        ticks = [tick for tick in self.known[side] if worse_than is None or (tick - worse_than) * side < 0]
        self.best[side] = -1 if not ticks else max(ticks) if side > 0 else min(ticks)

    def better(self, side: int, tick: int) -> bool:
        return self.best[side] < 0 or (tick - self.best[side]) * side > 0


@dataclass(frozen=True)
class Fill:
    exch_ns: int
    local_ns: int
    market: int
    order: int
    side: int
    tick: int
    lots: int
    left: int
    position: int
    maker: bool
    why: int
    fee: Fraction


def behind(model: str, n: float, front: float, back: float) -> float:
    """The probability that what left was behind; NaN where a formula has none."""

    def f(x: float) -> float:
        try:
            return math.log(1.0 + x) if model in ("log", "log2") else math.pow(x, n)
        except ValueError:
            return math.nan

    if model == "power3":
        return 1.0 if front + back == 0.0 else 1.0 - f(front / (front + back))
    above, below = f(back), f(back) + f(front) if model in ("power", "log") else f(back + front)
    return 1.0 if below == 0.0 else above / below
