"""Liquidation: the book first, then the liquidator vault, then deleveraging. Money only ever moves.

- Equity below maintenance: the account's orders are cancelled and its positions sold to the book with orders that never
  trade beyond the price at which the account would be bankrupt, nor further than the trigger slippage from the mark.
  A position above 100,000 USD is reduced by a fifth first; after 30 s the rest follows.
- Equity below two thirds of maintenance: the liquidator vault takes the positions at the mark price, and the margin
  that is left.
- Equity below zero: the positions are closed against the holders on the other side, most profitable and leveraged
  first and the background last, at the price that leaves exactly nothing.

Source: the venue's docs, "Liquidations". Cross positions are one group; an isolated position is a group of its own.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from slipstream.model.instrument import Side
from slipstream.venues.emulator.exchange import margin
from slipstream.venues.emulator.exchange.consequences import follow
from slipstream.venues.emulator.exchange.deleverage import close_out
from slipstream.venues.emulator.exchange.floor import BACKSTOP, Floor
from slipstream.venues.emulator.exchange.orders import cancel_everything, execute
from slipstream.venues.emulator.exchange.refusal import OrderRefused
from slipstream.venues.emulator.exchange.registry import cancelled_by_venue
from slipstream.venues.emulator.exchange.takeover import record_liquidation, take_over
from slipstream.venues.emulator.exchange.triggers import worst_price
from slipstream.venues.emulator.state import ZERO, Account, Position, Status, VenueOrder

TWO_THIRDS = Decimal(2) / 3
UNWIND_SHARE = Decimal("0.2")
UNWIND_LEAST = Decimal(50_000)
UNWIND_SLIPPAGE = Decimal("0.01")


def liquidate_all(floor: Floor) -> None:
    """Look at every holder of a position once."""
    users = sorted({user for holders in floor.positions.values() for user in holders})
    for user in users:
        account = floor.accounts[user]
        if any(p.is_cross for p in account.positions.values()):
            check_cross(floor, account)
        for position in [p for p in account.positions.values() if not p.is_cross]:
            if account.positions.get(position.coin) is position:
                check_isolated(floor, account, position)


def check_cross(floor: Floor, account: Account) -> None:
    """Liquidate the cross account if its equity is below maintenance."""
    value = margin.cross_value(floor, account)
    needed = margin.maintenance_cross(floor, account)
    if value >= needed:
        _cooled(floor, account)
        return
    positions = [p for p in account.positions.values() if p.is_cross]
    for coin in {o.coin for o in account.open_orders.values()}:
        if margin.chosen_leverage(account, floor.instruments[coin])[0]:
            cancel_everything(floor, account, Status.LIQUIDATED_CANCELED, coin)
    _liquidate(floor, account, positions, value, needed, "Cross")


def check_isolated(floor: Floor, account: Account, position: Position) -> None:
    """Liquidate an isolated position if its equity is below maintenance."""
    value = margin.isolated_value(floor, position)
    needed = margin.maintenance(floor, position)
    if value >= needed:
        _cooled(floor, account)
        return
    cancel_everything(floor, account, Status.LIQUIDATED_CANCELED, position.coin)
    _liquidate(floor, account, [position], value, needed, "Isolated")


def _cooled(floor: Floor, account: Account) -> None:
    """A healthy account starts afresh: its next liquidation is partial again."""
    for coin in [c for c, until in account.liquidations.items() if until <= floor.now_ns]:
        del account.liquidations[coin]


def settle_debts(floor: Floor) -> None:
    """The liquidator vault pays what an account owes after it closed its last cross position at a ruinous price."""
    for account in floor.accounts.values():
        if account.usd < 0 and account.address != BACKSTOP and not any(p.is_cross for p in account.positions.values()):
            floor.backstop.usd += account.usd
            account.usd = ZERO
            floor.touch(account.address)


def _liquidate(
    floor: Floor, account: Account, positions: list[Position], value: Decimal, needed: Decimal, kind: str
) -> None:
    floor.counters.liquidations += 1
    floor.action_hash = floor.stamp("liquidation", floor.counters.liquidations)
    if value < 0:
        record_liquidation(floor, account, positions, value, kind)
        close_out(floor, account, positions, value)
    elif value < needed * TWO_THIRDS and account.address != BACKSTOP:
        record_liquidation(floor, account, positions, value, kind)
        take_over(floor, account, positions, value)
    else:
        told = False
        for position in sorted(positions, key=lambda p: -margin.notional(floor, p)):
            if floor.now_ns < account.liquidations.get(position.coin, 0):
                continue
            if not told:
                record_liquidation(floor, account, positions, value, kind)
                told = True
            sell_to_book(floor, account, position)
            if _healthy(floor, account, position, kind):
                break
    follow(floor, [])


def _healthy(floor: Floor, account: Account, position: Position, kind: str) -> bool:
    if kind == "Cross":
        return margin.cross_value(floor, account) >= margin.maintenance_cross(floor, account)
    if position.coin not in account.positions:
        return True
    return margin.isolated_value(floor, position) >= margin.maintenance(floor, position)


def sell_to_book(floor: Floor, account: Account, position: Position) -> None:
    """Close a position (a fifth of a large one, the first time) with a market order that cannot bankrupt it."""
    settings = floor.settings
    instrument = floor.instruments[position.coin]
    value = margin.notional(floor, position)
    size = abs(position.szi)
    if value > settings.partial_liquidation_notional and position.coin not in account.liquidations:
        size = instrument.round_size(size * settings.partial_liquidation_share) or instrument.lot
        account.liquidations[position.coin] = floor.now_ns + settings.liquidation_cooldown_ns
    mark = floor.contexts[position.coin].mark
    equity = margin.cross_value(floor, account) if position.is_cross else margin.isolated_value(floor, position)
    spare = equity - size * mark * settings.fee_tiers[0].cross * 2
    side = Side.SELL if position.szi > 0 else Side.BUY
    if spare <= 0:
        return
    bankrupt = mark + side.sign * spare / size
    limit = instrument.passive_price(max(bankrupt, instrument.tick_size(mark)), side)
    order = liquidation_order(floor, account, position.coin, side, size, limit)
    order.limit_px = worst_price(floor, order, settings.trigger_slippage)
    told = {"liquidatedUser": account.address, "markPx": str(mark), "method": "market"}
    try:
        execute(floor, account, instrument, order, told)
    except OrderRefused:
        return  # an empty book: the vault or deleveraging comes next if equity falls further


def liquidation_order(floor: Floor, account: Account, coin: str, side: Side, sz: Decimal, limit: Decimal) -> VenueOrder:
    """A venue's own reducing order for an account."""
    return VenueOrder(
        oid=floor.oid(),
        user=account.address,
        coin=coin,
        side=side,
        limit_px=limit,
        sz=sz,
        orig_sz=sz,
        tif="LiquidationMarket",
        reduce_only=True,
        created_ns=floor.now_ns,
        status_ns=floor.now_ns,
    )


def unwind_backstop(floor: Floor) -> None:
    """The liquidator vault works its positions off, a fifth at a time, within 1 % of the mark."""
    account = floor.backstop
    for position in list(account.positions.values()):
        instrument = floor.instruments[position.coin]
        mark = floor.contexts[position.coin].mark
        side = Side.SELL if position.szi > 0 else Side.BUY
        size = abs(position.szi)
        if size * mark > UNWIND_LEAST:
            size = instrument.round_size(max(size * UNWIND_SHARE, UNWIND_LEAST / mark))
        limit = instrument.quantise(
            mark * (1 + side.sign * UNWIND_SLIPPAGE), ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
        )
        order = liquidation_order(floor, account, position.coin, side, size, limit)
        floor.action_hash = floor.stamp("unwind", order.oid)
        try:
            execute(floor, account, instrument, order)
        except OrderRefused:
            continue  # nobody within 1 %: try again at the next sample


def cancel_unaffordable(floor: Floor) -> None:
    """Cancel the newest opening orders of accounts whose margin no longer covers what rests (``marginCanceled``).

    The venue looks when such an order is about to match; here it is at each mark update, because the background
    trades inside the matching engine, where no account is known.
    """
    users = sorted({user for user, _ in floor.resting})
    for user in users:
        account = floor.accounts[user]
        if not account.positions or margin.free_margin(floor, account) >= ZERO:
            continue
        opening = [o for o in account.open_orders.values() if o.handle >= 0 and not o.reduce_only]
        for order in reversed(opening):
            before = margin.reserved(floor, account, order.coin)
            if before == 0:
                continue
            cancelled_by_venue(floor, order, Status.MARGIN_CANCELED)
            if margin.free_margin(floor, account) >= ZERO:
                break
