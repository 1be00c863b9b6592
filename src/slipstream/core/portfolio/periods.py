"""A record on an even calendar: what it earned, paid and held a day (or an hour, a minute), whatever its own stamps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from slipstream.core.portfolio.record import Array, BacktestRecord

DAY_MS = 86_400_000
YEAR_MS = 365 * DAY_MS
LENGTHS = (("day", DAY_MS), ("hour", 3_600_000), ("minute", 60_000))
ENOUGH = 30  # periods from which on a coarser calendar is preferred


@dataclass(frozen=True, kw_only=True)
class Periods:
    """Series of one length, a value a period. Money is USD; ``ends`` ms UTC.

    ``name`` is day, hour, minute or period (the record's own); ``ann`` how many a year has. ``returns`` are simple,
    at least -1; ``empty`` counts periods without a stamp of the record (they earn nothing). ``ruined`` is the end of
    the period in which equity fell to nothing, and the last one then.
    """

    name: str
    ann: float
    ends: npt.NDArray[np.int64]
    equity: Array
    returns: Array
    pnl: Array
    gross: Array
    net: Array
    turnover: Array
    costs: Mapping[str, Array]
    funding: Array
    empty: int
    ruined: int | None


def periods(record: BacktestRecord, wanted: str | None = None) -> Periods:
    """The coarsest of day, hour, minute that has 30 periods and is no finer than the record; else its own periods.

    Gross and net exposure are means over a period's stamps, flows are sums, equity is the last. ``wanted`` asks for
    one of the names; the record's own periods are the answer where it is coarser than that.
    """
    stamps = record.stamps
    step = int(np.median(np.diff(stamps))) if stamps.size > 1 else DAY_MS
    for name, length in LENGTHS:
        places = (stamps - 1) // length  # a stamp at midnight ends the day before
        enough = np.unique(places).size >= ENOUGH if wanted is None else name == wanted
        if length >= step and enough:
            return _gathered(record, name, length, places - places[0])
    return _cut(record, "period", YEAR_MS / step, stamps, np.arange(stamps.size), 0)


def _gathered(record: BacktestRecord, name: str, length: int, places: npt.NDArray[np.int64]) -> Periods:
    count = int(places[-1]) + 1
    first = (int(record.stamps[0]) - 1) // length
    ends = (first + 1 + np.arange(count, dtype=np.int64)) * length
    return _cut(record, name, YEAR_MS / length, ends, places, count - np.unique(places).size)


def _cut(
    record: BacktestRecord,
    name: str,
    ann: float,
    ends: npt.NDArray[np.int64],
    places: npt.NDArray[np.int64],
    empty: int,
) -> Periods:
    count = ends.size
    # the last stamp of each period, or of the last period that has one
    last = np.searchsorted(places, np.arange(count), side="right") - 1
    equity = record.equity[last]
    gone = np.flatnonzero(equity <= 0.0)
    keep = int(gone[0]) + 1 if gone.size else count
    before = np.concatenate([[record.capital], equity[: keep - 1]])
    stamps_in = np.bincount(places, minlength=count).astype(np.float64)

    def summed(values: Array) -> Array:
        total = np.bincount(places, weights=values, minlength=count)[:keep]
        return np.asarray(total, dtype=np.float64)

    def mean(values: Array) -> Array:
        held = np.bincount(places, weights=values, minlength=count) / np.maximum(stamps_in, 1.0)
        # nobody looked in an empty period: what was held before it still is
        out: Array = np.where(stamps_in > 0.0, held, values[last])[:keep]
        return out

    kept = equity[:keep]
    return Periods(
        name=name,
        ann=ann,
        ends=ends[:keep],
        equity=kept,
        returns=np.maximum(kept / before - 1.0, -1.0),
        pnl=np.diff(np.concatenate([[record.capital], kept])),
        gross=mean(record.gross),
        net=mean(record.net),
        turnover=summed(record.turnover),
        costs={name: summed(part) for name, part in record.costs.items()},
        funding=summed(record.funding),
        empty=empty,
        ruined=int(ends[keep - 1]) if gone.size else None,
    )
