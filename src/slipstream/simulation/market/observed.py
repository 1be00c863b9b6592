"""What was seen of a market, recorded or simulated, in one form: so that both are measured by the same functions.

Times are ns, prices ticks of ``grid``, sizes lots; a side is +1 for bids and buyers, -1 for asks and sellers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.model.grid import price_of_tick
from slipstream.simulation.market.terms import Grid

LEVELS = 20  # of each side, in a sample of depth
DISTANCES = 64  # ticks from the other side's best at which comings and goings are counted, 1 being the nearest
QUOTE_DTYPE = np.dtype(
    [("ns", np.int64), ("bid", np.int64), ("bid_lots", np.int64), ("ask", np.int64), ("ask_lots", np.int64)]
)
PRINT_DTYPE = np.dtype([("ns", np.int64), ("lots", np.int64), ("tick", np.int64), ("side", np.int64)])
DEPTH_DTYPE = np.dtype(
    [
        ("ns", np.int64),
        ("bid_lots", np.int64, (LEVELS,)),  # by rank: occupied levels, best first
        ("ask_lots", np.int64, (LEVELS,)),
    ]
)
TALLY_DTYPE = np.dtype(  # one row a distance; both sides together
    [
        ("came", np.int64),  # increases of a level
        ("came_lots", np.float64),
        ("left", np.int64),  # decreases that no trade explains
        ("left_lots", np.float64),
        ("present_lots", np.float64),  # sum over samples and sides of what rested there
    ]
)
Records = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Observed:
    """A market from ``begin_ns`` to ``end_ns``.

    ``quotes``: every change of the best prices; ``prints``: every trade, several for one taker; ``depth``: samples;
    ``tally``: comings and goings by distance, None where they were not counted; ``orders`` says that a row was an order
    and no change of a level. ``size_log``: how many sizes came, the sum of their logarithms and of its squares.
    ``arrived``: of a simulation, how many market orders came, also those that one block made one of.
    ``joined_ns``: so far apart at most are the prints of one taker.
    """

    name: str
    grid: Grid
    begin_ns: int
    end_ns: int
    quotes: Records
    prints: Records
    depth: Records
    tally: Records | None = None
    orders: bool = False
    size_log: tuple[int, float, float] = (0, 0.0, 0.0)
    arrived: int = 0
    joined_ns: int = 0

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.end_ns - self.begin_ns) / 1e9

    def prices(self, ticks: Ints) -> Floats:
        """The prices of ticks."""
        if self.grid.tick_size > 0.0:
            return np.asarray(ticks * self.grid.tick_size, np.float64)
        unique, back = np.unique(ticks, return_inverse=True)
        values: Floats = np.array([price_of_tick(int(tick), self.grid.decimals) for tick in unique], np.float64)
        return np.asarray(values[back], np.float64)

    def mids(self) -> Floats:
        """The middle of every quote."""
        return 0.5 * (self.prices(self.quotes["bid"]) + self.prices(self.quotes["ask"]))

    def takers(self) -> tuple[Records, Ints]:
        """Prints by side and time, and the places at which market orders begin: prints of one side at one time, or each
        at most ``joined_ns`` after the one before, are one order.
        """
        rows = self.prints[np.lexsort((self.prints["ns"], self.prints["side"]))]
        new = np.ones(len(rows), bool)
        new[1:] = (np.diff(rows["ns"]) > self.joined_ns) | (np.diff(rows["side"]) != 0)
        return rows, np.flatnonzero(new)

    def orders_taken(self) -> Records:
        """Market orders, at the last price of each. Rows of PRINT_DTYPE, in the order of time."""
        rows, starts = self.takers()
        if not len(rows):
            return rows
        out = rows[np.append(starts[1:], len(rows)) - 1].copy()
        out["lots"] = np.add.reduceat(rows["lots"], starts)
        return out[np.lexsort((out["side"], out["ns"]))]

    def mid_at(self, ns: Ints) -> Floats:
        """The mid that stood at each time; that of the first quote before it."""
        places = np.searchsorted(self.quotes["ns"], ns, side="right") - 1
        return self.mids()[np.maximum(places, 0)]


def check(seen: Observed) -> Observed:
    """The same. Raises ValueError where there is too little to measure anything."""
    for name, least in (("quotes", 50), ("depth", 10)):
        count = len(getattr(seen, name))
        if count < least:
            raise ValueError(f"{seen.name}: {count} {name} in {seen.seconds:.0f} s: at least {least} are needed")
    return seen
