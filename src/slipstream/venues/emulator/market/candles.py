"""Candles of one coin at every interval, from history and from the tape. Prices in ticks, volumes in lots."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.model.instrument import Instrument

MINUTE = 60_000
DAY = 1_440 * MINUTE
INTERVALS: dict[str, int] = {
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": 60 * MINUTE,
    "2h": 120 * MINUTE,
    "4h": 240 * MINUTE,
    "8h": 480 * MINUTE,
    "12h": 720 * MINUTE,
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": 7 * DAY,
    "1M": 31 * DAY,  # calendar months; the number only orders the intervals
}
KEPT = 5_000  # candles of one interval that the venue serves
_ROOM = 6_000
_HEARD = 256  # calls of add_trades that may wait to be drawn
_MONDAY = 4 * DAY  # 1970-01-05
OPEN_MS, OPEN, HIGH, LOW, CLOSE, LOTS, COUNT = range(7)  # columns
Rows = npt.NDArray[np.int64]


class Candle(msgspec.Struct, frozen=True):
    """One bar; ``t`` is its first and ``T`` its last millisecond, ``v`` in coins, ``n`` trades."""

    t: int
    T: int
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741
    c: Decimal
    v: Decimal
    n: int


def open_time(ms: int, interval: str) -> int:
    """The start of the candle that a time lies in, ms."""
    if interval == "1M":
        when = datetime.fromtimestamp(ms / 1e3, UTC)
        return int(datetime(when.year, when.month, 1, tzinfo=UTC).timestamp() * 1e3)
    if interval == "1w":
        return (ms - _MONDAY) // (7 * DAY) * (7 * DAY) + _MONDAY
    return ms // INTERVALS[interval] * INTERVALS[interval]


def next_open(t: int, interval: str) -> int:
    """The start of the following candle, ms."""
    return open_time(t + INTERVALS[interval], interval) if interval == "1M" else t + INTERVALS[interval]


class Series:
    """The candles of one coin and interval, the last one still open."""

    def __init__(self, interval: str, rows: Rows) -> None:
        self.interval = interval
        self._rows = np.zeros((_ROOM, 7), np.int64)
        self._n = min(len(rows), KEPT)
        self._rows[: self._n] = rows[len(rows) - self._n :]
        self._end = next_open(int(rows[-1, OPEN_MS]), interval) if len(rows) else 0

    @property
    def rows(self) -> Rows:
        """Columns t, o, h, l, c, v, n; oldest first."""
        return self._rows[max(0, self._n - KEPT) : self._n]

    def _append(self, t: int, price: int) -> None:
        if self._n == _ROOM:
            self._rows[:KEPT] = self._rows[_ROOM - KEPT :]
            self._n = KEPT
        self._rows[self._n] = (t, price, price, price, price, 0, 0)
        self._n += 1
        self._end = next_open(t, self.interval)

    def add(self, ms: int, bar: tuple[int, int, int, int, int, int]) -> None:
        """Add trades of one minute: (open, high, low, close, lots, count). Empty candles in between are flat."""
        if ms >= self._end:
            start = open_time(ms, self.interval)
            if self._n == 0:
                self._append(start, bar[0])
            while self._end <= start:
                # a gap longer than what is served need not be drawn
                t = max(self._end, start - KEPT * INTERVALS[self.interval])
                self._append(open_time(t, self.interval), int(self._rows[self._n - 1, CLOSE]))
        row = self._rows[self._n - 1]
        if row[COUNT] == 0:
            row[OPEN] = bar[0]
            row[HIGH], row[LOW] = bar[1], bar[2]
        elif bar[1] > row[HIGH] or bar[2] < row[LOW]:
            row[HIGH], row[LOW] = max(row[HIGH], bar[1]), min(row[LOW], bar[2])
        row[CLOSE] = bar[3]
        row[LOTS] += bar[4]
        row[COUNT] += bar[5]


class Candles:
    """Every interval of one coin. Trades are heard at once and drawn when somebody looks, or enough have come."""

    def __init__(self, instrument: Instrument, history: dict[str, Rows]) -> None:
        self._instrument = instrument
        empty = np.zeros((0, 7), np.int64)
        self._series = {name: Series(name, history.get(name, empty)) for name in INTERVALS}
        self._heard: list[tuple[Rows, Rows, Rows]] = []

    def add_trades(self, ns: npt.NDArray[Any], ticks: npt.NDArray[Any], lots: npt.NDArray[Any]) -> None:
        """Add trades in order of time: ns, ticks, lots. The arrays are kept, not copied."""
        self._heard.append((ns, ticks, lots))
        if len(self._heard) >= _HEARD:
            self._draw()

    def _draw(self) -> None:
        """Bring the candles up to the last trade heard."""
        if not self._heard:
            return
        ns, ticks, lots = (np.concatenate(column) for column in zip(*self._heard, strict=True))
        self._heard.clear()
        minutes = ns // 60_000_000_000
        edges = np.flatnonzero(np.diff(minutes)) + 1
        starts = [0, *edges.tolist(), len(ns)]
        for a, b in pairwise(starts):
            part = ticks[a:b]
            bar = (int(part[0]), int(part.max()), int(part.min()), int(part[-1]), int(lots[a:b].sum()), b - a)
            ms = int(minutes[a]) * MINUTE
            for series in self._series.values():
                series.add(ms, bar)

    def between(self, interval: str, start_ms: int, end_ms: int) -> list[Candle]:
        """The candles that open in [start_ms, end_ms]. Raises KeyError on an unknown interval."""
        self._draw()
        rows = self._series[interval].rows
        start, end = np.searchsorted(rows[:, OPEN_MS], (start_ms, end_ms + 1))
        px, size = self._instrument.from_tick, self._instrument.from_lots
        return [
            Candle(t, next_open(t, interval) - 1, px(first), px(high), px(low), px(last), size(lots), count)
            for t, first, high, low, last, lots, count in rows[start:end].tolist()
        ]

    def dump(self) -> dict[str, bytes]:
        """Plain values that the constructor's ``history`` takes back through `parse`."""
        self._draw()
        return {name: series.rows.tobytes() for name, series in self._series.items()}

    @staticmethod
    def parse(dumped: dict[str, bytes]) -> dict[str, Rows]:
        """The ``history`` of a dump."""
        return {name: np.frombuffer(data, np.int64).reshape(-1, 7) for name, data in dumped.items()}
