"""What a source said, as rows that still have to be put in order: `difference` makes a tape's rows of them.

A heard row is a tape's row plus ``place``, where its source has it. Beside the kinds of a tape there is SNAPSHOT: a
level of a whole book; a side of which a snapshot tells no level is empty. MORE binds the rows of a message. Prices or
sizes that are none are told by the caller's `Findings` and their message is left out.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.findings import BAD_NUMBER, OFF_GRID, Findings
from slipstream.data.tape.scale import Bools, Floats, Grid, Ints, Market, to_lots
from slipstream.lob.replay.rows import BEST, FUNDING, MORE, RATE_UNIT, ROW_FIELDS, TRADE

SNAPSHOT = 16
NOTHING = 17  # a snapshot of an empty book
HEARD_DTYPE = np.dtype([*ROW_FIELDS, ("place", np.int64)])
Heard = npt.NDArray[np.void]


class Scale(msgspec.Struct, frozen=True):
    """A market's grid and lot at work. ``guessed``: from the source's own first rows; then a number off it is fatal."""

    market: Market
    guessed: bool = False

    @property
    def lot(self) -> Decimal:
        """The size of a lot."""
        return Decimal(self.market.lot)

    @property
    def grid(self) -> Grid:
        """The price grid."""
        return self.market.grid


class Sides(msgspec.Struct, frozen=True):
    """Levels of one side of many books, one book after the other, best first; ``counts`` says how many of each."""

    counts: Ints
    px: Floats
    sz: Floats


def _scaled(scale: Scale, px: Floats, sz: Floats, place: Ints, found: Findings) -> tuple[Ints, Ints, Bools]:
    """(ticks, lots, which are none)."""
    ticks, off = scale.grid.ticks(px)
    lots, odd = to_lots(sz, scale.lot)
    with np.errstate(invalid="ignore"):
        none = ~((px > 0) & np.isfinite(px) & (sz >= 0) & np.isfinite(sz))
    wrong = off | odd
    found.note(BAD_NUMBER, np.unique(place[none]))
    outside = wrong & ~none
    found.note(OFF_GRID, np.unique(place[outside]))
    if scale.guessed and outside.any():
        at = int(np.argmax(outside))
        market = scale.market
        raise TapeError(
            f"{found.where(int(place[at]))}: price {px[at]} or size {sz[at]} is off the grid that the first rows show "
            f"({market.grid.tick_size or f'{market.grid.decimals} decimals'}, lots of {market.lot}); "
            f"tell it: --size-decimals {market.coin}=N"
        )
    return ticks, lots, wrong | none


def _rows(n: int, exch_ns: Ints, local_ns: Ints, place: Ints) -> Heard:
    out = np.zeros(n, HEARD_DTYPE)
    out["exch_ns"], out["local_ns"], out["place"] = exch_ns, local_ns, place
    return out


def books(scale: Scale, found: Findings, exch_ns: Ints, local_ns: Ints, place: Ints, bids: Sides, asks: Sides) -> Heard:
    """Rows of whole books. A book with a price or size that is none, or a level of no size, is left out."""
    n = len(exch_ns)
    found.messages += n
    parts = []
    bad = np.zeros(n, np.bool_)
    for sign, side in ((1, bids), (-1, asks)):
        which: Ints = np.repeat(np.arange(n), side.counts)
        ticks, lots, wrong = _scaled(scale, side.px, side.sz, place[which], found)
        empty = ~wrong & (lots == 0)
        found.note(BAD_NUMBER, place[which[empty]])
        np.logical_or.at(bad, which[wrong | empty], True)
        rank: Ints = np.arange(len(which)) - np.repeat(np.cumsum(side.counts) - side.counts, side.counts)
        parts.append((which, rank, np.full(len(which), sign), ticks, lots))
    nothing = np.flatnonzero(bids.counts + asks.counts == 0)
    none = np.zeros(len(nothing), np.int64)
    parts.append((nothing, none, none, none, none))
    which, rank, signs, ticks, lots = (np.concatenate([part[k] for part in parts]) for k in range(5))
    order = np.lexsort((rank, -signs, which))
    order = order[~bad[which[order]]]
    which = which[order]
    out = _rows(len(order), exch_ns[which], local_ns[which], place[which])
    out["tick"], out["lots"], out["side"] = ticks[order], lots[order], signs[order]
    more = np.append(which[1:] == which[:-1], False)[: len(which)]
    out["kind"] = np.where(signs[order] == 0, NOTHING, SNAPSHOT) | np.where(more, MORE, 0)
    return out


def bests(scale: Scale, found: Findings, exch_ns: Ints, local_ns: Ints, place: Ints, px: Floats, sz: Floats) -> Heard:
    """Rows of best prices; ``px`` and ``sz`` are (n, 2): bid, ask. NaN: that side is not told; size 0: it is empty."""
    found.messages += len(exch_ns)
    there = ~np.isnan(px)
    empty = there & (sz == 0)
    which, side = np.nonzero(there)
    prices = np.where(empty[which, side], 1.0, px[which, side])
    ticks, lots, wrong = _scaled(scale, prices, sz[which, side], place[which], found)
    ticks = np.where(empty[which, side], -1, ticks)
    bad = np.zeros(len(exch_ns), np.bool_)
    bad[which[wrong & ~empty[which, side]]] = True
    keep = ~bad[which]
    which, side, ticks, lots = which[keep], side[keep], ticks[keep], lots[keep]
    out = _rows(len(which), exch_ns[which], local_ns[which], place[which])
    out["tick"], out["lots"], out["side"] = ticks, lots, 1 - 2 * side
    more = np.append(which[1:] == which[:-1], False)[: len(which)]
    out["kind"] = BEST | np.where(more, MORE, 0)
    return out


def trades(
    scale: Scale, found: Findings, exch_ns: Ints, local_ns: Ints, place: Ints, px: Floats, sz: Floats, side: Ints
) -> Heard:
    """Rows of trades; ``side`` is the aggressor's, 1 or -1. One of no size is left out."""
    found.messages += len(exch_ns)
    ticks, lots, wrong = _scaled(scale, px, sz, place, found)
    none = ~wrong & ((lots == 0) | (np.abs(side) != 1))
    found.note(BAD_NUMBER, place[none])
    keep = ~wrong & ~none
    out = _rows(int(keep.sum()), exch_ns[keep], local_ns[keep], place[keep])
    out["tick"], out["lots"], out["side"], out["kind"] = ticks[keep], lots[keep], side[keep], TRADE
    return out


def fundings(scale: Scale, settle_ns: Ints, local_ns: Ints, place: Ints, oracle: Floats, rate: Floats) -> Heard:
    """Rows of settlements: the oracle's price as the nearest tick, the rate (a fraction) in its unit."""
    out = _rows(len(settle_ns), settle_ns, local_ns, place)
    out["tick"] = [scale.grid.near(float(px)) for px in oracle]
    out["lots"] = np.rint(rate * RATE_UNIT).astype(np.int64)
    out["kind"], out["side"] = FUNDING, 1
    return out
