"""What a whole request must pass: nonces, signers, vaults, expiry, budget; and the order of a block."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from street import ALICE, BOB, BTC, CAROL, DAVE, DOGE, ETH, ISO, SECOND, Desk, Street, order

from slipstream.venues.emulator.exchange import ExchangeSettings, queries
from slipstream.venues.emulator.exchange.dispatch import lane
from slipstream.venues.emulator.exchange.wire import read_action

PRICES = {BTC: "100000", ETH: "4000", DOGE: "0.2", ISO: "10"}
NOOP = {"type": "noop"}
DAY_MS = 86_400_000
SIGNED = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
OK = {"status": "ok", "response": {"type": "default"}}


def make(**rules: Any) -> Desk:
    desk = Desk(Street(PRICES), ExchangeSettings(**rules))
    desk.exchange.faucet(ALICE)
    desk.exchange.faucet(BOB)
    return desk


@pytest.fixture
def desk() -> Desk:
    return make(sub_account_volume=Decimal(0), schedule_cancel_volume=Decimal(0))


def approve(desk: Desk, user: str, agent: str, name: str | None = "bot") -> dict[str, Any]:
    action: dict[str, Any] = {"type": "approveAgent", "agentAddress": agent, "nonce": desk.nonce + 1, **SIGNED}
    if name is not None:
        action["agentName"] = name
    return desk.do(user, action, user_signed=True)


def error(answer: dict[str, Any]) -> str:
    assert answer["status"] == "err", answer
    text: str = answer["response"]
    return text


def test_a_nonce_is_used_once_even_if_its_order_is_refused(desk: Desk) -> None:
    now = desk.now_ms
    action = {"type": "order", "orders": [order(0, "buy", "99999.5", "1")], "grouping": "na"}
    desk.do(ALICE, action, nonce=now)
    assert error(desk.do(ALICE, NOOP, nonce=now)) == f"Invalid nonce: duplicate nonce {now}"
    assert desk.do(BOB, NOOP, nonce=now) == OK  # another signer, another set


def test_nonces_lie_in_a_window_of_either_clock(desk: Desk) -> None:
    venue = desk.now_ms
    for nonce, words in ((venue - 2 * DAY_MS, "too low"), (venue + DAY_MS, "too high")):
        assert f"Invalid nonce: nonce {words} {nonce}" in error(desk.do(ALICE, NOOP, nonce=nonce))
    wall = venue - 40 * DAY_MS  # a venue whose clock ran 40 days ahead
    assert desk.do(ALICE, NOOP, nonce=wall - 5, wall_ms=wall) == OK
    assert desk.do(ALICE, NOOP, nonce=venue - 5, wall_ms=wall) == OK
    middle = venue - 20 * DAY_MS
    assert "Invalid nonce" in error(desk.do(ALICE, NOOP, nonce=middle, wall_ms=wall))


def test_only_the_hundred_highest_nonces_are_kept(desk: Desk) -> None:
    start = desk.now_ms
    for n in range(101):
        desk.send(ALICE, NOOP, nonce=start + n)
    assert "nonce too low" in error(desk.do(ALICE, NOOP, nonce=start))
    assert "duplicate" in error(desk.do(ALICE, NOOP, nonce=start + 50))
    assert desk.do(ALICE, NOOP, nonce=start + 200) == OK
    assert len(desk.exchange.floor.nonces[ALICE].used) == 100


def test_a_noop_with_the_nonce_of_an_order_in_flight_kills_it(desk: Desk) -> None:
    first = desk.send(ALICE, NOOP, nonce=desk.now_ms)
    action = {"type": "order", "orders": [order(0, "buy", "99000", "0.1")], "grouping": "na"}
    second = desk.send(ALICE, action, nonce=desk.now_ms)
    desk.step()
    assert first == [OK] and "duplicate nonce" in second[0]["response"]


def test_unknown_signers_leave_nothing_behind(desk: Desk) -> None:
    assert error(desk.do(DAVE, NOOP)) == f"User or API Wallet {DAVE} does not exist."
    signed = {"type": "usdSend", "destination": BOB, "amount": "1", "time": desk.nonce + 1, **SIGNED}
    assert error(desk.do(DAVE, signed, user_signed=True)) == f"Must deposit before performing actions. User: {DAVE}"
    assert DAVE not in desk.exchange.floor.nonces and not desk.exchange.knows(DAVE)


def test_an_inner_nonce_must_match(desk: Desk) -> None:
    signed = {"type": "usdSend", "destination": BOB, "amount": "1", "time": 5, **SIGNED}
    assert error(desk.do(ALICE, signed, user_signed=True)) == "Nonce mismatch."


def test_agents_act_for_their_master(desk: Desk) -> None:
    assert approve(desk, ALICE, CAROL) == OK
    assert desk.exchange.knows(CAROL) and queries.role(desk.exchange, CAROL) == ("agent", ALICE)
    assert "resting" in desk.place(CAROL, order(0, "buy", "99000", "0.1"))[0]
    assert len(queries.open_orders(desk.exchange, ALICE)) == 1
    assert queries.open_orders(desk.exchange, CAROL) == []
    signed = {"type": "usdSend", "destination": BOB, "amount": "1", "time": desk.nonce + 1, **SIGNED}
    assert error(desk.do(CAROL, signed, user_signed=True)) == f"Must deposit before performing actions. User: {CAROL}"
    assert not desk.exchange.faucet(CAROL)


def test_an_agent_is_replaced_by_name_and_never_used_twice(desk: Desk) -> None:
    approve(desk, ALICE, CAROL, None)
    assert error(approve(desk, BOB, CAROL)) == "Extra agent already used."
    approve(desk, ALICE, DAVE, None)  # the same (empty) name
    assert error(desk.do(CAROL, NOOP)) == f"User or API Wallet {CAROL} does not exist."
    assert error(approve(desk, ALICE, CAROL, None)) == "Extra agent already used."
    approve(desk, ALICE, "0x" + "0" * 40, None)
    assert queries.agents(desk.exchange, ALICE) == []


def test_agents_expire_and_are_few(desk: Desk) -> None:
    until = desk.now_ms + 60_000
    assert approve(desk, ALICE, CAROL, f"bot valid_until {until}") == OK
    assert [(a.name, a.valid_until_ns) for a in queries.agents(desk.exchange, ALICE)] == [("bot", until * 1_000_000)]
    desk.step(61)
    assert error(desk.do(CAROL, NOOP)) == f"User or API Wallet {CAROL} does not exist."
    late = desk.now_ms + 181 * DAY_MS
    assert "180 days" in error(approve(desk, ALICE, DAVE, f"x valid_until {late}"))
    for n in range(3):
        assert approve(desk, ALICE, f"0x{n + 1:040x}", f"bot{n}") == OK
    assert error(approve(desk, ALICE, DAVE, "bot9")) == "Too many extra agents."


def test_a_master_trades_for_its_sub_account(desk: Desk) -> None:
    sub = desk.do(ALICE, {"type": "createSubAccount", "name": "one"})["response"]["data"]
    assert queries.role(desk.exchange, sub) == ("subAccount", ALICE) and desk.exchange.knows(sub)
    move = {"type": "subAccountTransfer", "subAccountUser": sub, "isDeposit": True, "usd": 5_000_000_000}
    assert desk.do(ALICE, move) == OK
    action = {"type": "order", "orders": [order(0, "buy", "99000", "0.1")], "grouping": "na"}
    bare = sub.removeprefix("0x").upper()
    assert desk.do(ALICE, action, vault=bare)["status"] == "ok"
    assert len(queries.open_orders(desk.exchange, sub)) == 1
    assert error(desk.do(BOB, NOOP, vault=sub)) == f"Vault not registered: {sub}"
    assert error(desk.do(ALICE, NOOP, vault=DAVE)) == f"Vault not registered: {DAVE}"
    assert [a.address for a in queries.sub_accounts(desk.exchange, ALICE)] == [sub]


def test_sub_accounts_and_schedules_need_volume() -> None:
    desk = make()
    desk.exchange.accounts[ALICE].volume = Decimal("167.22")
    assert "Required: $100000. Traded: $167.22." in error(desk.do(ALICE, {"type": "createSubAccount", "name": "a"}))
    assert error(desk.do(ALICE, {"type": "scheduleCancel"})) == (
        "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: $167.22."
    )


def test_a_stale_request_costs_five(desk: Desk) -> None:
    assert error(desk.do(ALICE, NOOP, expires_after=desk.now_ms - 1)) == "Action already expired"
    assert queries.rate_limit(desk.exchange, ALICE).used == 5
    assert desk.do(ALICE, NOOP, expires_after=desk.now_ms + 1_000) == OK
    wall = desk.now_ms - 10 * DAY_MS
    fresh, stale = desk.do(ALICE, NOOP, expires_after=wall + 1, wall_ms=wall), {"wall_ms": wall}
    assert fresh == OK and "expired" in error(desk.do(ALICE, NOOP, expires_after=wall - 1, **stale))


def test_the_address_budget() -> None:
    desk = make(address_budget=True, budget_start=3)
    wires = [order(1, "buy", str(3900 - n), "0.01") for n in range(3)]
    desk.place(ALICE, *wires)
    assert desk.do(ALICE, NOOP) == OK  # the trickle: one in ten seconds
    text = error(desk.do(ALICE, NOOP))
    assert text == (
        "Too many cumulative requests sent (5 > 3) for cumulative volume traded $0.00. "
        "Place taker orders to free up 1 request per USDC traded."
    )
    oids = [o.oid for o in queries.open_orders(desk.exchange, ALICE)]
    cancel = {"type": "cancel", "cancels": [{"a": 1, "o": oid} for oid in oids[:2]]}
    assert desk.do(ALICE, cancel)["status"] == "ok"  # cancels have twice the limit
    assert "Too many" in error(desk.do(ALICE, {"type": "cancel", "cancels": [{"a": 1, "o": oids[2]}]}))
    assert desk.do(ALICE, {"type": "reserveRequestWeight", "weight": 100}) == OK
    assert desk.exchange.accounts[ALICE].usd == Decimal("99999.95")
    assert desk.do(ALICE, NOOP) == OK
    assert queries.rate_limit(desk.exchange, ALICE).cap == 103


def test_a_dollar_traded_is_a_request(desk: Desk) -> None:
    desk.place(ALICE, order(0, "buy", "100001", "0.01", "Ioc"))
    limit = queries.rate_limit(desk.exchange, ALICE)
    assert (limit.volume, limit.cap, limit.used) == (Decimal("1000.01"), 11_000, 1)


def test_a_schedule_cancels_everything(desk: Desk) -> None:
    soon = {"type": "scheduleCancel", "time": desk.now_ms + 4_000}
    assert "too early" in error(desk.do(ALICE, soon))
    desk.place(ALICE, order(0, "buy", "99000", "0.1"), order(0, "sell", "1", "0.1", trigger=("sl", "90000", True)))
    assert len(queries.open_orders(desk.exchange, ALICE)) == 1  # a sell at 1 is too far away
    assert desk.do(ALICE, {"type": "scheduleCancel", "time": desk.now_ms + 6_000}) == OK
    assert desk.do(ALICE, {"type": "scheduleCancel", "time": desk.now_ms + 9_000}) == OK  # moved
    desk.step(7)
    assert len(queries.open_orders(desk.exchange, ALICE)) == 1
    block = desk.step(3)
    assert [u.status.value for u in block.updates] == ["scheduledCancel"]
    desk.do(ALICE, {"type": "scheduleCancel", "time": desk.now_ms + 6_000})
    assert desk.do(ALICE, {"type": "scheduleCancel"}) == OK
    desk.place(ALICE, order(0, "buy", "99000", "0.1"))
    desk.step(20)
    assert len(queries.open_orders(desk.exchange, ALICE)) == 1


def test_a_schedule_on_the_wall_clock_holds_on_the_wall_clock(desk: Desk) -> None:
    """At 60x, ten seconds of the client are ten minutes of the venue."""
    wall = desk.now_ms - 30 * DAY_MS
    desk.place(ALICE, order(0, "buy", "99000", "0.1"))
    desk.do(ALICE, {"type": "scheduleCancel", "time": wall + 10_000}, wall_ms=wall)
    for second in range(1, 10):
        desk.exchange.step(desk.exchange.now_ns + 60 * SECOND, wall + second * 1_000)
        assert len(queries.open_orders(desk.exchange, ALICE)) == 1
    desk.exchange.step(desk.exchange.now_ns + 60 * SECOND, wall + 10_000)
    assert queries.open_orders(desk.exchange, ALICE) == []


def test_the_three_classes_of_a_block() -> None:
    """A post-only order and a cancel that arrive after an Ioc still come before it."""
    desk = Desk(Street(PRICES, levels=0))
    desk.exchange.faucet(ALICE)
    desk.exchange.faucet(BOB)
    [status] = desk.place(ALICE, order(0, "sell", "100001", "0.1", "Alo"))
    batch = {"type": "order", "orders": [order(0, "buy", "100003", "0.1", "Ioc")], "grouping": "na"}
    quote = {"type": "order", "orders": [order(0, "sell", "100002", "0.05", "Alo")], "grouping": "na"}
    cancel = {"type": "cancel", "cancels": [{"a": 0, "o": status["resting"]["oid"]}]}
    taken = desk.send(BOB, batch)
    cancelled, posted = desk.send(ALICE, cancel), desk.send(ALICE, quote)
    desk.step()
    assert cancelled[0]["response"]["data"]["statuses"] == ["success"]
    assert "resting" in posted[0]["response"]["data"]["statuses"][0]
    [filled] = taken[0]["response"]["data"]["statuses"]
    assert (filled["filled"]["totalSz"], filled["filled"]["avgPx"]) == ("0.05", "100002.0")


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"type": "order", "orders": [order(0, "buy", "1", "1", "Alo")]}, 0),
        ({"type": "order", "orders": [order(0, "buy", "1", "1", "Alo"), order(0, "buy", "1", "1", "Gtc")]}, 2),
        ({"type": "order", "orders": [order(0, "buy", "1", "1", trigger=("sl", "1", True))]}, 0),
        ({"type": "modify", "oid": 1, "order": order(0, "buy", "1", "1", "Ioc")}, 2),
        ({"type": "batchModify", "modifies": [{"oid": 1, "order": order(0, "buy", "1", "1", "Alo")}]}, 0),
        ({"type": "cancelByCloid", "cancels": []}, 1),
        (NOOP, 0),
    ],
)
def test_lanes(action: dict[str, Any], expected: int) -> None:
    assert lane(read_action(action)) == expected


def test_time_only_advances(desk: Desk) -> None:
    with pytest.raises(ValueError, match="must end after"):
        desk.exchange.step(desk.exchange.now_ns)
