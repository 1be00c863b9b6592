"""A session of our own matching engine to study queues in: operations drawn beforehand, state left to the book.

Limit orders of each side come as a Poisson process, at a geometric distance behind a price that walks at random; each
is cancelled after a lifetime drawn when it comes, if it still rests then. Market orders are a third Poisson process.
Sizes are log-normal. Because lifetimes are drawn with the order, a session is written down before any of it is played.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.lob.batch import CANCEL, MARKET, OP_DTYPE, PLACE
from slipstream.lob.book import GTC

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class QueueFlow:
    """Rates per second and side, times in seconds, sizes in lots.

    A share ``hasty`` of the orders lives ``hasty_s`` on average, the others ``patient_s``, both exponentially. With
    none hasty every resting order is as likely to be cancelled as any other, wherever it stands; with many, those that
    joined last are the likeliest: the back of the queue.
    """

    seconds: float
    limit_rate: float = 4.0
    take_rate: float = 0.35
    distance: float = 1.5  # mean, ticks behind the best price there would be without orders
    hasty: float = 0.0
    hasty_s: float = 1.0
    patient_s: float = 60.0
    size: float = 20.0  # median
    size_sigma: float = 1.0
    take_size: float = 60.0
    round_to: int = 1  # lots
    volatility: float = 0.05  # of the price that they gather around, ticks per square root of a second
    middle: int = 1 << 15  # tick

    def __post_init__(self) -> None:
        """Raises ValueError for terms of which no session can be drawn."""
        for name in ("seconds", "limit_rate", "take_rate", "hasty_s", "patient_s", "size", "take_size", "round_to"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if not 0 <= self.hasty <= 1:
            raise ValueError(f"hasty is a share, not {self.hasty}")


def _arrivals(rng: np.random.Generator, rate: float, seconds: float) -> Floats:
    return np.sort(rng.uniform(0.0, seconds, rng.poisson(rate * seconds)))


def _sizes(rng: np.random.Generator, flow: QueueFlow, median: float, count: int) -> npt.NDArray[np.int64]:
    lots = median * np.exp(rng.normal(0.0, flow.size_sigma, count)) / flow.round_to
    return (np.maximum(1, np.rint(lots)) * flow.round_to).astype(np.int64)


def session(flow: QueueFlow, rng: np.random.Generator) -> npt.NDArray[Any]:
    """The operations (`batch.OP_DTYPE`) of a session, in their order; an order's tag is its place in it, from 1."""
    grid = np.arange(0.0, flow.seconds + 1.0)
    walk = np.cumsum(rng.normal(0.0, flow.volatility, len(grid)))
    parts = []
    for side in (1, -1):
        at = _arrivals(rng, flow.limit_rate, flow.seconds)
        hasty = rng.random(len(at)) < flow.hasty
        gone = at + rng.exponential(np.where(hasty, flow.hasty_s, flow.patient_s))
        behind = rng.geometric(1.0 / (1.0 + flow.distance), len(at)) - 1
        value = np.floor(flow.middle + walk[at.astype(np.int64)]).astype(np.int64)
        ticks = value - behind if side > 0 else value + 1 + behind
        parts.append(_operations(PLACE, side, at, ticks, _sizes(rng, flow, flow.size, len(at)), gone))
        at = _arrivals(rng, flow.take_rate, flow.seconds)
        none = np.zeros(len(at), np.int64)
        parts.append(_operations(MARKET, side, at, none, _sizes(rng, flow, flow.take_size, len(at)), at + np.inf))
    return _in_order(np.concatenate(parts), flow.seconds)


_PART_DTYPE = np.dtype([("at", "f8"), ("gone", "f8"), ("kind", "i1"), ("side", "i1"), ("tick", "i4"), ("lots", "i8")])


def _operations(kind: int, side: int, at: Floats, ticks: Any, lots: Any, gone: Floats) -> npt.NDArray[Any]:
    part = np.zeros(len(at), _PART_DTYPE)
    part["at"], part["gone"], part["kind"], part["side"] = at, gone, kind, side
    part["tick"], part["lots"] = ticks, lots
    return part


def _in_order(orders: npt.NDArray[Any], seconds: float) -> npt.NDArray[Any]:
    """Orders and their cancels by time; a cancel names the place of its order."""
    leaving = np.flatnonzero(orders["gone"] < seconds)
    times = np.concatenate([orders["at"], orders["gone"][leaving]])
    places = np.argsort(times, kind="stable")
    of = np.concatenate([np.arange(len(orders)), leaving])[places]
    cancels = places >= len(orders)
    where = np.empty(len(orders), np.int64)
    where[of[~cancels]] = np.flatnonzero(~cancels)
    ops = np.zeros(len(times), OP_DTYPE)
    ops["ns"] = np.rint(times[places] * 1e9)
    ops["kind"] = np.where(cancels, CANCEL, orders["kind"][of])
    ops["tag"] = np.where(cancels, where[of], np.arange(len(times)) + 1)
    for name in ("side", "tick", "lots"):
        ops[name] = np.where(cancels, 0, orders[name][of])
    ops["tif"] = GTC
    return ops
