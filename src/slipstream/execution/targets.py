"""From the sizes that a book wants to Targets: what is too small stays, and what may only shrink does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from slipstream.execution.marks import mid_of
from slipstream.execution.rebalance import Band, lots, shrunk
from slipstream.execution.strategy import View
from slipstream.model.intents import Intent, Note, Target
from slipstream.model.mandate import TradingState

ZERO = Decimal(0)
PASSIVE = 0.02  # urgency: passive for nearly all of the patience, then across
AT_ONCE = 1.0


def sizes_of(view: View, coins: Iterable[str], wanted: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Signed sizes worth so many USD at the mids, in whole lots, of every coin that is wanted or held.

    0 of a delisted coin; none of a coin without a price.
    """
    out: dict[str, Decimal] = {}
    for coin in coins:
        instrument, px, usd = view.instruments.get(coin), mid_of(view, coin), wanted.get(coin, ZERO)
        if instrument is not None and px is not None and (usd or view.position(coin)):
            out[coin] = ZERO if instrument.delisted else lots(usd, px, instrument)
    return out


def targets(
    view: View,
    coins: Sequence[str],
    sizes: Mapping[str, Decimal],
    band: Band,
    *,
    deadline_ns: int,
    reason: str,
    urgency: float = PASSIVE,
) -> list[Intent]:
    """A Target for every listed coin that is held, in ``sizes``, or still wanted by an earlier Target, decided at its
    mid, by ``deadline_ns`` after now.

    A coin that is not in ``sizes`` is closed, or what was wanted of it is wanted no more: a Target holds until it is
    replaced, and one that never filled would fill later. A coin without a price stays, which is said. While the pod may
    not trade freely, positions only shrink. What lies within the band is a Target for what is held.
    """
    out: list[Intent] = []
    for coin in coins:
        held = view.position(coin)
        if coin not in view.instruments or not (held or coin in sizes or view.target(coin)):
            continue
        px = mid_of(view, coin)
        if px is None and not held:
            out.append(Target(coin, ZERO, urgency, ZERO, view.now_ns + deadline_ns, reason))
            continue
        if px is None:
            out.append(Note(f"{coin} has no price: position {held} stays"))
            continue
        size = sizes.get(coin, ZERO)
        if view.trading_state is not TradingState.ACTIVE:
            size = shrunk(held, size)
        size = held if band.holds(held, size, px) else size
        out.append(Target(coin, size, urgency, px, view.now_ns + deadline_ns, reason))
    return out


def traded_usd(view: View, intents: Iterable[Intent]) -> Decimal:
    """What Targets change of the positions held now, at their decision prices, USD."""
    found = (intent for intent in intents if isinstance(intent, Target))
    return sum((abs(one.position - view.position(one.coin)) * one.decision_px for one in found), ZERO)
