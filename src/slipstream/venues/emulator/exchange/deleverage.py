"""Deleveraging: the last resort that keeps a bankrupt account from costing the exchange money it does not have."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from slipstream.model.instrument import Side
from slipstream.venues.emulator.exchange import margin
from slipstream.venues.emulator.exchange.booking import book_fill, book_house
from slipstream.venues.emulator.exchange.floor import BACKSTOP, Floor
from slipstream.venues.emulator.exchange.takeover import closing_order, trade_outside
from slipstream.venues.emulator.state import ZERO, Account, Position


def close_out(floor: Floor, account: Account, positions: list[Position], value: Decimal) -> None:
    """Close positions of a group whose equity is ``value`` < 0 against the other side, so that nothing is owed.

    The deficit is spread over the positions by notional. What a price above zero cannot carry, the liquidator vault
    pays.
    """
    gross = sum((margin.notional(floor, p) for p in positions), ZERO)
    for position in positions:
        instrument = floor.instruments[position.coin]
        mark = floor.contexts[position.coin].mark
        share = -value * abs(position.szi) * mark / gross
        step = Decimal(1).scaleb(-instrument.price_decimals)
        if position.szi > 0:
            px = (mark + share / position.szi).quantize(step, rounding=ROUND_CEILING)
        else:
            px = max(step, (mark + share / position.szi).quantize(step, rounding=ROUND_FLOOR))
        _against_others(floor, account, position, px)
    if account.usd < 0 and not any(p.is_cross for p in account.positions.values()) and account.address != BACKSTOP:
        floor.backstop.usd += account.usd
        account.usd = ZERO


def ranked(floor: Floor, coin: str, long: bool, but: str) -> list[Account]:
    """Holders of one side, most profitable and most leveraged first."""
    holders: list[tuple[Decimal, str]] = []
    for user in floor.positions.get(coin, ()):
        position = floor.accounts[user].positions[coin]
        if user == but or (position.szi > 0) != long:
            continue
        gain = margin.unrealised(floor, position) / abs(position.cost) if position.cost else ZERO
        equity = margin.account_value(floor, floor.accounts[user])
        leverage = margin.notional(floor, position) / equity if equity > 0 else Decimal(1000)
        holders.append((-gain * leverage if gain > 0 else -gain, user))
    return [floor.accounts[user] for _, user in sorted(holders)]


def _against_others(floor: Floor, account: Account, position: Position, px: Decimal) -> None:
    coin, left = position.coin, abs(position.szi)
    long = position.szi > 0
    side = Side.SELL if long else Side.BUY
    for other in ranked(floor, coin, not long, account.address):
        if left == 0:
            return
        take = min(left, abs(other.positions[coin].szi))
        trade_outside(floor, account, other, coin, side, take, px, "backstop", account.address)
        left -= take
    if left > 0:
        order = closing_order(floor, account, coin, side, left, px)
        told = {
            "liquidatedUser": account.address,
            "markPx": str(floor.contexts[coin].mark),
            "method": "backstop",
        }
        book_fill(
            floor,
            account,
            order,
            left,
            px,
            crossed=True,
            tid=floor.tid(),
            stamp=floor.action_hash,
            ns=floor.now_ns,
            liquidation=told,
            free=True,
        )
        book_house(floor, coin, side.opposite, left, px)
