"""Makes the resting orders equal to the last Quote of every coin, with as few requests as the rules allow.

- An equal order (price, size, reduce-only) stays; so does one at the same price that is at most half filled.
- One that differs is modified, if the gate admits old and new together: the old may fill while the new is on its way.
- Otherwise it is cancelled, and the new one is placed once its end is known: cancel, confirm, place.
- While an order of a side is pending, unknown or being cancelled, the side waits.
- A post-only order that would have crossed is tried again one tick further out, a few times, and one that was to
  replace an order filled meanwhile as it is; then, and after any other refusal, the side rests for a while or until the
  strategy wants another price.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

import msgspec

from slipstream.execution.desk import Desk, make_place
from slipstream.execution.orders import Working
from slipstream.model.errors import InvalidOrder
from slipstream.model.instrument import Instrument, Side
from slipstream.model.intents import Quote, QuoteSide
from slipstream.model.order import OrderState, Tif

_BBO = re.compile(r"bbo was (\d+(?:\.\d+)?)@(\d+(?:\.\d+)?)")
HALF = Decimal("0.5")
LOST_RACE = "Cannot modify canceled or filled order"


class Slot(msgspec.Struct, frozen=True):
    """What one side of one coin has been refused: how often in a row, wanted at which price, until when it rests."""

    refusals: int = 0
    px: Decimal = Decimal(0)
    limit: Decimal | None = None
    until_ns: int = 0


class Quoter:
    """The last Quote of each coin, and the refusals of each side."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.wanted: dict[str, Quote] = {}
        self._slots: dict[tuple[str, Side], Slot] = {}

    def want(self, quote: Quote) -> None:
        """Replace what is wanted in a coin."""
        self.wanted[quote.coin] = quote

    def drop(self) -> None:
        """Want nothing any more."""
        self.wanted.clear()
        self._slots.clear()

    def refused(self, working: Working, reason: str) -> None:
        """The venue refused an order: remember how far out the next one must be, or rest the side."""
        order = working.order
        if not working.is_quote:
            return
        desk = self._desk
        key = (order.coin, order.side)
        slot = self._slots.get(key, Slot())
        refusals = slot.refusals + 1
        limit = None
        until_ns = desk.now_ns + desk.config.reject_backoff_ns
        instrument = desk.instruments.get(order.coin)
        if "immediately matched" in reason and refusals <= desk.config.alo_retries and instrument is not None:
            limit, until_ns = outside(instrument, order.side, order.px, reason), 0
        elif working.replaces and LOST_RACE in reason and refusals <= desk.config.alo_retries:
            until_ns = 0  # the order to be replaced was filled meanwhile: nothing is wrong with this one
        else:
            desk.report("quote_rests", coin=order.coin, side=order.side.value, reason=reason, until_ns=until_ns)
        quote = self.wanted.get(order.coin)
        wanted = None if quote is None else quote.bid if order.side is Side.BUY else quote.ask
        self._slots[key] = Slot(refusals, order.px if wanted is None else wanted.px, limit, until_ns)

    def rested(self, working: Working) -> None:
        """An order was taken: its side's refusals are over."""
        self._slots.pop((working.order.coin, working.order.side), None)

    def refusals(self, coin: str) -> list[tuple[str, int, str]]:
        """The sides of a coin that were refused: side, how often in a row, the price to stay outside of."""
        return [(side.value, slot.refusals, str(slot.limit)) for (of, side), slot in self._slots.items() if of == coin]

    def work(self, coin: str) -> None:
        """Emit what brings both sides of a coin nearer to what is wanted."""
        quote = self.wanted.get(coin)
        if quote is None:
            return
        if self._desk.gate.blocked(coin) is not None:
            self.pull(coin)
            return
        self._side(quote, Side.BUY, quote.bid)
        self._side(quote, Side.SELL, quote.ask)

    def pull(self, coin: str) -> None:
        """Cancel the quotes of a coin; what is wanted stays wanted."""
        for working in self._desk.orders.live(coin):
            if working.is_quote:
                self._desk.cancel(working)

    def _side(self, quote: Quote, side: Side, wanted: QuoteSide | None) -> None:
        live = [w for w in self._desk.orders.live(quote.coin) if w.is_quote and w.order.side is side]
        if wanted is None:
            for working in live:
                self._desk.cancel(working)
            return
        wanted = self._outside_refusals(quote.coin, side, wanted)
        if wanted is None:
            return
        if not live:
            self._place(quote, side, wanted, None)
        elif len(live) == 1 and self._settled(live[0]):
            if not keeps(live[0], wanted, quote.reduce_only):
                self._place(quote, side, wanted, live[0])
        else:
            # more than one rests only after a modify went wrong: keep the newest
            for working in live[:-1]:
                if self._settled(working):
                    self._desk.cancel(working)

    def _settled(self, working: Working) -> bool:
        return working.order.state in (OrderState.OPEN, OrderState.PARTIAL) and not (working.cancel_ns or working.doubt)

    def _outside_refusals(self, coin: str, side: Side, wanted: QuoteSide) -> QuoteSide | None:
        """What is wanted, moved outside the price that was refused; None while the side rests."""
        slot = self._slots.get((coin, side))
        if slot is None:
            return wanted
        if slot.until_ns > self._desk.now_ns and wanted.px == slot.px:
            return None
        if slot.until_ns:
            del self._slots[coin, side]
            return wanted
        if slot.limit is not None and (wanted.px - slot.limit) * side.sign > 0:
            return msgspec.structs.replace(wanted, px=slot.limit)
        return wanted

    def _place(self, quote: Quote, side: Side, wanted: QuoteSide, old: Working | None) -> None:
        desk = self._desk
        cloid = desk.cloid(desk.next_intent())
        place = make_place(cloid, quote.coin, side, wanted.px, wanted.sz, Tif.ALO, quote.reduce_only)
        refusal = desk.place(place, old)
        if refusal is None:
            return
        if old is not None:
            desk.cancel(old)
        desk.refused(quote.coin, side, wanted.px, wanted.sz, refusal)


def keeps(working: Working, wanted: QuoteSide, reduce_only: bool) -> bool:
    """Whether a resting order is as good as the wanted one; requests are scarce, and so is a place in the queue."""
    order = working.order
    if order.px != wanted.px or (reduce_only and not order.reduce_only):
        return False
    return order.remaining == wanted.sz or (order.sz == wanted.sz and order.remaining >= wanted.sz * HALF)


def outside(instrument: Instrument, side: Side, px: Decimal, reason: str) -> Decimal:
    """One tick further out than a refused post-only price, or than the touch that the refusal names if that is further.

    The price we saw was a block old; the refusal tells the one that counted (``bbo was bid@ask``).
    """
    found = _BBO.search(reason)
    try:
        touch = Decimal(found.group(2 if side is Side.BUY else 1)) if found is not None else px
        tick = min(instrument.to_tick(px), instrument.to_tick(instrument.passive_price(touch, side)))
        if side is Side.SELL:
            tick = max(instrument.to_tick(px), instrument.to_tick(instrument.passive_price(touch, side)))
        return instrument.from_tick(max(1, tick - side.sign))
    except (InvalidOrder, InvalidOperation):
        return instrument.from_tick(max(1, instrument.to_tick(px) - side.sign))
