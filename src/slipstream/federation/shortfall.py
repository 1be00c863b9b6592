"""What the fund's parent orders cost against the price when each was decided, by the mid at every fill. Exact.

Delay and opportunity are those of `slipstream.core.costs.shortfall`; its execution is parted by the mid m_i at each
fill (side s, sizes x_i, prices p_i, arrival P_0):

    spread = s sum x_i (p_i - m_i)        impact = s sum x_i (m_i - P_0)        spread + impact = execution

Costs are positive when bad; amounts are USD.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, localcontext

import msgspec

from slipstream.core.costs.shortfall import parts
from slipstream.model.instrument import Side

ZERO = Decimal(0)
ORDERS_KEPT = 200  # of each pod: the costs of now, not of a year ago
ORDERS_LEAST = 20
DIGITS = 80  # products and sums of any prices and sizes are exact


class Child(msgspec.Struct, frozen=True):
    """A fill of a parent order; ``mid`` is the mid when it filled, None if unknown (its spread counts as impact)."""

    sz: Decimal
    px: Decimal
    fee: Decimal = ZERO
    mid: Decimal | None = None


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """An order as decided: prices (mids) at decision, at arrival on the venue and at its end."""

    coin: str
    side: Side
    size: Decimal
    decision_px: Decimal
    arrival_px: Decimal
    end_px: Decimal
    fills: tuple[Child, ...] = ()

    @property
    def filled(self) -> Decimal:
        """Size filled."""
        return sum((fill.sz for fill in self.fills), ZERO)


class Shortfall(msgspec.Struct, frozen=True):
    """Parts of the shortfall, USD; ``notional`` is what was ordered, at the decision price."""

    delay: Decimal = ZERO
    spread: Decimal = ZERO
    impact: Decimal = ZERO
    fees: Decimal = ZERO
    opportunity: Decimal = ZERO
    notional: Decimal = ZERO
    orders: int = 0
    unpriced: int = 0

    @property
    def total(self) -> Decimal:
        """All parts."""
        with localcontext(prec=DIGITS):
            return self.delay + self.spread + self.impact + self.fees + self.opportunity

    @property
    def bp(self) -> float | None:
        """Total in bp of what was ordered; None if nothing was."""
        return float(self.total / self.notional) * 1e4 if self.notional else None


def shortfall(parent: Parent) -> Shortfall:
    """The shortfall of one order. Raises ValueError for prices, sizes or fills that cannot be."""
    prices = (parent.decision_px, parent.arrival_px, parent.end_px, *(fill.px for fill in parent.fills))
    mids = tuple(fill.mid for fill in parent.fills if fill.mid is not None)
    if not all(x.is_finite() and x > 0 for x in (*prices, *mids, parent.size, *(f.sz for f in parent.fills))):
        raise ValueError(f"shortfall of {parent.coin}: prices and sizes must be positive and finite")
    if not all(fill.fee.is_finite() for fill in parent.fills):
        raise ValueError(f"shortfall of {parent.coin}: fees must be finite")
    with localcontext(prec=DIGITS):
        s, q = parent.side.sign, parent.filled
        if q > parent.size:
            raise ValueError(f"shortfall of {parent.coin}: filled {q} of {parent.size} ordered; an order is missing")
        at = [fill.px if fill.mid is None else fill.mid for fill in parent.fills]
        pairs = list(zip(parent.fills, at, strict=True))
        paid = sum((fill.sz * fill.px for fill in parent.fills), ZERO)
        decision, arrival, end = parent.decision_px, parent.arrival_px, parent.end_px
        found = parts(s, parent.size, q, paid, decision=decision, arrival=arrival, end=end)
        return Shortfall(
            delay=found.delay,
            spread=sum((s * fill.sz * (fill.px - mid) for fill, mid in pairs), ZERO),
            impact=sum((s * fill.sz * (mid - parent.arrival_px) for fill, mid in pairs), ZERO),
            fees=sum((fill.fee for fill in parent.fills), ZERO),
            opportunity=found.opportunity,
            notional=parent.size * parent.decision_px,
            orders=1,
            unpriced=sum(fill.mid is None for fill in parent.fills),
        )


def paper_less_real(parent: Parent) -> Decimal:
    """The same total by its definition: profit of the whole size at the decision price, less what was earned."""
    with localcontext(prec=DIGITS):
        s = parent.side.sign
        paper = s * parent.size * (parent.end_px - parent.decision_px)
        real = sum((s * fill.sz * (parent.end_px - fill.px) - fill.fee for fill in parent.fills), ZERO)
        return paper - real


def added(parts: Iterable[Shortfall]) -> Shortfall:
    """Shortfalls of several orders, added up exactly."""
    total = Shortfall()
    with localcontext(prec=DIGITS):
        for one in parts:
            total = Shortfall(
                total.delay + one.delay,
                total.spread + one.spread,
                total.impact + one.impact,
                total.fees + one.fees,
                total.opportunity + one.opportunity,
                total.notional + one.notional,
                total.orders + one.orders,
                total.unpriced + one.unpriced,
            )
    return total


class OrderCost(msgspec.Struct, frozen=True):
    """What one order cost, USD, and what it was worth when it was decided."""

    usd: float
    notional: float


def cost_of(parent: Parent) -> OrderCost:
    """The total shortfall of an order as plain floats. Raises ValueError as `shortfall` does."""
    found = shortfall(parent)
    return OrderCost(float(found.total), float(found.notional))


def recent(known: tuple[OrderCost, ...], fresh: Iterable[OrderCost]) -> tuple[OrderCost, ...]:
    """The last `ORDERS_KEPT` of them."""
    return (*known, *fresh)[-ORDERS_KEPT:]


def mean_bp(costs: tuple[OrderCost, ...]) -> float | None:
    """Shortfall in bp of what was ordered; None while fewer than `ORDERS_LEAST` orders say anything."""
    notional = sum(one.notional for one in costs)
    if len(costs) < ORDERS_LEAST or notional <= 0.0:
        return None
    return 1e4 * sum(one.usd for one in costs) / notional
