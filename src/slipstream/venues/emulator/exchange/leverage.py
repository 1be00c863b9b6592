"""Leverage and isolated margin."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Any

from slipstream.model.instrument import Instrument
from slipstream.venues.emulator.exchange import margin, wire
from slipstream.venues.emulator.exchange.floor import MICRO, Floor
from slipstream.venues.emulator.exchange.identity import DEFAULT
from slipstream.venues.emulator.exchange.refusal import RequestRefused
from slipstream.venues.emulator.state import Account

SHORT = "Insufficient margin available for this change."


def instrument_of(floor: Floor, asset: int) -> Instrument:
    """The coin of an asset id."""
    instrument = floor.by_asset.get(asset)
    if instrument is None:
        raise RequestRefused(f"Invalid asset {asset}")
    return instrument


def update_leverage(floor: Floor, account: Account, action: wire.UpdateLeverage) -> dict[str, Any]:
    """Choose leverage and margin mode of a coin. The mode may not change while a position is open."""
    instrument = instrument_of(floor, action.asset)
    coin = instrument.coin
    position = account.positions.get(coin)
    size = margin.notional(floor, position) if position is not None else Decimal(0)
    if not 1 <= action.leverage <= instrument.leverage_limit(size):
        raise RequestRefused("Invalid leverage value")
    if action.isCross and instrument.only_isolated:
        raise RequestRefused(f"Cross margin is not allowed for {coin}.")
    if position is not None and position.is_cross != action.isCross:
        raise RequestRefused("Cannot switch leverage type with open position.")
    before = account.leverage.get(coin)
    account.leverage[coin] = (action.isCross, action.leverage)
    if position is None:
        if margin.free_margin(floor, account) < 0 and margin.reserved(floor, account, coin) > 0:
            _restore(account, coin, before)
            raise RequestRefused(SHORT)
        floor.touch(account.address)
        return DEFAULT
    old = position.leverage
    position.leverage = action.leverage
    if position.is_cross:
        if action.leverage < old and margin.free_margin(floor, account) < 0:
            position.leverage = old
            _restore(account, coin, before)
            raise RequestRefused(SHORT)
    else:
        missing = size / action.leverage - margin.isolated_value(floor, position)
        if missing > 0 and action.leverage < old:
            missing = missing.quantize(MICRO, rounding=ROUND_CEILING)
            if missing > margin.withdrawable(floor, account):
                position.leverage = old
                _restore(account, coin, before)
                raise RequestRefused(SHORT)
            account.usd -= missing
            position.isolated_usd += missing
    floor.touch(account.address)
    return DEFAULT


def _restore(account: Account, coin: str, before: tuple[bool, int] | None) -> None:
    if before is None:
        del account.leverage[coin]
    else:
        account.leverage[coin] = before


def update_isolated_margin(floor: Floor, account: Account, action: wire.UpdateIsolatedMargin) -> dict[str, Any]:
    """Move margin into (or, negative, out of) an isolated position; ``ntli`` in millionths of a USDC."""
    instrument = instrument_of(floor, action.asset)
    position = account.positions.get(instrument.coin)
    if position is None or position.is_cross:
        raise RequestRefused("Position does not use isolated margin.")
    amount = Decimal(action.ntli) * MICRO
    if amount > 0:
        if amount > margin.withdrawable(floor, account):
            raise RequestRefused(SHORT)
    else:
        value = margin.notional(floor, position)
        floor_usd = max(value / position.leverage, value * margin.TRANSFER_SHARE)
        if margin.isolated_value(floor, position) + amount < floor_usd:
            raise RequestRefused(SHORT)
    account.usd -= amount
    position.isolated_usd += amount
    floor.touch(account.address)
    return DEFAULT
