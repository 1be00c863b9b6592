"""What a pod heard, as a tape: the market without the pod, made of its own events.

Best prices and books are the venue's, and the pod's own orders stand in them; they are taken out by what the pod knew
of its orders at the time. A level that was ours alone is none. What only says that a feed lives (a context, an
unchanged book) becomes a row that changes nothing, so that clocks and timers go on as they did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.lob.replay.rows import BEST, DEPTH, FUNDING, MORE, RATE_UNIT, ROW_DTYPE, TRADE
from slipstream.model.events import AssetContext, Bbo, Event, FundingPayment, L2Book, Trade
from slipstream.model.grid import floor_tick
from slipstream.model.instrument import Instrument
from slipstream.model.order import Order, OrderState

Rows = npt.NDArray[np.void]
Level = tuple[float, float]
Row = tuple[int, int, int, int, int, int, int]
ANCHOR_LOT = 1e-3


class HeardMarket(msgspec.Struct):
    """One market while its tape is made. ``perp``: the instrument if we trade there, else prices are ``tick_size``s.

    ``levels`` are the others' lots by (side, tick), as far as they are known; ``waiting`` what a book said about the
    touch, for the next best prices: a pod decides when it hears those, not when it hears a book.
    """

    place: int
    venue: str
    coin: str
    perp: Instrument | None = None
    tick_size: float = 0.0
    levels: dict[tuple[int, int], int] = {}
    waiting: dict[tuple[int, int], int] = {}
    exch_ns: int = 0
    local_ns: int = 0
    oracle: float = 0.0

    def tick(self, px: float) -> int:
        """The tick of a price."""
        return floor_tick(px, self.perp.price_decimals) if self.perp is not None else round(px / self.tick_size)

    def lots(self, sz: float) -> int:
        """A size in lots, at least one."""
        lot = 10.0**-self.perp.size_decimals if self.perp is not None else ANCHOR_LOT
        return max(1, round(sz / lot))

    def own(self, orders: Sequence[Order]) -> dict[tuple[int, int], int]:
        """Our resting lots by (side, tick)."""
        out: dict[tuple[int, int], int] = {}
        for order in orders:
            if self.perp is not None and order.state in (OrderState.OPEN, OrderState.PARTIAL):
                at = (order.side.sign, self.perp.to_tick(order.px))
                out[at] = out.get(at, 0) + self.perp.to_lots(order.remaining)
        return out

    def best(self, side: int) -> tuple[int, int]:
        """The others' best tick and lots of a side, as known; (1, 0) if there is none."""
        ticks = [tick * side for s, tick in self.levels if s == side]
        return (max(ticks) * side, self.levels[side, max(ticks) * side]) if ticks else (1, 0)


class HeardTape:
    """Takes events in the order in which they were heard.

    On the tape all is heard ``late_ns`` later than it was: ``feed_ns``, and as much as the venue's clock was ahead of
    ours at most, since nothing can be heard before it happens.
    """

    def __init__(self, markets: Iterable[HeardMarket], feed_ns: int = 0) -> None:
        self._markets = {(market.venue, market.coin): market for market in markets}
        self.late_ns = self._feed_ns = feed_ns
        self._last_ns = 0
        self._rows: list[Row] = []

    def take(self, event: Event, orders: Sequence[Order]) -> None:
        """Take an event; ``orders`` are ours that live in its coin, before it."""
        if isinstance(event, FundingPayment):
            self._funding(event)
            return
        if not isinstance(event, Bbo | L2Book | Trade | AssetContext):
            return
        market = self._markets.get((event.venue, event.coin))
        if market is None:
            return
        market.exch_ns = max(market.exch_ns, event.event_ns)
        # what was read later was heard later, if by a nanosecond: two sockets' stamps need not be in that order
        self._last_ns = event.recv_ns if event.recv_ns >= self._last_ns else self._last_ns + 1
        market.local_ns = self._last_ns
        self.late_ns = max(self.late_ns, market.exch_ns - market.local_ns + self._feed_ns)
        if isinstance(event, Bbo):
            self._bbo(market, event, market.own(orders))
        elif isinstance(event, L2Book):
            self._book(market, event, market.own(orders))
        elif isinstance(event, Trade):
            self._put(market, market.lots(event.sz), market.tick(event.px), TRADE, event.side.sign)
        else:
            market.oracle = event.oracle_px
            self._alive(market)

    def rows(self) -> Rows:
        """All rows, merged by exchange time; of one time in the order in which they were heard."""
        out = np.zeros(len(self._rows), ROW_DTYPE)
        out[:] = sorted(self._rows, key=lambda row: row[0])
        out["local_ns"] += self.late_ns
        return out

    def _put(self, market: HeardMarket, lots: int, tick: int, kind: int, side: int) -> None:
        self._rows.append((market.exch_ns, market.local_ns, lots, tick, market.place, kind, side))

    def _alive(self, market: HeardMarket) -> None:
        """A row that changes nothing: the best bid again."""
        tick, lots = market.best(1)
        self._put(market, lots, tick, DEPTH, 1)

    def _bbo(self, market: HeardMarket, event: Bbo, own: dict[tuple[int, int], int]) -> None:
        deeper: list[tuple[int, int]] = []
        for side, px, sz in ((1, event.bid_px, event.bid_sz), (-1, event.ask_px, event.ask_sz)):
            at = (side, market.tick(px)) if px > 0.0 else (side, 0)
            for key in [key for key in market.waiting if key[0] == side]:
                _set(market.levels, key, market.waiting.pop(key))
                deeper.append(key)
            for key in [k for k in market.levels if k[0] == side and (px <= 0.0 or (k[1] - at[1]) * side >= 0)]:
                del market.levels[key]
            others = market.lots(sz) - own.get(at, 0) if px > 0.0 else 0
            if others > 0:
                market.levels[at] = others
        for side, tick in deeper:
            if (market.best(side)[0] - tick) * side > 0:
                self._put(market, market.levels.get((side, tick), 0), tick, DEPTH | MORE, side)
        for side, more in ((1, MORE), (-1, 0)):
            tick, lots = market.best(side)
            self._put(market, lots, tick, BEST | more, side)

    def _book(self, market: HeardMarket, event: L2Book, own: dict[tuple[int, int], int]) -> None:
        """A book: its levels now, and those within its reach that it has no more, behind the best. Nothing new there:
        a sign of life."""
        changes: list[tuple[int, int, int]] = []
        for side, levels in ((1, event.bids), (-1, event.asks)):
            told = {market.tick(px): market.lots(sz) for px, sz in levels}
            last = min(told, key=lambda tick: tick * side, default=None)
            held = {tick for s, tick in market.levels if s == side and (last is None or (tick - last) * side >= 0)}
            best, known = market.best(side)
            for tick in sorted(held | told.keys()):
                lots = max(told.get(tick, 0) - own.get((side, tick), 0), 0)
                if market.levels.get((side, tick), 0) == lots:
                    market.waiting.pop((side, tick), None)
                elif known and (best - tick) * side > 0:
                    changes.append((side, tick, lots))
                    _set(market.levels, (side, tick), lots)
                else:
                    market.waiting[side, tick] = lots
        if not changes:
            self._alive(market)
        for number, (side, tick, lots) in enumerate(changes):
            self._put(market, lots, tick, DEPTH | (MORE if number + 1 < len(changes) else 0), side)

    def _funding(self, event: FundingPayment) -> None:
        market = next((m for m in self._markets.values() if m.coin == event.coin and m.perp is not None), None)
        if market is None or market.oracle <= 0.0:
            return
        market.exch_ns = max(market.exch_ns, event.ns)
        market.local_ns = self._last_ns
        rate = int(event.rate * Decimal(RATE_UNIT))
        self._put(market, rate, market.tick(market.oracle), FUNDING, 0)


def _set(levels: dict[tuple[int, int], int], key: tuple[int, int], lots: int) -> None:
    if lots:
        levels[key] = lots
    else:
        levels.pop(key, None)
