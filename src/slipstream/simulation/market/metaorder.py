"""What a large order does to a simulated market: its price while it is worked, and after.

Every path is run twice with the same seed, once with the order and once without. The value takes the same way in both,
so that most of the noise drops out of the difference of mids, which is the impact. Orders are worked as equal market
orders at even times (TWAP); their sizes are multiples of what the market trades in the same time on average.
A recording has no such experiment: there only the response to single trades can be measured (`stylised`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from slipstream.lob.flow.advance import begin, run_until
from slipstream.lob.flow.learning import learn
from slipstream.lob.matching import BUY, IOC, SELL, best_ask, best_bid, extreme_tick, place
from slipstream.lob.record import new_book
from slipstream.model.grid import price_of_tick
from slipstream.simulation.market.terms import FlowTerms, flow_record
from slipstream.simulation.market.watched_flow import FILLS, ORDERS, SPAN, WARM_NS, open_tick

Floats = npt.NDArray[np.float64]
OURS = 1
SHARES = (0.02, 0.05, 0.1, 0.2, 0.4)  # of the volume that trades while the order is worked
POINTS = 40  # of the path of impact, half of them after the order


@dataclass(frozen=True, kw_only=True)
class Impact:
    """One size. ``path``: mean impact in bp at `times_s`, ``error`` its standard error; ``cost``: what was paid beyond
    the mids that there would have been, bp; ``filled``: the share of the order that the book could give.
    """

    share: float
    lots: int
    path: Floats
    error: Floats
    cost: float
    cost_error: float
    filled: float


@dataclass(frozen=True, kw_only=True)
class Metaorders:
    """All sizes. Impact at the order's end grows like its size to the power ``exponent``; ``left`` is the share of it
    that is left, for the largest size, as long after the order as it was worked.
    """

    work_s: float
    times_s: Floats
    paths: int
    impacts: tuple[Impact, ...]
    exponent: float
    exponent_error: float
    left: float
    left_error: float


@njit(cache=True)
def _mid(book: Any) -> float:
    bid = best_bid(book)
    ask = best_ask(book)
    return 0.5 * (bid + ask) if bid >= 0 and ask >= 0 else math.nan


@njit(cache=True)
def _begin(flows: Any, ns: int) -> None:
    begin(flows[0], ns)


@njit(cache=True)
def _work(
    books: Any, flows: Any, t0: int, work_ns: int, side: int, lots: int, parts: int, mids: Any, befores: Any
) -> float:
    """Run a market and write its mids (ticks), then the lots that the order got, and the mids before each part.

    Returns what the order paid beyond ``befores`` as they were handed in (those of the market without it), ticks.
    """
    book = books[0]
    s = flows[0]
    run_until(book, s, t0)
    points = len(mids) - 1
    step = 2 * work_ns // points
    worked = 0
    got = 0
    paid = 0.0
    for k in range(points):
        end = t0 + (k + 1) * step
        while worked < parts and t0 + worked * work_ns // parts < end:
            run_until(book, s, t0 + worked * work_ns // parts)
            book.fill_count = 0
            book.expired_count = 0
            size = lots * (worked + 1) // parts - lots * worked // parts
            if size == 0:
                befores[worked] = _mid(book)
            else:
                taken = got
                place(book, 1, OURS, side, extreme_tick(book, side), size, IOC, s.now)
                for i in range(book.fill_count):
                    got += book.fill_rows[i][10]
                    paid += book.fill_rows[i][10] * (book.fill_rows[i][9] - befores[worked]) * side
                learn(s, side, got - taken)
            worked += 1
        while s.now < end:
            run_until(book, s, min(end, s.now + 1_000_000_000))
            book.fill_count = 0
            book.expired_count = 0
        mids[k] = _mid(book)
    mids[points] = got
    return paid / got if got > 0 else 0.0


def metaorders(
    terms: FlowTerms,
    volume_lots_s: float,
    seeds: Sequence[int],
    *,
    work_s: float = 60.0,
    shares: Sequence[float] = SHARES,
    parts: int = 12,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Metaorders:
    """Impact by size, one path for each seed. ``volume_lots_s`` is what the market trades in a second.

    Raises ValueError for fewer than 8 paths, ConfigError for terms that are none.
    """
    if len(seeds) < 8 or not volume_lots_s > 0.0 or not work_s > 0.0:
        raise ValueError(
            f"impact needs 8 paths at least, a volume and a time, not {len(seeds)}, {volume_lots_s} and {work_s}"
        )
    found: dict[float, list[tuple[Floats, float, float]]] = {share: [] for share in shares}
    for done, seed in enumerate(seeds):
        side = BUY if done % 2 == 0 else SELL
        befores = np.empty(parts)
        plain, _ = _path(terms, seed, work_s, side, 0, befores)
        for share in shares:
            lots = _lots(share, volume_lots_s, work_s)
            mids, cost = _path(terms, seed, work_s, side, lots, befores)
            scale = 1e4 * _tick_share(terms)
            found[share].append(((mids[:-1] - plain[:-1]) * side * scale, cost * scale, mids[-1] / lots))
        progress(done + 1, len(seeds))
    impacts = tuple(_impact(share, _lots(share, volume_lots_s, work_s), found[share]) for share in shares)
    exponent, exponent_error = _power(shares, [np.array([one[0] for one in found[share]]) for share in shares])
    last = np.array([one[0] for one in found[shares[-1]]])
    left, left_error = _left(last[:, POINTS // 2 - 1], last[:, -1])
    return Metaorders(
        work_s=work_s,
        times_s=2.0 * work_s * np.arange(1, POINTS + 1) / POINTS,
        paths=len(seeds),
        impacts=impacts,
        exponent=exponent,
        exponent_error=exponent_error,
        left=left,
        left_error=left_error,
    )


def _lots(share: float, volume_lots_s: float, work_s: float) -> int:
    return max(1, round(share * volume_lots_s * work_s))


def _tick_share(terms: FlowTerms) -> float:
    """A tick as a share of the price, where the market begins."""
    if terms.grid.tick_size > 0.0:
        return terms.grid.tick_size / (terms.value.px or open_tick(terms) * terms.grid.tick_size)
    tick, decimals = open_tick(terms), terms.grid.decimals
    return price_of_tick(tick + 1, decimals) / price_of_tick(tick, decimals) - 1.0


def _path(terms: FlowTerms, seed: int, work_s: float, side: int, lots: int, befores: Floats) -> tuple[Floats, float]:
    flows = flow_record(terms, seed)
    books = new_book(max(0, open_tick(terms) - SPAN // 2), SPAN, ORDERS, FILLS).base
    _begin(flows, 0)
    mids = np.empty(POINTS + 1)
    cost = _work(books, flows, WARM_NS, int(work_s * 1e9), side, lots, len(befores), mids, befores)
    return mids, float(cost)


def _impact(share: float, lots: int, rows: Sequence[tuple[Floats, float, float]]) -> Impact:
    paths = np.array([path for path, _, _ in rows])
    costs = np.array([cost for _, cost, _ in rows])
    root = math.sqrt(len(rows))
    return Impact(
        share=share,
        lots=lots,
        path=np.nanmean(paths, axis=0),
        error=np.nanstd(paths, axis=0, ddof=1) / root,
        cost=float(costs.mean()),
        cost_error=float(costs.std(ddof=1)) / root,
        filled=float(np.mean([got for _, _, got in rows])),
    )


def _power(shares: Sequence[float], paths: Sequence[Floats]) -> tuple[float, float]:
    """The slope of log impact at the end of the order on log size, and its error by leaving out each path in turn."""
    ends = np.array([some[:, POINTS // 2 - 1] for some in paths])
    logs = np.log(np.asarray(shares, np.float64))

    def slope(means: Floats) -> float:
        used = means > 0.0
        return float(np.polyfit(logs[used], np.log(means[used]), 1)[0]) if used.sum() >= 2 else math.nan

    n = ends.shape[1]
    total = np.nansum(ends, axis=1)
    without = np.array([slope((total - np.nan_to_num(ends[:, i])) / (n - 1)) for i in range(n)])
    return slope(total / n), _jackknife(without)


def _left(at_end: Floats, later: Floats) -> tuple[float, float]:
    """The ratio of means, and its error; nan where there was no impact."""
    first, last = np.nan_to_num(at_end), np.nan_to_num(later)
    if not first.sum() > 0.0:
        return math.nan, math.nan
    with np.errstate(divide="ignore"):
        without = (last.sum() - last) / (first.sum() - first)
    return float(last.sum() / first.sum()), _jackknife(without)


def _jackknife(without: Floats) -> float:
    """The error of a statistic from its values without each path; nan where one of them has none."""
    n = len(without)
    if not np.isfinite(without).all():
        return math.nan
    return float(math.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2)))
