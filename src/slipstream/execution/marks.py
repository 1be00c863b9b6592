"""What a strategy's coins are worth now: mids, and the profit of what is held at them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from slipstream.execution.strategy import View

ZERO = Decimal(0)


def mid_of(view: View, coin: str) -> Decimal | None:
    """The middle of the best prices, or None."""
    bbo = view.bbo("hl", coin)
    return Decimal(repr(bbo.mid)) if bbo is not None and bbo.mid > 0.0 else None


def is_tradable(view: View, coin: str) -> bool:
    """Whether a position can be opened: listed, and with a price."""
    instrument = view.instruments.get(coin)
    return instrument is not None and not instrument.delisted and mid_of(view, coin) is not None


def closable(view: View, coins: Iterable[str]) -> list[str]:
    """The coins that are held and have a price."""
    return [coin for coin in coins if view.position(coin) and mid_of(view, coin) is not None]


def net_of(view: View, coins: Iterable[str]) -> Decimal | None:
    """Profit after costs of all coins, USD; None while a held coin never had a price.

    A coin that nobody quotes counts at its mark, else at its last fill: it must not blind a drawdown stop.
    """
    total = ZERO
    for coin in coins:
        line, px = view.line(coin), mid_of(view, coin)
        if px is None:
            context = view.context(coin)
            px = Decimal(repr(context.mark_px)) if context is not None and context.mark_px > 0.0 else line.last_px
        if line.position and not px > 0:
            return None
        total += line.net(px)
    return total
