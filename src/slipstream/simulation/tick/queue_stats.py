"""Queues and fills: what lay ahead, how long it took, how much of what was ordered came, what it cost in requests."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np

from slipstream.simulation.tick.told import Fills, Flags, Floats, Requests, Told

PLACE, CANCEL, MODIFY = "place", "cancel", "modify"
DONE = "done"
QUARTERS = (0.25, 0.5, 0.75)
QUARTERS_OF_QUEUE = 4


class Quartiles(msgspec.Struct, frozen=True):
    """Three quartiles of so many values; NaN of none."""

    count: int
    low: float
    middle: float
    high: float


class QueueStats(msgspec.Struct, frozen=True, kw_only=True):
    """One market's orders. Sizes are base coin, queues USD, times s.

    ``joined`` is what lay in front of the orders that came to rest when they did, ``ahead`` the same of those that were
    filled; ``by_queue`` is the part of the former that was filled at all, by quarter of what lay in front, least first
    (NaN: fewer than four). A change that joins a level anew is another place in a queue. ``wait`` is the time from our
    sending an order to each of its fills at the exchange, ``news`` from the fill to our knowing.
    ``filled`` is the part of the size accepted that was filled (of several coins, by their last mids),
    ``orders_filled`` the part of accepted orders with a fill. ``refused`` counts requests that were not done, by
    reason.
    """

    name: str
    places: int
    cancels: int
    modifies: int
    accepted: int
    fills: int
    maker_fills: int
    filled: float
    orders_filled: float
    orders_a_fill: float
    requests_an_hour: float
    joined: Quartiles
    by_queue: tuple[float, ...]
    ahead: Quartiles
    wait: Quartiles
    news: Quartiles
    refused: dict[str, int]


def quartiles(values: Floats) -> Quartiles:
    """Of the finite ones."""
    kept = values[np.isfinite(values)]
    if not kept.size:
        return Quartiles(0, np.nan, np.nan, np.nan)
    return Quartiles(int(kept.size), *(float(q) for q in np.quantile(kept, QUARTERS)))


def queue_stats(told: Told) -> tuple[QueueStats, ...]:
    """Every market's statistics, then those of all together."""
    wanted = [(coin, told.requests.market == k, told.fills.market == k) for k, coin in enumerate(told.coins)]
    if len(told.coins) > 1:
        wanted.append(("all", np.ones(told.requests.market.size, np.bool_), np.ones(told.fills.count, np.bool_)))
    return tuple(_stats(told, *one) for one in wanted)


def _stats(told: Told, name: str, asked: Flags, hit: Flags) -> QueueStats:
    requests, fills = told.requests, told.fills.of(hit)
    kind, done = requests.kind[asked], requests.outcome[asked] == DONE
    places = kind == PLACE
    accepted = int((places & done).sum())
    worth = np.nan_to_num(told.last_mid)  # sizes of several coins have no sum
    ordered = float((requests.size * worth[requests.market])[asked][places & done].sum())
    return QueueStats(
        name=name,
        places=int(places.sum()),
        cancels=int((kind == CANCEL).sum()),
        modifies=int((kind == MODIFY).sum()),
        accepted=accepted,
        fills=fills.count,
        maker_fills=int(fills.maker.sum()),
        filled=float((fills.size * worth[fills.market]).sum()) / ordered if ordered > 0.0 else np.nan,
        orders_filled=np.unique(np.column_stack([fills.market, fills.order]), axis=0).shape[0] / accepted
        if accepted
        else np.nan,
        orders_a_fill=int(places.sum()) / fills.count if fills.count else np.nan,
        requests_an_hour=float(asked.sum()) / told.hours,
        joined=quartiles(requests.ahead[asked]),
        by_queue=_by_queue(requests, fills, asked),
        ahead=quartiles(fills.queue * fills.px),
        wait=quartiles((fills.exch_ns - fills.placed_ns) / 1e9),
        news=quartiles((fills.known_ns - fills.exch_ns) / 1e9),
        refused=refusals(requests, asked),
    )


def _by_queue(requests: Requests, fills: Fills, asked: Flags) -> tuple[float, ...]:
    """The part of the places in queues that a maker fill reached, by quarter of what lay in front.

    Places with the same in front, such as all those that were first, count as their mean: no order divides them.
    """
    rested = np.flatnonzero(asked & np.isfinite(requests.ahead))
    if rested.size < QUARTERS_OF_QUEUE:
        return (np.nan,) * QUARTERS_OF_QUEUE
    reached = set(zip(fills.order[fills.maker].tolist(), fills.joined_ns[fills.maker].tolist(), strict=True))
    places = zip(requests.order[rested].tolist(), requests.exch_ns[rested].tolist(), strict=True)
    hit = np.array([place in reached for place in places])
    _, alike, count = np.unique(requests.ahead[rested], return_inverse=True, return_counts=True)
    ranked = (np.bincount(alike, hit) / count)[np.sort(alike)]
    return tuple(float(part.mean()) for part in np.array_split(ranked, QUARTERS_OF_QUEUE))


def refusals(requests: Requests, asked: Flags) -> dict[str, int]:
    """How many requests were not done, by kind and reason, the most frequent first."""
    kept = asked & (requests.outcome != DONE)
    pairs = zip(requests.kind[kept].tolist(), requests.outcome[kept].tolist(), strict=True)
    return dict(Counter(f"{kind}: {outcome}" for kind, outcome in pairs).most_common())
