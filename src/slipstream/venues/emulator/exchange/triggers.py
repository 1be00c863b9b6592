"""TP/SL orders whose mark price has come."""

from __future__ import annotations

from decimal import Decimal

from slipstream.model.instrument import Side
from slipstream.venues.emulator.exchange import checks, registry
from slipstream.venues.emulator.exchange.floor import Floor
from slipstream.venues.emulator.exchange.orders import execute
from slipstream.venues.emulator.exchange.refusal import OrderRefused
from slipstream.venues.emulator.state import Status, VenueOrder


def fire_triggers(floor: Floor, coin: str) -> None:
    """Execute every waiting order of a coin that its mark price has reached, oldest first."""
    waiting = floor.triggers.get(coin)
    if not waiting:
        return
    mark = floor.contexts[coin].mark
    for order in [o for o in waiting.values() if checks.fires(o, mark)]:
        if order.oid in waiting:
            fire(floor, order)


def fire(floor: Floor, order: VenueOrder) -> None:
    """Turn a waiting order into a market or limit order, under its own oid."""
    account = floor.accounts[order.user]
    instrument = floor.instruments[order.coin]
    floor.action_hash = floor.stamp("trigger", order.oid)
    floor.triggers[order.coin].pop(order.oid, None)
    account.open_orders.pop(order.oid, None)
    floor.orders.pop(order.oid, None)
    if order.cloid is not None:
        account.by_cloid.pop(order.cloid, None)
    order.status, order.status_ns = Status.TRIGGERED, floor.now_ns
    registry.announce(floor, order, Status.TRIGGERED)
    assert order.trigger is not None
    if order.is_position_tpsl:
        order.sz = order.orig_sz = abs(registry.held(account, order.coin))
    order.tif = "Ioc" if order.trigger.is_market else "Gtc"
    if order.trigger.is_market:
        order.limit_px = worst_price(floor, order, floor.settings.trigger_slippage)
    try:
        checks.check_reduce_only(account, order)
        checks.check_margin(floor, account, instrument, order)
        execute(floor, account, instrument, order)
    except OrderRefused as refusal:
        registry.remember(floor, account, order, refusal.status)
        registry.announce(floor, order, refusal.status)
    if order.tif == "Ioc":
        order.tif = None


def worst_price(floor: Floor, order: VenueOrder, slippage: Decimal) -> Decimal:
    """The limit of a market order: its own price, but never further than ``slippage`` from the mark."""
    instrument = floor.instruments[order.coin]
    mark = floor.contexts[order.coin].mark
    bound = instrument.passive_price(mark * (1 + order.side.sign * slippage), order.side)
    return min(order.limit_px, bound) if order.side is Side.BUY else max(order.limit_px, bound)
