"""A venue over bars whose fills are not made up from prices but told: those that a pod had, where it really traded.

The kernel over bars then enters every decision with the positions that the pod held, so that every one of its decisions
can be compared with the pod's, not only the first.

- The only prices are those of the record: a strategy that waits for prices decides first when the pod did.
- Orders are taken and rest. None is filled by a price; all end when the next part of the record is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec
import numpy as np

from slipstream.model.commands import Cancel, Modify, Place, Query
from slipstream.model.events import Ack, Event, Fill, FundingPayment
from slipstream.model.order import Order, OrderState
from slipstream.simulation.bars import BarTerms, BarVenue


class RetoldVenue(BarVenue):
    """See the module. ``placed`` holds every order that the kernel sent, with its time (ns), in order."""

    def __init__(self, coins: Sequence[str], terms: BarTerms, positions: Mapping[str, tuple[Decimal, Decimal]]) -> None:
        """``positions`` are the signed sizes, and the prices they are booked at, that the record begins with."""
        super().__init__(coins, terms)
        self.placed: list[tuple[int, Place]] = []
        for coin, (size, px) in positions.items():
            self.held[coin], self.mark[coin] = size, px

    def price(self, coin: str, px: float) -> None:
        """A new price of a coin, to value it by; nothing fills at it, and nobody is told."""
        if np.isfinite(px):
            self.mark[coin] = Decimal(repr(float(px)))

    def sweep(self, coin: str, low: Decimal, high: Decimal) -> None:
        """No order is filled by what was traded."""

    def settle(self, coin: str, mean: float, rate: float) -> None:
        """Funding is told as well."""

    def take(self, command: Place | Modify | Cancel | Query) -> None:
        """Carry out what the kernel sent."""
        if isinstance(command, Place | Modify):
            self.placed.append((self.now_ns, command.new if isinstance(command, Modify) else command))
        super().take(command)

    def tell(self, record: Sequence[Event]) -> None:
        """What befell the pod since the last time; whatever rests here ends with it."""
        for event in record:
            if isinstance(event, Fill):
                self.cash -= event.sz * event.px * event.side.sign + event.fee
                self.held[event.coin] += event.sz * event.side.sign
                self.mark.setdefault(event.coin, event.px)
                # the orders here have names of their own: the fill is the account's
                fill = msgspec.structs.replace(event, cloid=None, oid=-event.oid)
                self.fills.append(fill)
                self.out.append(fill)
            else:
                if isinstance(event, FundingPayment):
                    self.cash, self.funding = self.cash + event.usdc, self.funding + event.usdc
                self.out.append(event)
        # an order ends after its fills: one that ended short would be sent again for what is about to be told
        for cloid in list(self.resting):
            self._cancel(cloid)

    def _place(self, place: Place) -> None:
        self._oid += 1
        self.out.append(Ack(place.cloid, self._oid, self.now_ns))
        self.resting[place.cloid] = Order(
            cloid=place.cloid,
            coin=place.coin,
            side=place.side,
            px=place.px,
            sz=place.sz,
            tif=place.tif,
            reduce_only=place.reduce_only,
            state=OrderState.OPEN,
            oid=self._oid,
        )
