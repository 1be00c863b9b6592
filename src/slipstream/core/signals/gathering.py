"""Closed candles of many coins gathered into whole bars, in the order of their times."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.model.events import Candle

Array = npt.NDArray[np.float64]
MISSING = 4_096  # bars that nobody had, counted one by one


class Row(msgspec.Struct, frozen=True):
    """One bar of all coins: closes and traded USD, shape (N,); NaN closes and no volume where a coin has no bar."""

    open_ns: int
    closes: Array
    volumes_usd: Array


class Gathering:
    """Bars by their time. A bar is whole once the next one begins, or when somebody asks for all that there is.

    A candle of another length, of an unknown coin, or of a time that was given out already is left aside. Bars that are
    missing for everybody come as empty rows: no return may span them.
    """

    def __init__(self, coins: Sequence[str], bar_ns: int) -> None:
        self.coins = tuple(coins)
        self.bar_ns = bar_ns
        self.last_open_ns = 0  # of the newest row given out; 0 before the first
        self._index = {coin: number for number, coin in enumerate(self.coins)}
        self._bars: dict[int, dict[str, Candle]] = {}

    @property
    def newest_close_ns(self) -> int:
        """When the newest bar heard of closed; 0 before the first."""
        newest = max(self._bars, default=self.last_open_ns)
        return newest + self.bar_ns if newest else 0

    def hear(self, candle: Candle) -> list[Row]:
        """Take a candle; the rows that are whole by it."""
        known = candle.coin in self._index and candle.interval_ns == self.bar_ns
        if not known or candle.open_ns <= self.last_open_ns:
            return []
        self._bars.setdefault(candle.open_ns, {})[candle.coin] = candle
        newest = max(self._bars)
        return [row for open_ns in sorted(self._bars) if open_ns < newest for row in self._rows(open_ns)]

    def rest(self) -> list[Row]:
        """Everything heard and not given out yet."""
        return [row for open_ns in sorted(self._bars) for row in self._rows(open_ns)]

    def _rows(self, open_ns: int) -> list[Row]:
        missing = (open_ns - self.last_open_ns) // self.bar_ns - 1 if self.last_open_ns else 0
        empty = np.full(len(self.coins), np.nan), np.zeros(len(self.coins))
        first = open_ns - min(missing, MISSING) * self.bar_ns
        out = [Row(at, *empty) for at in range(first, open_ns, self.bar_ns)]
        closes, volumes = empty[0].copy(), empty[1].copy()
        for coin, bar in self._bars.pop(open_ns).items():
            closes[self._index[coin]] = bar.close
            volumes[self._index[coin]] = bar.volume * bar.close
        self.last_open_ns = open_ns
        return [*out, Row(open_ns, closes, volumes)]
