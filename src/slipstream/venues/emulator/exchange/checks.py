"""The rules an order must pass before it reaches its book, in the order the exchange applies them.

Source: the venue's docs on tick and lot size, error responses, open interest caps and margin tiers.
"""

from __future__ import annotations

from decimal import Decimal

from slipstream.model.instrument import Instrument, Side
from slipstream.venues.emulator.exchange import margin
from slipstream.venues.emulator.exchange.floor import Floor
from slipstream.venues.emulator.exchange.refusal import OrderRefused
from slipstream.venues.emulator.exchange.registry import held
from slipstream.venues.emulator.state import Account, Status, VenueOrder

TAKING = ("Ioc", "FrontendMarket", "LiquidationMarket")


def check_shape(floor: Floor, instrument: Instrument, order: VenueOrder) -> None:
    """Price and size are legal numbers for this coin, near enough to the reference price."""
    if instrument.delisted:
        raise OrderRefused("Trading is halted.", Status.DELISTED_CANCELED)
    for px in (order.limit_px, *((order.trigger.px,) if order.trigger else ())):
        if px <= 0:
            raise OrderRefused("Order has invalid price.")
        if not instrument.is_legal_price(px):
            raise OrderRefused("Price must be divisible by tick size.", Status.TICK_REJECTED)
    if order.sz == 0 and not order.is_position_tpsl:
        raise OrderRefused("Order has zero size.")
    if order.sz != 0 and not instrument.is_legal_size(order.sz):
        raise OrderRefused("Order has invalid size.")
    mark = floor.contexts[order.coin].mark
    band = floor.settings.reference_band
    if abs(order.limit_px - mark) > band * mark:
        percent = format((band * 100).normalize(), "f")
        raise OrderRefused(
            f"Order price cannot be more than {percent}% away from the reference price", Status.ORACLE_REJECTED
        )


def check_notional(floor: Floor, account: Account, order: VenueOrder) -> None:
    """At least 10 USD, unless the order closes the whole position."""
    closes = order.reduce_only and order.sz >= abs(held(account, order.coin)) > 0
    if order.is_position_tpsl or closes:
        return
    if order.sz * order.limit_px < floor.settings.min_notional:
        least = format(floor.settings.min_notional.normalize(), "f")
        raise OrderRefused(f"Order must have minimum value of ${least}.", Status.MIN_TRADE_NTL_REJECTED)


def check_reduce_only(account: Account, order: VenueOrder) -> None:
    """A reduce-only order needs a position on the other side."""
    if order.reduce_only and held(account, order.coin) * order.side.sign >= 0:
        raise OrderRefused("Reduce only order would increase position.", Status.REDUCE_ONLY_REJECTED)


def check_count(floor: Floor, account: Account, order: VenueOrder) -> None:
    """Open orders: 1,000, one more per 5 million USD of volume; reduce-only and triggers stop at 1,000."""
    settings = floor.settings
    limit = settings.open_orders
    if not order.reduce_only and order.trigger is None:
        limit += int(account.volume / settings.volume_per_extra_order)
        limit = min(limit, settings.open_orders_max)
    if order.tif not in TAKING and len(account.open_orders) >= limit:
        raise OrderRefused("Too many open orders.", Status.TOO_MANY_OPEN_ORDERS_REJECTED)


def check_cloid(account: Account, order: VenueOrder) -> None:
    """A client id names one live order at a time."""
    if order.cloid is not None and order.cloid in account.by_cloid:
        raise OrderRefused("Order with this client order id is already open.")


def check_builder(floor: Floor, account: Account, order: VenueOrder) -> None:
    """A builder fee must have been approved by the account (or its master)."""
    if order.builder is None or order.builder[1] == 0:
        return
    payer = floor.accounts.get(account.master, account) if account.master else account
    if order.builder[1] > payer.builder_fees.get(order.builder[0], 0):
        raise OrderRefused("Builder fee has not been approved.")


def check_cap(floor: Floor, account: Account, order: VenueOrder) -> None:
    """At its open interest cap a coin admits no new exposure, and nothing beyond the oracle price."""
    cap = floor.settings.open_interest_caps.get(order.coin)
    if cap is None or order.reduce_only:
        return
    context = floor.contexts[order.coin]
    if context.open_interest * context.oracle < cap:
        return
    szi = held(account, order.coin)
    if margin.opening_share(szi, order.side, order.sz) > 0:
        flips = szi * order.side.sign < 0
        raise OrderRefused(
            "Order would increase open interest while open interest is capped",
            Status.OI_FLIP_AT_CAP_REJECTED if flips else Status.OI_INCREASE_AT_CAP_REJECTED,
        )
    if (order.limit_px - context.oracle) * order.side.sign > 0:
        raise OrderRefused(
            "Order rejected due to price more aggressive than oracle while at open interest cap",
            Status.OI_AGGRESSIVE_AT_CAP_REJECTED,
        )


def margin_price(floor: Floor, order: VenueOrder) -> Decimal:
    """The price at which an order is margined: its limit, but a buy never above and a sell never below the mark."""
    mark = floor.contexts[order.coin].mark
    return min(order.limit_px, mark) if order.side is Side.BUY else max(order.limit_px, mark)


def check_margin(floor: Floor, account: Account, instrument: Instrument, order: VenueOrder) -> None:
    """Free margin for the opening part, and a position within its tier at the user's leverage."""
    if order.reduce_only:
        return
    px = margin_price(floor, order)
    if not margin.order_fits(floor, account, instrument, order.side, order.sz, px):
        raise OrderRefused("Insufficient margin to place order.", Status.PERP_MARGIN_REJECTED)
    szi = held(account, order.coin)
    after = abs(szi + order.side.sign * order.sz)
    if after > abs(szi):
        _, leverage = margin.chosen_leverage(account, instrument)
        if leverage > instrument.leverage_limit(after * floor.contexts[order.coin].mark):
            raise OrderRefused(
                "Order would cause position to exceed margin tier limit at current leverage",
                Status.PERP_MAX_POSITION_REJECTED,
            )


def check_post_only(floor: Floor, order: VenueOrder) -> None:
    """After a network upgrade only post-only orders are taken for a while."""
    if floor.now_ns < floor.post_only_until_ns and order.tif != "Alo":
        raise OrderRefused("Only post-only orders allowed immediately after a network upgrade")


def check_trigger(order: VenueOrder, reference: Decimal) -> None:
    """A TP/SL that would fire at once is refused. ``reference`` is the mark, or the parent's price for a child."""
    trigger = order.trigger
    if trigger is None:
        return
    if fires(order, reference):
        raise OrderRefused("Invalid TP/SL price.", Status.BAD_TRIGGER_PX_REJECTED)


def triggers_above(order: VenueOrder) -> bool:
    """Whether the trigger waits for the mark to rise to it."""
    assert order.trigger is not None
    return (order.trigger.tpsl == "sl") == (order.side is Side.BUY)


def fires(order: VenueOrder, mark: Decimal) -> bool:
    """Whether a waiting trigger is met at a mark price."""
    assert order.trigger is not None
    return mark >= order.trigger.px if triggers_above(order) else mark <= order.trigger.px


def admit(floor: Floor, account: Account, instrument: Instrument, order: VenueOrder) -> None:
    """Every rule for an order that goes to its book now. Raises OrderRefused."""
    check_shape(floor, instrument, order)
    check_post_only(floor, order)
    check_builder(floor, account, order)
    check_cloid(account, order)
    check_reduce_only(account, order)
    check_notional(floor, account, order)
    check_count(floor, account, order)
    check_cap(floor, account, order)
    check_margin(floor, account, instrument, order)


def admit_waiting(
    floor: Floor, account: Account, instrument: Instrument, order: VenueOrder, reference: Decimal
) -> None:
    """Every rule for an order that will wait for its trigger. Raises OrderRefused."""
    check_shape(floor, instrument, order)
    check_builder(floor, account, order)
    check_cloid(account, order)
    check_notional(floor, account, order)
    check_count(floor, account, order)
    check_trigger(order, reference)
    if order.is_position_tpsl:
        check_reduce_only(account, order)


def reduce_cap(account: Account, order: VenueOrder) -> Decimal:
    """The size a reduce-only order may have: at most the position."""
    return min(order.sz, abs(held(account, order.coin))) if order.reduce_only else order.sz
