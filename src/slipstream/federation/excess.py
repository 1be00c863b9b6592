"""What orders cost against what the cost model expected of them: the model of optimiser and backtest, held to account.

Of a parent order the model speaks of what was executed: spread, impact and fees of what was filled, against the mid at
arrival. Delay and opportunity are no cost of trading a size; they are told beside it. The model is of taking at once:
an order that was worked patiently should cost less, and one that costs more by several errors says that the model, or
the market that it was calibrated in, is not this one.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from slipstream.core.costs.model import TransactionCostModel
from slipstream.federation.shortfall import Parent, Shortfall, added, shortfall


class Excess(msgspec.Struct, frozen=True, kw_only=True):
    """Of one coin: ``orders`` that filled something, ``notional`` of it at arrival, USD; costs in bp of that.

    ``paid`` is spread, impact and fees, ``expected`` what the model says, None for a coin it does not know, and
    ``beyond`` their difference (positive: dearer) with its standard error, None for a single order. ``late`` is delay
    and opportunity.
    """

    coin: str
    orders: int
    notional: float
    paid: float
    late: float
    expected: float | None
    beyond: float | None
    error: float | None


def excess(orders: Iterable[Parent], model: TransactionCostModel) -> tuple[Excess, ...]:
    """By coin, in the order of names; orders that filled nothing are left out. Raises ValueError as `shortfall`."""
    by_coin: dict[str, list[Parent]] = {}
    for order in orders:
        if order.filled > 0:
            by_coin.setdefault(order.coin, []).append(order)
    return tuple(_of(coin, by_coin[coin], model) for coin in sorted(by_coin))


def _of(coin: str, orders: list[Parent], model: TransactionCostModel) -> Excess:
    parts = [shortfall(order) for order in orders]
    usd = np.array([float(order.filled * order.arrival_px) for order in orders])
    paid = np.array([float(part.spread + part.impact + part.fees) for part in parts])
    total: Shortfall = added(parts)
    expected = beyond = error = None
    if not model.coins or coin in model.coins:
        law = model.of(coin) if model.coins else model
        wanted = np.ravel(law.usd(usd))
        expected = 1e4 * float(wanted.sum() / usd.sum())
        apart = 1e4 * (paid - wanted) / usd
        beyond = float(usd @ apart / usd.sum())
        if len(orders) > 1:
            error = float(np.sqrt((usd**2 * (apart - beyond) ** 2).sum()) / usd.sum())
    return Excess(
        coin=coin,
        orders=len(orders),
        notional=float(usd.sum()),
        paid=1e4 * float(paid.sum() / usd.sum()),
        late=1e4 * float(total.delay + total.opportunity) / float(usd.sum()),
        expected=expected,
        beyond=beyond,
        error=error,
    )
