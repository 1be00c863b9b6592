"""The local market without ourselves: a maker that reads its own quotes as the market's opinion chases its own tail."""

from __future__ import annotations

from collections.abc import Sequence

from slipstream.model.events import Bbo, L2Book
from slipstream.model.instrument import Side
from slipstream.model.order import Order

Level = tuple[float, float]
_NEAR = 1e-9  # relative: two floats of one decimal price


def others_mid(bbo: Bbo, book: L2Book | None, own: Sequence[Order]) -> float:
    """The middle of the best prices that are not ours alone; 0 if one of them is not known."""
    bid = _others_best((bbo.bid_px, bbo.bid_sz), book.bids if book is not None else (), own, Side.BUY)
    ask = _others_best((bbo.ask_px, bbo.ask_sz), book.asks if book is not None else (), own, Side.SELL)
    return (bid + ask) / 2.0 if bid > 0.0 and ask > 0.0 else 0.0


def _others_best(touch: Level, levels: Sequence[Level], own: Sequence[Order], side: Side) -> float:
    px, sz = touch
    if px <= 0.0:
        return 0.0
    mine = [(float(o.px), float(o.remaining)) for o in own if o.side is side]
    if not _is_ours(px, sz, mine):
        return px
    for level_px, level_sz in levels:
        if (px - level_px) * side.sign > px * _NEAR and not _is_ours(level_px, level_sz, mine):
            return level_px
    return 0.0


def _is_ours(px: float, sz: float, mine: Sequence[Level]) -> bool:
    held = sum(size for own_px, size in mine if abs(own_px - px) <= px * _NEAR)
    return held > 0.0 and sz <= held * (1.0 + _NEAR)


def thinner_depth(book: L2Book) -> float:
    """Visible notional of the thinner side, USD."""
    return min(sum(px * sz for px, sz in book.bids), sum(px * sz for px, sz in book.asks))
