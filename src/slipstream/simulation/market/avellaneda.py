"""Avellaneda and Stoikov's simulation (Quantitative Finance 2008), as their text has it and on a real order book.

Mathematical specification, 6.1. The mid price moves by +-sigma sqrt(dt) a step. A maker with risk aversion gamma
quotes one lot on each side, and within a step its quote at a distance d from the mid is taken with probability
``A exp(-k d) dt`` (at most 1). Both forms draw the same market:

- `direct`: the probability decides.
- `booked`: both quotes rest in a `lob` book as orders of their own, and a market order of each side comes that walks
  to a depth D from the mid with ``P(D >= d) = A exp(-k d) dt``: the matching engine decides who trades, at what price.

Prices are in the paper's unit, inventory in lots of one, time in its unit of T.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from numba import njit

from slipstream.lob.flow.draws import stream, uniform
from slipstream.lob.matching import ALO, BUY, IOC, SELL, cancel, place
from slipstream.lob.record import new_book

Floats = npt.NDArray[np.float64]
Quotes = Literal["full", "narrow", "symmetric", "symmetric_narrow"]
FULL, NARROW, SYMMETRIC = 0, 1, 2
MODES: dict[Quotes, int] = {"full": FULL, "narrow": NARROW, "symmetric": SYMMETRIC, "symmetric_narrow": SYMMETRIC}
_STATE_DTYPE = np.dtype(
    [
        ("rng", np.uint64),
        ("mode", np.int64),
        ("steps", np.int64),
        ("start", np.float64),
        ("sigma", np.float64),
        ("dt", np.float64),
        ("arrivals", np.float64),
        ("decay", np.float64),
        ("gamma", np.float64),
        ("spread", np.float64),  # of symmetric quotes
        ("tick", np.float64),
        ("bid", np.float64),  # the quotes of the moment
        ("ask", np.float64),
        ("cash", np.float64),
        ("inventory", np.int64),
    ]
)
LEVELS, ORDERS, FILLS = 1 << 18, 1 << 14, 1 << 14  # the layout of a session's books: compiled once for both
OURS = 1  # owner of the maker's orders


class Game(msgspec.Struct, frozen=True, kw_only=True):
    """The market and the maker. ``quotes``: `full` is the paper's reservation price with its whole spread, which
    shrinks with the time left; `narrow` the same price with the constant part of the spread alone; `symmetric` the
    mean of the full spread around the mid, `symmetric_narrow` the constant part. ``tick`` is the booked form's grid.
    """

    gamma: float = 0.1
    quotes: Quotes = "full"
    start: float = 100.0
    sigma: float = 2.0
    horizon: float = 1.0
    dt: float = 0.005
    arrivals: float = 140.0  # A
    decay: float = 1.5  # k
    tick: float = 0.001

    def __post_init__(self) -> None:
        """Raises ValueError that names the figure."""
        for name in ("gamma", "start", "sigma", "horizon", "dt", "arrivals", "decay", "tick"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name} is {value}: it must be a positive number")
        if self.dt > self.horizon:
            raise ValueError(f"dt {self.dt} is longer than the horizon {self.horizon}")

    @property
    def steps(self) -> int:
        """How often the maker quotes."""
        return round(self.horizon / self.dt)

    @property
    def constant_spread(self) -> float:
        """The part of the spread that does not depend on the time left."""
        return 2.0 / self.gamma * math.log1p(self.gamma / self.decay)

    @property
    def mean_spread(self) -> float:
        """The spread quoted, averaged over the steps."""
        if self.quotes in {"narrow", "symmetric_narrow"}:
            return self.constant_spread
        left = self.horizon - self.dt * (self.steps - 1) / 2.0
        return self.constant_spread + self.gamma * self.sigma**2 * left


class Moments(NamedTuple):
    """Mean and deviation of profit and of final inventory over paths, each with its standard error."""

    mean: float
    mean_error: float
    deviation: float
    deviation_error: float
    inventory_mean: float
    inventory_mean_error: float
    inventory_deviation: float
    inventory_deviation_error: float


def moments(profits: Floats, inventories: Floats) -> Moments:
    """What paths say. Raises ValueError for fewer than 2."""
    if len(profits) < 2:
        raise ValueError("a deviation needs at least 2 paths")
    return Moments(*_moments(profits), *_moments(inventories))


def _moments(x: Floats) -> tuple[float, float, float, float]:
    n = len(x)
    centred = x - x.mean()
    variance = float(centred @ centred) / (n - 1)
    fourth = float((centred**4).mean())
    deviation = math.sqrt(variance)
    error = math.sqrt(max(0.0, fourth - variance**2) / n) / (2.0 * deviation) if deviation > 0.0 else 0.0
    return float(x.mean()), deviation / math.sqrt(n), deviation, error


def direct(game: Game, paths: int, seed: int) -> tuple[Floats, Floats]:
    """Profit and final inventory of every path, in the paper's form."""
    profits, inventories = np.empty(paths), np.empty(paths)
    _direct(_states(game, seed), profits, inventories)
    return profits, inventories


def booked(game: Game, paths: int, seed: int) -> tuple[Floats, Floats]:
    """The same with resting orders in the matching engine. Raises OverflowError if a price leaves the book's window."""
    profits, inventories = np.empty(paths), np.empty(paths)
    base = max(0, int(game.start / game.tick) - LEVELS // 2)
    books = new_book(base, LEVELS, ORDERS, FILLS).base
    done = _booked(books, _states(game, seed), profits, inventories)
    if done < paths:
        raise OverflowError(
            f"path {done}: a quote lies beyond the book's {LEVELS} levels; make tick larger than {game.tick}"
        )
    return profits, inventories


def _states(game: Game, seed: int) -> Any:
    states = np.zeros(1, _STATE_DTYPE)
    state = states[0]
    for name in ("start", "sigma", "dt", "arrivals", "decay", "gamma", "tick", "steps"):
        state[name] = getattr(game, name)
    state["rng"] = stream(seed, 0)
    state["mode"] = MODES[game.quotes]
    state["spread"] = game.mean_spread
    return states


@njit(cache=True)
def _quote(s: Any, mid: float, left: float) -> None:
    """Write the maker's bid and ask for a mid price and a time left."""
    risk = s.gamma * s.sigma * s.sigma * left
    spread = 2.0 / s.gamma * math.log1p(s.gamma / s.decay)
    centre = mid - s.inventory * risk
    if s.mode == FULL:
        spread += risk
    elif s.mode == SYMMETRIC:
        spread = s.spread
        centre = mid
    s.bid = centre - 0.5 * spread
    s.ask = centre + 0.5 * spread


@njit(cache=True)
def _direct(states: Any, profits: Any, inventories: Any) -> None:
    s = states[0]
    move = s.sigma * math.sqrt(s.dt)
    pace = s.arrivals * s.dt
    for path in range(len(profits)):
        mid = s.start
        s.cash = 0.0
        s.inventory = 0
        for n in range(s.steps):
            _quote(s, mid, (s.steps - n) * s.dt)
            sold = uniform(s) < pace * math.exp(-s.decay * (s.ask - mid))
            bought = uniform(s) < pace * math.exp(-s.decay * (mid - s.bid))
            if sold:
                s.cash += s.ask
                s.inventory -= 1
            if bought:
                s.cash -= s.bid
                s.inventory += 1
            mid += move if uniform(s) < 0.5 else -move
        profits[path] = s.cash + s.inventory * mid
        inventories[path] = s.inventory


@njit(cache=True)
def _depth(s: Any) -> float:
    """How far from the mid a market order reaches: beyond d with probability A exp(-k d) dt, negative if it is timid.

    A reach below zero is a market order that would only trade on its own side of the mid: a quote may be there.
    """
    return math.log(s.arrivals * s.dt / uniform(s)) / s.decay


@njit(cache=True)
def _settle(book: Any, s: Any) -> None:
    """Book what the maker's orders traded."""
    for i in range(book.fill_count):
        row = book.fill_rows[i]
        lots = row[10] if row[8] < 0 else -row[10]  # a seller hit our bid: bought
        s.inventory += lots
        s.cash -= lots * row[9] * s.tick
    book.fill_count = 0


@njit(cache=True)
def _booked(books: Any, states: Any, profits: Any, inventories: Any) -> int:
    """Every path on books[0]; the paths done: fewer than asked where an order did not fit into the book."""
    book = books[0]
    s = states[0]
    move = s.sigma * math.sqrt(s.dt)
    for path in range(len(profits)):
        mid = s.start
        s.cash = 0.0
        s.inventory = 0
        for n in range(s.steps):
            _quote(s, mid, (s.steps - n) * s.dt)
            ns = path * s.steps + n
            bid = place(book, 1, OURS, BUY, round(s.bid / s.tick), 1, ALO, ns)
            ask = place(book, 2, OURS, SELL, round(s.ask / s.tick), 1, ALO, ns)
            if bid < 0 or ask < 0:
                return path
            # a market order reaches a tick if its depth does: rounding to the nearest would reach half a tick further
            place(book, 3, 0, BUY, _inside(book, math.floor((mid + _depth(s)) / s.tick)), 1, IOC, ns)
            place(book, 4, 0, SELL, _inside(book, math.ceil((mid - _depth(s)) / s.tick)), 1, IOC, ns)
            _settle(book, s)
            cancel(book, bid)
            cancel(book, ask)
            mid += move if uniform(s) < 0.5 else -move
        profits[path] = s.cash + s.inventory * mid
        inventories[path] = s.inventory
    return len(profits)


@njit(cache=True)
def _inside(book: Any, tick: float) -> int:
    """The nearest tick that the book has."""
    return min(max(int(tick), book.base), book.base + book.n_levels - 1)
