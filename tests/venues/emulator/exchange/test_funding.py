"""Funding, mark price and impact prices."""

from __future__ import annotations

from decimal import Decimal

import pytest
from street import ALICE, BOB, BTC, DOGE, ETH, ISO, SECOND, START_NS, Desk, Street, order

from slipstream.venues.emulator.exchange import ExchangeSettings
from slipstream.venues.emulator.exchange.funding import hourly_rate, premium_of
from slipstream.venues.emulator.exchange.prices import impact_price, median3, nearest_price

PRICES = {BTC: "100000", ETH: "4000", DOGE: "0.2", ISO: "10"}
HOUR_MS = 3_600_000


@pytest.fixture
def desk() -> Desk:
    desk = Desk(Street(PRICES))
    desk.exchange.faucet(ALICE)
    desk.exchange.faucet(BOB)
    return desk


@pytest.mark.parametrize(
    ("premium", "rate"),
    [
        ("0", "0.0000125"),
        ("0.0005", "0.0000125"),  # within the clamp the interest rate rules
        ("0.001", "0.0000625"),
        ("-0.001", "-0.0000625"),
        ("0.5", "0.04"),
        ("-0.5", "-0.04"),
    ],
)
def test_the_hourly_rate(premium: str, rate: str) -> None:
    assert hourly_rate(Decimal(premium), ExchangeSettings()) == Decimal(rate)


def test_the_premium_needs_impact_prices_beyond_the_oracle() -> None:
    oracle = Decimal(100)
    assert premium_of(Decimal(99), Decimal(101), oracle) == 0
    assert premium_of(Decimal(101), Decimal(102), oracle) == Decimal("0.01")
    assert premium_of(Decimal(97), Decimal(98), oracle) == Decimal("-0.02")


def test_impact_prices_average_what_a_notional_takes(desk: Desk) -> None:
    # each level holds 50,000 USD; 75,000 takes one and a half of them
    px = impact_price(desk.exchange.floor, BTC, -1, Decimal(75_000))
    assert px is not None and abs(px - Decimal("100001.333")) < Decimal("0.01")


def test_longs_pay_shorts_and_the_background_is_the_other_side(desk: Desk) -> None:
    desk.place(ALICE, order(0, "buy", "100010", "1", "Ioc"))
    desk.place(BOB, order(0, "sell", "99990", "0.4", "Ioc"))
    house = desk.exchange.floor.house.usd
    block = desk.step(3_600)
    rows = dict(block.fundings)
    # 0.01 % per eight hours of 100,000 USD is 1.25 an hour
    assert (rows[ALICE].usdc, rows[ALICE].rate) == (Decimal("-1.25"), Decimal("0.0000125"))
    assert rows[BOB].usdc == Decimal("0.5")
    assert desk.exchange.floor.house.usd - house == Decimal("0.75")
    held = desk.exchange.accounts[ALICE].positions["BTC"]
    assert held.funding_all_time == held.funding_since_open == Decimal("1.25")
    assert rows[ALICE].ns % (3_600 * SECOND) == 0


def test_isolated_positions_pay_from_their_own_margin(desk: Desk) -> None:
    desk.do(ALICE, {"type": "updateLeverage", "asset": 0, "isCross": False, "leverage": 10})
    desk.place(ALICE, order(0, "buy", "100010", "1", "Ioc"))
    account = desk.exchange.accounts[ALICE]
    usd, margin = account.usd, account.positions["BTC"].isolated_usd
    desk.step(3_600)
    assert account.usd == usd and account.positions["BTC"].isolated_usd == margin - Decimal("1.25")


def test_a_fast_clock_skips_no_hour_and_no_sample(desk: Desk) -> None:
    desk.place(ALICE, order(0, "buy", "100010", "1", "Ioc"))
    block = desk.step(5 * 3_600)
    mine = [row for user, row in block.fundings if user == ALICE]
    assert len(mine) == 5 and len({row.ns for row in mine}) == 5
    assert [ns for coin, _, _, ns in desk.street.rates if coin == "BTC"] == [row.ns for row in mine]
    context = desk.exchange.contexts["BTC"]
    into_hour = desk.now_ms % HOUR_MS // 1_000
    assert context.premium_count == into_hour // 5


def test_slow_and_fast_blocks_agree() -> None:
    results = []
    for seconds in (1.0, 60.0):
        desk = Desk(Street(PRICES))
        desk.exchange.faucet(ALICE)
        desk.place(ALICE, order(0, "buy", "100010", "1", "Ioc"))
        while desk.exchange.now_ns < START_NS + 7_200 * SECOND:
            desk.exchange.step(min(desk.exchange.now_ns + int(seconds * SECOND), START_NS + 7_200 * SECOND))
        results.append([(f.usdc, f.rate, f.ns) for f in desk.exchange.accounts[ALICE].fundings])
    assert results[0] == results[1] and len(results[0]) == 2


def test_a_premium_moves_the_rate(desk: Desk) -> None:
    desk.street.quote("ETH", Decimal(4_020))
    desk.street.px["ETH"] = Decimal(4_000)  # the oracle stays 0.5 % below the book
    desk.step(3_600)
    [(rate, premium)] = [(r, p) for coin, r, p, _ in desk.street.rates if coin == "ETH"]
    assert Decimal("0.0048") < premium < Decimal("0.0052")
    assert abs(rate - (premium - Decimal("0.0005")) / 8) < Decimal("1e-8")


def test_the_mark_is_a_median(desk: Desk) -> None:
    assert median3(3, 1, 2) == median3(1, 2, 3) == median3(2, 3, 1) == 2
    desk.step(60)
    # the book leaves, the oracle and the other venues do not follow: the mark stays with them
    desk.street.quote("BTC", Decimal(110_000))
    desk.street.px["BTC"] = Decimal(100_000)
    desk.step(3)
    context = desk.exchange.contexts["BTC"]
    assert context.mid == Decimal(110_000)
    assert Decimal(100_000) <= context.mark < Decimal(101_000)


def test_an_empty_side_has_no_mid_and_no_premium(desk: Desk) -> None:
    for handle in desk.street.ladders["DOGE"]:
        desk.street.books["DOGE"].cancel(handle)
    desk.step(5)
    context = desk.exchange.contexts["DOGE"]
    assert (context.mid, context.premium, context.impact_bid, context.impact_ask) == (None,) * 4
    assert context.mark == Decimal("0.2")


@pytest.mark.parametrize(("px", "decimals", "expected"), [(97_901.4, 1, "97901"), (0.123456, 6, "0.12346")])
def test_marks_are_legal_prices(px: float, decimals: int, expected: str) -> None:
    assert nearest_price(px, decimals) == Decimal(expected)
