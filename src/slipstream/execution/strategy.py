"""The one shape of a strategy, and what it may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from slipstream.execution.ledger import Line
from slipstream.model.events import AssetContext, Bbo, Budget, Event, L2Book
from slipstream.model.instrument import Instrument
from slipstream.model.intents import Intent
from slipstream.model.mandate import Mandate, TradingState
from slipstream.model.order import Order


class View(Protocol):
    """A strategy's window on its pod: the folded state as of the event being handled. Read-only."""

    @property
    def now_ns(self) -> int:
        """Time of the event being handled, ns."""
        ...

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """The venue's perps by coin."""
        ...

    @property
    def trading_state(self) -> TradingState:
        """What the gate lets through now (halts and lease together)."""
        ...

    @property
    def mandate(self) -> Mandate | None:
        """The lease obeyed, if any."""
        ...

    @property
    def budget(self) -> Budget | None:
        """The address budget as last read."""
        ...

    @property
    def equity(self) -> Decimal:
        """Account equity as the venue last told it, USD."""
        ...

    def position(self, coin: str) -> Decimal:
        """Our signed position by our own fills."""
        ...

    def line(self, coin: str) -> Line:
        """Our books of a coin: cost, realised profit, fees, funding."""
        ...

    def worst_position(self, coin: str) -> tuple[Decimal, Decimal]:
        """Lowest and highest position that live and unknown orders could lead to."""
        ...

    def orders(self, coin: str) -> Sequence[Order]:
        """Our live orders in a coin."""
        ...

    def target(self, coin: str) -> Decimal | None:
        """The position that the coin's last Target wants, or None without one in this run."""
        ...

    def bbo(self, venue: str, coin: str) -> Bbo | None:
        """The last best bid and offer of a venue, or None."""
        ...

    def book(self, venue: str, coin: str) -> L2Book | None:
        """The last book of a venue, or None."""
        ...

    def context(self, coin: str) -> AssetContext | None:
        """The last mark, oracle and funding of a coin, or None."""
        ...

    def is_connected(self, feed: str) -> bool:
        """Whether a feed is connected and fresh."""
        ...

    def blocked(self, coin: str) -> str | None:
        """Why no order may be placed in a coin now, or None."""
        ...


class Strategy(Protocol):
    """Turns events into intents. Synchronous, without I/O, without a clock of its own, deterministic."""

    @property
    def slug(self) -> str:
        """The strategy's short name; also its pod's."""
        ...

    def on_event(self, event: Event, view: View) -> list[Intent]:
        """What is wanted after this event. The view already includes it."""
        ...

    def snapshot(self) -> dict[str, object]:
        """Plain values from which `restore` continues (estimates, not positions: those come from the venue)."""
        ...

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue from a snapshot."""
        ...

    def status(self) -> dict[str, object]:
        """Plain values for people: quotes, fair price, suspensions."""
        ...
