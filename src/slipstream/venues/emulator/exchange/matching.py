"""From the matching engine's rings to accounts: who traded, at what price, and what became of the orders."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any

from slipstream.lob.book import BUY
from slipstream.model.grid import price_of_tick, units_of_tick
from slipstream.model.instrument import Instrument, Side
from slipstream.venues.emulator.exchange import registry
from slipstream.venues.emulator.exchange.booking import book_fill, book_house
from slipstream.venues.emulator.exchange.floor import HOUSE, Floor
from slipstream.venues.emulator.state import ZERO, PublicTrade, Status, VenueOrder


@lru_cache(maxsize=1 << 17)
def tick_price(tick: int, decimals: int) -> Decimal:
    """The price of a tick, remembered."""
    return Decimal(units_of_tick(tick, decimals)).scaleb(-decimals)


class Executed:
    """What an order got at once: size and notional."""

    __slots__ = ("ntl", "sz")

    def __init__(self) -> None:
        self.sz = ZERO
        self.ntl = ZERO


def drain(
    floor: Floor,
    coin: str,
    taker: VenueOrder | None = None,
    liquidation: dict[str, str] | None = None,
) -> tuple[Executed, list[VenueOrder]]:
    """Book everything the coin's book matched since the last call.

    ``taker`` is the user's order that was just placed, None after background flow. Returns what the taker got and
    the users' resting orders that filled completely (their children and siblings are the caller's business).
    """
    book = floor.books[coin]
    done = Executed()
    filled: list[VenueOrder] = []
    if book.record["fill_count"]:
        rows = book.fills()
        book.clear_fills()
        floor.market.printed(coin, rows)
        floor.block.books.append(coin)
        instrument = floor.instruments[coin]
        _count_volume(floor, instrument, rows)
        last = rows[-1]
        floor.contexts[coin].last = tick_price(int(last["tick"]), instrument.price_decimals)
        touching = (rows["maker_owner"] != 0) | (rows["taker_owner"] != 0)
        if touching.any():
            for row, ours in zip(rows, touching, strict=True):
                if ours:
                    _settle(floor, instrument, row, taker, done, filled, liquidation)
                else:
                    _print(floor, instrument, row, HOUSE, HOUSE, floor.stamp(coin, int(row["taker_tag"])), floor.tid())
        else:
            _print_background(floor, instrument, rows)
    if book.record["expired_count"]:
        gone = book.expired()
        book.clear_expired()
        floor.block.books.append(coin)
        for row in gone:
            order = floor.orders.get(int(row["tag"]))
            if order is not None:
                registry.delist(floor, order, Status.SELF_TRADE_CANCELED)
                for child in registry.waiting_children(floor, order):
                    registry.delist(floor, child, Status.SELF_TRADE_CANCELED)
    return done, filled


def _settle(
    floor: Floor,
    instrument: Instrument,
    row: Any,
    taker: VenueOrder | None,
    done: Executed,
    filled: list[VenueOrder],
    liquidation: dict[str, str] | None,
) -> None:
    coin = instrument.coin
    px = tick_price(int(row["tick"]), instrument.price_decimals)
    sz = instrument.from_lots(int(row["lots"]))
    tid = floor.tid()
    ns = int(row["ns"])
    side = Side.BUY if int(row["taker_side"]) == BUY else Side.SELL
    stamp = floor.action_hash if taker is not None else floor.stamp(coin, int(row["taker_tag"]))
    maker_user = taker_user = HOUSE
    if int(row["taker_owner"]) == 0:
        book_house(floor, coin, side, sz, px)
    else:
        assert taker is not None, "a user's order traded outside a user's action"
        taker_user = taker.user
        done.sz += sz
        done.ntl += sz * px
        taker.sz -= sz
        account = floor.accounts[taker.user]
        book_fill(floor, account, taker, sz, px, crossed=True, tid=tid, stamp=stamp, ns=ns, liquidation=liquidation)
    if int(row["maker_owner"]) == 0:
        book_house(floor, coin, side.opposite, sz, px)
    else:
        maker = floor.orders[int(row["maker_tag"])]
        maker_user = maker.user
        registry.shrink(floor, maker, sz)
        account = floor.accounts[maker.user]
        book_fill(floor, account, maker, sz, px, crossed=False, tid=tid, stamp=stamp, ns=ns, liquidation=liquidation)
        if maker.sz == 0:
            registry.delist(floor, maker, Status.FILLED)
            filled.append(maker)
        else:
            registry.announce(floor, maker, Status.OPEN)
    _print(floor, instrument, row, maker_user, taker_user, stamp, tid)


def _print(floor: Floor, instrument: Instrument, row: Any, maker: str, taker: str, stamp: str, tid: int) -> None:
    bought = int(row["taker_side"]) == BUY
    floor.block.trades.append(
        PublicTrade(
            coin=instrument.coin,
            px=tick_price(int(row["tick"]), instrument.price_decimals),
            sz=instrument.from_lots(int(row["lots"])),
            side=Side.BUY if bought else Side.SELL,
            ns=int(row["ns"]),
            tid=tid,
            hash=stamp,
            buyer=taker if bought else maker,
            seller=maker if bought else taker,
        )
    )


def _print_background(floor: Floor, instrument: Instrument, rows: Any) -> None:
    """Prints between background orders: one per aggressor and price, the newest of a long block only."""
    coin = instrument.coin
    rows = rows[-floor.settings.kept_trades :]
    tags, ticks = rows["taker_tag"].tolist(), rows["tick"].tolist()
    lots, sides, times = rows["lots"].tolist(), rows["taker_side"].tolist(), rows["ns"].tolist()
    decimals = instrument.price_decimals
    start = 0
    for at in range(1, len(tags) + 1):
        if at < len(tags) and tags[at] == tags[start] and ticks[at] == ticks[start]:
            continue
        floor.block.trades.append(
            PublicTrade(
                coin=coin,
                px=tick_price(ticks[start], decimals),
                sz=instrument.from_lots(sum(lots[start:at])),
                side=Side.BUY if sides[start] == BUY else Side.SELL,
                ns=times[at - 1],
                tid=floor.tid(),
                hash=floor.stamp(coin, tags[start]),
                buyer=HOUSE,
                seller=HOUSE,
            )
        )
        start = at


def _count_volume(floor: Floor, instrument: Instrument, rows: Any) -> None:
    decimals = instrument.price_decimals
    px = price_of_tick(int(rows[0]["tick"]), decimals)
    if int(rows[0]["tick"]) != int(rows[-1]["tick"]):
        px = (px + price_of_tick(int(rows[-1]["tick"]), decimals)) / 2
    usd = px * float(rows["lots"].sum()) * 10.0**-instrument.size_decimals
    volume = floor.counters.exchange_volume
    date = floor.today
    volume[date] = volume.get(date, ZERO) + Decimal(int(usd))
    if len(volume) > 30:
        del volume[min(volume)]
