"""What a pod's own aggressive orders cost, from its journal: the mid when the order was decided against its fills.

Only orders that were meant to cross count (immediate-or-cancel): what a resting order earns or loses is adverse
selection, not the price of size.
"""

from __future__ import annotations

from collections.abc import Sequence

from slipstream.federation.capacity import Sample
from slipstream.model.commands import Command, Place
from slipstream.model.events import Bbo, Closed, Event, Fill, Reject
from slipstream.model.order import Tif

VENUE = "hl"
OPEN_ORDERS = 1_000  # remembered at most; the oldest are forgotten


class _Order:
    """An aggressive order and what was filled of it."""

    __slots__ = ("cost", "filled", "mid", "notional", "place")

    def __init__(self, place: Place, mid: float) -> None:
        self.place = place
        self.mid = mid
        self.filled = place.sz * 0
        self.notional = self.cost = 0.0


class Slippage:
    """Folds a journal's rows into samples. Rows must come in their order; what came before the first is not known."""

    def __init__(self) -> None:
        self._mids: dict[str, float] = {}
        self._orders: dict[str, _Order] = {}

    def take(self, event: Event, commands: Sequence[Command]) -> Sample | None:
        """The sample that a row completes, if it does."""
        if isinstance(event, Bbo) and event.venue == VENUE and event.mid > 0.0:
            self._mids[event.coin] = event.mid
        found = self._ended(event)
        for command in commands:
            if isinstance(command, Place) and command.tif is Tif.IOC and command.coin in self._mids:
                self._orders[command.cloid] = _Order(command, self._mids[command.coin])
                if len(self._orders) > OPEN_ORDERS:
                    del self._orders[next(iter(self._orders))]
        return found

    def _ended(self, event: Event) -> Sample | None:
        if isinstance(event, Reject):
            self._orders.pop(event.cloid, None)
        elif isinstance(event, Closed):
            order = self._orders.pop(event.cloid, None)
            return _sample(order) if order is not None else None
        elif isinstance(event, Fill) and event.cloid in self._orders:
            order = self._orders[event.cloid]
            notional = float(event.px * event.sz)
            order.filled += event.sz
            order.notional += notional
            order.cost += notional * event.side.sign * (float(event.px) / order.mid - 1.0)
            if order.filled >= order.place.sz:
                return _sample(self._orders.pop(event.cloid))
        return None


def _sample(order: _Order) -> Sample | None:
    if order.notional <= 0.0:
        return None
    return Sample(order.place.coin, order.notional, 1e4 * order.cost / order.notional, own_fill=True)
