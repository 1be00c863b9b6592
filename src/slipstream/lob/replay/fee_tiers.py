"""What a fill costs: a fraction of its notional by the account's volume of the last 14 days, or a flat one.

The venue's day is UTC's. The volume that counts is that of the 14 whole days before today: rates change at midnight.
A maker's rate may be negative (a rebate). Source: Hyperliquid's schedule of fees, and that it truncates a fee to
the sixth decimal of the quote currency.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

MAX_TIERS = 8
DAYS = 14
DAY_NS = 86_400 * 10**9
FEES_DTYPE = np.dtype(
    [
        ("tiers", np.int64),
        ("cutoffs", np.float64, (MAX_TIERS,)),  # a tier holds for volumes above it; the first is 0
        ("taker", np.float64, (MAX_TIERS,)),
        ("maker", np.float64, (MAX_TIERS,)),
        ("rebate", np.float64),  # added to the maker's rate: 0 or negative
        ("scale", np.float64),  # of positive rates: discounts of the account, doubles of a deployer's market
        ("unit", np.float64),  # fees are truncated to a multiple of 1/unit; 0: not at all
    ]
)
VOLUME_DTYPE = np.dtype(
    [
        ("day", np.int64),  # since 1970
        ("before", np.float64),  # sum of the 14 days before today
        ("days", np.float64, (DAYS + 1,)),  # traded on day d at d % 15
    ]
)
_CLOSE = 1e-6  # a fee this near the next unit is that unit: the product of three floats is not exact


@njit(cache=True)
def rate(tiers: Any, volume: float, is_maker: bool) -> float:
    """The fraction of its notional that a fill costs at a volume; negative: the venue pays."""
    tier = 0
    while tier + 1 < tiers.tiers and volume > tiers.cutoffs[tier + 1]:
        tier += 1
    fraction = tiers.maker[tier] + tiers.rebate if is_maker else tiers.taker[tier]
    return float(fraction * tiers.scale if fraction > 0.0 else fraction)


@njit(cache=True)
def fee(tiers: Any, notional: float, volume: float, is_maker: bool) -> float:
    """What a fill of this notional costs in the quote currency, truncated as the venue does."""
    raw = notional * rate(tiers, volume, is_maker)
    if tiers.unit == 0.0:
        return float(raw)
    due = abs(raw) * tiers.unit
    units = math.floor(due + _CLOSE + due * 1e-15)
    return float(math.copysign(units / tiers.unit, raw))


@njit(cache=True)
def turnover(volume: Any, now_ns: int) -> float:
    """The volume that counts at a time: of the 14 whole days before its day. Days that passed are closed."""
    today = now_ns // DAY_NS
    if today - volume.day > DAYS:  # longer than the window without a fill
        volume.days[:] = 0.0
        volume.before = 0.0
        volume.day = today
    while volume.day < today:
        volume.day += 1
        volume.days[volume.day % (DAYS + 1)] = 0.0
        volume.before = volume.days.sum()
    return float(volume.before)


@njit(cache=True)
def count(volume: Any, now_ns: int, notional: float) -> None:
    """A fill of this notional happened."""
    turnover(volume, now_ns)
    volume.days[volume.day % (DAYS + 1)] += notional


@njit(cache=True)
def begin(volume: Any, now_ns: int) -> None:
    """A run begins: the volume from before it, written as of 1970, is that of the 14 days before its first day."""
    if volume.day != 0:
        return
    volume.day = now_ns // DAY_NS
    today = volume.day % (DAYS + 1)
    past = volume.days[today]
    volume.days[today] = volume.days[0]
    volume.days[0] = past


def start_volume(volume: Any, now_ns: int, past: float) -> None:
    """Begin at a time with a volume of the last 14 days, taken as traded evenly over them."""
    if not (math.isfinite(past) and past >= 0.0):
        raise ValueError(f"the volume of the last {DAYS} days must be a number of at least 0, not {past}")
    volume["day"] = now_ns // DAY_NS
    volume["days"][:] = past / DAYS
    volume["days"][int(volume["day"]) % (DAYS + 1)] = 0.0
    volume["before"] = past


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates above a volume of 14 days in the quote currency."""

    above: float
    taker: float
    maker: float


@dataclass(frozen=True, slots=True)
class FeeTiers:
    """A schedule of fees. Raises ValueError that names the tier if it is none.

    rebate: the maker's rebate (0 or negative) that the account's share of the venue's maker volume earns; the share
    is not simulated. scale: of positive rates (0.6: a discount of 40 %; 2: a deployer's market). decimals: of the
    quote currency, to which a fee is truncated; None: it is not.
    """

    tiers: tuple[Tier, ...]
    rebate: float = 0.0
    scale: float = 1.0
    decimals: int | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.tiers) <= MAX_TIERS:
            raise ValueError(f"a schedule has 1..{MAX_TIERS} tiers of fees, not {len(self.tiers)}")
        for number, tier in enumerate(self.tiers):
            if not (abs(tier.taker) < 0.1 and abs(tier.maker) < 0.1):
                raise ValueError(
                    f"rates of tier {number} are fractions within 0.1 of 0, not {tier.taker}, {tier.maker}"
                )
            if not (tier.above == 0.0 if number == 0 else tier.above > self.tiers[number - 1].above):
                raise ValueError(f"tier {number} begins at {tier.above}: tiers begin at 0 and grow")
        if not -0.1 < self.rebate <= 0.0:
            raise ValueError(f"a maker's rebate is a fraction of at most 0, not {self.rebate}")
        if not 0.0 <= self.scale <= 10.0:
            raise ValueError(f"the scale of fees must lie in [0, 10], not {self.scale}")
        if self.decimals is not None and not 0 <= self.decimals <= 9:
            raise ValueError(f"fees are truncated to 0..9 decimals, not {self.decimals}")

    def into(self, record: Any) -> None:
        """Write this schedule into a record of `FEES_DTYPE`."""
        record["tiers"] = len(self.tiers)
        for number, tier in enumerate(self.tiers):
            record["cutoffs"][number] = tier.above
            record["taker"][number] = tier.taker
            record["maker"][number] = tier.maker
        record["rebate"], record["scale"] = self.rebate, self.scale
        record["unit"] = 0.0 if self.decimals is None else 10.0**self.decimals


def flat(maker: float, taker: float) -> FeeTiers:
    """The same rates at any volume, not truncated."""
    return FeeTiers((Tier(0.0, taker, maker),))


def rebate_of(share: float) -> float:
    """Hyperliquid's maker rebate at a share of the venue's maker volume of 14 days."""
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"a share of the venue's maker volume lies in [0, 1], not {share}")
    return max((rebate for above, rebate in _REBATES if share > above), key=abs, default=0.0)


def hyperliquid(maker_share: float = 0.0, scale: float = 1.0) -> FeeTiers:
    """Hyperliquid's perps: seven tiers, fees truncated to 6 decimals."""
    return FeeTiers(_HYPERLIQUID, rebate_of(maker_share), scale, 6)


_REBATES: Sequence[tuple[float, float]] = ((0.005, -0.00001), (0.015, -0.00002), (0.03, -0.00003))
_HYPERLIQUID = (
    Tier(0.0, 0.00045, 0.00015),
    Tier(5e6, 0.00040, 0.00012),
    Tier(25e6, 0.00035, 0.00008),
    Tier(100e6, 0.00030, 0.00004),
    Tier(500e6, 0.00028, 0.0),
    Tier(2e9, 0.00026, 0.0),
    Tier(7e9, 0.00024, 0.0),
)
