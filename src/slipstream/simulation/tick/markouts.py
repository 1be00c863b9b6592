"""Markouts: what a fill is worth some time later, in basis points of its price.

Of a fill at price p with side s (+1: bought) the markout at horizon h is s (m_h - p) / p, m_h the exchange's mid that
much later; at 0 it is the spread captured. A maker whose markouts fall below zero is picked off.
"""

from __future__ import annotations

import msgspec
import numpy as np

from slipstream.core.stats.bootstrap import Interval, block_length, many_indices
from slipstream.simulation.tick.told import Fills, Flags, Floats

HORIZONS_NS = tuple(round(s * 1e9) for s in (0.1, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0))
DRAWS = 500
GROUPS = 2_000  # fills that follow each other are resampled together where there are more
LEAST = 8  # fills from which on an interval is given


class Markout(msgspec.Struct, frozen=True, kw_only=True):
    """Markouts of some fills at one horizon, bp. ``fills`` have a mid that much later; for ``missing`` the tape ended.

    ``mean`` counts each fill once, ``weighted`` each USD traded. The 95 % intervals resample blocks of fills in time,
    as long as the horizon at least (low and high are NaN where there are not eight of them).
    """

    who: str
    horizon_s: float
    fills: int
    missing: int
    usd: float
    mean: Interval
    weighted: Interval


def groups(fills: Fills) -> dict[str, Flags]:
    """Who is looked at: all, makers, takers, buys, sells; groups without a fill are left out."""
    every = np.ones(fills.count, dtype=np.bool_)
    found = {
        "all": every,
        "maker": fills.maker,
        "taker": ~fills.maker,
        "maker buys": fills.maker & (fills.side > 0),
        "maker sells": fills.maker & (fills.side < 0),
    }
    return {name: chosen for name, chosen in found.items() if chosen.any()}


def markouts(fills: Fills, rng: np.random.Generator, *, draws: int = DRAWS) -> tuple[Markout, ...]:
    """Every group at every horizon, horizon 0 first: fills against the mid they met."""
    out: list[Markout] = []
    for name, chosen in groups(fills).items():
        out += of_group(name, fills.of(chosen), rng, draws)
    return tuple(out)


def of_group(name: str, fills: Fills, rng: np.random.Generator, draws: int = DRAWS) -> list[Markout]:
    """One group's markouts by horizon."""
    mids = np.column_stack([fills.mid, fills.marks])
    gains = fills.side[:, None] * (mids - fills.px[:, None])
    known = np.isfinite(gains)
    gains = np.where(known, gains, 0.0)
    bp = gains / fills.px[:, None] * 1e4
    money, usd = gains * fills.size[:, None] * 1e4, np.where(known, fills.usd[:, None], 0.0)
    shared = overlaps(fills)
    means = _ratios(bp, known.astype(np.float64), shared, rng, draws)
    weighted = _ratios(money, usd, shared, rng, draws)
    return [
        Markout(
            who=name,
            horizon_s=horizon / 1e9,
            fills=int(known[:, k].sum()),
            missing=int((~known[:, k]).sum()),
            usd=float(usd[:, k].sum()),
            mean=means[k],
            weighted=weighted[k],
        )
        for k, horizon in enumerate((0, *fills.horizons_ns))
    ]


def overlaps(fills: Fills) -> Floats:
    """How many fills, itself and those after it, share a fill's way to its mark, in the mean; by horizon, 0 first."""
    ns, places = fills.exch_ns, np.arange(fills.count)
    until = [np.searchsorted(ns, ns + horizon, side="right") for horizon in fills.horizons_ns]
    return np.array([1.0, *(float(np.maximum(one - places, 1).mean()) for one in until)])


def _ratios(above: Floats, below: Floats, shared: Floats, rng: np.random.Generator, draws: int) -> list[Interval]:
    """Sum over sum, column by column, with percentile intervals of a stationary bootstrap over the rows.

    Its blocks are no shorter than ``shared``, the rows whose marks look over one stretch of time: what they have in
    common is one observation. Where there are not eight such blocks, there is no interval.
    """
    n = above.shape[0]
    if n > GROUPS:
        shared = np.maximum(1.0, shared * GROUPS / n)
        edges = np.linspace(0, n, GROUPS + 1).astype(np.int64)[:-1]
        above, below, n = np.add.reduceat(above, edges), np.add.reduceat(below, edges), GROUPS
    estimates = [_over(float(a), float(b)) for a, b in zip(above.sum(axis=0), below.sum(axis=0), strict=True)]
    if n < LEAST:
        return [Interval(one, np.nan, np.nan) for one in estimates]
    out = []
    for k, estimate in enumerate(estimates):
        block = max(block_length(above[:, k]).stationary, float(shared[k]))
        if n < LEAST * shared[k]:
            out.append(Interval(estimate, np.nan, np.nan))
            continue
        drawn = many_indices(n, block, draws, rng)
        tops, bottoms = above[drawn, k].sum(axis=1), below[drawn, k].sum(axis=1)
        kept = bottoms > 0.0
        if (below[:, k] > 0.0).sum() < LEAST or not kept.any():
            out.append(Interval(estimate, np.nan, np.nan))
            continue
        low, high = np.quantile(tops[kept] / bottoms[kept], [0.025, 0.975])
        out.append(Interval(estimate, float(low), float(high)))
    return out


def _over(above: float, below: float) -> float:
    return above / below if below > 0.0 else np.nan
