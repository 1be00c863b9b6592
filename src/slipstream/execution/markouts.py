"""What became of fills: spread captured at once, markouts at horizons, and the net result. Pure.

Markout of a fill at horizon h: side x (mid(t + h) - price) / price, in bp, averaged by notional. At h = 0 it is the
spread captured; what it loses from there on is adverse selection. See `docs/BRAWLER_SPEC.md`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from slipstream.model.events import Bbo, Fill, FundingPayment

SECOND = 1_000_000_000
HORIZONS = (0, 1, 5, 30, 60, 300)  # seconds


class Mids:
    """The mid of one coin over time: the last one known at a moment."""

    def __init__(self) -> None:
        self._ns: list[int] = []
        self._px: list[float] = []

    def add(self, bbo: Bbo) -> None:
        """Take a quote; one-sided ones and ones out of order are passed over."""
        if bbo.mid > 0.0 and (not self._ns or bbo.event_ns >= self._ns[-1]):
            self._ns.append(bbo.event_ns)
            self._px.append(bbo.mid)

    def at(self, ns: int) -> float | None:
        """The mid at a time; None before the first and after the last quote."""
        if not self._ns or ns > self._ns[-1]:
            return None
        i = bisect_right(self._ns, ns)
        return self._px[i - 1] if i else None

    @property
    def last(self) -> float:
        """The newest mid, 0 if there is none."""
        return self._px[-1] if self._px else 0.0


class Result(msgspec.Struct, frozen=True):
    """One coin's result. USD, and bp of the notional; ``markouts`` by horizon in seconds (None: no fill that old)."""

    coin: str
    fills: int
    volume: float
    maker_share: float
    position: float
    max_position: float
    spread_captured: float
    gross_pnl: float
    fees: float
    funding: float
    markouts: dict[int, float | None]

    @property
    def net_pnl(self) -> float:
        """Marked at the last mid, after fees and funding."""
        return self.gross_pnl - self.fees + self.funding


def markout(fills: Sequence[Fill], mids: Mids, seconds: int) -> float | None:
    """Average markout of fills at a horizon, bp of their notional; None if no fill has a mid that far on."""
    value = weight = 0.0
    for fill in fills:
        mid = mids.at(fill.ns + seconds * SECOND)
        if mid is not None:
            px, size = float(fill.px), float(fill.sz)
            value += fill.side.sign * (mid - px) * size
            weight += px * size
    return value / weight * 1e4 if weight else None


def result(
    coin: str,
    fills: Sequence[Fill],
    payments: Sequence[FundingPayment],
    mids: Mids,
    horizons: Sequence[int] = HORIZONS,
) -> Result:
    """The result of one coin from its fills (each once), its funding rows and its mids. Starts flat."""
    position = cash = peak = volume = maker = captured = 0.0
    for fill in fills:
        size, px = float(fill.sz), float(fill.px)
        position += fill.side.sign * size
        cash -= fill.side.sign * size * px
        peak = max(peak, abs(position))
        volume += size * px
        maker += 0.0 if fill.crossed else size * px
        mid = mids.at(fill.ns)
        captured += fill.side.sign * ((mid if mid is not None else px) - px) * size
    return Result(
        coin=coin,
        fills=len(fills),
        volume=volume,
        maker_share=maker / volume if volume else 0.0,
        position=position,
        max_position=peak,
        spread_captured=captured,
        gross_pnl=cash + position * mids.last,
        fees=float(sum(fill.fee for fill in fills)),
        funding=float(sum(row.usdc for row in payments)),
        markouts={h: markout(fills, mids, h) for h in horizons},
    )
