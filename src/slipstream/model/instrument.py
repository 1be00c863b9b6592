"""A perpetual future and its venue's price and size rules: the only place that rounds."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import Enum

import msgspec

from slipstream.model.errors import InvalidOrder
from slipstream.model.grid import tick_of_units, units_of_tick

MAX_PRICE_DECIMALS = 6
SIGNIFICANT_FIGURES = 5
MIN_NOTIONAL = Decimal(10)


class Side(Enum):
    """The side of an order or of a trade's aggressor. Positions are signed numbers: long is positive."""

    BUY = "B"
    SELL = "A"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class MarginTier(msgspec.Struct, frozen=True):
    """From ``lower_bound`` USD of notional on, at most ``max_leverage``."""

    lower_bound: Decimal
    max_leverage: int


class Instrument(msgspec.Struct, frozen=True):
    """A perp: name, venue asset id, size decimals, leverage limits.

    Prices have at most five significant figures and at most ``6 - size_decimals`` decimals; integers are always
    legal. Sizes have at most ``size_decimals`` decimals. An order is worth at least 10 USD.
    """

    coin: str
    asset: int
    size_decimals: int
    max_leverage: int
    tiers: tuple[MarginTier, ...] = ()
    margin_table: int = 0
    only_isolated: bool = False
    delisted: bool = False

    @property
    def price_decimals(self) -> int:
        """The most decimals a price may have."""
        return MAX_PRICE_DECIMALS - self.size_decimals

    @property
    def lot(self) -> Decimal:
        """The smallest size step."""
        return Decimal(1).scaleb(-self.size_decimals)

    def tick_size(self, px: Decimal) -> Decimal:
        """The spacing of legal prices at ``px`` and just above."""
        return Decimal(1).scaleb(-self._decimals_at(px))

    def _decimals_at(self, px: Decimal) -> int:
        return min(self.price_decimals, max(0, SIGNIFICANT_FIGURES - 1 - px.adjusted()))

    def quantise(self, px: Decimal, rounding: str) -> Decimal:
        """The legal price next to ``px`` in the direction of a `decimal` rounding mode.

        Raises InvalidOrder if ``px`` is not a positive number, or rounds to zero.
        """
        if not px.is_finite() or px <= 0:
            raise InvalidOrder(f"{self.coin}: price {px} is not a positive number")
        out = px.quantize(Decimal(1).scaleb(-self._decimals_at(px)), rounding=rounding)
        if out <= 0:
            raise InvalidOrder(f"{self.coin}: price {px} is below the smallest tick")
        return out

    def passive_price(self, px: Decimal, side: Side) -> Decimal:
        """Round away from the market: buys down, sells up."""
        return self.quantise(px, ROUND_FLOOR if side is Side.BUY else ROUND_CEILING)

    def aggressive_price(self, px: Decimal, side: Side) -> Decimal:
        """Round towards the market: buys up, sells down."""
        return self.quantise(px, ROUND_CEILING if side is Side.BUY else ROUND_FLOOR)

    def round_size(self, sz: Decimal) -> Decimal:
        """Round a size towards zero to a whole number of lots; the sign stays."""
        if not sz.is_finite():
            raise InvalidOrder(f"{self.coin}: size {sz} is not a number")
        magnitude = abs(sz).quantize(self.lot, rounding=ROUND_FLOOR)
        return magnitude if sz >= 0 else -magnitude

    def is_legal_price(self, px: Decimal) -> bool:
        """Whether the venue's tick rule admits ``px``."""
        if not px.is_finite() or px <= 0:
            return False
        return px == px.quantize(Decimal(1).scaleb(-self._decimals_at(px)), rounding=ROUND_FLOOR)

    def is_legal_size(self, sz: Decimal) -> bool:
        """Whether ``sz`` is a positive whole number of lots."""
        return sz.is_finite() and sz > 0 and sz == sz.quantize(self.lot, rounding=ROUND_FLOOR)

    def to_tick(self, px: Decimal) -> int:
        """The place of a legal price in the price grid (see `slipstream.model.grid`)."""
        if not self.is_legal_price(px):
            raise InvalidOrder(f"{self.coin}: price {px} is not divisible by its tick size")
        return tick_of_units(int(px.scaleb(self.price_decimals)), self.price_decimals)

    def from_tick(self, tick: int) -> Decimal:
        """The price of a tick, without trailing zeros beyond its own decimals."""
        return Decimal(units_of_tick(tick, self.price_decimals)).scaleb(-self.price_decimals)

    def to_lots(self, sz: Decimal) -> int:
        """A legal size (or zero) as a whole number of lots; the sign stays."""
        lots = sz.scaleb(self.size_decimals)
        if lots != lots.to_integral_value():
            raise InvalidOrder(f"{self.coin}: size {sz} is not a multiple of {self.lot}")
        return int(lots)

    def from_lots(self, lots: int) -> Decimal:
        """The size of a whole number of lots."""
        return Decimal(lots).scaleb(-self.size_decimals)

    def maintenance_margin(self, notional: Decimal) -> Decimal:
        """Maintenance margin of a position worth ``notional`` USD: ntl / (2 max leverage of its tier) - deduction.

        Source: Hyperliquid docs, "Margin tiers": deduction_n = deduction_{n-1} + lower_n (rate_n - rate_{n-1}).
        """
        rate = Decimal(1) / (2 * self.max_leverage)
        deduction = Decimal(0)
        for tier in self.tiers:
            if notional < tier.lower_bound:
                break
            next_rate = Decimal(1) / (2 * tier.max_leverage)
            deduction += tier.lower_bound * (next_rate - rate)
            rate = next_rate
        return notional * rate - deduction

    def leverage_limit(self, notional: Decimal) -> int:
        """The highest leverage that a position worth ``notional`` USD may use."""
        limit = self.max_leverage
        for tier in self.tiers:
            if notional < tier.lower_bound:
                break
            limit = min(limit, tier.max_leverage)
        return limit


def plain(value: Decimal) -> str:
    """A decimal as the venue writes it in requests: no exponent, no trailing zeros, no minus zero."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text
