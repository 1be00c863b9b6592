"""A local copy of a Binance book: a snapshot, and updates that must join without a gap.

Source: the exchange's "How to manage a local order book correctly" for USD-M futures.
"""

from __future__ import annotations

import msgspec

from slipstream.model.errors import FeedStale

Rows = list[tuple[str, str]]


class Snapshot(msgspec.Struct, rename={"last_update_id": "lastUpdateId"}):
    """`/fapi/v1/depth`."""

    last_update_id: int
    bids: Rows
    asks: Rows


class DepthUpdate(msgspec.Struct):
    """A `depthUpdate` message: first and last id in it, and the last id of the one before. A size of 0 removes."""

    s: str
    U: int
    u: int
    pu: int
    T: int
    b: Rows
    a: Rows


class LocalBook:
    """One symbol's book. Updates may come before the snapshot: they wait for it."""

    def __init__(self) -> None:
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}
        self._waiting: list[DepthUpdate] = []
        self._last: int | None = None
        self._joined = False

    @property
    def is_ready(self) -> bool:
        """Whether the snapshot is in and an update has joined it."""
        return self._joined

    @property
    def needs_snapshot(self) -> bool:
        """Whether a snapshot is due."""
        return self._last is None

    def snapshot(self, snapshot: Snapshot) -> None:
        """Start from a snapshot, then apply what waited. Raises FeedStale if a newer snapshot is needed."""
        self._bids = {float(px): float(sz) for px, sz in snapshot.bids}
        self._asks = {float(px): float(sz) for px, sz in snapshot.asks}
        self._last, self._joined = snapshot.last_update_id, False
        waiting, self._waiting = self._waiting, []
        for update in waiting:
            self.apply(update)

    def apply(self, update: DepthUpdate) -> None:
        """Take an update in. Raises FeedStale on a gap: the book is forgotten, a new snapshot is due."""
        if self._last is None:
            self._waiting.append(update)
            return
        if not self._joined:
            if update.u < self._last:
                return  # older than the snapshot
            if self._last < update.U:
                self._forget(update, f"snapshot {self._last} is older than update {update.U}")
            self._joined = True
        elif update.pu != self._last:
            self._forget(update, f"update after {update.pu} where {self._last} was expected")
        self._last = update.u
        for side, rows in ((self._bids, update.b), (self._asks, update.a)):
            for px, sz in rows:
                if float(sz) == 0.0:
                    side.pop(float(px), None)
                else:
                    side[float(px)] = float(sz)

    def _forget(self, update: DepthUpdate, why: str) -> None:
        self._last, self._joined = None, False
        self._waiting = [update]
        raise FeedStale(f"{update.s}: {why}")

    def levels(self, depth: int) -> tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]:
        """Bids and asks as (price, size), best first."""
        bids = sorted(self._bids.items(), reverse=True)[:depth]
        return tuple(bids), tuple(sorted(self._asks.items())[:depth])
