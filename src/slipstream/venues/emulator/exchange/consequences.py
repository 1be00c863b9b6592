"""What a fill entails for other orders: children wake, siblings die, reduce-only orders shrink with the position."""

from __future__ import annotations

from slipstream.venues.emulator.exchange import registry
from slipstream.venues.emulator.exchange.floor import Floor
from slipstream.venues.emulator.state import Account, Status, VenueOrder


def follow(floor: Floor, filled: list[VenueOrder]) -> None:
    """Follow up on fills: orders that filled (or expired after filling in part), then positions that moved."""
    for order in filled:
        wake_children(floor, order)
        end_siblings(floor, order)
    while floor.moved:
        user, coin = next(iter(floor.moved))
        del floor.moved[user, coin]
        prune(floor, floor.accounts[user], coin)


def wake_children(floor: Floor, order: VenueOrder) -> None:
    """The parent filled (an Ioc perhaps in part): its TP/SL orders now wait for the mark price."""
    for oid in order.children:
        child = floor.orders.get(oid)
        if child is not None:
            floor.triggers.setdefault(child.coin, {})[oid] = child


def end_siblings(floor: Floor, order: VenueOrder) -> None:
    """One leg of a TP/SL pair was executed: the other is cancelled."""
    for oid in order.siblings:
        other = floor.orders.get(oid)
        if other is not None:
            registry.cancelled_by_venue(floor, other, Status.SIBLING_FILLED_CANCELED)


def prune(floor: Floor, account: Account, coin: str) -> None:
    """Keep resting reduce-only orders within the position: the older ones are cancelled, the last one is cut.

    With the position gone (or turned) they all go, and so do the TP/SL orders of the position itself.
    """
    szi = registry.held(account, coin)
    if szi == 0:
        for order in [o for o in account.open_orders.values() if o.coin == coin and o.is_position_tpsl]:
            if order.oid in account.open_orders:
                registry.cancelled_by_venue(floor, order, Status.REDUCE_ONLY_CANCELED)
    orders = registry.reducing_orders(account, coin)
    wrong = [o for o in orders if o.side.sign * szi >= 0]
    for order in wrong:
        registry.cancelled_by_venue(floor, order, Status.REDUCE_ONLY_CANCELED)
    right = [o for o in orders if o.side.sign * szi < 0]
    total = sum(o.sz for o in right)
    while right and total > abs(szi):
        oldest = right.pop(0)
        if not right:
            cut = oldest.sz - abs(szi)
            lots = floor.instruments[coin].to_lots(cut)
            floor.books[coin].reduce(oldest.handle, lots)
            registry.shrink(floor, oldest, cut)
            registry.announce(floor, oldest, Status.OPEN)
            floor.block.books.append(coin)
            return
        total -= oldest.sz
        registry.cancelled_by_venue(floor, oldest, Status.REDUCE_ONLY_CANCELED)
