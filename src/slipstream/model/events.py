"""Everything that can happen to a kernel. Frozen, tagged, encodable.

Public market data carries float64 prices and sizes (it feeds signals); whatever touches money is Decimal. Both
times are kept: ``event_ns`` is the venue's, ``recv_ns`` ours, both in ns since the epoch.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Mandate, Resume
from slipstream.model.messages import Configure
from slipstream.model.order import Order


class Bbo(msgspec.Struct, frozen=True, tag="bbo"):
    """Best bid and ask of a coin on a venue (``hl`` or ``binance``). An empty side has price and size 0."""

    venue: str
    coin: str
    bid_px: float
    bid_sz: float
    ask_px: float
    ask_sz: float
    event_ns: int
    recv_ns: int

    @property
    def mid(self) -> float:
        """Middle of a two-sided market; 0 when a side is empty."""
        return (self.bid_px + self.ask_px) / 2.0 if self.bid_px > 0.0 and self.ask_px > 0.0 else 0.0


class L2Book(msgspec.Struct, frozen=True, tag="l2"):
    """Aggregated levels, best first: tuples of (price, size)."""

    venue: str
    coin: str
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    event_ns: int
    recv_ns: int


class Trade(msgspec.Struct, frozen=True, tag="trade"):
    """A public trade; ``side`` is the aggressor's."""

    venue: str
    coin: str
    px: float
    sz: float
    side: Side
    tid: int
    event_ns: int
    recv_ns: int


class Candle(msgspec.Struct, frozen=True, tag="candle"):
    """A closed bar. ``open_ns`` is its beginning, ``volume`` in base coin; a bar without trades has volume 0."""

    venue: str
    coin: str
    interval_ns: int
    open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    event_ns: int
    recv_ns: int

    @property
    def close_ns(self) -> int:
        """When the bar ended."""
        return self.open_ns + self.interval_ns


class AssetContext(msgspec.Struct, frozen=True, tag="ctx"):
    """Mark and oracle price, and the running hourly funding estimate (a fraction, positive: longs pay)."""

    venue: str
    coin: str
    mark_px: float
    oracle_px: float
    funding: float
    open_interest: float
    event_ns: int
    recv_ns: int


class FundingRate(msgspec.Struct, frozen=True, tag="rate"):
    """A settled funding rate of the past: a fraction for the hour that ended at ``event_ns``, positive: longs paid."""

    venue: str
    coin: str
    rate: float
    event_ns: int
    recv_ns: int


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """The venue took the order; it rests under ``oid``."""

    cloid: str
    oid: int
    ns: int


class Reject(msgspec.Struct, frozen=True, tag="reject"):
    """The venue refused a new order: nothing rests, nothing was filled."""

    cloid: str
    reason: str
    ns: int


class CancelReject(msgspec.Struct, frozen=True, tag="cancel_reject"):
    """A cancel or modify was refused. The order is usually gone already: its end comes as Fill or Closed."""

    cloid: str
    reason: str
    ns: int


class Unknown(msgspec.Struct, frozen=True, tag="unknown"):
    """A request about this order was sent and no answer came."""

    cloid: str
    reason: str
    ns: int


class Closed(msgspec.Struct, frozen=True, tag="closed"):
    """The venue says the order rests no more. ``status`` is its word (canceled, selfTradeCanceled, ...).

    ``filled`` is the total ever filled if the venue told it, else None.
    """

    cloid: str
    oid: int
    status: str
    ns: int
    filled: Decimal | None = None


class Fill(msgspec.Struct, frozen=True, tag="fill"):
    """A fill of our account. ``fee`` is what we paid (negative: a rebate); ``tid`` with ``oid`` makes it unique."""

    coin: str
    side: Side
    px: Decimal
    sz: Decimal
    fee: Decimal
    tid: int
    oid: int
    ns: int
    cloid: str | None = None
    crossed: bool = False
    start_position: Decimal = Decimal(0)
    closed_pnl: Decimal = Decimal(0)
    liquidation: bool = False


class FundingPayment(msgspec.Struct, frozen=True, tag="funding"):
    """A funding row of our account; ``usdc`` negative means paid."""

    coin: str
    usdc: Decimal
    szi: Decimal
    rate: Decimal
    ns: int


class Position(msgspec.Struct, frozen=True):
    """A position as the venue reports it; ``szi`` is signed."""

    coin: str
    szi: Decimal
    entry_px: Decimal
    unrealized_pnl: Decimal = Decimal(0)
    margin_used: Decimal = Decimal(0)
    liquidation_px: Decimal | None = None


class AccountState(msgspec.Struct, frozen=True, tag="account"):
    """The venue's own account of us, read whole: equity, positions, every open order (state OPEN or PARTIAL).

    ``complete`` says that fills and funding up to ``ns`` have been delivered before this event.
    """

    equity: Decimal
    withdrawable: Decimal
    positions: tuple[Position, ...]
    orders: tuple[Order, ...]
    ns: int
    complete: bool = True


class Budget(msgspec.Struct, frozen=True, tag="budget"):
    """The address budget: requests used and allowed (userRateLimit)."""

    used: int
    cap: int
    ns: int


class Timer(msgspec.Struct, frozen=True, tag="timer"):
    """A time that somebody asked for has come. ``name`` is the asker's."""

    name: str
    ns: int


class Disconnect(msgspec.Struct, frozen=True, tag="disconnect"):
    """A feed (``hl``, ``hl.user``, ``binance``) is gone or stale; prices from it must not be traded on."""

    feed: str
    reason: str
    ns: int


class Reconnect(msgspec.Struct, frozen=True, tag="reconnect"):
    """A feed is back: subscribed, snapshot taken and, for ``hl.user``, the account reconciled."""

    feed: str
    ns: int


Event = (
    Bbo
    | L2Book
    | Trade
    | AssetContext
    | Candle
    | FundingRate
    | Ack
    | Reject
    | CancelReject
    | Unknown
    | Closed
    | Fill
    | FundingPayment
    | AccountState
    | Budget
    | Timer
    | Disconnect
    | Reconnect
    | Mandate
    | Halt
    | Resume
    | Configure
)
