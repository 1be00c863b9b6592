"""How much of a coin the fund can hold: slippage against size, from order books and own fills.

    slippage in bp = spread part + slope * sqrt(notional in USD)

The square-root law (math: I(Q) = Y sigma sqrt(Q / V)) with its two coefficients fitted by least squares. What was
seen fades with age, so that the surface is of the market as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from slipstream.core.costs.model import TransactionCostModel

SIZES = (1_000.0, 3_000.0, 10_000.0, 30_000.0, 100_000.0, 300_000.0, 1_000_000.0)  # USD, where books are measured
HALF_LIFE_NS = 24 * 3_600_000_000_000
LEAST_USD, MOST_USD = 1.0, 1e12  # orders outside say nothing of size, and their squares leave the numbers there are
MOST_BP = 1e6
FILL_WEIGHT = 3.0  # a fill is what happened; a book only what would have
LEAST_WEIGHT = 3.0  # of observations, before the fit is believed
ONE_SIDED_95 = 1.645


class Sample(msgspec.Struct, frozen=True):
    """One observation: an order of ``notional`` (USD) cost ``slippage_bp`` against the mid or the decision price."""

    coin: str
    notional: float
    slippage_bp: float
    own_fill: bool = False


class Fit(msgspec.Struct, frozen=True):
    """Weighted sums of x = sqrt(notional) and y = slippage in bp: all that least squares needs. Frozen at ``ns``."""

    ns: int = 0
    w: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    yy: float = 0.0


class Surface(msgspec.Struct, frozen=True):
    """A coin's law. ``low`` and ``high`` bound the slope (95 %, one-sided each)."""

    spread_bp: float
    slope: float
    low: float
    high: float
    weight: float

    def model(self, fee: float = 0.0) -> TransactionCostModel:
        """The same law as the cost model of optimiser and backtest: fractions, impact per sqrt(USD), and a fee."""
        return TransactionCostModel(fee, 1e-4 * self.spread_bp, 1e-4 * self.slope)

    def slippage_bp(self, notional: float) -> float:
        """Expected cost of an order of ``notional`` USD at once, fee apart."""
        return self.spread_bp + self.slope * math.sqrt(max(0.0, notional))

    def interval_bp(self, notional: float) -> tuple[float, float]:
        """Cost at the bounds of the slope."""
        root = math.sqrt(max(0.0, notional))
        return self.spread_bp + self.low * root, self.spread_bp + self.high * root

    def cap(self, max_slippage_bp: float) -> float:
        """The largest notional (USD) whose cost stays within bounds even at the slope's upper bound."""
        room = max_slippage_bp - self.spread_bp
        if room <= 0.0:
            return 0.0
        root = room / self.high if self.high > 0.0 else math.inf
        return root * root  # a power would refuse what is too large for a float


def walk(coin: str, bids: Sequence[tuple[float, float]], asks: Sequence[tuple[float, float]]) -> tuple[Sample, ...]:
    """What orders of `SIZES` would cost against the mid, on the dearer side; levels are (price, size), best first.

    Sizes beyond what the book shows say nothing, except the first of them: the shown depth itself is measured.
    """
    if not bids or not asks or not 0.0 < bids[0][0] < asks[0][0]:
        return ()
    mid = (bids[0][0] + asks[0][0]) / 2.0
    depth = min(sum(px * sz for px, sz in side) for side in (bids, asks))
    sizes = [size for size in SIZES if size <= depth]
    if len(sizes) < len(SIZES) and depth > 0.0:
        sizes.append(depth)
    return tuple(Sample(coin, size, max(_cost_bp(side, size, mid) for side in (bids, asks))) for size in sizes)


def _cost_bp(levels: Sequence[tuple[float, float]], notional: float, mid: float) -> float:
    """Cost of taking ``notional`` USD, in bp of the mid, weighted by value."""
    left = notional
    cost = 0.0
    for px, sz in levels:
        taken = min(left, px * sz)
        cost += taken * abs(px - mid) / mid
        left -= taken
        if left <= 0.0:
            break
    return 1e4 * cost / notional


def learn(fit: Fit, ns: int, samples: Sequence[Sample]) -> Fit:
    """The sums after more observations; older ones fade by half a day's worth a `HALF_LIFE_NS`."""
    keep = 0.5 ** (max(0, ns - fit.ns) / HALF_LIFE_NS) if fit.ns else 0.0
    w, x, y, xx, xy, yy = (keep * value for value in (fit.w, fit.x, fit.y, fit.xx, fit.xy, fit.yy))
    for sample in samples:
        if not (abs(sample.slippage_bp) <= MOST_BP and LEAST_USD <= sample.notional <= MOST_USD):
            continue
        # the points of one book are one look at it: together they weigh one
        weight = FILL_WEIGHT if sample.own_fill else 1.0 / len(SIZES)
        root = math.sqrt(sample.notional)
        w += weight
        x += weight * root
        y += weight * sample.slippage_bp
        xx += weight * root * root
        xy += weight * root * sample.slippage_bp
        yy += weight * sample.slippage_bp**2
    return Fit(max(ns, fit.ns), w, x, y, xx, xy, yy)


def surface(fit: Fit) -> Surface | None:
    """The fitted law, both coefficients at least 0; None while there is too little to fit."""
    if fit.w < LEAST_WEIGHT:
        return None
    across = fit.xx - fit.x**2 / fit.w
    if across <= 1e-9 * max(1.0, fit.xx):
        # one size only: all of the cost is put down to size, which is the careful reading
        slope, spread = (max(0.0, fit.xy / fit.xx), 0.0) if fit.xx > 0.0 else (0.0, 0.0)
        across = fit.xx
    else:
        slope = (fit.xy - fit.x * fit.y / fit.w) / across
        spread = (fit.y - slope * fit.x) / fit.w
        if slope < 0.0:
            slope, spread = 0.0, max(0.0, fit.y / fit.w)
        elif spread < 0.0:
            slope, spread = max(0.0, fit.xy / fit.xx), 0.0
    residual = (
        fit.yy
        - 2.0 * spread * fit.y
        - 2.0 * slope * fit.xy
        + spread**2 * fit.w
        + 2.0 * spread * slope * fit.x
        + slope**2 * fit.xx
    )
    noise = max(0.0, residual) / max(1.0, fit.w - 2.0)
    error = math.sqrt(noise / across) if across > 0.0 else math.inf
    margin = ONE_SIDED_95 * error
    return Surface(spread, slope, max(0.0, slope - margin), slope + margin, fit.w)
