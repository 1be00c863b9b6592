"""Hourly funding rates of every coin, past and live."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from decimal import Decimal

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.venues.emulator.market.history import funding_rate

HOUR_MS = 3_600_000
KEPT = 10_000  # hours
DIGITS = 10  # decimals of a rate
_Row = tuple[int, int, int]  # ms, rate and premium in units of the last digit


class FundingRow(msgspec.Struct, frozen=True):
    """One hour: settlement time (ms), rate (fraction, positive: longs pay), mean premium (fraction)."""

    ms: int
    rate: Decimal
    premium: Decimal


class FundingBook:
    """Rows of every coin, oldest first, bounded."""

    def __init__(self) -> None:
        self._rows: dict[str, list[_Row]] = {}

    def fill(self, coin: str, premium: npt.NDArray[np.float64], end_ms: int) -> None:
        """The history of a coin from hourly premiums, the last at the full hour before ``end_ms``."""
        last = end_ms // HOUR_MS * HOUR_MS
        times = last - HOUR_MS * np.arange(len(premium) - 1, -1, -1)
        units = 10.0**DIGITS
        rates, premiums = (np.rint(values * units).astype(np.int64) for values in (funding_rate(premium), premium))
        self._rows[coin] = list(zip(times.tolist(), rates.tolist(), premiums.tolist(), strict=True))

    def add(self, coin: str, row: FundingRow) -> None:
        """Append an hour."""
        rows = self._rows.setdefault(coin, [])
        rows.append((row.ms, int(row.rate.scaleb(DIGITS)), int(row.premium.scaleb(DIGITS))))
        del rows[:-KEPT]

    def between(self, coin: str, start_ms: int, end_ms: int) -> list[FundingRow]:
        """Rows with start <= ms <= end. Raises KeyError on an unknown coin."""
        rows = self._rows[coin]
        low, high = bisect_left(rows, (start_ms,)), bisect_right(rows, (end_ms + 1,))
        return [
            FundingRow(ms, Decimal(rate).scaleb(-DIGITS).normalize(), Decimal(premium).scaleb(-DIGITS))
            for ms, rate, premium in rows[low:high]
        ]

    def dump(self) -> bytes:
        """Everything, for `load`."""
        return msgspec.msgpack.encode(self._rows)

    @classmethod
    def load(cls, data: bytes) -> FundingBook:
        """From `dump`."""
        self = cls()
        self._rows = msgspec.msgpack.decode(data, type=dict[str, list[_Row]])
        return self
