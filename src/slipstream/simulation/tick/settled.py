"""Funding that no tape tells: settlements laid over a run afterwards, on what was held when they came."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import msgspec
import numpy as np

from slipstream.simulation.tick.told import Floats, Told


class Settlement(msgspec.Struct, frozen=True):
    """At ``ns`` every coin held paid ``rate`` of its worth (negative: received)."""

    coin: str
    ns: int
    rate: float


def settled(told: Told, settlements: Sequence[Settlement]) -> Told:
    """The run with funding. A settlement outside its time is left out; the mid stands for the oracle's price.

    Raises ValueError for one whose coin had no mid yet.
    """
    seen = told.samples
    funding = seen.funding.copy()
    for one in settlements:
        if one.coin not in told.coins or not seen.ns[0] < one.ns <= seen.ns[-1]:
            continue
        market = told.coins.index(one.coin)
        held = held_at(told, market, one.ns)
        if held == 0.0:
            continue
        before = int(np.searchsorted(seen.ns, one.ns, side="right")) - 1
        mid = float(seen.mid[before, market])
        if not np.isfinite(mid):
            raise ValueError(f"funding of {one.coin} at {one.ns}: its book had no two sides yet")
        funding[seen.ns >= one.ns, market] -= held * mid * one.rate
    return dataclasses.replace(told, samples=dataclasses.replace(seen, funding=funding))


def held_at(told: Told, market: int, ns: int) -> float:
    """The position just before a time, by the exchange's fills."""
    fills = told.fills
    of = (fills.market == market) & (fills.exch_ns < ns)
    signed: Floats = np.multiply(fills.side[of], fills.size[of], dtype=np.float64)
    return float(signed.sum())
