"""What a strategy sees of its kernel: reads of the desk, nothing to write to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from slipstream.execution.desk import Desk
from slipstream.execution.ledger import Line
from slipstream.model.events import AssetContext, Bbo, Budget, L2Book
from slipstream.model.instrument import Instrument
from slipstream.model.mandate import Mandate, TradingState
from slipstream.model.order import Order


class DeskView:
    """The View of `slipstream.execution.strategy`, over a desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def now_ns(self) -> int:
        """Time of the event being handled, ns."""
        return self._desk.now_ns

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """The venue's perps by coin."""
        return self._desk.instruments

    @property
    def trading_state(self) -> TradingState:
        """What the gate lets through now."""
        return self._desk.state

    @property
    def mandate(self) -> Mandate | None:
        """The lease obeyed, if any."""
        return self._desk.permit.mandate

    @property
    def budget(self) -> Budget | None:
        """The address budget as last read."""
        return self._desk.budget.last

    @property
    def equity(self) -> Decimal:
        """Account equity as the venue last told it, USD."""
        return self._desk.equity

    def position(self, coin: str) -> Decimal:
        """Our signed position by our own fills."""
        return self._desk.ledger.position(coin)

    def line(self, coin: str) -> Line:
        """Our books of a coin: cost, realised profit, fees, funding."""
        return self._desk.ledger.line(coin)

    def worst_position(self, coin: str) -> tuple[Decimal, Decimal]:
        """Lowest and highest position that live and unknown orders could lead to."""
        return self._desk.worst(coin)

    def orders(self, coin: str) -> Sequence[Order]:
        """Our live orders in a coin, oldest first."""
        return [working.order for working in self._desk.orders.live(coin)]

    def target(self, coin: str) -> Decimal | None:
        """The position that the coin's last Target wants, or None without one in this run."""
        return self._desk.targets.get(coin)

    def bbo(self, venue: str, coin: str) -> Bbo | None:
        """The last best bid and offer of a venue, or None."""
        return self._desk.market.bbo(venue, coin)

    def book(self, venue: str, coin: str) -> L2Book | None:
        """The last book of a venue, or None."""
        return self._desk.market.book(venue, coin)

    def context(self, coin: str) -> AssetContext | None:
        """The last mark, oracle and funding of a coin, or None."""
        return self._desk.market.context(coin)

    def is_connected(self, feed: str) -> bool:
        """Whether a feed is connected and fresh."""
        return self._desk.market.is_connected(feed, self._desk.config.limits.max_feed_age_ns)

    def blocked(self, coin: str) -> str | None:
        """Why no order may be placed in a coin now, or None."""
        return self._desk.gate.blocked(coin)
