"""Where a market maker's profit came from, in parts that add up to it.

For every fill of size x and side s at price p, with mid m_0 at the fill, m_h at the horizon and m_T at the end:

- spread captured  s x (m_0 - p)
- adverse selection  s x (m_h - m_0): what the price did to the fill until the horizon
- inventory  s x (m_T - m_h): what it did to what was then still held
- fees, funding: as booked

Their sum is s x (m_T - p) less fees plus funding: the change of equity, whatever the horizon. Where the tape ended
before the horizon, m_h is m_T. ``closed`` measures adverse selection until the next fill of the market where that
comes sooner, so that a move between two fills is counted against one of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from slipstream.simulation.tick.told import Fills, Floats, Told


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one market's (or all markets') profit, USD. ``fees`` are paid (negative: rebates)."""

    name: str
    spread: float
    adverse: float
    inventory: float
    fees: float
    funding: float
    traded: float
    fills: int

    @property
    def total(self) -> float:
        """The change of equity."""
        return self.spread + self.adverse + self.inventory - self.fees + self.funding


def split(told: Told, horizon: int, *, closed: bool = False) -> tuple[Split, ...]:
    """Every market's split, then that of all together. ``horizon`` is a place among the fills' horizons.

    Raises ValueError for a horizon that the fills do not have, and for a market that traded without ever having a mid.
    """
    fills, samples = told.fills, told.samples
    if not 0 <= horizon < len(fills.horizons_ns):
        raise ValueError(f"split: horizon {horizon}: fills have {len(fills.horizons_ns)} of them, counted from 0")
    # a fill that met a one-sided book captured nothing that could be told from what came after
    met = np.where(np.isfinite(fills.mid), fills.mid, fills.px)
    later = marks_of(fills, horizon, told.last_mid, closed=closed)
    out = []
    for k, coin in enumerate(told.coins):
        of = fills.market == k
        if of.any() and not np.isfinite(told.last_mid[k]):
            raise ValueError(f"split: {coin} has fills but no mid at the end; its tape lacks a two-sided book")
        signed, last = (fills.side * fills.size)[of], told.last_mid[k]
        out.append(
            Split(
                name=coin,
                spread=_sum(signed * (met - fills.px)[of]),
                adverse=_sum(signed * (later - met)[of]),
                inventory=_sum(signed * (last - later[of])),
                fees=float(samples.fees[-1, k]),
                funding=float(samples.funding[-1, k]),
                traded=_sum(fills.usd[of]),
                fills=int(of.sum()),
            )
        )
    return (*out, together(out)) if len(out) > 1 else tuple(out)


def marks_of(fills: Fills, horizon: int, last: Floats, *, closed: bool) -> Floats:
    """The mid at each fill's horizon; at the next fill of its market where that is sooner and ``closed``."""
    later: Floats = np.where(np.isfinite(fills.marks[:, horizon]), fills.marks[:, horizon], last[fills.market])
    if closed:
        for k in np.unique(fills.market):
            places = np.flatnonzero(fills.market == k)
            sooner = np.diff(fills.exch_ns[places]) < fills.horizons_ns[horizon]
            before, after = places[:-1][sooner], places[1:][sooner]
            later[before] = np.where(np.isfinite(fills.mid[after]), fills.mid[after], later[before])
    return later


def together(parts: Sequence[Split]) -> Split:
    """All markets as one."""
    return Split(
        name="all",
        spread=sum(one.spread for one in parts),
        adverse=sum(one.adverse for one in parts),
        inventory=sum(one.inventory for one in parts),
        fees=sum(one.fees for one in parts),
        funding=sum(one.funding for one in parts),
        traded=sum(one.traded for one in parts),
        fills=sum(one.fills for one in parts),
    )


def _sum(values: Floats) -> float:
    return float(values.sum())
