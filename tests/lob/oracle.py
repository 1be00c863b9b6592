"""A limit order book as one would write it down: dicts of lists, searched and walked. Slow, plain, and believed."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

from slipstream.lob.book import ALO, BAD_ORDER, EXPIRED, FILLED, GONE, IOC, OUT_OF_WINDOW, WOULD_CROSS

Fill = tuple[int, int, int, int, int, int, int, int]  # maker tag, owner, left; taker tag, owner, side; tick, lots


@dataclass
class Resting:
    """One order in its level's queue."""

    tag: int
    owner: int
    side: int
    tick: int
    lots: int
    live: bool = True


class Oracle:
    """Price-time priority over the window [base, base + levels)."""

    def __init__(self, base: int, levels: int) -> None:
        self.base, self.levels = base, levels
        self.queues: dict[int, dict[int, list[Resting]]] = {1: {}, -1: {}}
        self.ticks: dict[int, list[int]] = {1: [], -1: []}  # ascending
        self.fills: list[Fill] = []
        self.expired: list[tuple[int, int, int]] = []

    def best(self, side: int) -> int:
        ticks = self.ticks[side]
        return -1 if not ticks else ticks[-1] if side > 0 else ticks[0]

    def _remove(self, order: Resting) -> None:
        queue = self.queues[order.side][order.tick]
        queue.remove(order)
        order.live = False
        if not queue:
            del self.queues[order.side][order.tick]
            self.ticks[order.side].remove(order.tick)

    def place(self, tag: int, owner: int, side: int, tick: int, lots: int, tif: int) -> tuple[int, Resting | None]:
        """A code of the book's (0 where something rests) and what rests."""
        if side not in (1, -1) or lots <= 0 or tif not in (0, 1, 2) or tick < 0:
            return BAD_ORDER, None
        if tif != IOC and not self.base <= tick < self.base + self.levels:
            return OUT_OF_WINDOW, None
        best = self.best(-side)
        if tif == ALO and best >= 0 and (tick - best) * side >= 0:
            return WOULD_CROSS, None
        while lots and (best := self.best(-side)) >= 0 and (tick - best) * side >= 0:
            maker = self.queues[-side][best][0]
            if owner and maker.owner == owner:
                self.expired.append((maker.tag, maker.owner, maker.lots))
                self._remove(maker)
                continue
            traded = min(lots, maker.lots)
            lots -= traded
            maker.lots -= traded
            self.fills.append((maker.tag, maker.owner, maker.lots, tag, owner, side, best, traded))
            if not maker.lots:
                self._remove(maker)
        if not lots:
            return FILLED, None
        if tif == IOC:
            return EXPIRED, None
        order = Resting(tag, owner, side, tick, lots)
        if tick not in self.queues[side]:
            self.queues[side][tick] = []
            insort(self.ticks[side], tick)
        self.queues[side][tick].append(order)
        return 0, order

    def cancel(self, order: Resting) -> int:
        if not order.live:
            return GONE
        self._remove(order)
        return order.lots

    def reduce(self, order: Resting, lots: int) -> int:
        if not order.live:
            return GONE
        if lots >= order.lots:
            self._remove(order)
            return 0
        order.lots -= lots
        return order.lots

    def modify(self, order: Resting, tick: int, lots: int) -> tuple[int, Resting | None]:
        if not order.live or lots <= 0:
            return BAD_ORDER, None
        if not self.base <= tick < self.base + self.levels:
            return OUT_OF_WINDOW, order
        if tick == order.tick and lots <= order.lots:
            order.lots = lots
            return 0, order
        self._remove(order)
        return self.place(order.tag, order.owner, order.side, tick, lots, 0)

    def l3(self, side: int) -> list[tuple[int, int, int, int]]:
        """(tag, owner, tick, lots) in priority order."""
        ticks = reversed(self.ticks[side]) if side > 0 else self.ticks[side]
        return [(o.tag, o.owner, o.tick, o.lots) for tick in ticks for o in self.queues[side][tick]]
