"""Booking a fill: position, cash, fee, realised profit. Exact: price times size has at most six decimals, and so
has every amount here, so money only ever moves, by whole millionths of a USDC."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from slipstream.model.instrument import Side
from slipstream.venues.emulator.exchange.fees import builder_fee, count_volume, fee
from slipstream.venues.emulator.exchange.floor import BACKSTOP, HOUSE, MICRO, Floor
from slipstream.venues.emulator.exchange.margin import chosen_leverage
from slipstream.venues.emulator.state import ZERO, Account, FillRecord, Position, VenueOrder


def direction(start: Decimal, signed: Decimal) -> str:
    """The venue's word for what a fill did to a position."""
    end = start + signed
    if start > 0 > end:
        return "Long > Short"
    if start < 0 < end:
        return "Short > Long"
    if start * signed >= 0:
        return "Open Long" if signed > 0 else "Open Short"
    return "Close Long" if start > 0 else "Close Short"


def move(floor: Floor, account: Account, coin: str, signed: Decimal, px: Decimal) -> tuple[Decimal, Decimal]:
    """Change a position by ``signed`` at ``px``, cash included; (position before, profit realised)."""
    position = account.positions.get(coin)
    if position is None:
        position = _opened(floor, account, coin)
    start = position.szi
    pnl = ZERO
    opening = signed
    if start * signed < 0:
        closing = min(abs(signed), abs(start)).copy_sign(signed)
        opening = signed - closing
        pnl = _close(account, position, closing, px)
        if position.szi == 0:
            position.funding_since_open = ZERO
    if opening != 0:
        _open(account, position, opening, px)
    position.funding_since_change = ZERO
    if position.szi == 0:
        account.usd += position.isolated_usd
        del account.positions[coin]
        floor.positions.get(coin, set()).discard(account.address)
    else:
        position.entry_px = (position.cost / position.szi).quantize(MICRO)
    return start, pnl


def _opened(floor: Floor, account: Account, coin: str) -> Position:
    if account.address in (HOUSE, BACKSTOP):
        is_cross, leverage = True, 1
    else:
        is_cross, leverage = chosen_leverage(account, floor.instruments[coin])
    position = Position(coin, is_cross=is_cross, leverage=leverage)
    position.funding_all_time = account.funding_totals.get(coin, ZERO)
    account.positions[coin] = position
    if account.address != HOUSE:
        floor.positions.setdefault(coin, set()).add(account.address)
    return position


def _open(account: Account, position: Position, opening: Decimal, px: Decimal) -> None:
    cost = opening * px
    position.szi += opening
    position.cost += cost
    if position.is_cross:
        account.usd -= cost
        return
    margin = (abs(cost) / position.leverage).quantize(MICRO, rounding=ROUND_CEILING)
    if not any(p.is_cross for p in account.positions.values()):
        margin = min(margin, max(ZERO, account.usd))  # a fill beyond the mark never leaves the cross side in debt
    account.usd -= margin
    position.isolated_usd += margin - cost


def _close(account: Account, position: Position, closing: Decimal, px: Decimal) -> Decimal:
    whole = -closing == position.szi
    share = -closing / position.szi
    cost = position.cost if whole else (position.cost * share).quantize(MICRO)
    cash = -closing * px
    if position.is_cross:
        account.usd += cash
    else:
        equity = position.isolated_usd + position.szi * px
        released = equity if whole else max(ZERO, (equity * share).quantize(MICRO))
        position.isolated_usd += cash - released
        account.usd += released
    position.szi += closing
    position.cost -= cost
    return cash - cost


def book_fill(
    floor: Floor,
    account: Account,
    order: VenueOrder,
    sz: Decimal,
    px: Decimal,
    *,
    crossed: bool,
    tid: int,
    stamp: str,
    ns: int,
    liquidation: dict[str, str] | None = None,
    free: bool = False,
) -> FillRecord:
    """Book one side of a trade on a user's account and publish it. ``free`` charges no fee (backstop, ADL)."""
    ntl = sz * px
    charged = ZERO if free else fee(floor, account, ntl, crossed)
    extra = ZERO if free else builder_fee(ntl, order.builder)
    start, pnl = move(floor, account, order.coin, order.side.sign * sz, px)
    _charge(floor, account, order.coin, charged, extra, order.builder)
    account.realised += pnl - charged - extra
    if not free:
        count_volume(floor, account, ntl, crossed)
    record = FillRecord(
        coin=order.coin,
        px=px,
        sz=sz,
        side=order.side,
        ns=ns,
        start_position=start,
        dir=direction(start, order.side.sign * sz),
        closed_pnl=pnl,
        hash=stamp,
        oid=order.oid,
        crossed=crossed,
        fee=charged + extra,
        tid=tid,
        cloid=order.cloid,
        twap_id=order.twap_id,
        builder_fee=extra if extra else None,
        liquidation=liquidation,
    )
    remember_fill(floor, account, record)
    return record


def _charge(
    floor: Floor, account: Account, coin: str, charged: Decimal, extra: Decimal, builder: tuple[str, int] | None
) -> None:
    total = charged + extra
    position = account.positions.get(coin)
    if position is not None and not position.is_cross and account.usd < total:
        position.isolated_usd -= total
    else:
        account.usd -= total
    account.fees_paid += total
    floor.counters.fees += charged
    if extra and builder is not None:
        pot = floor.counters.builder_fees
        pot[builder[0]] = pot.get(builder[0], ZERO) + extra


def remember_fill(floor: Floor, account: Account, record: FillRecord) -> None:
    """Keep a fill in the bounded history and publish it."""
    account.fills.append(record)
    spare = floor.settings.kept_fills // 10 + 1
    if len(account.fills) > floor.settings.kept_fills + spare:
        del account.fills[:spare]
    floor.block.fills.append((account.address, record))
    if record.twap_id is not None:
        floor.block.twap_fills.append((account.address, record.twap_id, record))
    floor.moved[account.address, record.coin] = None
    floor.touch(account.address)


def book_house(floor: Floor, coin: str, side: Side, sz: Decimal, px: Decimal) -> None:
    """The background's side of a trade with a user: position and cash, no fee."""
    move(floor, floor.house, coin, side.sign * sz, px)
