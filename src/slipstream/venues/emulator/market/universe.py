"""The coins of the synthetic market: venue facts, and what their flow is calibrated to.

Venue facts (size decimals, leverage, tier tables) are those of the real venue. BTC, ETH, SOL and WLFI carry the figures
measured on recordings of 2025-09-04; the other coins are interpolated by their share of volume.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from slipstream.model.errors import ConfigError
from slipstream.model.instrument import Instrument, MarginTier


class CoinSpec(msgspec.Struct, frozen=True):
    """One coin. Prices in USD; ``volume`` and ``depth`` in USD a minute and USD over 20 levels of one side."""

    coin: str
    size_decimals: int
    max_leverage: int
    margin_table: int
    px: float
    volume: float
    market_orders: float  # a minute
    median_trade: float
    depth: float
    spread_ticks: float
    volatility: float  # of a year
    beta: float
    volume_ratio: float  # local volume over Binance's
    binance_decimals: int
    open_interest: float  # USD


_TIERS: dict[int, tuple[tuple[int, int], ...]] = {
    51: ((0, 10), (3_000_000, 5)),
    52: ((0, 10), (20_000_000, 5)),
    53: ((0, 20), (40_000_000, 10)),
    54: ((0, 20), (70_000_000, 10)),
    55: ((0, 25), (100_000_000, 15)),
    56: ((0, 40), (150_000_000, 20)),
}

COINS: tuple[CoinSpec, ...] = (
    CoinSpec("BTC", 5, 40, 56, 109_755.0, 1.75e6, 65.0, 327.0, 5.7e6, 1.0, 0.42, 1.0, 0.20, 1, 3.2e9),
    CoinSpec("ETH", 4, 25, 55, 4_310.0, 2.20e6, 76.0, 814.0, 10.8e6, 1.0, 0.65, 1.25, 0.12, 2, 2.4e9),
    CoinSpec("SOL", 2, 20, 54, 204.0, 1.06e6, 52.7, 999.0, 7.0e6, 1.0, 0.80, 1.35, 0.20, 2, 9.0e8),
    CoinSpec("XRP", 0, 20, 53, 2.84, 3.4e5, 40.0, 500.0, 1.6e6, 1.4, 0.75, 1.15, 0.09, 4, 3.5e8),
    CoinSpec("DOGE", 0, 10, 52, 0.216, 2.6e5, 36.0, 450.0, 1.1e6, 1.6, 0.85, 1.35, 0.08, 5, 2.2e8),
    CoinSpec("HYPE", 2, 10, 52, 44.7, 7.0e5, 55.0, 600.0, 2.0e6, 2.0, 0.95, 1.30, 0.90, 3, 1.2e9),
    CoinSpec("BNB", 3, 10, 51, 851.0, 9.0e4, 22.0, 400.0, 6.0e5, 2.0, 0.50, 0.85, 0.04, 2, 6.0e7),
    CoinSpec("SUI", 1, 10, 52, 3.36, 1.8e5, 32.0, 420.0, 7.0e5, 1.6, 0.95, 1.50, 0.08, 4, 1.3e8),
    CoinSpec("LINK", 1, 10, 51, 23.3, 1.2e5, 26.0, 400.0, 5.5e5, 1.8, 0.85, 1.35, 0.03, 3, 7.0e7),
    CoinSpec("AVAX", 2, 10, 51, 24.0, 9.0e4, 22.0, 380.0, 4.0e5, 2.0, 0.90, 1.40, 0.04, 3, 5.0e7),
    CoinSpec("ADA", 0, 10, 51, 0.825, 9.0e4, 22.0, 380.0, 4.0e5, 2.0, 0.85, 1.30, 0.04, 4, 4.5e7),
    CoinSpec("LTC", 2, 10, 51, 112.0, 6.0e4, 19.0, 360.0, 3.0e5, 2.0, 0.70, 1.05, 0.04, 2, 3.0e7),
    CoinSpec("BCH", 3, 10, 51, 598.0, 3.0e4, 15.0, 340.0, 2.0e5, 3.0, 0.65, 0.95, 0.02, 2, 1.5e7),
    CoinSpec("AAVE", 2, 10, 51, 324.0, 7.0e4, 19.0, 380.0, 3.0e5, 2.5, 0.95, 1.40, 0.06, 2, 3.5e7),
    CoinSpec("ENA", 0, 10, 51, 0.66, 1.1e5, 24.0, 400.0, 3.6e5, 2.2, 1.20, 1.60, 0.07, 4, 5.0e7),
    CoinSpec("ARB", 1, 10, 51, 0.505, 5.0e4, 17.0, 340.0, 2.2e5, 2.4, 0.95, 1.40, 0.04, 4, 2.0e7),
    CoinSpec("OP", 1, 10, 51, 0.727, 4.0e4, 16.0, 330.0, 1.9e5, 2.6, 0.95, 1.40, 0.04, 4, 1.5e7),
    CoinSpec("NEAR", 1, 10, 51, 2.43, 4.0e4, 16.0, 330.0, 1.9e5, 2.4, 0.90, 1.35, 0.03, 3, 1.6e7),
    CoinSpec("ONDO", 0, 10, 51, 0.955, 4.5e4, 16.0, 330.0, 2.0e5, 2.4, 0.95, 1.35, 0.05, 4, 1.8e7),
    CoinSpec("TRX", 0, 10, 51, 0.340, 3.5e4, 15.0, 330.0, 2.2e5, 2.2, 0.40, 0.60, 0.05, 5, 2.0e7),
    CoinSpec("XLM", 0, 10, 51, 0.362, 3.5e4, 15.0, 330.0, 1.8e5, 2.4, 0.80, 1.15, 0.03, 5, 1.4e7),
    CoinSpec("APT", 2, 10, 51, 4.31, 3.5e4, 15.0, 330.0, 1.8e5, 2.6, 0.85, 1.30, 0.04, 4, 1.4e7),
    CoinSpec("kPEPE", 0, 10, 52, 0.00982, 1.7e5, 30.0, 400.0, 5.0e5, 1.8, 1.10, 1.55, 0.08, 7, 1.0e8),
    CoinSpec("WLFI", 0, 5, 5, 0.1823, 8.4e4, 30.6, 370.0, 1.7e5, 5.0, 1.40, 1.20, 0.10, 4, 8.0e7),
)


def instrument(spec: CoinSpec, asset: int) -> Instrument:
    """The venue's view of a coin."""
    rows = _TIERS.get(spec.margin_table, ((0, spec.max_leverage),))
    tiers = tuple(MarginTier(Decimal(bound), leverage) for bound, leverage in rows)
    return Instrument(spec.coin, asset, spec.size_decimals, spec.max_leverage, tiers, spec.margin_table)


def choose(coins: tuple[str, ...]) -> tuple[CoinSpec, ...]:
    """The specs of some coins in their own order (none named: all). Raises ConfigError on an unknown one."""
    known = {spec.coin: spec for spec in COINS}
    lost = [coin for coin in coins if coin not in known]
    if lost:
        raise ConfigError(f"unknown coin {lost[0]!r}; the synthetic market has {', '.join(known)}")
    if len(set(coins)) != len(coins):
        raise ConfigError(f"a coin is named twice in {','.join(coins)}")
    return tuple(known[coin] for coin in coins) or COINS
