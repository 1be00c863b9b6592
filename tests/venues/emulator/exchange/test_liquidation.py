"""Margin figures, liquidation in its three stages, and orders whose margin went away."""

from __future__ import annotations

from decimal import Decimal

import pytest
from street import ALICE, BOB, BTC, DOGE, ETH, ISO, Desk, Street, order

from slipstream.lob.book import SELL
from slipstream.venues.emulator.exchange import ExchangeSettings, margin, queries
from slipstream.venues.emulator.exchange.floor import BACKSTOP
from slipstream.venues.emulator.exchange.ledger import money_held, money_put_in
from slipstream.venues.emulator.state import Block

PRICES = {BTC: "100000", ETH: "4000", DOGE: "0.2", ISO: "10"}


@pytest.fixture
def desk() -> Desk:
    desk = Desk(Street(PRICES))
    desk.exchange.deposit(ALICE, Decimal(5_000))
    desk.exchange.deposit(BOB, Decimal(50_000))
    desk.do(ALICE, {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 40})
    return desk


def long(desk: Desk, sz: str = "1") -> None:
    assert "filled" in desk.place(ALICE, order(0, "buy", "100100", sz, "Ioc"))[0]


def crash(desk: Desk, px: str) -> Block:
    desk.street.quote("BTC", Decimal(px))
    return desk.step(3)


def methods(block: Block) -> list[str]:
    return [f.liquidation["method"] for user, f in block.fills if user == ALICE and f.liquidation]


def conserved(desk: Desk) -> bool:
    return money_held(desk.exchange.floor) == money_put_in(desk.exchange.floor)


def test_the_identities_of_a_margin_summary(desk: Desk) -> None:
    long(desk)
    desk.place(ALICE, order(1, "sell", "3990", "2", "Ioc"))
    crash(desk, "99500")
    state = queries.clearinghouse(desk.exchange, ALICE)
    signed = sum(v.value * (1 if v.position.szi > 0 else -1) for v in state.positions)
    assert state.total.account_value == state.total.raw_usd + signed
    assert state.total.margin_used == sum(v.value / v.position.leverage for v in state.positions)
    btc = state.positions[0]
    mark = desk.exchange.contexts["BTC"].mark
    assert btc.unrealised == btc.position.szi * (mark - btc.position.entry_px)
    assert btc.return_on_equity == btc.unrealised / (btc.position.cost / 40)
    assert state.cross_maintenance == btc.value / 80 + state.positions[1].value / 50


def test_the_liquidation_price_is_where_equity_meets_maintenance(desk: Desk) -> None:
    long(desk)
    px = queries.clearinghouse(desk.exchange, ALICE).positions[0].liquidation_px
    assert px is not None
    account = desk.exchange.accounts[ALICE]
    desk.exchange.contexts["BTC"].mark = px
    gap = margin.cross_value(desk.exchange.floor, account) - margin.maintenance_cross(desk.exchange.floor, account)
    assert abs(gap) < Decimal("1e-15")


def test_below_maintenance_the_book_comes_first(desk: Desk) -> None:
    long(desk)
    desk.place(ALICE, order(1, "buy", "3900", "0.1"))
    block = crash(desk, "96100")  # equity about 1,050, maintenance 1,201
    assert set(methods(block)) == {"market"}
    assert "BTC" not in desk.exchange.accounts[ALICE].positions
    assert desk.exchange.accounts[ALICE].usd > 0
    assert [u.status.value for u in block.updates if u.order.coin == "ETH"] == ["liquidatedCanceled"]
    kinds = [row.delta for user, row in block.ledger if user == ALICE]
    assert kinds[0]["type"] == "liquidation" and kinds[0]["liquidatedPositions"] == [{"coin": "BTC", "szi": "1.00000"}]
    assert any("liquidation" in event for user, event in block.user_events if user == ALICE)
    assert conserved(desk)


def test_a_large_position_goes_by_a_fifth_first() -> None:
    desk = Desk(Street(PRICES, lots_usd=5_000_000))
    desk.exchange.deposit(ALICE, Decimal(50_000))
    desk.do(ALICE, {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 40})
    long(desk, "10")
    crash(desk, "96150")
    account = desk.exchange.accounts[ALICE]
    assert account.positions["BTC"].szi == 8
    # the fifth was not enough: nothing more for thirty seconds, then everything
    crash(desk, "95900")
    assert account.positions["BTC"].szi == 8
    desk.step(30)
    assert "BTC" not in account.positions and account.usd > 0 and conserved(desk)


def test_an_empty_book_leaves_it_to_the_vault(desk: Desk) -> None:
    long(desk)
    block = crash(desk, "95700")  # equity about 650 < 2/3 of 1,196
    vault = desk.exchange.accounts[BACKSTOP]
    assert methods(block) == ["backstop"]
    account = desk.exchange.accounts[ALICE]
    assert (account.usd, account.positions) == (0, {})
    # whatever the vault has not sold on already is its position now, and the margin came with it
    assert conserved(desk)
    desk.step(60)
    assert vault.positions == {} and vault.usd > 10_000_000


def test_a_bankrupt_account_is_closed_against_the_other_side(desk: Desk) -> None:
    long(desk)
    desk.place(BOB, order(0, "sell", "99990", "0.4", "Ioc"))
    before = desk.exchange.accounts[BACKSTOP].usd
    crash(desk, "90000")  # equity about -5,000
    account, winner = desk.exchange.accounts[ALICE], desk.exchange.accounts[BOB]
    assert account.positions == {} and 0 <= account.usd < Decimal("0.2")
    assert "BTC" not in winner.positions
    fill = winner.fills[-1]
    assert fill.closed_pnl > 0 and fill.fee == 0 and fill.px > 95_000  # worse than the mark: the deficit is his
    assert desk.exchange.accounts[BACKSTOP].usd == before and conserved(desk)


def test_deleveraging_ranks_by_profit_and_leverage(desk: Desk) -> None:
    rich = "0x" + "e" * 40
    desk.exchange.deposit(rich, Decimal(1_000_000))
    long(desk)
    desk.place(BOB, order(0, "sell", "99990", "0.4", "Ioc"))
    desk.place(rich, order(0, "sell", "99990", "0.8", "Ioc"))
    crash(desk, "90000")
    assert "BTC" not in desk.exchange.accounts[BOB].positions
    assert desk.exchange.accounts[rich].positions["BTC"].szi == Decimal("-0.2")


def test_an_isolated_position_dies_alone() -> None:
    desk = Desk(Street(PRICES))
    desk.exchange.deposit(ALICE, Decimal(50_000))
    desk.do(ALICE, {"type": "updateLeverage", "asset": 0, "isCross": False, "leverage": 40})
    long(desk)
    desk.place(ALICE, order(1, "buy", "4010", "1", "Ioc"))
    account = desk.exchange.accounts[ALICE]
    usd = account.usd
    block = crash(desk, "90000")
    assert "BTC" not in account.positions and account.positions["ETH"].szi == 1
    assert usd <= account.usd < usd + 1  # the isolated margin is gone, the rest untouched
    assert block.ledger[0][1].delta["leverageType"] == "Isolated" and conserved(desk)


def test_shorts_too(desk: Desk) -> None:
    desk.place(ALICE, order(0, "sell", "99900", "1", "Ioc"))
    crash(desk, "250000")
    account = desk.exchange.accounts[ALICE]
    assert account.positions == {} and 0 <= account.usd < 1 and conserved(desk)


def test_a_resting_order_is_cancelled_when_its_margin_is_gone(desk: Desk) -> None:
    long(desk)
    statuses = desk.place(ALICE, order(1, "buy", "3900", "5"), order(1, "buy", "3800", "5"))
    assert ["resting" in s for s in statuses] == [True, True]
    block = crash(desk, "99000")
    told = [(u.order.limit_px, u.status.value) for u in block.updates]
    assert told[0] == (3800, "marginCanceled")
    assert margin.free_margin(desk.exchange.floor, desk.exchange.accounts[ALICE]) >= 0
    assert desk.exchange.accounts[ALICE].positions["BTC"].szi == 1


def test_the_tier_deduction_keeps_maintenance_continuous() -> None:
    edge = Decimal(150_000_000)
    assert BTC.maintenance_margin(edge) == edge / 80
    assert BTC.maintenance_margin(edge + 1) - BTC.maintenance_margin(edge) == Decimal(1) / 40


def test_liquidations_can_be_seen_by_the_maker(desk: Desk) -> None:
    long(desk)
    desk.street.quote("BTC", Decimal(96_100))
    for handle in desk.street.ladders["BTC"]:
        desk.street.books["BTC"].cancel(handle)
    desk.place(BOB, order(0, "buy", "96050", "1", "Alo"))
    desk.step(3)
    fill = desk.exchange.accounts[BOB].fills[-1]
    assert fill.liquidation is not None and fill.liquidation["liquidatedUser"] == ALICE and not fill.crossed
    assert fill.fee == Decimal("14.4075")


def test_the_backstop_is_no_one_elses(desk: Desk) -> None:
    assert not desk.exchange.faucet(BACKSTOP)
    transfer = {"type": "vaultTransfer", "vaultAddress": BACKSTOP, "isDeposit": True, "usd": 1}
    assert desk.do(BOB, transfer)["response"] == f"Vault not registered: {BACKSTOP}"
    refused = desk.do(BACKSTOP, {"type": "noop"})
    assert refused["response"] == f"User or API Wallet {BACKSTOP} does not exist."
    assert desk.street.sweep("BTC", SELL, "0.1") < 0


def test_fee_tiers_move_with_the_volume_of_the_last_days() -> None:
    desk = Desk(Street(PRICES), ExchangeSettings(sub_account_volume=Decimal(0)))
    desk.exchange.faucet(ALICE)
    sub = desk.do(ALICE, {"type": "createSubAccount", "name": "s"})["response"]["data"]
    account = desk.exchange.accounts[ALICE]
    account.daily_volume[desk.exchange.floor.today] = (Decimal(6_000_000), Decimal(0))
    assert queries.fee_state(desk.exchange, ALICE).cross == Decimal("0.00045")  # today counts from tomorrow on
    for _ in range(24):
        desk.step(3_600)
    assert queries.fee_state(desk.exchange, ALICE).cross == Decimal("0.0004")
    assert queries.fee_state(desk.exchange, sub).cross == Decimal("0.0004")
    yesterday = min(account.daily_volume)
    account.daily_volume[yesterday] = (Decimal(1), Decimal(150_000_000))
    desk.exchange.floor.counters.exchange_volume[yesterday] = Decimal(1_000_000_000)
    desk.exchange.floor.rates.clear()
    state = queries.fee_state(desk.exchange, ALICE)
    assert (state.cross, state.add) == (Decimal("0.0003"), Decimal("-0.00003"))
    desk.place(ALICE, order(0, "sell", "100001", "0.1", "Alo"))
    desk.street.sweep("BTC", 1, "0.6")
    desk.step()
    assert account.fills[-1].fee == Decimal("-0.300003")
    assert conserved(desk)


def test_a_debt_of_ones_own_making_falls_on_the_vault(desk: Desk) -> None:
    """Selling into a hole between two mark prices can leave less than nothing."""
    long(desk)
    desk.street.quote("BTC", Decimal(90_000))
    desk.step(0.1)  # no mark price yet: no liquidation
    desk.place(ALICE, order(0, "sell", "89900", "1", "Ioc", reduce_only=True))
    assert desk.exchange.accounts[ALICE].usd < -5_000
    desk.step(3)
    assert desk.exchange.accounts[ALICE].usd == 0
    assert desk.exchange.accounts[BACKSTOP].usd < 10_000_000 - 5_000 and conserved(desk)


def test_an_isolated_fill_beyond_the_mark_leaves_no_debt() -> None:
    desk = Desk(Street(PRICES, lots_usd=5_000))
    desk.exchange.deposit(ALICE, Decimal(1_000))
    desk.do(ALICE, {"type": "updateLeverage", "asset": 2, "isCross": False, "leverage": 10})
    [status] = desk.place(ALICE, order(2, "buy", "0.21", "49000", "FrontendMarket"))
    assert "filled" in status
    account = desk.exchange.accounts[ALICE]
    assert account.usd >= 0 and conserved(desk)
