"""TP/SL orders and TWAPs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from street import ALICE, BTC, DOGE, ETH, ISO, Desk, Street, order

from slipstream.lob.book import SELL
from slipstream.venues.emulator.exchange import queries

PRICES = {BTC: "100000", ETH: "4000", DOGE: "0.2", ISO: "10"}
TP, SL = ("tp", "101000", True), ("sl", "99000", True)


@pytest.fixture
def desk() -> Desk:
    desk = Desk(Street(PRICES))
    desk.exchange.faucet(ALICE)
    desk.step(3)
    return desk


def told(desk: Desk, oid: int) -> list[str]:
    return [u.status.value for b in desk.blocks for u in b.updates if u.order.oid == oid]


def held(desk: Desk, coin: str = "BTC") -> Decimal:
    found = desk.exchange.accounts[ALICE].positions.get(coin)
    return found.szi if found else Decimal(0)


def test_a_stop_waits_for_the_mark_and_sells(desk: Desk) -> None:
    desk.place(ALICE, order(0, "buy", "100001", "0.2", "Ioc"))
    [status] = desk.place(ALICE, order(0, "sell", "95000", "0.2", reduce_only=True, trigger=SL))
    oid = status["resting"]["oid"]
    live = queries.open_orders(desk.exchange, ALICE)[0]
    assert queries.trigger_condition(live) == "Price below 99000" and queries.order_kind(live) == "Stop Market"
    desk.street.quote("BTC", Decimal(99_100))
    desk.step(3)
    assert told(desk, oid) == ["open"] and held(desk) == Decimal("0.2")
    desk.street.quote("BTC", Decimal(98_900))
    desk.step(3)
    assert told(desk, oid) == ["open", "triggered", "filled"] and held(desk) == 0
    assert desk.exchange.accounts[ALICE].fills[-1].px == 98_899


def test_a_take_profit_limit_rests_when_triggered(desk: Desk) -> None:
    trigger = ("tp", "101000", False)
    [status] = desk.place(ALICE, order(0, "sell", "102000", "0.2", trigger=trigger))
    oid = status["resting"]["oid"]
    desk.street.quote("BTC", Decimal(101_500))
    desk.step(3)
    [live] = queries.open_orders(desk.exchange, ALICE)
    assert live.oid == oid and live.handle >= 0 and told(desk, oid) == ["open", "triggered", "open"]


def test_a_stop_without_a_position_is_refused_when_triggered(desk: Desk) -> None:
    [status] = desk.place(ALICE, order(0, "sell", "95000", "0.2", reduce_only=True, trigger=SL))
    desk.street.quote("BTC", Decimal(98_000))
    desk.step(3)
    assert told(desk, status["resting"]["oid"]) == ["open", "triggered", "reduceOnlyRejected"]


def bracket(px: str, tif: str = "Gtc") -> list[dict[str, Any]]:
    return [
        order(0, "buy", px, "0.2", tif),
        order(0, "sell", "95000", "0.2", reduce_only=True, trigger=TP),
        order(0, "sell", "95000", "0.2", reduce_only=True, trigger=SL),
    ]


def test_children_of_a_filled_parent_are_a_pair(desk: Desk) -> None:
    statuses = desk.place(ALICE, *bracket("100001"), grouping="normalTpsl")
    assert statuses[1:] == ["waitingForTrigger", "waitingForTrigger"] and "filled" in statuses[0]
    desk.street.quote("BTC", Decimal(101_200))
    block = desk.step(3)
    assert held(desk) == 0
    assert told(desk, 2)[-1] == "filled" and told(desk, 3)[-1] == "siblingFilledCanceled"
    assert (ALICE, {"nonUserCancel": [{"coin": "BTC", "oid": 3}]}) in block.user_events


def test_children_wait_for_their_parent(desk: Desk) -> None:
    statuses = desk.place(ALICE, *bracket("99900"), grouping="normalTpsl")
    assert statuses == [{"resting": {"oid": 1}}, "waitingForFill", "waitingForFill"]
    desk.street.quote("BTC", Decimal(101_500))  # the TP's price, but there is nothing to take profit on
    desk.step(3)
    assert told(desk, 2) == ["open"]
    desk.street.quote("BTC", Decimal(99_950))
    desk.step(3)
    desk.street.sweep("BTC", SELL, "30")
    desk.step()
    assert held(desk) == Decimal("0.2")
    desk.street.quote("BTC", Decimal(98_990))
    desk.step(3)
    assert held(desk) == 0 and told(desk, 3)[-1] == "filled" and told(desk, 2)[-1] == "siblingFilledCanceled"


def test_children_die_with_an_unfilled_parent(desk: Desk) -> None:
    desk.place(ALICE, *bracket("99900"), grouping="normalTpsl")
    desk.do(ALICE, {"type": "cancel", "cancels": [{"a": 0, "o": 1}]})
    assert [told(desk, n)[-1] for n in (1, 2, 3)] == ["canceled"] * 3
    statuses = desk.place(ALICE, *bracket("99900", "Ioc"), grouping="normalTpsl")
    assert all("could not immediately match" in s["error"] for s in statuses)
    assert desk.exchange.floor.orders == {}


def test_groupings_that_make_no_sense(desk: Desk) -> None:
    for orders, grouping in (
        (bracket("99900")[:1], "normalTpsl"),
        (bracket("99900")[1:], "normalTpsl"),
        ([*bracket("99900"), bracket("99900")[2]], "normalTpsl"),
        (bracket("99900"), "positionTpsl"),
    ):
        answer = desk.do(ALICE, {"type": "order", "orders": orders, "grouping": grouping})
        assert answer == {"status": "err", "response": "Unexpected number of trigger orders"}


def test_position_tpsl_follows_the_position(desk: Desk) -> None:
    legs = [order(0, "sell", "95000", "0", reduce_only=True, trigger=t) for t in (TP, SL)]
    refused = desk.place(ALICE, *legs, grouping="positionTpsl")
    assert refused == [{"error": "Reduce only order would increase position. asset=0"}] * 2
    desk.place(ALICE, order(0, "buy", "100001", "0.2", "Ioc"))
    assert desk.place(ALICE, *legs, grouping="positionTpsl") == ["waitingForTrigger"] * 2
    desk.place(ALICE, order(0, "buy", "100001", "0.1", "Ioc"))
    desk.street.quote("BTC", Decimal(101_500))
    desk.step(3)
    fill = desk.exchange.accounts[ALICE].fills[-1]
    assert (fill.sz, held(desk)) == (Decimal("0.3"), 0) and desk.exchange.floor.orders == {}


def test_position_tpsl_ends_with_the_position(desk: Desk) -> None:
    desk.place(ALICE, order(0, "buy", "100001", "0.2", "Ioc"))
    leg = order(0, "sell", "95000", "0", reduce_only=True, trigger=SL)
    desk.place(ALICE, leg, grouping="positionTpsl")
    desk.place(ALICE, order(0, "sell", "99999", "0.2", "Ioc"))
    assert told(desk, 2)[-1] == "reduceOnlyCanceled" and desk.exchange.floor.orders == {}


def twap(sz: str, minutes: int = 5, **changes: Any) -> dict[str, Any]:
    return {"type": "twapOrder", "twap": {"a": 0, "b": True, "s": sz, "r": False, "m": minutes, "t": False, **changes}}


def test_a_twap_slices_evenly(desk: Desk) -> None:
    answer = desk.do(ALICE, twap("0.1"))
    assert answer["response"] == {"type": "twapOrder", "data": {"status": {"running": {"twapId": 1}}}}
    for _ in range(60):
        desk.step(5)
    sizes = [f.sz for f in queries.fills(desk.exchange, ALICE)]
    assert sizes == [Decimal("0.01")] * 10
    assert {f.twap_id for f in queries.twap_fills(desk.exchange, ALICE)} == {1}
    [ended] = queries.past_twaps(desk.exchange, ALICE)
    assert (ended.status, ended.executed_sz) == ("finished", Decimal("0.1"))
    assert [s for b in desk.blocks for _, _, s in b.twaps] == ["activated", "finished"]


def test_a_twap_catches_up_at_most_threefold(desk: Desk) -> None:
    desk.do(ALICE, twap("0.1"))
    for handle in desk.street.ladders["BTC"]:
        desk.street.books["BTC"].cancel(handle)
    desk.step(125)
    assert len(desk.exchange.accounts[ALICE].fills) == 1
    desk.street.quote("BTC", Decimal(100_000))
    desk.step(30)
    assert desk.exchange.accounts[ALICE].fills[-1].sz == Decimal("0.03")


def test_a_randomised_twap_still_ends_whole(desk: Desk) -> None:
    desk.do(ALICE, twap("0.1", t=True))
    desk.step(400)
    sizes = {f.sz for f in desk.exchange.accounts[ALICE].fills}
    assert len(sizes) > 3 and held(desk) == Decimal("0.1")


def test_twaps_are_refused_and_cancelled(desk: Desk) -> None:
    small = desk.do(ALICE, twap("0.01", 120))["response"]["data"]["status"]
    assert small == {"error": "TWAP order value too small. Min is $1200, which is $10 per minute."}
    assert "Invalid TWAP duration: 4 min(s)" in str(desk.do(ALICE, twap("1", 4)))
    cancel = {"type": "twapCancel", "a": 0, "t": 1}
    assert "TWAP was never placed" in str(desk.do(ALICE, cancel))
    desk.do(ALICE, twap("0.1"))
    assert desk.do(ALICE, cancel)["response"] == {"type": "twapCancel", "data": {"status": "success"}}
    assert queries.past_twaps(desk.exchange, ALICE)[0].status == "terminated"


def test_a_twap_without_margin_ends_in_error(desk: Desk) -> None:
    desk.do(ALICE, twap("200"))
    desk.step(60)
    [ended] = queries.past_twaps(desk.exchange, ALICE)
    assert (ended.status, ended.error) == ("error", "Insufficient margin to place order.")
