"""Placing, matching, cancelling and replacing orders: the venue's answers, word for word."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from street import ALICE, BOB, BTC, CAROL, DOGE, ETH, ISO, Desk, Street, order

from slipstream.lob.book import BUY, SELL
from slipstream.venues.emulator.exchange import ExchangeSettings, Malformed, queries
from slipstream.venues.emulator.state import Status

PRICES = {BTC: "100000", ETH: "4000", DOGE: "0.2", ISO: "10"}
CLOID = "0x" + "ab" * 16


@pytest.fixture
def desk() -> Desk:
    desk = Desk(Street(PRICES))
    for user in (ALICE, BOB, CAROL):
        desk.exchange.faucet(user)
    return desk


def cancel(asset: int, oid: int) -> dict[str, Any]:
    return {"type": "cancel", "cancels": [{"a": asset, "o": oid}]}


def updates(desk: Desk, user: str) -> list[tuple[int, str]]:
    return [(u.order.oid, u.status.value) for b in desk.blocks for u in b.updates if u.user == user]


def position(desk: Desk, user: str, coin: str = "BTC") -> Decimal:
    found = desk.exchange.accounts[user].positions.get(coin)
    return found.szi if found else Decimal(0)


def test_an_ioc_takes_the_book_and_pays_the_taker_fee(desk: Desk) -> None:
    status = desk.place(ALICE, order(0, "buy", "100100", "0.75", "Ioc", cloid=CLOID))
    # 0.5 rests at 100001, the rest is taken at 100002
    assert status == [{"filled": {"totalSz": "0.75", "avgPx": "100001.333333", "oid": 1, "cloid": CLOID}}]
    first, second = desk.exchange.accounts[ALICE].fills
    assert (first.px, first.sz, second.px, second.sz) == (100001, Decimal("0.5"), 100002, Decimal("0.25"))
    assert first.fee == Decimal("22.500225")
    assert (first.dir, first.start_position, second.start_position) == ("Open Long", 0, Decimal("0.5"))
    assert first.tid != second.tid and first.hash == second.hash and first.crossed


def test_the_fee_is_truncated_to_six_decimals() -> None:
    """The recorded venue fill: 0.0025 at 4307.4 costs 0.004845, not 0.00484583."""
    street = Street({ETH: "4307.4"}, levels=0)
    desk = Desk(street)
    desk.exchange.faucet(ALICE)
    desk.exchange.faucet(BOB)
    desk.place(BOB, order(1, "sell", "4307.4", "0.0025", "Alo"))
    desk.place(ALICE, order(1, "buy", "4307.4", "0.0025", "Ioc"))
    desk.place(BOB, order(1, "buy", "4303.7", "0.0025", "Alo", reduce_only=True))
    desk.place(ALICE, order(1, "sell", "4303.7", "0.0025", "Ioc", reduce_only=True))
    opened, closed = desk.exchange.accounts[ALICE].fills
    assert (opened.fee, closed.fee) == (Decimal("0.004845"), Decimal("0.004841"))
    assert (closed.dir, closed.closed_pnl) == ("Close Long", Decimal("-0.00925"))
    assert opened.tid == desk.exchange.accounts[BOB].fills[0].tid


@pytest.mark.parametrize(
    ("wire", "text", "status"),
    [
        (order(0, "buy", "99999.5", "0.01"), "Price must be divisible by tick size.", Status.TICK_REJECTED),
        (order(0, "buy", "99000", "0.00009"), "Order must have minimum value of $10.", Status.MIN_TRADE_NTL_REJECTED),
        (order(0, "buy", "99000", "0.000001"), "Order has invalid size.", Status.REJECTED),
        (order(0, "buy", "99000", "0"), "Order has zero size.", Status.REJECTED),
        (order(0, "buy", "0", "1"), "Order has invalid price.", Status.REJECTED),
        (
            order(0, "buy", "19999", "0.01"),
            "Order price cannot be more than 80% away from the reference price",
            Status.ORACLE_REJECTED,
        ),
        (order(0, "buy", "99000", "21"), "Insufficient margin to place order.", Status.PERP_MARGIN_REJECTED),
        (
            order(0, "sell", "99000", "0.1", reduce_only=True),
            "Reduce only order would increase position.",
            Status.REDUCE_ONLY_REJECTED,
        ),
        (
            order(0, "buy", "100050", "0.01", "Alo"),
            "Post only order would have immediately matched, bbo was 99999.0@100001.0.",
            Status.BAD_ALO_PX_REJECTED,
        ),
        (
            order(0, "buy", "99000", "0.01", "Ioc"),
            "Order could not immediately match against any resting orders.",
            Status.IOC_CANCEL_REJECTED,
        ),
        (
            order(0, "buy", "99000", "0.01", "FrontendMarket"),
            "No liquidity available for market order.",
            Status.MARKET_ORDER_NO_LIQUIDITY_REJECTED,
        ),
        (
            order(0, "sell", "99000", "0.01", trigger=("sl", "100500", True)),
            "Invalid TP/SL price.",
            Status.BAD_TRIGGER_PX_REJECTED,
        ),
    ],
)
def test_refusals(desk: Desk, wire: dict[str, Any], text: str, status: Status) -> None:
    wire["c"] = CLOID
    assert desk.place(ALICE, wire) == [{"error": f"{text} asset=0"}]
    found = queries.order_status(desk.exchange, ALICE, CLOID)
    assert found is not None and found.status is status
    assert desk.exchange.accounts[ALICE].open_orders == {}
    assert desk.exchange.accounts[ALICE].fills == []


def test_margin_tiers_bound_the_position(desk: Desk) -> None:
    desk.exchange.deposit(ALICE, Decimal(50_000_000))
    desk.do(ALICE, {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 40})
    text = "Order would cause position to exceed margin tier limit at current leverage asset=0"
    assert desk.place(ALICE, order(0, "buy", "99000", "1600")) == [{"error": text}]


def test_a_batch_answers_order_by_order(desk: Desk) -> None:
    bad, good = order(0, "buy", "99999.5", "0.01"), order(1, "buy", "3990", "0.1")
    first, second = desk.place(ALICE, bad, good)
    assert first == {"error": "Price must be divisible by tick size. asset=0"} and second == {"resting": {"oid": 2}}
    assert desk.do(ALICE, {"type": "order", "orders": [], "grouping": "na"}) == {
        "status": "err",
        "response": "Orders are empty.",
    }


def test_a_tick_error_may_fail_the_whole_batch() -> None:
    desk = Desk(Street(PRICES), ExchangeSettings(tick_error_fails_batch=True))
    desk.exchange.faucet(ALICE)
    statuses = desk.place(ALICE, order(1, "buy", "3990", "0.1"), order(0, "buy", "99999.5", "0.01"))
    assert statuses == [{"error": "Price must be divisible by tick size. asset=0"}] * 2


@pytest.mark.parametrize(
    "action",
    [
        {"type": "frobnicate"},
        {"type": "order"},
        {"type": "order", "orders": [{"a": 0}]},
        {"type": "order", "orders": [order(0, "buy", "-5", "1")]},
        {"type": "order", "orders": [order(0, "buy", "1e5", "1")]},
        {"type": "order", "orders": [order(0, "buy", "99000", "1", cloid="ab" * 16)]},
        {"type": "order", "orders": [{**order(0, "buy", "99000", "1"), "t": {}}]},
        {"type": "cancel", "cancels": [{"a": 0, "o": -1}]},
        {"type": "scheduleCancel", "time": 1 << 70},
        ["order"],
    ],
)
def test_what_cannot_be_read_is_malformed(desk: Desk, action: Any) -> None:
    with pytest.raises(Malformed):
        desk.send(ALICE, action)


def test_a_gtc_may_fill_in_part_and_rest(desk: Desk) -> None:
    desk = Desk(Street(PRICES, levels=1))
    desk.exchange.faucet(ALICE)
    [status] = desk.place(ALICE, order(0, "buy", "100001", "0.6"))
    assert status == {"filled": {"totalSz": "0.5", "avgPx": "100001.0", "oid": 1}}
    [live] = queries.open_orders(desk.exchange, ALICE)
    assert (live.oid, live.sz, live.orig_sz) == (1, Decimal("0.1"), Decimal("0.6"))


def test_the_background_fills_resting_orders(desk: Desk) -> None:
    [status] = desk.place(ALICE, order(0, "sell", "100001", "0.2", "Alo"))
    oid = status["resting"]["oid"]
    desk.street.sweep("BTC", BUY, "0.6")  # 0.5 of the background rests before us
    block = desk.step()
    [fill] = desk.exchange.accounts[ALICE].fills
    assert (fill.sz, fill.crossed, fill.dir) == (Decimal("0.1"), False, "Open Short")
    assert fill.fee == Decimal("1.500015")
    assert (oid, "open") == updates(desk, ALICE)[-1]
    assert [(t.sz, t.side.value, t.seller) for t in block.trades][-1] == (Decimal("0.1"), "B", ALICE)
    desk.street.sweep("BTC", BUY, "0.1")
    desk.step()
    assert updates(desk, ALICE)[-1] == (oid, "filled")
    assert desk.exchange.accounts[ALICE].open_orders == {} and position(desk, ALICE) == Decimal("-0.2")


def test_own_orders_never_trade_with_each_other(desk: Desk) -> None:
    desk = Desk(Street(PRICES, levels=0))
    desk.exchange.faucet(ALICE)
    desk.exchange.faucet(BOB)
    [mine] = desk.place(ALICE, order(0, "sell", "100001", "0.1", "Alo"))
    desk.place(BOB, order(0, "sell", "100001", "0.1", "Alo"))
    [status] = desk.place(ALICE, order(0, "buy", "100001", "0.1", "Ioc"))
    assert status["filled"]["totalSz"] == "0.1"
    assert (mine["resting"]["oid"], "selfTradeCanceled") in updates(desk, ALICE)
    assert len(desk.exchange.accounts[BOB].fills) == 1


def test_a_flip_is_one_fill(desk: Desk) -> None:
    desk.place(ALICE, order(0, "buy", "100001", "0.1", "Ioc"))
    desk.place(ALICE, order(0, "sell", "99999", "0.3", "Ioc"))
    fill = desk.exchange.accounts[ALICE].fills[-1]
    assert (fill.dir, fill.start_position, fill.closed_pnl) == ("Long > Short", Decimal("0.1"), Decimal("-0.2"))
    held = desk.exchange.accounts[ALICE].positions["BTC"]
    assert (held.szi, held.entry_px) == (Decimal("-0.2"), 99999)


def test_cancels(desk: Desk) -> None:
    [a, b] = desk.place(ALICE, order(0, "buy", "99000", "0.1", cloid=CLOID), order(1, "buy", "3900", "1"))
    answer = desk.do(ALICE, {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": CLOID}]})
    assert answer == {"status": "ok", "response": {"type": "cancel", "data": {"statuses": ["success"]}}}
    gone = [{"error": "Order was never placed, already canceled, or filled. asset=0"}]
    assert desk.do(ALICE, cancel(0, a["resting"]["oid"]))["response"]["data"]["statuses"] == gone
    assert desk.do(ALICE, cancel(0, b["resting"]["oid"]))["response"]["data"]["statuses"] == gone  # wrong asset
    assert desk.do(BOB, cancel(1, b["resting"]["oid"]))["response"]["data"]["statuses"][0] != "success"
    assert desk.do(ALICE, cancel(1, b["resting"]["oid"]))["response"]["data"]["statuses"] == ["success"]
    found = queries.order_status(desk.exchange, ALICE, CLOID.upper().replace("0X", "0x"))
    assert found is not None and found.status is Status.CANCELED


def test_a_modify_is_a_new_order_told_before_the_old_one_ends(desk: Desk) -> None:
    desk.place(ALICE, order(0, "buy", "99000", "0.1", cloid=CLOID))
    modify = {"type": "batchModify", "modifies": [{"oid": CLOID, "order": order(0, "buy", "98000", "0.2")}]}
    answer = desk.do(ALICE, modify)
    assert answer["response"] == {"type": "order", "data": {"statuses": [{"resting": {"oid": 2, "cloid": CLOID}}]}}
    assert updates(desk, ALICE) == [(1, "open"), (2, "open"), (1, "canceled")]
    assert desk.do(ALICE, {"type": "modify", "oid": 2, "order": order(0, "buy", "97000", "0.2")}) == {
        "status": "ok",
        "response": {"type": "default"},
    }
    late = desk.do(ALICE, {"type": "modify", "oid": 2, "order": order(0, "buy", "97000", "0.2")})
    assert late == {"status": "err", "response": "Cannot modify canceled or filled order asset=0"}


def test_a_refused_replacement_leaves_nothing(desk: Desk) -> None:
    desk.place(ALICE, order(0, "buy", "99000", "0.1"))
    modify = {"type": "batchModify", "modifies": [{"oid": 1, "order": order(0, "buy", "100100", "0.1", "Alo")}]}
    [status] = desk.do(ALICE, modify)["response"]["data"]["statuses"]
    assert status["error"].startswith("Error placing new order during modify: Post only order would")
    assert desk.exchange.accounts[ALICE].open_orders == {}


def test_reduce_only_is_capped_by_the_position(desk: Desk) -> None:
    desk.place(ALICE, order(0, "buy", "100001", "0.2", "Ioc"))
    [status] = desk.place(ALICE, order(0, "sell", "99990", "5", "Ioc", reduce_only=True))
    assert status["filled"]["totalSz"] == "0.2" and position(desk, ALICE) == 0


def test_the_older_reduce_only_order_gives_way(desk: Desk) -> None:
    desk.place(ALICE, order(0, "buy", "100001", "0.2", "Ioc"))
    desk.place(ALICE, order(0, "sell", "101000", "0.2", reduce_only=True))
    desk.place(ALICE, order(0, "sell", "102000", "0.15", reduce_only=True))
    assert (2, "reduceOnlyCanceled") in updates(desk, ALICE)
    desk.place(ALICE, order(0, "sell", "99999", "0.1", "Ioc"))  # 0.1 left: the other one is cut
    [live] = queries.open_orders(desk.exchange, ALICE)
    assert (live.oid, live.sz) == (3, Decimal("0.1"))
    desk.place(ALICE, order(0, "sell", "99999", "0.1", "Ioc"))
    assert updates(desk, ALICE)[-1] == (3, "reduceOnlyCanceled")


def test_open_orders_are_limited() -> None:
    desk = Desk(Street(PRICES), ExchangeSettings(open_orders=3))
    desk.exchange.faucet(ALICE)
    wires = [order(1, "buy", str(3900 - n), "0.01") for n in range(4)]
    assert desk.place(ALICE, *wires)[3] == {"error": "Too many open orders. asset=1"}
    desk.exchange.accounts[ALICE].volume = Decimal(5_000_000)
    assert "resting" in desk.place(ALICE, wires[3])[0]


def test_a_builder_needs_approval(desk: Desk) -> None:
    builder = {"b": CAROL, "f": 10}
    wire = order(0, "buy", "100001", "0.1", "Ioc")
    assert desk.place(ALICE, wire, builder=builder) == [{"error": "Builder fee has not been approved. asset=0"}]
    assert "filled" in desk.place(ALICE, wire, builder={"b": CAROL, "f": 0})[0]
    approve = {"type": "approveBuilderFee", "maxFeeRate": "0.01%", "builder": CAROL, "nonce": desk.nonce + 1}
    approve |= {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
    assert desk.do(ALICE, approve, user_signed=True)["status"] == "ok"
    desk.place(ALICE, wire, builder=builder)
    fill = desk.exchange.accounts[ALICE].fills[-1]
    assert (fill.builder_fee, fill.fee) == (Decimal("1.000010"), Decimal("5.500055"))
    assert desk.exchange.floor.counters.builder_fees == {CAROL: Decimal("1.000010")}


def test_open_interest_caps(desk: Desk) -> None:
    desk = Desk(Street(PRICES), ExchangeSettings(open_interest_caps={"DOGE": Decimal(1_000)}))
    desk.exchange.faucet(ALICE)
    desk.place(ALICE, order(2, "buy", "0.21", "10000", "Ioc"))
    desk.step(5)
    assert queries.coins_at_cap(desk.exchange) == ["DOGE"]
    text = "Order would increase open interest while open interest is capped asset=2"
    assert desk.place(ALICE, order(2, "buy", "0.19", "1000")) == [{"error": text}]
    far = "Order rejected due to price more aggressive than oracle while at open interest cap asset=2"
    assert desk.place(ALICE, order(2, "sell", "0.19", "1000")) == [{"error": far}]
    assert "resting" in desk.place(ALICE, order(2, "sell", "0.22", "1000"))[0]


def test_a_post_only_window(desk: Desk) -> None:
    desk.exchange.set_post_only_until(desk.exchange.now_ns + 1_000_000_000)
    text = "Only post-only orders allowed immediately after a network upgrade asset=0"
    assert desk.place(ALICE, order(0, "buy", "99000", "0.1")) == [{"error": text}]
    assert "resting" in desk.place(ALICE, order(0, "buy", "99000", "0.1", "Alo"))[0]
    desk.step(1)
    assert "resting" in desk.place(ALICE, order(0, "buy", "99000", "0.1"))[0]


def test_a_live_client_id_names_one_order(desk: Desk) -> None:
    desk.place(ALICE, order(0, "buy", "99000", "0.1", cloid=CLOID))
    assert "error" in desk.place(ALICE, order(0, "buy", "99000", "0.1", cloid=CLOID))[0]
    assert len(queries.open_orders(desk.exchange, ALICE)) == 1
    found = queries.order_status(desk.exchange, ALICE, CLOID)
    assert found is not None and found.oid == 1  # the live one, not the refused one


def test_history_is_bounded() -> None:
    desk = Desk(Street(PRICES), ExchangeSettings(kept_orders=5, kept_fills=20))
    desk.exchange.faucet(ALICE)
    for n in range(30):
        desk.place(ALICE, order(1, "buy" if n % 2 else "sell", "4040" if n % 2 else "3960", "0.01", "Ioc"))
    account = desk.exchange.accounts[ALICE]
    assert list(account.history) == [26, 27, 28, 29, 30] and len(account.fills) <= 23
    assert queries.order_status(desk.exchange, ALICE, 1) is None


def test_prints_reach_the_market_and_the_block(desk: Desk) -> None:
    desk.step()
    desk.street.sweep("ETH", SELL, "20")
    block = desk.step()
    assert desk.street.prints == [("ETH", 2)]
    assert [(t.coin, t.side.value) for t in block.trades] == [("ETH", "A"), ("ETH", "A")]
    assert block.books == ["ETH"] and block.touched == []
    assert len({t.tid for t in block.trades}) == 2 and all(len(t.hash) == 66 for t in block.trades)


def test_entry_price_and_profit_of_partial_closes(desk: Desk) -> None:
    desk.place(ALICE, order(0, "buy", "100002", "0.75", "Ioc"))  # 0.5 at 100001, 0.25 at 100002
    held = desk.exchange.accounts[ALICE].positions["BTC"]
    assert (held.cost, held.entry_px) == (Decimal("75001"), Decimal("100001.333333"))
    desk.place(ALICE, order(0, "sell", "99999", "0.3", "Ioc"))
    # three tenths of 0.75 cost 30000.4 and brought 29999.7
    assert desk.exchange.accounts[ALICE].fills[-1].closed_pnl == Decimal("-0.7")
    assert (held.cost, held.entry_px) == (Decimal("45000.6"), Decimal("100001.333333"))
