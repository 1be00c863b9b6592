"""Money between accounts, leverage, isolated margin, vaults."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from street import ALICE, BOB, BTC, CAROL, DOGE, ETH, ISO, Desk, Street, order

from slipstream.venues.emulator.exchange import ExchangeSettings, queries
from slipstream.venues.emulator.exchange.ledger import money_held, money_put_in

PRICES = {BTC: "100000", ETH: "4000", DOGE: "0.2", ISO: "10"}
SIGNED = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
OK = {"status": "ok", "response": {"type": "default"}}


@pytest.fixture
def desk() -> Desk:
    desk = Desk(Street(PRICES), ExchangeSettings(sub_account_volume=Decimal(0)))
    desk.exchange.faucet(ALICE)
    desk.exchange.faucet(BOB)
    return desk


def sign(desk: Desk, signer: str, kind: str, /, **fields: Any) -> dict[str, Any]:
    stamp = "time" if kind in ("usdSend", "spotSend", "withdraw3") else "nonce"
    return desk.do(signer, {"type": kind, stamp: desk.nonce + 1, **fields, **SIGNED}, user_signed=True)


def usd(desk: Desk, user: str) -> Decimal:
    return desk.exchange.accounts[user].usd


def test_the_faucet_gives_once(desk: Desk) -> None:
    assert not desk.exchange.faucet(ALICE.upper().replace("0X", "0x"))
    assert usd(desk, ALICE) == 100_000
    assert desk.exchange.faucet(CAROL) and desk.exchange.knows(CAROL)
    for bad in ("0", "-1", "NaN", "0.0000001"):
        with pytest.raises(ValueError, match="whole millionths"):
            desk.exchange.deposit(ALICE, Decimal(bad))


def test_usd_send_opens_the_destination(desk: Desk) -> None:
    assert sign(desk, ALICE, "usdSend", destination=CAROL.upper().replace("0X", "0x"), amount="250.5") == OK
    assert (usd(desk, ALICE), usd(desk, CAROL)) == (Decimal("99749.5"), Decimal("250.5"))
    assert desk.exchange.knows(CAROL) and not desk.exchange.faucet(CAROL)
    [row] = queries.ledger_rows(desk.exchange, CAROL, 0, None)
    assert row.delta["type"] == "internalTransfer" and row.delta["usdc"] == "250.5"
    short = sign(desk, ALICE, "usdSend", destination="0x" + "9" * 40, amount="100000")
    assert short == {"status": "err", "response": "Insufficient balance for withdrawal"}
    assert "0x" + "9" * 40 not in desk.exchange.accounts


def test_withdrawals_leave_the_venue_less_a_fee(desk: Desk) -> None:
    assert sign(desk, ALICE, "withdraw3", destination=ALICE, amount="1000") == OK
    account = desk.exchange.accounts[ALICE]
    assert (account.usd, account.deposits) == (99_000, 99_001)
    assert desk.exchange.floor.counters.fees == 1
    assert money_held(desk.exchange.floor) == money_put_in(desk.exchange.floor)


def test_a_transfer_leaves_a_tenth_of_the_notional(desk: Desk) -> None:
    desk.do(ALICE, {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 40})
    desk.place(ALICE, order(0, "buy", "100010", "1", "Ioc"))
    state = queries.clearinghouse(desk.exchange, ALICE)
    assert state.withdrawable == state.total.account_value - 10_000
    assert sign(desk, ALICE, "withdraw3", destination=ALICE, amount=str(state.withdrawable + 1))["status"] == "err"
    assert sign(desk, ALICE, "withdraw3", destination=ALICE, amount=str(int(state.withdrawable) - 1)) == OK


def test_class_transfers(desk: Desk) -> None:
    assert sign(desk, ALICE, "usdClassTransfer", amount="100", toPerp=False) == OK
    account = desk.exchange.accounts[ALICE]
    assert (account.usd, account.spot_usdc) == (99_900, 100)
    assert sign(desk, ALICE, "usdClassTransfer", amount="101", toPerp=True)["response"] == "Insufficient spot balance"
    assert sign(desk, ALICE, "spotSend", destination=BOB, token="USDC:0x6d", amount="40") == OK
    assert desk.exchange.accounts[BOB].spot_usdc == 40
    assert sign(desk, ALICE, "spotSend", destination=BOB, token="PURR:0x6d", amount="40")["status"] == "err"
    assert sign(desk, ALICE, "userSetAbstraction", user=ALICE, abstraction="unifiedAccount") == OK
    refused = sign(desk, ALICE, "usdClassTransfer", amount="1", toPerp=True)
    assert refused["response"] == "Action disabled when unified account is active"


def test_sub_account_money(desk: Desk) -> None:
    sub = desk.do(ALICE, {"type": "createSubAccount", "name": "one"})["response"]["data"]
    fields = {"type": "subAccountTransfer", "subAccountUser": sub, "usd": 1_500_000}
    assert desk.do(ALICE, {**fields, "isDeposit": True}) == OK
    assert usd(desk, sub) == Decimal("1.5")
    assert desk.do(ALICE, {**fields, "isDeposit": False}) == OK
    assert desk.do(ALICE, {**fields, "isDeposit": False})["status"] == "err"
    assert desk.do(BOB, {**fields, "isDeposit": False})["status"] == "err"
    sign(desk, ALICE, "usdClassTransfer", amount="10", toPerp=False)
    spot = {"sourceDex": "spot", "destinationDex": "", "token": "USDC", "amount": "10", "fromSubAccount": ""}
    assert sign(desk, ALICE, "sendAsset", destination=sub, **spot) == OK
    assert usd(desk, sub) == 10
    assert sign(desk, ALICE, "usdClassTransfer", amount=f"4 subaccount:{sub}", toPerp=False) == OK
    assert desk.exchange.accounts[sub].spot_usdc == 4


def test_vaults_share_profit(desk: Desk) -> None:
    create = {"type": "createVault", "name": "v", "description": "d", "initialUsd": 1_000_000_000, "nonce": 1}
    vault = desk.do(ALICE, create)["response"]["data"]
    assert queries.role(desk.exchange, vault) == ("vault", None)
    deposit = {"type": "vaultTransfer", "vaultAddress": vault, "isDeposit": True, "usd": 1_000_000_000}
    assert desk.do(BOB, deposit) == OK
    desk.exchange.accounts[vault].usd += 200  # a profit of 10 %
    [(_, worth)] = queries.vault_shares(desk.exchange, BOB)
    assert worth == 1_100
    out = {**deposit, "isDeposit": False, "usd": 1_100_000_000}
    assert desk.do(BOB, {**out, "usd": 1_100_000_001})["status"] == "err"
    assert desk.do(BOB, out) == OK
    assert (usd(desk, BOB), queries.vault_shares(desk.exchange, BOB)) == (100_100, [])
    missing = desk.do(BOB, {**deposit, "vaultAddress": CAROL})
    assert missing == {"status": "err", "response": f"Vault not registered: {CAROL}"}


def test_leverage_rules(desk: Desk) -> None:
    def leverage(asset: int, cross: bool, value: int) -> dict[str, Any]:
        return desk.do(ALICE, {"type": "updateLeverage", "asset": asset, "isCross": cross, "leverage": value})

    assert leverage(0, True, 41)["response"] == leverage(0, True, 0)["response"] == "Invalid leverage value"
    assert leverage(3, True, 2)["status"] == "err" and leverage(3, False, 2) == OK
    assert leverage(0, True, 40) == OK
    desk.place(ALICE, order(0, "buy", "100010", "5", "Ioc"))
    assert leverage(0, False, 10)["response"] == "Cannot switch leverage type with open position."
    assert leverage(0, True, 3)["status"] == "err"  # 500,000 / 3 is more than there is
    assert desk.exchange.accounts[ALICE].positions["BTC"].leverage == 40
    assert leverage(0, True, 10) == OK


def test_isolated_margin(desk: Desk) -> None:
    def change(amount: int) -> dict[str, Any]:
        return desk.do(ALICE, {"type": "updateIsolatedMargin", "asset": 0, "isBuy": True, "ntli": amount})

    assert change(1)["response"] == "Position does not use isolated margin."
    desk.do(ALICE, {"type": "updateLeverage", "asset": 0, "isCross": False, "leverage": 10})
    desk.place(ALICE, order(0, "buy", "100001", "0.5", "Ioc"))
    account = desk.exchange.accounts[ALICE]
    held = account.positions["BTC"]
    assert held.isolated_usd == Decimal("5000.05") - Decimal("50000.5")
    before = account.usd
    assert change(1_000_000_000) == OK and account.usd == before - 1_000
    assert change(-1_001_000_000)["status"] == "err"
    assert change(-900_000_000) == OK
    view = queries.clearinghouse(desk.exchange, ALICE).positions[0]
    assert view.margin_used == Decimal("5099.55") and view.liquidation_px is not None
    desk.place(ALICE, order(0, "sell", "99999", "0.5", "Ioc", reduce_only=True))
    fees = sum(f.fee for f in account.fills)
    assert account.usd == 100_000 - 1 - fees  # half a coin bought at 100,001 and sold at 99,999


def test_partial_closes_release_their_share(desk: Desk) -> None:
    desk.do(ALICE, {"type": "updateLeverage", "asset": 1, "isCross": False, "leverage": 10})
    desk.place(ALICE, order(1, "sell", "3999.9", "2", "Ioc"))
    account = desk.exchange.accounts[ALICE]
    equity = account.positions["ETH"].isolated_usd - 2 * Decimal("4000.1")
    desk.place(ALICE, order(1, "buy", "4000.1", "1", "Ioc", reduce_only=True))
    held = account.positions["ETH"]
    assert held.isolated_usd - Decimal("4000.1") == equity / 2 and held.szi == -1


def test_referrers_and_tradable_sizes(desk: Desk) -> None:
    assert desk.do(ALICE, {"type": "setReferrer", "code": "X"}) == OK
    assert desk.do(ALICE, {"type": "setReferrer", "code": "Y"})["status"] == "err"
    tradable = queries.tradable(desk.exchange, ALICE, "BTC")
    assert tradable.max_sizes == (20, 20) and tradable.available == (100_000, 100_000)
    [status] = desk.place(ALICE, order(0, "buy", "100000", "19.9"))
    assert "error" not in status
    assert desk.place(ALICE, order(0, "buy", "99000", "1"))[0] == {
        "error": "Insufficient margin to place order. asset=0"
    }
    assert "resting" in desk.place(ALICE, order(0, "sell", "101000", "19"))[0]  # the other side needs no more


def test_lower_isolated_leverage_brings_margin_in(desk: Desk) -> None:
    fields = {"type": "updateLeverage", "asset": 0, "isCross": False}
    desk.do(ALICE, {**fields, "leverage": 10})
    desk.place(ALICE, order(0, "buy", "100001", "0.5", "Ioc"))
    before = desk.exchange.accounts[ALICE].usd
    assert desk.do(ALICE, {**fields, "leverage": 5}) == OK
    view = queries.clearinghouse(desk.exchange, ALICE).positions[0]
    assert view.margin_used == view.value / 5 == before - desk.exchange.accounts[ALICE].usd + Decimal("4999.55")
    assert desk.do(ALICE, {**fields, "leverage": 10}) == OK  # raising takes nothing out
    assert queries.clearinghouse(desk.exchange, ALICE).positions[0].margin_used == view.margin_used
