"""Hyperliquid's messages, typed. Money is Decimal; public prices are decimal strings that become float64.

Only the fields that are used are named; the venue may add others at any time.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any, Literal

import msgspec

from slipstream.model.events import AssetContext, Bbo, Fill, FundingPayment, L2Book, Position, Trade
from slipstream.model.instrument import Instrument, MarginTier, Side
from slipstream.model.order import Order, OrderState, Tif

VENUE = "hl"
MS = 1_000_000  # ns


class Level(msgspec.Struct, gc=False):
    """One price level; its strings are read as float64 (see `read_data`)."""

    px: float
    sz: float


class BookData(msgspec.Struct):
    """`l2Book`: bids, then asks, best first."""

    coin: str
    time: int
    levels: tuple[list[Level], list[Level]]


class BboData(msgspec.Struct):
    """`bbo`: best bid and ask; None on an empty side."""

    coin: str
    time: int
    bbo: tuple[Level | None, Level | None]


class TradeData(msgspec.Struct):
    """One public trade; ``side`` is the aggressor's."""

    coin: str
    side: Literal["A", "B"]
    px: str
    sz: str
    time: int
    tid: int


class Context(msgspec.Struct, rename="camel"):
    """A coin's context; delisted coins lack prices."""

    mark_px: str
    oracle_px: str
    funding: str
    open_interest: str


class ContextData(msgspec.Struct):
    """`activeAssetCtx`."""

    coin: str
    ctx: Context


class WireFill(msgspec.Struct, rename="camel"):
    """A fill of a user."""

    coin: str
    px: Decimal
    sz: Decimal
    side: Literal["A", "B"]
    time: int
    start_position: Decimal
    closed_pnl: Decimal
    oid: int
    tid: int
    fee: Decimal
    crossed: bool
    cloid: str | None = None
    liquidation: dict[str, Any] | None = None
    builder_fee: Decimal | None = None


class FillsData(msgspec.Struct, rename="camel"):
    """`userFills`."""

    user: str
    fills: list[WireFill]
    is_snapshot: bool = False


class WireOrder(msgspec.Struct, rename="camel"):
    """An open order, in the forms of `orderUpdates` and `frontendOpenOrders`."""

    coin: str
    side: Literal["A", "B"]
    limit_px: Decimal
    sz: Decimal
    oid: int
    timestamp: int
    orig_sz: Decimal
    cloid: str | None = None
    reduce_only: bool = False
    tif: str | None = None
    is_trigger: bool = False


class OrderUpdate(msgspec.Struct, rename="camel"):
    """One row of `orderUpdates`, and the inner part of `orderStatus`."""

    order: WireOrder
    status: str
    status_timestamp: int


class OrderStatus(msgspec.Struct):
    """`orderStatus`: ``status`` is "order" or "unknownOid"."""

    status: str
    order: OrderUpdate | None = None


class FundingDelta(msgspec.Struct, rename="camel"):
    """The inner part of a `userFunding` row."""

    coin: str
    usdc: Decimal
    szi: Decimal
    funding_rate: Decimal


class FundingRow(msgspec.Struct):
    """One row of `userFunding`."""

    time: int
    delta: FundingDelta


class LeverageData(msgspec.Struct):
    """A position's leverage."""

    type: str
    value: int


class PositionData(msgspec.Struct, rename="camel"):
    """A position."""

    coin: str
    szi: Decimal
    entry_px: Decimal | None = None
    unrealized_pnl: Decimal = Decimal(0)
    margin_used: Decimal = Decimal(0)
    liquidation_px: Decimal | None = None


class AssetPosition(msgspec.Struct):
    """A position in its envelope."""

    position: PositionData


class MarginSummary(msgspec.Struct, rename="camel"):
    """Account totals."""

    account_value: Decimal


class Clearinghouse(msgspec.Struct, rename="camel"):
    """`clearinghouseState`."""

    margin_summary: MarginSummary
    withdrawable: Decimal
    asset_positions: list[AssetPosition]
    time: int


class Perp(msgspec.Struct, rename="camel"):
    """A perp in `meta`."""

    name: str
    sz_decimals: int
    max_leverage: int
    margin_table_id: int = 0
    is_delisted: bool = False
    only_isolated: bool = False


class Tier(msgspec.Struct, rename="camel"):
    """A margin tier in `meta`."""

    lower_bound: Decimal
    max_leverage: int


class MarginTable(msgspec.Struct, rename="camel"):
    """A margin table in `meta`."""

    margin_tiers: list[Tier]


class Meta(msgspec.Struct, rename="camel"):
    """`meta`: the place of a perp is its asset id, delisted ones included."""

    universe: list[Perp]
    margin_tables: list[tuple[int, MarginTable]] = []


class RateLimit(msgspec.Struct, rename="camel"):
    """`userRateLimit`: the address budget."""

    n_requests_used: int
    n_requests_cap: int


class Role(msgspec.Struct):
    """`userRole`."""

    role: str
    data: dict[str, str] = {}


class SpotBalance(msgspec.Struct):
    """A spot balance."""

    coin: str
    total: Decimal


class SpotState(msgspec.Struct):
    """`spotClearinghouseState`."""

    balances: list[SpotBalance] = []


class Frame(msgspec.Struct):
    """A WebSocket frame, its data not read yet."""

    channel: str
    data: msgspec.Raw = msgspec.Raw(b"null")


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    # not strict: decimal strings become floats without a detour
    return msgspec.json.Decoder(kind, strict=False)


def read_data(frame: Frame, kind: Any) -> Any:
    """The data of a frame as a type. Raises msgspec.ValidationError."""
    return _decoder(kind).decode(frame.data)


def side_of(text: str) -> Side:
    """The side behind "B" or "A"."""
    return Side.BUY if text == "B" else Side.SELL


def to_instruments(meta: Meta) -> tuple[Instrument, ...]:
    """Every perp of the first-party dex, asset ids by place."""
    tables = dict(meta.margin_tables)
    out = []
    for asset, perp in enumerate(meta.universe):
        table = tables.get(perp.margin_table_id)
        tiers = tuple(MarginTier(t.lower_bound, t.max_leverage) for t in table.margin_tiers) if table else ()
        out.append(
            Instrument(
                perp.name,
                asset,
                perp.sz_decimals,
                perp.max_leverage,
                tiers,
                perp.margin_table_id,
                perp.only_isolated,
                perp.is_delisted,
            )
        )
    return tuple(out)


def to_bbo(data: BboData, recv_ns: int) -> Bbo:
    """As an event; an empty side has price and size 0."""
    bid, ask = data.bbo
    return Bbo(
        VENUE,
        data.coin,
        bid.px if bid else 0.0,
        bid.sz if bid else 0.0,
        ask.px if ask else 0.0,
        ask.sz if ask else 0.0,
        data.time * MS,
        recv_ns,
    )


def to_book(data: BookData, recv_ns: int) -> L2Book:
    """As an event."""
    bids, asks = data.levels
    return L2Book(
        VENUE,
        data.coin,
        tuple([(x.px, x.sz) for x in bids]),
        tuple([(x.px, x.sz) for x in asks]),
        data.time * MS,
        recv_ns,
    )


def to_trade(data: TradeData, recv_ns: int) -> Trade:
    """As an event."""
    side = side_of(data.side)
    return Trade(VENUE, data.coin, float(data.px), float(data.sz), side, data.tid, data.time * MS, recv_ns)


def to_context(data: ContextData, event_ns: int, recv_ns: int) -> AssetContext:
    """As an event. The venue sends no time with it: the newest one known is passed in."""
    ctx = data.ctx
    return AssetContext(
        VENUE,
        data.coin,
        float(ctx.mark_px),
        float(ctx.oracle_px),
        float(ctx.funding),
        float(ctx.open_interest),
        event_ns,
        recv_ns,
    )


def to_fill(row: WireFill) -> Fill:
    """As an event; the fee includes what a builder took."""
    return Fill(
        row.coin,
        side_of(row.side),
        row.px,
        row.sz,
        row.fee,
        row.tid,
        row.oid,
        row.time * MS,
        row.cloid,
        row.crossed,
        row.start_position,
        row.closed_pnl,
        row.liquidation is not None,
    )


def to_funding(row: FundingRow) -> FundingPayment:
    """As an event."""
    delta = row.delta
    return FundingPayment(delta.coin, delta.usdc, delta.szi, delta.funding_rate, row.time * MS)


def to_position(data: PositionData) -> Position:
    """As a value."""
    return Position(
        data.coin,
        data.szi,
        data.entry_px or Decimal(0),
        data.unrealized_pnl,
        data.margin_used,
        data.liquidation_px,
    )


def to_order(row: WireOrder) -> Order:
    """An open order as a value. Orders without a cloid get an empty one."""
    filled = row.orig_sz - row.sz
    tif = Tif(row.tif) if row.tif in ("Gtc", "Ioc", "Alo") else Tif.GTC
    return Order(
        row.cloid or "",
        row.coin,
        side_of(row.side),
        row.limit_px,
        row.orig_sz,
        tif,
        row.reduce_only,
        OrderState.PARTIAL if filled else OrderState.OPEN,
        row.oid,
        filled,
        row.timestamp * MS,
    )
