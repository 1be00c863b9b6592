"""Everything the emulated exchange remembers about its users. Mutable structs, so that a snapshot is one encode.

Addresses are lower-case ``0x`` strings. Money, prices and sizes are Decimal; times are ns of venue time.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from slipstream.model.instrument import Side

ZERO = Decimal(0)


class Status(Enum):
    """The venue's words for what became of an order (the rejections included)."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    TRIGGERED = "triggered"
    REJECTED = "rejected"
    MARGIN_CANCELED = "marginCanceled"
    SELF_TRADE_CANCELED = "selfTradeCanceled"
    REDUCE_ONLY_CANCELED = "reduceOnlyCanceled"
    SIBLING_FILLED_CANCELED = "siblingFilledCanceled"
    DELISTED_CANCELED = "delistedCanceled"
    LIQUIDATED_CANCELED = "liquidatedCanceled"
    SCHEDULED_CANCEL = "scheduledCancel"
    OPEN_INTEREST_CAP_CANCELED = "openInterestCapCanceled"
    VAULT_WITHDRAWAL_CANCELED = "vaultWithdrawalCanceled"
    TICK_REJECTED = "tickRejected"
    MIN_TRADE_NTL_REJECTED = "minTradeNtlRejected"
    PERP_MARGIN_REJECTED = "perpMarginRejected"
    REDUCE_ONLY_REJECTED = "reduceOnlyRejected"
    BAD_ALO_PX_REJECTED = "badAloPxRejected"
    IOC_CANCEL_REJECTED = "iocCancelRejected"
    BAD_TRIGGER_PX_REJECTED = "badTriggerPxRejected"
    MARKET_ORDER_NO_LIQUIDITY_REJECTED = "marketOrderNoLiquidityRejected"
    ORACLE_REJECTED = "oracleRejected"
    PERP_MAX_POSITION_REJECTED = "perpMaxPositionRejected"
    TOO_MANY_OPEN_ORDERS_REJECTED = "tooManyOpenOrdersRejected"
    OI_INCREASE_AT_CAP_REJECTED = "positionIncreaseAtOpenInterestCapRejected"
    OI_FLIP_AT_CAP_REJECTED = "positionFlipAtOpenInterestCapRejected"
    OI_AGGRESSIVE_AT_CAP_REJECTED = "tooAggressiveAtOpenInterestCapRejected"
    OI_INCREASE_REJECTED = "openInterestIncreaseRejected"
    INSUFFICIENT_SPOT_BALANCE_REJECTED = "insufficientSpotBalanceRejected"
    INTERNAL_CANCEL = "internalCancel"


class Trigger(msgspec.Struct):
    """The trigger part of a TP/SL order."""

    px: Decimal
    is_market: bool
    tpsl: str  # "tp" or "sl"


class VenueOrder(msgspec.Struct):
    """An order as the venue holds it, resting, waiting for its trigger, or ended."""

    oid: int
    user: str
    coin: str
    side: Side
    limit_px: Decimal
    sz: Decimal  # what is left
    orig_sz: Decimal
    tif: str | None  # Gtc, Ioc, Alo, FrontendMarket, LiquidationMarket; None for triggers
    reduce_only: bool
    created_ns: int
    cloid: str | None = None
    trigger: Trigger | None = None
    is_position_tpsl: bool = False
    children: list[int] = []
    parent: int | None = None
    siblings: list[int] = []  # the other leg of a TP/SL pair: one fill ends it
    status: Status = Status.OPEN
    status_ns: int = 0
    handle: int = -1  # in the matching engine while it rests
    builder: tuple[str, int] | None = None
    twap_id: int | None = None


class Position(msgspec.Struct):
    """A perp position. ``cost`` is signed entry notional (szi * entry); isolated margin is raw USD set aside.

    ``cost`` is exact in millionths of a USDC, ``entry_px`` is derived from it. Funding totals are positive when paid.
    """

    coin: str
    szi: Decimal = ZERO
    cost: Decimal = ZERO
    entry_px: Decimal = ZERO
    is_cross: bool = True
    leverage: int = 20
    isolated_usd: Decimal = ZERO  # raw USD of an isolated position (may be negative), else 0
    funding_all_time: Decimal = ZERO
    funding_since_open: Decimal = ZERO
    funding_since_change: Decimal = ZERO


class FillRecord(msgspec.Struct):
    """One user's side of one trade."""

    coin: str
    px: Decimal
    sz: Decimal
    side: Side
    ns: int
    start_position: Decimal
    dir: str
    closed_pnl: Decimal
    hash: str
    oid: int
    crossed: bool
    fee: Decimal
    tid: int
    cloid: str | None = None
    twap_id: int | None = None
    builder_fee: Decimal | None = None
    liquidation: dict[str, str] | None = None  # liquidatedUser, markPx, method


class FundingRecord(msgspec.Struct):
    """One hourly payment; ``usdc`` negative means paid."""

    coin: str
    usdc: Decimal
    szi: Decimal
    rate: Decimal
    ns: int


class LedgerRecord(msgspec.Struct):
    """A deposit, withdrawal, transfer or liquidation: ``delta`` is the venue's object, ``type`` included."""

    ns: int
    hash: str
    delta: dict[str, Any]


class Agent(msgspec.Struct):
    """An API wallet. ``name`` is empty for the unnamed one."""

    address: str
    master: str
    name: str
    valid_until_ns: int


class Twap(msgspec.Struct):
    """A running or ended TWAP."""

    twap_id: int
    user: str
    coin: str
    side: Side
    sz: Decimal
    executed_sz: Decimal
    executed_ntl: Decimal
    minutes: int
    reduce_only: bool
    randomize: bool
    start_ns: int
    next_ns: int
    status: str = "activated"  # activated, finished, terminated, error
    error: str = ""


class Account(msgspec.Struct):
    """One address: user, sub-account or vault. ``usd`` is perp raw USD outside isolated positions."""

    address: str
    usd: Decimal = ZERO
    spot_usdc: Decimal = ZERO
    positions: dict[str, Position] = {}
    leverage: dict[str, tuple[bool, int]] = {}  # coin -> (is_cross, leverage) chosen by the user
    open_orders: dict[int, VenueOrder] = {}  # oid -> resting and waiting orders
    by_cloid: dict[str, int] = {}
    fills: list[FillRecord] = []
    fundings: list[FundingRecord] = []
    ledger: list[LedgerRecord] = []
    twaps: dict[int, Twap] = {}
    master: str | None = None  # of a sub-account
    name: str = ""
    sub_accounts: list[str] = []
    is_vault: bool = False
    abstraction: str = "default"
    deposits: Decimal = ZERO  # net external money ever put in (conservation checks)
    fees_paid: Decimal = ZERO
    realised: Decimal = ZERO  # closed profit less fees of every fill ever
    volume: Decimal = ZERO  # cumulative notional traded
    daily_volume: dict[str, tuple[Decimal, Decimal]] = {}  # UTC date -> (taker, maker) notional
    requests_used: int = 0
    requests_bought: int = 0
    last_limited_ns: int = 0
    schedule_cancel_ns: int | None = None
    schedule_cancel_wall_ms: int | None = None  # the same moment on the client's clock, where that is the nearer one
    schedule_triggers: dict[str, int] = {}  # UTC date -> how often scheduleCancel fired
    referrer: str | None = None
    builder_fees: dict[str, int] = {}  # approved builder -> tenths of a bp
    known: bool = False  # has ever been funded
    history: dict[int, VenueOrder] = {}  # oid -> ended orders, oldest first, bounded
    past_cloids: dict[str, int] = {}  # cloid -> oid of ended orders still in `history`
    funding_totals: dict[str, Decimal] = {}  # coin -> all funding ever paid (negative: received)
    past_twaps: list[Twap] = []  # ended TWAPs, oldest first, bounded
    shares: dict[str, Decimal] = {}  # of a vault: depositor -> shares
    liquidations: dict[str, int] = {}  # coin (or "" for cross) -> ns until which a partial liquidation cools down
    equity_history: list[tuple[int, Decimal, Decimal]] = []  # (ns, account value, PnL) sampled hourly, bounded


class PublicTrade(msgspec.Struct):
    """One print of the tape."""

    coin: str
    px: Decimal
    sz: Decimal
    side: Side  # aggressor
    ns: int
    tid: int
    hash: str
    buyer: str
    seller: str


class OrderUpdate(msgspec.Struct):
    """A change of an order for `orderUpdates`: a copy of the order at that moment and its status."""

    user: str
    order: VenueOrder
    status: Status
    ns: int


class Block(msgspec.Struct):
    """Everything one block changed: what the server publishes."""

    height: int
    ns: int
    trades: list[PublicTrade] = []
    books: list[str] = []  # coins whose book changed
    updates: list[OrderUpdate] = []
    fills: list[tuple[str, FillRecord]] = []
    fundings: list[tuple[str, FundingRecord]] = []
    ledger: list[tuple[str, LedgerRecord]] = []
    user_events: list[tuple[str, dict[str, Any]]] = []  # liquidation, nonUserCancel, twap: the venue's objects
    twaps: list[tuple[str, Twap, str]] = []  # user, twap, new status
    twap_fills: list[tuple[str, int, FillRecord]] = []
    touched: list[str] = []  # users whose clearinghouse state or orders changed
