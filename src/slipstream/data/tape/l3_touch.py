"""The best prices of a book of orders while its log is read: how many orders are at each tick, and the best of them."""

from __future__ import annotations

import heapq


class Touch:
    """Orders by side (+1 bids, -1 asks) and tick. ``join`` and ``leave`` cost the logarithm of the levels."""

    def __init__(self) -> None:
        self._counts: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self._heaps: dict[int, list[int]] = {1: [], -1: []}  # ticks, bids with their sign turned; gone ones too

    def join(self, side: int, tick: int) -> None:
        """An order rests at a tick."""
        counts = self._counts[side]
        if tick not in counts:
            heapq.heappush(self._heaps[side], -side * tick)
        counts[tick] = counts.get(tick, 0) + 1

    def leave(self, side: int, tick: int) -> None:
        """An order at a tick is gone. Raises KeyError if there is none."""
        counts = self._counts[side]
        counts[tick] -= 1
        if not counts[tick]:
            del counts[tick]

    def best(self, side: int) -> int:
        """The best tick of a side, or -1."""
        heap, counts = self._heaps[side], self._counts[side]
        while heap and -side * heap[0] not in counts:
            heapq.heappop(heap)
        return -side * heap[0] if heap else -1

    def crossed_by(self, side: int, tick: int) -> bool:
        """Whether an order of a side at a tick would meet the other side."""
        other = self.best(-side)
        return other >= 0 and (tick - other) * side >= 0

    def crossed(self) -> bool:
        """Whether the best bid meets the best ask."""
        bid = self.best(1)
        return bid >= 0 and self.crossed_by(1, bid)
