"""A restored exchange goes on as if nothing had happened; idle blocks are cheap."""

from __future__ import annotations

from decimal import Decimal
from time import process_time

import pytest
from street import ALICE, BOB, BTC, DOGE, ETH, ISO, SECOND, START_NS, Desk, Street, order
from test_money import Session, check_books, check_money

from slipstream.lob.book import Book
from slipstream.model.instrument import Instrument
from slipstream.venues.emulator.exchange import Exchange, queries
from slipstream.venues.emulator.market.synthetic import SyntheticMarket

PRICES = {BTC: "100000", ETH: "4000", DOGE: "0.2", ISO: "10"}


def restored(desk: Desk) -> Exchange:
    street = desk.street
    street.books = {coin: Book.load(book.dump()) for coin, book in street.books.items()}
    return Exchange.load(desk.exchange.dump(), street)


def test_a_snapshot_is_a_fixed_point() -> None:
    session = Session(21, 0.004)
    session.run(25)
    data = session.exchange.dump()
    again = restored(session.desk)
    assert again.dump() == data
    check_money(again)
    check_books(again)


def test_a_restored_exchange_goes_on() -> None:
    desk = Desk(Street(PRICES))
    desk.exchange.faucet(ALICE)
    desk.exchange.faucet(BOB)
    bracket = [
        order(0, "buy", "99900", "0.2", cloid="0x" + "1" * 32),
        order(0, "sell", "95000", "0.2", reduce_only=True, trigger=("tp", "101000", True)),
    ]
    desk.place(ALICE, *bracket, grouping="normalTpsl")
    desk.place(ALICE, order(0, "sell", "95000", "0.1", trigger=("sl", "99000", True)))
    nonce = desk.nonce
    desk.exchange = restored(desk)
    answer = desk.do(ALICE, {"type": "noop"}, nonce=nonce)
    assert "duplicate nonce" in answer["response"]
    [status] = desk.place(BOB, order(0, "sell", "99900", "12", "Ioc"))
    assert "filled" in status
    assert desk.exchange.accounts[ALICE].positions["BTC"].szi == Decimal("0.2")
    assert set(desk.exchange.floor.triggers["BTC"]) == {2, 3}
    desk.street.quote("BTC", Decimal(101_500))
    desk.step(3)
    assert "BTC" not in desk.exchange.accounts[ALICE].positions
    found = queries.order_status(desk.exchange, ALICE, "0x" + "1" * 32)
    assert found is not None and found.status.value == "filled"
    check_money(desk.exchange)


def test_a_restored_venue_continues_the_identical_tape() -> None:
    market = SyntheticMarket(("BTC", "SOL"), 9, START_NS, days=2)
    session = Session(32, 0.0, market)
    session.run(25)
    first = session.exchange
    second = Exchange.load(first.dump(), SyntheticMarket.load(market.dump()))
    for seconds in [0.1] * 30 + [7.0] * 5 + [3_600.0]:
        blocks = [e.step(e.now_ns + int(seconds * SECOND)) for e in (first, second)]
        assert blocks[0].trades == blocks[1].trades
        assert blocks[0].fills == blocks[1].fills
    assert first.dump() == second.dump()


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x81\xa6format\x09"])
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="snapshot"):
        Exchange.load(data, Street(PRICES))


def test_an_idle_block_of_twenty_five_coins_is_cheap() -> None:
    coins = {Instrument(f"C{n}", n, 2, 20): "100" for n in range(25)}
    desk = Desk(Street(coins, levels=5))
    desk.exchange.faucet(ALICE)
    desk.place(ALICE, *(order(n, "buy", "99", "1") for n in range(25)))
    desk.step(60)
    times = []
    for _ in range(200):
        start = process_time()
        desk.step()
        times.append(process_time() - start)
    assert sorted(times)[50] < 0.001
