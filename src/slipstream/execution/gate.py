"""The last word before an order exists: every reason why it must not be sent."""

from __future__ import annotations

from decimal import Decimal

from slipstream.execution.budget import ActionBudget
from slipstream.execution.exposure import worst_case, worst_size
from slipstream.execution.ledger import Ledger
from slipstream.execution.market import Market
from slipstream.execution.orders import OrderTable, Working
from slipstream.execution.permit import Permit
from slipstream.execution.settings import Limits
from slipstream.model.commands import Place
from slipstream.model.instrument import Instrument
from slipstream.model.mandate import TradingState

ZERO = Decimal(0)


class Gate:
    """Answers one question: may this order be placed now? Cancels and queries never pass here."""

    def __init__(
        self, limits: Limits, market: Market, orders: OrderTable, ledger: Ledger, permit: Permit, budget: ActionBudget
    ) -> None:
        self.limits = limits
        self._market = market
        self._orders = orders
        self._ledger = ledger
        self._permit = permit
        self._budget = budget

    def refusal(self, place: Place, instrument: Instrument | None, replaced: Working | None = None) -> str | None:
        """Why the order may not be sent, or None. ``replaced`` still counts as exposure: it may fill on the way."""
        if instrument is None:
            return f"{place.coin} is not a perp of this venue"
        return (
            self._shape(place, instrument)
            or self.blocked(place.coin)
            or self._direction(place, replaced)
            or self._price(place)
            or self._caps(place)
            or self._budget.refusal(self._market.now_ns, self._permit.mandate)
        )

    def blocked(self, coin: str) -> str | None:
        """Why no order at all may be placed in a coin now, or None."""
        if not self._permit.reconciled:
            return "the account has not been reconciled yet"
        for feed in self.limits.required_feeds:
            trouble = self._market.feed_trouble(feed)
            if trouble is not None:
                return trouble
        if self._permit.state(self._market.now_ns) is TradingState.HALTED:
            return "; ".join(self._permit.reasons(self._market.now_ns))
        return self.stale(coin)

    def stale(self, coin: str) -> str | None:
        """Why the coin's price may not be traded on, or None."""
        age = self._market.age_ns(coin)
        if age is None:
            return f"no price of {coin} yet"
        if age > self.limits.max_feed_age_ns:
            return f"the price of {coin} is {age / 1e9:.1f} s old (limit {self.limits.max_feed_age_ns / 1e9:.1f} s)"
        return None if self._market.reference(coin) is not None else f"no two-sided price of {coin}"

    def _shape(self, place: Place, instrument: Instrument) -> str | None:
        if instrument.delisted:
            return f"{place.coin} is delisted"
        if not instrument.is_legal_price(place.px):
            return f"price {place.px} is not a legal price of {place.coin}"
        if not instrument.is_legal_size(place.sz):
            return f"size {place.sz} is not a positive number of lots of {instrument.lot} {place.coin}"
        return None

    def _direction(self, place: Place, replaced: Working | None) -> str | None:
        reducing = self._permit.state(self._market.now_ns) is TradingState.REDUCING
        if not (reducing or place.reduce_only):
            return None
        position = self._ledger.position(place.coin)
        if position * place.side.sign < 0:
            # also what ended and still owes fills: on an account that others share the venue would not hold us to ours
            taken = sum((size for side, size in self._orders.open_sizes(place.coin) if side is place.side), ZERO)
            if replaced is not None and replaced.order.side is place.side:
                taken -= replaced.order.remaining
            if place.sz <= abs(position) - taken:
                return None
        if place.reduce_only and not reducing:
            return f"reduce-only, and the position is {position}"
        return f"only orders that shrink the position {position}: " + "; ".join(
            self._permit.reasons(self._market.now_ns)
        )

    def _price(self, place: Place) -> str | None:
        reference = self._market.reference(place.coin)
        if reference is None:
            return f"no reference price of {place.coin}"
        distance = abs(place.px / reference - 1)
        if distance > Decimal(repr(self.limits.fat_finger)):
            return f"price {place.px} is {distance:.1%} from the reference price {reference}"
        notional = place.px * place.sz
        closes = place.reduce_only and place.sz == abs(self._ledger.position(place.coin))
        if notional < self.limits.min_notional and not closes:
            return f"worth {notional:f} USD, less than {self.limits.min_notional}"
        if notional > self.limits.max_order:
            return f"worth {notional:f} USD, more than max_order {self.limits.max_order}"
        return None

    def _caps(self, place: Place) -> str | None:
        """Worst-case exposure with the order; what does not raise it may pass above a cap."""
        coin = place.coin
        position = self._ledger.position(coin)
        open_sizes = list(self._orders.open_sizes(coin))
        before = worst_size(position, open_sizes)
        after = worst_size(position, [*open_sizes, (place.side, place.sz)])
        if after <= before:
            return None
        px = self._market.reference(coin) or place.px
        cap = self.coin_cap(coin)
        if after * px > cap:
            return f"worst case {after * px:.2f} USD of {coin} would exceed the cap {cap}"
        others = self.gross(without=coin)
        if others is None:
            return "gross exposure cannot be valued: a coin that we hold has no price"
        gross_cap = self.gross_cap()
        if others + after * px > gross_cap:
            return f"worst case {others + after * px:.2f} USD in all would exceed the gross cap {gross_cap}"
        return None

    def coin_cap(self, coin: str) -> Decimal:
        """The cap of a coin, USD: the smaller of ours and the mandate's, which if it names coins grants no others."""
        mandate = self._permit.mandate
        cap = self.limits.cap(coin)
        if mandate is None or not mandate.coin_caps:
            return cap
        return min(cap, mandate.coin_caps.get(coin, ZERO))

    def gross_cap(self) -> Decimal:
        """The cap of all coins together, USD."""
        mandate = self._permit.mandate
        return min(self.limits.gross_cap, mandate.gross_cap) if mandate is not None else self.limits.gross_cap

    def gross(self, without: str = "") -> Decimal | None:
        """Worst-case notional of all coins but one, USD; None if a held coin has no price at all."""
        total = ZERO
        held = {coin for coin, line in self._ledger.lines.items() if line.position}
        for coin in sorted((held | self._orders.coins()) - {without}):
            low, high = worst_case(self._ledger.position(coin), self._orders.open_sizes(coin))
            size = max(abs(low), abs(high))
            px = self._market.reference(coin) or self._ledger.line(coin).last_px
            if size and not px:
                return None
            total += size * px
        return total
