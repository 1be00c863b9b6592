"""Margin arithmetic: pure functions over an account and the mark prices. USDC, Decimal.

Source: the venue's docs, "Margining", "Margin tiers" and "Liquidations". Initial margin = notional at mark / leverage;
maintenance = notional / (2 max leverage of its tier) - deduction; transfers must leave the larger of the initial
margin and a tenth of the notional.
"""

from __future__ import annotations

from decimal import Decimal

from slipstream.model.instrument import Instrument, Side
from slipstream.venues.emulator.exchange.floor import Floor
from slipstream.venues.emulator.state import ZERO, Account, Position

TRANSFER_SHARE = Decimal("0.1")


def chosen_leverage(account: Account, instrument: Instrument) -> tuple[bool, int]:
    """(is_cross, leverage) in force for a coin: the position's, else the user's choice, else the default."""
    position = account.positions.get(instrument.coin)
    if position is not None:
        return position.is_cross, position.leverage
    default = (not instrument.only_isolated, min(20, instrument.max_leverage))
    return account.leverage.get(instrument.coin, default)


def notional(floor: Floor, position: Position) -> Decimal:
    """Unsigned value of a position at the mark price."""
    return abs(position.szi) * floor.contexts[position.coin].mark


def unrealised(floor: Floor, position: Position) -> Decimal:
    """Profit of a position at the mark price, fees and funding aside."""
    return position.szi * floor.contexts[position.coin].mark - position.cost


def isolated_value(floor: Floor, position: Position) -> Decimal:
    """Equity of an isolated position."""
    return position.isolated_usd + position.szi * floor.contexts[position.coin].mark


def cross_value(floor: Floor, account: Account) -> Decimal:
    """Equity of the cross account: its raw USD and cross positions at the mark price."""
    total = account.usd
    for position in account.positions.values():
        if position.is_cross:
            total += position.szi * floor.contexts[position.coin].mark
    return total


def account_value(floor: Floor, account: Account) -> Decimal:
    """Perp equity: cross account and isolated positions."""
    total = account.usd
    for position in account.positions.values():
        total += position.szi * floor.contexts[position.coin].mark + position.isolated_usd
    return total


def margin_used(floor: Floor, position: Position) -> Decimal:
    """What a position ties up: initial margin if cross, its own equity if isolated."""
    if position.is_cross:
        return notional(floor, position) / position.leverage
    return isolated_value(floor, position)


def initial_cross(floor: Floor, account: Account) -> Decimal:
    """Initial margin of all cross positions."""
    total = ZERO
    for position in account.positions.values():
        if position.is_cross:
            total += notional(floor, position) / position.leverage
    return total


def maintenance(floor: Floor, position: Position) -> Decimal:
    """Maintenance margin of one position."""
    return floor.instruments[position.coin].maintenance_margin(notional(floor, position))


def maintenance_cross(floor: Floor, account: Account) -> Decimal:
    """Maintenance margin of all cross positions."""
    total = ZERO
    for position in account.positions.values():
        if position.is_cross:
            total += maintenance(floor, position)
    return total


def opening_share(szi: Decimal, side: Side, sz: Decimal) -> Decimal:
    """How much exposure an order of ``sz`` would add to a position: |after| - |before|, at least zero."""
    return max(ZERO, abs(szi + side.sign * sz) - abs(szi))


def reserved(floor: Floor, account: Account, coin: str) -> Decimal:
    """Margin held back for the resting orders of one coin: the side that could open more."""
    totals = floor.resting.get((account.address, coin))
    if totals is None:
        return ZERO
    position = account.positions.get(coin)
    szi = position.szi if position is not None else ZERO
    _, leverage = chosen_leverage(account, floor.instruments[coin])
    need = ZERO
    for side, sz, ntl in (
        (Side.BUY, totals.buy_sz, totals.buy_ntl),
        (Side.SELL, totals.sell_sz, totals.sell_ntl),
    ):
        if sz > 0:
            need = max(need, opening_share(szi, side, sz) * (ntl / sz))
    return need / leverage


def reserved_total(floor: Floor, account: Account) -> Decimal:
    """Margin held back for all resting orders."""
    total = ZERO
    for coin in floor.instruments:
        if (account.address, coin) in floor.resting:
            total += reserved(floor, account, coin)
    return total


def free_margin(floor: Floor, account: Account) -> Decimal:
    """Cross equity that neither positions nor resting orders need. May be negative."""
    return cross_value(floor, account) - initial_cross(floor, account) - reserved_total(floor, account)


def order_fits(floor: Floor, account: Account, instrument: Instrument, side: Side, sz: Decimal, px: Decimal) -> bool:
    """Whether there is margin for one more order, on top of everything that rests.

    Reducing needs none. A position's own isolated margin does not count: an isolated order is paid from cross USD.
    """
    coin = instrument.coin
    totals = floor.resting.get((account.address, coin))
    before = reserved(floor, account, coin)
    position = account.positions.get(coin)
    szi = position.szi if position is not None else ZERO
    _, leverage = chosen_leverage(account, instrument)
    side_sz, side_ntl = sz, sz * px
    if totals is not None:
        side_sz += totals.buy_sz if side is Side.BUY else totals.sell_sz
        side_ntl += totals.buy_ntl if side is Side.BUY else totals.sell_ntl
    after = opening_share(szi, side, side_sz) * (side_ntl / side_sz) / leverage
    extra = after - before
    return extra <= 0 or extra <= free_margin(floor, account)


def withdrawable(floor: Floor, account: Account) -> Decimal:
    """USDC that may leave: cross equity less the larger of initial margin and a tenth of the notional, and less
    what resting orders hold back."""
    needed = ZERO
    for position in account.positions.values():
        if position.is_cross:
            value = notional(floor, position)
            needed += max(value / position.leverage, value * TRANSFER_SHARE)
    free = cross_value(floor, account) - needed - reserved_total(floor, account)
    # Money that only exists as an unrealised gain of raw USD cannot leave below zero.
    return max(ZERO, free)


def liquidation_px(floor: Floor, account: Account, position: Position) -> Decimal | None:
    """The mark price at which the position (all else equal) is liquidated, or None if there is none above zero.

    liqPx = mark - side available / |sz| / (1 - l side), l the maintenance fraction of its tier.
    """
    mark = floor.contexts[position.coin].mark
    instrument = floor.instruments[position.coin]
    if position.is_cross:
        available = cross_value(floor, account) - maintenance_cross(floor, account)
    else:
        available = isolated_value(floor, position) - maintenance(floor, position)
    side = 1 if position.szi > 0 else -1
    fraction = Decimal(1) / (2 * instrument.leverage_limit(notional(floor, position)))
    px = mark - side * available / abs(position.szi) / (1 - fraction * side)
    return px if px > 0 else None
