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


class FundingRow(msgspec.Struct, frozen=True):
    """One hour: settlement time (ms), rate (fraction, positive: longs pay), mean premium (fraction)."""

    ms: int
    rate: Decimal
    premium: Decimal


class FundingBook:
    """Rows of every coin, oldest first, bounded."""

    def __init__(self) -> None:
        self._rows: dict[str, list[FundingRow]] = {}

    def fill(self, coin: str, premium: npt.NDArray[np.float64], end_ms: int) -> None:
        """The history of a coin from hourly premiums, the last at the full hour before ``end_ms``."""
        last = end_ms // HOUR_MS * HOUR_MS
        rates = funding_rate(premium)
        first = last - HOUR_MS * (len(premium) - 1)
        self._rows[coin] = [
            FundingRow(first + k * HOUR_MS, Decimal(f"{rate:.10f}").normalize(), Decimal(f"{prem:.10f}"))
            for k, (rate, prem) in enumerate(zip(rates.tolist(), premium.tolist(), strict=True))
        ]

    def add(self, coin: str, row: FundingRow) -> None:
        """Append an hour."""
        rows = self._rows.setdefault(coin, [])
        rows.append(row)
        del rows[:-KEPT]

    def between(self, coin: str, start_ms: int, end_ms: int) -> list[FundingRow]:
        """Rows with start <= ms <= end. Raises KeyError on an unknown coin."""
        rows = self._rows[coin]
        return rows[bisect_left(rows, start_ms, key=_ms) : bisect_right(rows, end_ms, key=_ms)]

    def dump(self) -> bytes:
        """Everything, for `load`."""
        return msgspec.msgpack.encode(self._rows)

    @classmethod
    def load(cls, data: bytes) -> FundingBook:
        """From `dump`."""
        self = cls()
        self._rows = msgspec.msgpack.decode(data, type=dict[str, list[FundingRow]])
        return self


def _ms(row: FundingRow) -> int:
    return row.ms
