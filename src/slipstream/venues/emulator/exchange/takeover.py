"""The liquidator vault takes positions over, and the records of a liquidation."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from slipstream.model.instrument import Side
from slipstream.venues.emulator.exchange import margin
from slipstream.venues.emulator.exchange.booking import book_fill
from slipstream.venues.emulator.exchange.floor import Floor
from slipstream.venues.emulator.exchange.ledger import record
from slipstream.venues.emulator.state import Account, Position, VenueOrder


def closing_order(floor: Floor, account: Account, coin: str, side: Side, sz: Decimal, px: Decimal) -> VenueOrder:
    """The record of an order that trades outside the book."""
    return VenueOrder(
        oid=floor.oid(),
        user=account.address,
        coin=coin,
        side=side,
        limit_px=px,
        sz=sz,
        orig_sz=sz,
        tif="LiquidationMarket",
        reduce_only=False,
        created_ns=floor.now_ns,
        status_ns=floor.now_ns,
    )


def trade_outside(
    floor: Floor,
    taker: Account,
    maker: Account,
    coin: str,
    side: Side,
    sz: Decimal,
    px: Decimal,
    method: str,
    liquidated: str,
) -> None:
    """A trade between two accounts that never went through a book; no fees."""
    tid = floor.tid()
    told = {"liquidatedUser": liquidated, "markPx": str(floor.contexts[coin].mark), "method": method}
    for account, way, crossed in ((taker, side, True), (maker, side.opposite, False)):
        book_fill(
            floor,
            account,
            closing_order(floor, account, coin, way, sz, px),
            sz,
            px,
            crossed=crossed,
            tid=tid,
            stamp=floor.action_hash,
            ns=floor.now_ns,
            liquidation=told,
            free=True,
        )


def take_over(floor: Floor, account: Account, positions: list[Position], value: Decimal) -> None:
    """Move positions to the liquidator vault at the mark price, and the margin that is left with them."""
    vault = floor.backstop
    cross = positions[0].is_cross
    for position in positions:
        mark = floor.contexts[position.coin].mark
        side = Side.SELL if position.szi > 0 else Side.BUY
        trade_outside(floor, account, vault, position.coin, side, abs(position.szi), mark, "backstop", account.address)
    rest = account.usd if cross else value
    account.usd -= rest
    vault.usd += rest


def record_liquidation(floor: Floor, account: Account, positions: list[Position], value: Decimal, kind: str) -> None:
    """The ledger row and the user event of a liquidation."""
    total = sum((margin.notional(floor, p) for p in positions), Decimal(0))
    delta: dict[str, Any] = {
        "type": "liquidation",
        "liquidatedNtlPos": str(total),
        "accountValue": str(value),
        "leverageType": kind,
        "liquidatedPositions": [{"coin": p.coin, "szi": str(p.szi)} for p in positions],
    }
    record(floor, account, delta)
    event = {
        "liquidation": {
            "lid": floor.counters.liquidations,
            "liquidator": floor.backstop.address,
            "liquidated_user": account.address,
            "liquidated_ntl_pos": str(total),
            "liquidated_account_value": str(value),
        }
    }
    floor.block.user_events.append((account.address, event))
