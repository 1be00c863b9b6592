"""Live orders and their ends: who has what in which book, and the updates users hear."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from slipstream.model.instrument import Side
from slipstream.venues.emulator.exchange.floor import Floor, Resting
from slipstream.venues.emulator.state import ZERO, Account, OrderUpdate, Status, VenueOrder


def announce(floor: Floor, order: VenueOrder, status: Status) -> None:
    """Tell the owner what became of an order."""
    copy = msgspec.structs.replace(order)
    floor.block.updates.append(OrderUpdate(order.user, copy, status, floor.now_ns))
    floor.touch(order.user)


def enlist(floor: Floor, account: Account, order: VenueOrder) -> None:
    """Make an order live: resting in its book, or waiting for its parent or the mark price."""
    account.open_orders[order.oid] = order
    floor.orders[order.oid] = order
    if order.cloid is not None:
        account.by_cloid[order.cloid] = order.oid
    if order.handle >= 0:
        count_resting(floor, order, order.sz)


def count_resting(floor: Floor, order: VenueOrder, change: Decimal) -> None:
    """Keep the totals behind reserved margin: ``change`` of size joined (or, negative, left) the book."""
    if order.reduce_only:
        return
    key = (order.user, order.coin)
    totals = floor.resting.get(key)
    if totals is None:
        totals = floor.resting[key] = Resting()
    if order.side is Side.BUY:
        totals.buy_sz += change
        totals.buy_ntl += change * order.limit_px
    else:
        totals.sell_sz += change
        totals.sell_ntl += change * order.limit_px
    if totals.buy_sz == 0 and totals.sell_sz == 0:
        del floor.resting[key]


def shrink(floor: Floor, order: VenueOrder, by: Decimal) -> None:
    """A resting order lost size to a fill or a reduction."""
    if order.handle >= 0:
        count_resting(floor, order, -by)
    order.sz -= by


def delist(floor: Floor, order: VenueOrder, status: Status) -> None:
    """An order ended: take it off every list and remember it. It must have left its book already."""
    account = floor.accounts[order.user]
    if order.handle >= 0:
        count_resting(floor, order, -order.sz)
        order.handle = -1
    account.open_orders.pop(order.oid, None)
    floor.orders.pop(order.oid, None)
    waiting = floor.triggers.get(order.coin)
    if waiting is not None:
        waiting.pop(order.oid, None)
    if order.cloid is not None and account.by_cloid.get(order.cloid) == order.oid:
        del account.by_cloid[order.cloid]
    remember(floor, account, order, status)
    announce(floor, order, status)


def remember(floor: Floor, account: Account, order: VenueOrder, status: Status) -> None:
    """Put an ended (or refused) order into the bounded history."""
    order.status = status
    order.status_ns = floor.now_ns
    account.history[order.oid] = order
    if order.cloid is not None:
        account.past_cloids[order.cloid] = order.oid
    while len(account.history) > floor.settings.kept_orders:
        oldest = next(iter(account.history))
        gone = account.history.pop(oldest)
        if gone.cloid is not None and account.past_cloids.get(gone.cloid) == oldest:
            del account.past_cloids[gone.cloid]


def withdraw(floor: Floor, order: VenueOrder, status: Status) -> Decimal:
    """Take a live order out of its book and off the lists; the size that was left.

    Children that wait for it go with it. Unlike a user's own cancel, the end is also told as ``nonUserCancel``
    by those rules of the venue that call this (see `cancelled_by_venue`).
    """
    left = order.sz
    if order.handle >= 0:
        floor.books[order.coin].cancel(order.handle)
        floor.block.books.append(order.coin)
    delist(floor, order, status)
    for child in waiting_children(floor, order):
        delist(floor, child, Status.CANCELED if status is Status.CANCELED else status)
    return left


def cancelled_by_venue(floor: Floor, order: VenueOrder, status: Status) -> None:
    """The venue, not the user, ends an order: also a ``nonUserCancel`` event."""
    withdraw(floor, order, status)
    floor.block.user_events.append((order.user, {"nonUserCancel": [{"coin": order.coin, "oid": order.oid}]}))


def waiting_children(floor: Floor, order: VenueOrder) -> list[VenueOrder]:
    """TP/SL orders that still wait for this one to fill."""
    children = [floor.orders[oid] for oid in order.children if oid in floor.orders]
    return [child for child in children if child.oid not in floor.triggers.get(child.coin, {})]


def find_order(account: Account, key: int | str) -> VenueOrder | None:
    """A live order by oid or cloid."""
    oid = account.by_cloid.get(key.lower()) if isinstance(key, str) else key
    return account.open_orders.get(oid) if oid is not None else None


def reducing_orders(account: Account, coin: str) -> list[VenueOrder]:
    """Reduce-only orders of a coin that rest in the book, oldest first."""
    return [o for o in account.open_orders.values() if o.coin == coin and o.reduce_only and o.handle >= 0]


def held(account: Account, coin: str) -> Decimal:
    """The signed position in a coin; zero if none."""
    position = account.positions.get(coin)
    return position.szi if position is not None else ZERO
