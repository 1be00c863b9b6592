"""Limit orders of the background: where they are placed, and when they are taken off again.

Both rates depend on the distance from the best price of the other side, 1 being the tick next to it (Cont, Stoikov and
Talreja 2010): limit orders come to distance i at rate lambda(i), a resting one at distance i leaves at rate theta(i).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from slipstream.lob.flow.background import forget, rest
from slipstream.lob.flow.draws import below, uniform
from slipstream.lob.flow.record import CANCEL, DISTANCES, FROM_OPPOSITE, FROM_OWN, LIMIT
from slipstream.lob.flow.sizes import lots
from slipstream.lob.matching import best_ask, best_bid, cancel
from slipstream.lob.queues import slot_of


def power_law(k: float, alpha: float, n: int) -> npt.NDArray[np.float64]:
    """lambda(i) = k / i^alpha for i = 1..n."""
    return k / np.arange(1, n + 1, dtype=np.float64) ** alpha


def set_limits(flow: Any, rates: Sequence[float] | npt.NDArray[np.float64], *, own: bool = False) -> None:
    """Let limit orders come at ``rates`` (a second, one side) by distance.

    The first rate is of distance 1 from the other side's best or, if ``own``, of distance 0 from their own. Raises
    ValueError for a table that is empty, too long or holds what is no rate.
    """
    table = _table("limit orders", rates)
    total = float(table.sum())
    flow["limit_rate"], flow["limit_n"] = total, len(table)
    flow["limit_from"], flow["limit_first"] = (FROM_OWN, 0) if own else (FROM_OPPOSITE, 1)
    flow["limit_share"] = 1.0
    if total > 0.0:
        flow["limit_share"][: len(table)] = np.cumsum(table) / total


def set_cancels(flow: Any, rates: Sequence[float] | npt.NDArray[np.float64]) -> None:
    """Let each resting background order leave at ``rates`` (a second) by distance 1, 2, ...; the last goes on.

    Raises ValueError as `set_limits`.
    """
    table = _table("cancellations", rates)
    most = float(table.max())
    flow["cancel_rate"], flow["cancel_n"] = most, len(table)
    flow["cancel_share"] = 0.0
    if most > 0.0:
        flow["cancel_share"][: len(table)] = table / most


def _table(what: str, rates: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    table = np.asarray(rates, np.float64)
    if table.ndim != 1 or not 1 <= len(table) <= DISTANCES:
        raise ValueError(f"rates of {what}: need a row of 1 to {DISTANCES} distances, not of shape {table.shape}")
    wrong = np.flatnonzero(~(np.isfinite(table) & (table >= 0.0)))
    if len(wrong):
        raise ValueError(f"rates of {what}: entry {wrong[0]} is {table[wrong[0]]}, which is no rate")
    return table


@njit(cache=True)
def look(book: Any, s: Any) -> None:
    """Note the best prices where there are any."""
    bid = best_bid(book)
    ask = best_ask(book)
    if bid >= 0:
        s.last_bid = bid
    if ask >= 0:
        s.last_ask = ask


@njit(cache=True)
def limit_order(book: Any, s: Any, side: int, unit: float, ns: int) -> None:
    """One limit order of a side; where the price it is counted from is gone, the last known one counts."""
    look(book, s)
    u = uniform(s)
    low = 0
    high = s.limit_n - 1
    while low < high:  # the first distance whose cumulative share exceeds u
        middle = (low + high) >> 1
        if s.limit_share[middle] > u:
            high = middle
        else:
            low = middle + 1
    distance = low + s.limit_first
    if s.limit_from == FROM_OPPOSITE:
        best = s.last_ask if side > 0 else s.last_bid
    else:
        best = s.last_bid if side > 0 else s.last_ask
    tick = best - side * distance
    n = lots(s, s.limit_size, unit)
    s.counts[LIMIT] += 1
    if best < 0 or tick < 1:
        s.lost += 1
        return
    rest(book, s, side, tick, n, ns)


@njit(cache=True)
def leave(book: Any, s: Any) -> None:
    """One of the remembered orders, at random, leaves with the share of the highest rate that its distance has."""
    i = below(s, s.kept)
    slot = slot_of(book, s.handles[i])
    if slot == 0:
        forget(s, i)
        return
    look(book, s)
    order = book.slots[slot]
    tick = book.base + order.level
    distance = s.last_ask - tick if order.side > 0 else tick - s.last_bid
    at = max(0, min(distance, s.cancel_n) - 1)
    share = s.cancel_share[at]
    if share < 1.0 and uniform(s) >= share:
        return
    cancel(book, s.handles[i])
    forget(s, i)
    s.counts[CANCEL] += 1
