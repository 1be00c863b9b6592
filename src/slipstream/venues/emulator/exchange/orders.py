"""Placing, cancelling and replacing orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from slipstream.lob.book import ALO, EXPIRED, FILLED, GTC, IOC, OUT_OF_WINDOW, WOULD_CROSS
from slipstream.model.instrument import Instrument, Side
from slipstream.venues.emulator.exchange import checks, registry
from slipstream.venues.emulator.exchange.consequences import follow
from slipstream.venues.emulator.exchange.floor import MICRO, Floor
from slipstream.venues.emulator.exchange.matching import Executed, drain, tick_price
from slipstream.venues.emulator.exchange.refusal import OrderRefused
from slipstream.venues.emulator.exchange.wire import Builder, OrderWire
from slipstream.venues.emulator.state import Account, Status, Trigger, VenueOrder

TIF_CODES = {"Gtc": GTC, "Alo": ALO, "Ioc": IOC, "FrontendMarket": IOC, "LiquidationMarket": IOC}
GONE = "Order was never placed, already canceled, or filled."


def build(floor: Floor, account: Account, wire: OrderWire, builder: Builder | None, is_position: bool) -> VenueOrder:
    """A wire order as a venue order with a new oid; nothing is checked but the asset."""
    instrument = floor.by_asset.get(wire.a)
    if instrument is None:
        raise OrderRefused("Order has invalid asset.")
    trigger = wire.t.trigger
    size = Decimal(wire.s)
    return VenueOrder(
        oid=floor.oid(),
        user=account.address,
        coin=instrument.coin,
        side=Side.BUY if wire.b else Side.SELL,
        limit_px=Decimal(wire.p),
        sz=size,
        orig_sz=size,
        tif=wire.t.limit.tif if wire.t.limit else None,
        reduce_only=wire.r,
        created_ns=floor.now_ns,
        cloid=wire.c.lower() if wire.c else None,
        trigger=Trigger(Decimal(trigger.triggerPx), trigger.isMarket, trigger.tpsl) if trigger else None,
        is_position_tpsl=is_position,
        status_ns=floor.now_ns,
        builder=(builder.b.lower(), builder.f) if builder else None,
    )


def refused(floor: Floor, account: Account, order: VenueOrder, refusal: OrderRefused) -> dict[str, Any]:
    """Remember a refused order, tell its owner, and word the answer."""
    registry.remember(floor, account, order, refusal.status)
    registry.announce(floor, order, refusal.status)
    return {"error": f"{refusal.text} asset={floor.instruments[order.coin].asset}"}


def place(floor: Floor, account: Account, order: VenueOrder) -> dict[str, Any]:
    """Check and execute an order; the venue's status object for it."""
    instrument = floor.instruments[order.coin]
    try:
        checks.admit(floor, account, instrument, order)
        return execute(floor, account, instrument, order)
    except OrderRefused as refusal:
        return refused(floor, account, order, refusal)


def place_waiting(floor: Floor, account: Account, order: VenueOrder, reference: Decimal, armed: bool) -> Any:
    """Accept a TP/SL order; ``armed`` if it waits for the mark price now, else it first waits for its parent."""
    instrument = floor.instruments[order.coin]
    try:
        checks.admit_waiting(floor, account, instrument, order, reference)
    except OrderRefused as refusal:
        return refused(floor, account, order, refusal)
    registry.enlist(floor, account, order)
    if armed:
        floor.triggers.setdefault(order.coin, {})[order.oid] = order
    registry.announce(floor, order, Status.OPEN)
    return resting(order)


def resting(order: VenueOrder) -> dict[str, Any]:
    """The answer for an order that rests."""
    body: dict[str, Any] = {"oid": order.oid}
    if order.cloid is not None:
        body["cloid"] = order.cloid
    return {"resting": body}


def execute(
    floor: Floor,
    account: Account,
    instrument: Instrument,
    order: VenueOrder,
    liquidation: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Send an admitted order to its book, book what it trades, and follow up.

    Raises OrderRefused if the book has nothing for it (Ioc), it would cross (Alo) or it cannot be placed.
    """
    capped = checks.reduce_cap(account, order)
    if capped < order.sz:
        order.sz = order.orig_sz = capped
    book = floor.books[order.coin]
    code = book.place(
        order.oid,
        floor.owner(order.user),
        order.side.sign,
        instrument.to_tick(order.limit_px),
        instrument.to_lots(order.sz),
        TIF_CODES[order.tif or "Ioc"],
        floor.now_ns,
    )
    done, filled = drain(floor, order.coin, order, liquidation)
    if code >= 0:
        order.handle = code
        registry.enlist(floor, account, order)
        registry.announce(floor, order, Status.OPEN)
        floor.block.books.append(order.coin)
        if order.reduce_only:
            floor.moved[order.user, order.coin] = None
    elif code == FILLED:
        registry.remember(floor, account, order, Status.FILLED)
        registry.announce(floor, order, Status.FILLED)
        filled.append(order)
    elif code == EXPIRED and done.sz > 0:
        registry.remember(floor, account, order, Status.CANCELED)
        registry.announce(floor, order, Status.CANCELED)
        filled.append(order)
    follow(floor, filled)
    if code < 0 and done.sz == 0:
        raise _refusal(floor, instrument, order, code)
    return _filled(order, done) if done.sz > 0 else resting(order)


def _refusal(floor: Floor, instrument: Instrument, order: VenueOrder, code: int) -> OrderRefused:
    if code == WOULD_CROSS:
        book = floor.books[order.coin]
        best = (book.best_bid(), book.best_ask())
        bid, ask = (decimal_text(tick_price(max(t, 0), instrument.price_decimals)) for t in best)
        return OrderRefused(
            f"Post only order would have immediately matched, bbo was {bid}@{ask}.", Status.BAD_ALO_PX_REJECTED
        )
    if code == EXPIRED:
        if order.trigger is not None or order.tif in ("FrontendMarket", "LiquidationMarket"):
            return OrderRefused("No liquidity available for market order.", Status.MARKET_ORDER_NO_LIQUIDITY_REJECTED)
        return OrderRefused("Order could not immediately match against any resting orders.", Status.IOC_CANCEL_REJECTED)
    if code == OUT_OF_WINDOW:
        return OrderRefused("Order price too far from oracle", Status.ORACLE_REJECTED)
    return OrderRefused(f"The book of {order.coin} cannot take more orders now.", Status.REJECTED)


def _filled(order: VenueOrder, done: Executed) -> dict[str, Any]:
    average = (done.ntl / done.sz).quantize(MICRO).normalize()
    body: dict[str, Any] = {
        "totalSz": decimal_text(done.sz),
        "avgPx": decimal_text(average),
        "oid": order.oid,
    }
    if order.cloid is not None:
        body["cloid"] = order.cloid
    return {"filled": body}


def decimal_text(value: Decimal) -> str:
    """A number as the venue answers it: no exponent, no padding, at least one decimal."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0")
        return text + "0" if text.endswith(".") else text
    return text + ".0"


def cancel(floor: Floor, account: Account, asset: int, key: int | str) -> Any:
    """Cancel one live order by oid or cloid; ``"success"`` or the error object."""
    order = registry.find_order(account, key)
    instrument = floor.by_asset.get(asset)
    if order is None or instrument is None or order.coin != instrument.coin:
        return {"error": f"{GONE} asset={asset}"}
    registry.withdraw(floor, order, Status.CANCELED)
    return "success"


def cancel_everything(floor: Floor, account: Account, status: Status, coin: str | None = None) -> int:
    """End all live orders of an account (of one coin), for a reason of the venue's; how many."""
    orders = [o for o in account.open_orders.values() if coin is None or o.coin == coin]
    for order in orders:
        if order.oid in account.open_orders:
            registry.cancelled_by_venue(floor, order, status)
    return len(orders)


def modify(floor: Floor, account: Account, key: int | str, wire: OrderWire) -> Any:
    """Cancel and replace: a new oid, the replacement's cloid or the old one's. The old order is gone either way.

    Users hear ``open`` (new) before ``canceled`` (old).
    """
    old = registry.find_order(account, key)
    if old is None:
        return {"error": f"Cannot modify canceled or filled order asset={wire.a}"}
    if wire.c is None and old.cloid is not None:
        wire = msgspec.structs.replace(wire, c=old.cloid)
    parent, siblings = old.parent, old.siblings
    before = len(floor.block.updates)
    registry.withdraw(floor, old, Status.CANCELED)
    told = floor.block.updates[before:]
    del floor.block.updates[before:]
    answer = _replacement(floor, account, old, wire)
    floor.block.updates.extend(told)
    if isinstance(answer, dict) and "error" in answer:
        return {"error": "Error placing new order during modify: " + answer["error"]}
    fresh = account.open_orders.get(floor.counters.next_oid - 1)
    if fresh is not None and siblings:
        fresh.parent, fresh.siblings = parent, siblings
        for oid in siblings:
            if oid in floor.orders:
                floor.orders[oid].siblings = [fresh.oid if o == old.oid else o for o in floor.orders[oid].siblings]
    return answer


def _replacement(floor: Floor, account: Account, old: VenueOrder, wire: OrderWire) -> Any:
    try:
        order = build(floor, account, wire, None, old.is_position_tpsl)
    except OrderRefused as refusal:
        return {"error": f"{refusal.text} asset={wire.a}"}
    order.builder = old.builder
    if order.trigger is None:
        return place(floor, account, order)
    return place_waiting(floor, account, order, floor.contexts[order.coin].mark, armed=True)
