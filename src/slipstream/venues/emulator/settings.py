"""What can be chosen about the emulated exchange. Every default is the venue's own rule."""

from __future__ import annotations

from decimal import Decimal

import msgspec

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR


class FeeTier(msgspec.Struct, frozen=True):
    """Taker and maker fee (fractions) from a 14-day volume in USD on."""

    cutoff: Decimal
    cross: Decimal
    add: Decimal


class MakerTier(msgspec.Struct, frozen=True):
    """Maker fee (negative: a rebate) above a share of the exchange's 14-day maker volume."""

    fraction: Decimal
    add: Decimal


def _tier(cutoff: str, cross: str, add: str) -> FeeTier:
    return FeeTier(Decimal(cutoff), Decimal(cross), Decimal(add))


FEE_TIERS = (
    _tier("0", "0.00045", "0.00015"),
    _tier("5000000", "0.0004", "0.00012"),
    _tier("25000000", "0.00035", "0.00008"),
    _tier("100000000", "0.0003", "0.00004"),
    _tier("500000000", "0.00028", "0"),
    _tier("2000000000", "0.00026", "0"),
    _tier("7000000000", "0.00024", "0"),
)
MAKER_TIERS = (
    MakerTier(Decimal("0.005"), Decimal("-0.00001")),
    MakerTier(Decimal("0.015"), Decimal("-0.00002")),
    MakerTier(Decimal("0.03"), Decimal("-0.00003")),
)
MARKET_ORDER_NOTIONALS = (
    (25, Decimal(4_000_000)),
    (20, Decimal(1_000_000)),
    (10, Decimal(500_000)),
    (1, Decimal(250_000)),
)


def _big_coins() -> dict[str, Decimal]:
    return {"BTC": Decimal(20_000), "ETH": Decimal(20_000)}


class ExchangeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The exchange's rules. Money is USDC, times ns, unless the name says otherwise."""

    seed: int = 7
    faucet: Decimal = Decimal(100_000)
    # prices
    mark_period_ns: int = 3 * SECOND
    mark_ema_s: float = 150.0
    reference_band: Decimal = Decimal("0.8")
    # funding
    premium_period_ns: int = 5 * SECOND
    funding_period_ns: int = HOUR
    impact_notional: dict[str, Decimal] = msgspec.field(default_factory=_big_coins)
    default_impact_notional: Decimal = Decimal(6_000)
    interest_8h: Decimal = Decimal("0.0001")
    premium_clamp: Decimal = Decimal("0.0005")
    funding_cap: Decimal = Decimal("0.04")
    # orders
    min_notional: Decimal = Decimal(10)
    open_orders: int = 1_000
    open_orders_max: int = 5_000
    volume_per_extra_order: Decimal = Decimal(5_000_000)
    trigger_slippage: Decimal = Decimal("0.1")
    open_interest_caps: dict[str, Decimal] = {}  # coin -> USD of notional
    tick_error_fails_batch: bool = False
    # fees
    fee_tiers: tuple[FeeTier, ...] = FEE_TIERS
    maker_tiers: tuple[MakerTier, ...] = MAKER_TIERS
    withdrawal_fee: Decimal = Decimal(1)
    # limits per address
    address_budget: bool = False
    budget_start: int = 10_000
    budget_trickle_ns: int = 10 * SECOND
    request_price: Decimal = Decimal("0.0005")
    nonces_kept: int = 100
    nonce_past_ms: int = 2 * 86_400_000
    nonce_future_ms: int = 86_400_000
    # thresholds of cumulative volume
    schedule_cancel_volume: Decimal = Decimal(1_000_000)
    schedule_cancel_min_ms: int = 5_000
    schedule_cancel_triggers: int = 10
    sub_account_volume: Decimal = Decimal(100_000)
    # TWAP
    twap_slice_ns: int = 30 * SECOND
    twap_slippage: Decimal = Decimal("0.03")
    twap_catch_up: int = 3
    twap_minutes: tuple[int, int] = (5, 1_440)
    twap_notional_per_minute: Decimal = Decimal(10)
    # liquidation
    partial_liquidation_notional: Decimal = Decimal(100_000)
    partial_liquidation_share: Decimal = Decimal("0.2")
    liquidation_cooldown_ns: int = 30 * SECOND
    backstop_usdc: Decimal = Decimal(10_000_000)  # the liquidator vault's own money
    # what is remembered
    kept_orders: int = 2_000
    kept_fills: int = 10_000
    kept_fundings: int = 10_000
    kept_ledger: int = 2_000
    kept_trades: int = 500  # public prints per coin and block, newest kept (a long block has many)
