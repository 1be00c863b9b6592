"""Candles become whole bars, in order, each once."""

from __future__ import annotations

import numpy as np

from slipstream.core.signals.gathering import MISSING, Gathering, Row
from slipstream.model.events import Candle

HOUR = 3_600_000_000_000


def candle(coin: str, hour: int, close: float = 10.0, interval: int = HOUR) -> Candle:
    return Candle("hl", coin, interval, hour * HOUR, 9.0, 11.0, 8.0, close, 2.0, hour * HOUR + interval, 0)


def opens(rows: list[Row]) -> list[int]:
    return [row.open_ns // HOUR for row in rows]


def test_a_bar_is_whole_when_the_next_begins() -> None:
    bars = Gathering(("A", "B"), HOUR)
    assert bars.newest_close_ns == 0
    assert not bars.hear(candle("A", 5)) and not bars.hear(candle("B", 5, 20.0))
    assert bars.newest_close_ns == 6 * HOUR
    (row,) = bars.hear(candle("A", 6))
    assert row.closes.tolist() == [10.0, 20.0] and row.volumes_usd.tolist() == [20.0, 40.0]
    (last,) = bars.rest()
    assert opens([last]) == [6] and np.isnan(last.closes[1]) and last.volumes_usd[1] == 0.0
    assert not bars.rest() and not bars.hear(candle("B", 6)), "a time is given out once"


def test_what_is_not_ours_is_left_aside() -> None:
    bars = Gathering(("A",), HOUR)
    assert not bars.hear(candle("X", 5)) and not bars.hear(candle("A", 5, interval=4 * HOUR)) and not bars.rest()


def test_bars_that_nobody_had_come_empty() -> None:
    bars = Gathering(("A",), HOUR)
    bars.hear(candle("A", 5))
    assert opens(bars.hear(candle("A", 9))) == [5]
    rows = bars.rest()
    assert opens(rows) == [6, 7, 8, 9] and [np.isnan(row.closes[0]) for row in rows] == [True, True, True, False]
    bars.hear(candle("A", 10 * MISSING))
    assert len(bars.rest()) == MISSING + 1, "a long absence is bounded"


def test_late_bars_come_in_the_order_of_their_times() -> None:
    bars = Gathering(("A", "B"), HOUR)
    assert not bars.hear(candle("A", 7))
    assert opens(bars.hear(candle("B", 6))) == [6]
    assert opens(bars.rest()) == [7]
