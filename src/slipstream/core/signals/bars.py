"""Bars of many coins on one grid of time, frozen: what research reads and what a backtest runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
HOUR_MS = 3_600_000
ARRAYS = ("open", "high", "low", "close", "volume_usd", "funding", "funding_gaps")


class Bars(msgspec.Struct, frozen=True, kw_only=True):
    """T bars of N coins. ``opened`` holds the OPEN times in ms, evenly spaced; arrays have shape (T, N), NaN where a
    coin has no bar. ``volume_usd`` is what traded in the bar. ``funding`` is the sum of the rates settled after a bar's
    open up to and at its close (fractions of the notional, paid by longs), or None if there is no funding data;
    ``funding_gaps`` counts its settlements that the source lacks. ``high`` and ``low`` are None where the source has
    none. ``notes`` says what was dropped while reading.
    """

    coins: tuple[str, ...]
    opened: npt.NDArray[np.int64]
    hours: float
    open: Array
    close: Array
    volume_usd: Array
    funding: Array | None = None
    funding_gaps: npt.NDArray[np.int64] | None = None
    high: Array | None = None
    low: Array | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.opened), len(self.coins))
        step = round(self.hours * HOUR_MS)
        if shape[0] < 2 or shape[1] < 1:
            raise ValueError(f"{shape[0]} bars of {shape[1]} coins: at least 2 bars of 1 coin are needed")
        if (np.diff(self.opened) != step).any():
            place = int(np.flatnonzero(np.diff(self.opened) != step)[0])
            raise ValueError(f"bar {place + 1} does not open {self.hours} h after the one before it")
        for name in ARRAYS:
            found = getattr(self, name)
            if found is not None and found.shape != shape:
                raise ValueError(f"{name} has shape {found.shape}, not {shape} (bars, coins)")
        for name in ("open", "close"):
            if (getattr(self, name) <= 0.0).any():
                raise ValueError(f"{name} holds a price that is not positive; mend or drop the bar")
        for name in ARRAYS:
            if (found := getattr(self, name)) is not None:
                found.flags.writeable = False

    @property
    def bars_per_day(self) -> float:
        """Bars in a day."""
        return 24.0 / self.hours

    def until(self, bar: int) -> Bars:
        """The first ``bar`` bars."""
        return self.between(0, bar)

    def between(self, first: int, last: int) -> Bars:
        """The bars from ``first`` on, up to and without ``last``."""
        return msgspec.structs.replace(self, opened=self.opened[first:last], **self._cut(np.s_[first:last]))

    def of(self, coins: Sequence[str]) -> Bars:
        """The bars of some of the coins, in the order given. Raises ValueError for a coin that is not there."""
        absent = [coin for coin in coins if coin not in self.coins]
        if absent:
            raise ValueError(f"no bars of {', '.join(absent)}; there are {', '.join(self.coins)}")
        columns = [self.coins.index(coin) for coin in coins]
        return msgspec.structs.replace(self, coins=tuple(coins), **self._cut(np.s_[:, columns]))

    def _cut(self, where: Any) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in ARRAYS}
        return {name: None if array is None else array[where] for name, array in found.items()}
