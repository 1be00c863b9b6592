"""The installed official SDK, unmodified, trades on a running venue: the flows of its own examples."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.types import Cloid

from slipstream.venues.emulator.serve import RunningVenue

WALLET: LocalAccount = Account.from_key("0x" + "11" * 32)
OTHER: LocalAccount = Account.from_key("0x" + "22" * 32)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


async def in_thread(work: Callable[[], Any]) -> Any:
    return await asyncio.wait_for(asyncio.to_thread(work), 60)


def clients(venue: RunningVenue) -> tuple[Info, Exchange]:
    info = Info(venue.url, skip_ws=True)
    info.user_state(WALLET.address)  # the faucet pays on first sight
    return info, Exchange(WALLET, venue.url)


def mid(info: Info, coin: str) -> float:
    return float(info.all_mids()[coin])


async def test_adding_and_cancelling(venue: RunningVenue) -> None:
    def flow() -> None:
        info, exchange = clients(venue)
        px = float(f"{mid(info, 'ETH') * 0.9:.4g}")
        placed = exchange.order("ETH", True, 0.2, px, {"limit": {"tif": "Gtc"}})
        oid = placed["response"]["data"]["statuses"][0]["resting"]["oid"]
        status = info.query_order_by_oid(WALLET.address, oid)
        assert status["status"] == "order" and status["order"]["status"] == "open"
        assert [o["oid"] for o in info.open_orders(WALLET.address)] == [oid]
        assert exchange.cancel("ETH", oid)["response"]["data"]["statuses"] == ["success"]
        assert info.query_order_by_oid(WALLET.address, oid)["order"]["status"] == "canceled"
        again = exchange.cancel("ETH", oid)["response"]["data"]["statuses"][0]["error"]
        assert again.startswith("Order was never placed, already canceled, or filled.")

    await in_thread(flow)


async def test_market_open_and_close(venue: RunningVenue) -> None:
    def flow() -> None:
        info, exchange = clients(venue)
        opened = exchange.market_open("ETH", True, 0.05, None, 0.01)
        filled = opened["response"]["data"]["statuses"][0]["filled"]
        assert Decimal(filled["totalSz"]) == Decimal("0.05")
        position = info.user_state(WALLET.address)["assetPositions"][0]["position"]
        assert position["coin"] == "ETH" and position["szi"] == "0.05" and position["entryPx"]
        closed = exchange.market_close("ETH")
        assert Decimal(closed["response"]["data"]["statuses"][0]["filled"]["totalSz"]) == Decimal("0.05")
        assert info.user_state(WALLET.address)["assetPositions"] == []
        fills = info.user_fills(WALLET.address)
        assert {f["dir"] for f in fills} == {"Open Long", "Close Long"}
        for f in fills:
            fee = Decimal(f["px"]) * Decimal(f["sz"]) * Decimal("0.00045")
            assert Decimal(f["fee"]) == fee.quantize(Decimal("0.000001"), rounding="ROUND_DOWN")
        assert info.user_fills_by_time(WALLET.address, 0, aggregate_by_time=True)

    await in_thread(flow)


async def test_take_profit_and_stop_loss(venue: RunningVenue) -> None:
    def flow() -> None:
        info, exchange = clients(venue)
        exchange.market_open("ETH", True, 0.1, None, 0.01)
        px = mid(info, "ETH")
        for tpsl, factor in (("sl", 0.95), ("tp", 1.05)):
            trigger = float(f"{px * factor:.4g}")
            kind: Any = {"trigger": {"triggerPx": trigger, "isMarket": True, "tpsl": tpsl}}
            placed = exchange.order("ETH", False, 0.1, trigger, kind, reduce_only=True)
            assert "resting" in placed["response"]["data"]["statuses"][0]
        orders = {o["orderType"]: o for o in info.frontend_open_orders(WALLET.address)}
        assert set(orders) == {"Stop Market", "Take Profit Market"}
        assert orders["Stop Market"]["triggerCondition"].startswith("Price below ")
        assert orders["Take Profit Market"]["isTrigger"] and orders["Take Profit Market"]["reduceOnly"]
        for order in orders.values():
            assert exchange.cancel("ETH", order["oid"])["response"]["data"]["statuses"] == ["success"]

    await in_thread(flow)


async def test_grouped_take_profit_and_stop_loss(venue: RunningVenue) -> None:
    def flow() -> None:
        info, exchange = clients(venue)
        px = mid(info, "BTC")
        entry, tp, sl = (float(f"{px * x:.5g}") for x in (0.9, 1.1, 0.8))
        base = {"coin": "BTC", "sz": 0.01}
        orders: Any = [
            {**base, "is_buy": True, "limit_px": entry, "order_type": {"limit": {"tif": "Gtc"}}, "reduce_only": False},
            *(
                {
                    **base,
                    "is_buy": False,
                    "limit_px": x,
                    "order_type": {"trigger": {"isMarket": True, "triggerPx": x, "tpsl": kind}},
                    "reduce_only": True,
                }
                for kind, x in (("tp", tp), ("sl", sl))
            ),
        ]
        statuses = exchange.bulk_orders(orders, grouping="normalTpsl")["response"]["data"]["statuses"]
        assert "resting" in statuses[0] and statuses[1:] == ["waitingForFill", "waitingForFill"]
        shown = info.frontend_open_orders(WALLET.address)
        assert len(shown) == 1 and len(shown[0]["children"]) == 2

    await in_thread(flow)


async def test_leverage_and_isolated_margin(venue: RunningVenue) -> None:
    def flow() -> None:
        info, exchange = clients(venue)
        assert exchange.update_leverage(21, "ETH") == {"status": "ok", "response": {"type": "default"}}
        assert exchange.update_leverage(11, "ETH", False)["status"] == "ok"
        exchange.market_open("ETH", True, 0.1, None, 0.01)
        before = info.user_state(WALLET.address)["assetPositions"][0]["position"]
        assert before["leverage"]["type"] == "isolated" and before["leverage"]["value"] == 11
        assert exchange.update_isolated_margin(10, "ETH")["status"] == "ok"
        after = info.user_state(WALLET.address)["assetPositions"][0]["position"]
        assert Decimal(after["leverage"]["rawUsd"]) == Decimal(before["leverage"]["rawUsd"]) + 10
        refused = exchange.update_leverage(5, "ETH", True)
        assert refused == {"status": "err", "response": "Cannot switch leverage type with open position."}
        data = info.post("/info", {"type": "activeAssetData", "user": WALLET.address, "coin": "ETH"})
        assert data["leverage"]["value"] == 11 and len(data["maxTradeSzs"]) == 2

    await in_thread(flow)


async def test_modify_and_cancel_by_cloid(venue: RunningVenue) -> None:
    def flow() -> None:
        info, exchange = clients(venue)
        px = float(f"{mid(info, 'ETH') * 0.9:.4g}")
        cloid = Cloid.from_str("0x00000000000000000000000000000001")
        placed = exchange.order("ETH", True, 0.2, px, {"limit": {"tif": "Alo"}}, cloid=cloid)
        first = placed["response"]["data"]["statuses"][0]["resting"]
        assert first["cloid"] == cloid.to_raw()
        changed = exchange.modify_order(first["oid"], "ETH", True, 0.1, px, {"limit": {"tif": "Gtc"}}, cloid=cloid)
        second = changed["response"]["data"]["statuses"][0]["resting"]["oid"]
        assert second != first["oid"]
        assert info.query_order_by_cloid(WALLET.address, cloid)["order"]["order"]["oid"] == second
        lower = float(f"{px * 0.99:.4g}")
        by_cloid = exchange.modify_order(cloid, "ETH", True, 0.1, lower, {"limit": {"tif": "Gtc"}}, cloid=cloid)
        assert "resting" in by_cloid["response"]["data"]["statuses"][0]
        assert exchange.cancel_by_cloid("ETH", cloid)["response"]["data"]["statuses"] == ["success"]
        assert info.open_orders(WALLET.address) == []

    await in_thread(flow)


async def test_schedule_cancel(venue: RunningVenue) -> None:
    def refused() -> None:
        _, exchange = clients(venue)
        answer = exchange.schedule_cancel(int(time.time() * 1e3) + 20_000)
        assert answer["response"].startswith("Cannot set scheduled cancel time until enough volume traded.")

    await in_thread(refused)
    venue.exchange.accounts[WALLET.address.lower()].volume = Decimal(2_000_000)

    def accepted() -> None:
        info, exchange = clients(venue)
        px = float(f"{mid(info, 'ETH') * 0.9:.4g}")
        exchange.order("ETH", True, 0.2, px, {"limit": {"tif": "Gtc"}})
        assert exchange.schedule_cancel(int(time.time() * 1e3) + 20_000)["status"] == "ok"
        assert exchange.schedule_cancel(None)["status"] == "ok"
        assert exchange.schedule_cancel(int(time.time() * 1e3) + 20_000)["status"] == "ok"

    await in_thread(accepted)
    venue.venue.clock.skew_ns = 40_000_000_000
    await venue.step(300)
    venue.venue.clock.skew_ns = 0
    history = await in_thread(lambda: Info(venue.url, skip_ws=True).historical_orders(WALLET.address))
    assert history[0]["status"] == "scheduledCancel"


async def test_agent(venue: RunningVenue) -> None:
    def flow() -> None:
        info, exchange = clients(venue)
        answer, key = exchange.approve_agent("bot1")
        assert answer == {"status": "ok", "response": {"type": "default"}}
        agent = Account.from_key(key)
        assert info.user_role(agent.address) == {"role": "agent", "data": {"user": WALLET.address.lower()}}
        assert [a["name"] for a in info.extra_agents(WALLET.address)] == ["bot1"]
        trader = Exchange(agent, venue.url, account_address=WALLET.address)
        px = float(f"{mid(info, 'ETH') * 0.9:.4g}")
        assert (
            "resting"
            in trader.order("ETH", True, 0.2, px, {"limit": {"tif": "Gtc"}})["response"]["data"]["statuses"][0]
        )
        assert len(info.open_orders(WALLET.address)) == 1
        unnamed, _ = exchange.approve_agent()  # signs an empty name and then drops the key
        assert unnamed["status"] == "ok"
        stranger = Exchange(Account.from_key("0x" + "77" * 32), venue.url)
        refused = stranger.order("ETH", True, 0.2, px, {"limit": {"tif": "Gtc"}})
        assert refused == {
            "status": "err",
            "response": f"User or API Wallet {stranger.wallet.address.lower()} does not exist.",
        }
        assert exchange.approve_builder_fee(OTHER.address, "0.001%")["status"] == "ok"

    await in_thread(flow)


async def test_sub_account(venue: RunningVenue) -> None:
    await in_thread(lambda: clients(venue))
    venue.exchange.accounts[WALLET.address.lower()].volume = Decimal(200_000)

    def flow() -> None:
        info, exchange = clients(venue)
        created = exchange.create_sub_account("example")
        sub = created["response"]["data"]
        assert exchange.sub_account_transfer(sub, True, 1_000_000_000)["status"] == "ok"
        listed = info.query_sub_accounts(WALLET.address)
        assert listed[0]["name"] == "example" and listed[0]["subAccountUser"] == sub
        assert listed[0]["clearinghouseState"]["withdrawable"] == "1000.0"
        trader = Exchange(WALLET, venue.url, vault_address=sub)
        px = float(f"{mid(info, 'ETH') * 0.9:.4g}")
        assert (
            "resting"
            in trader.order("ETH", True, 0.01, px, {"limit": {"tif": "Gtc"}})["response"]["data"]["statuses"][0]
        )
        assert len(info.open_orders(sub)) == 1 and info.open_orders(WALLET.address) == []
        assert info.user_role(sub) == {"role": "subAccount", "data": {"master": WALLET.address.lower()}}

    await in_thread(flow)


async def test_transfers(venue: RunningVenue) -> None:
    def flow() -> None:
        info, exchange = clients(venue)
        assert exchange.usd_transfer(1.5, OTHER.address)["status"] == "ok"
        assert exchange.usd_class_transfer(1_000.0, False)["status"] == "ok"
        assert info.spot_user_state(WALLET.address)["balances"][0]["total"] == "1000.0"
        assert exchange.usd_class_transfer(400.0, True)["status"] == "ok"
        assert exchange.spot_transfer(100.0, OTHER.address, "USDC")["status"] == "ok"
        assert exchange.withdraw_from_bridge(50.0, OTHER.address)["status"] == "ok"
        assert exchange.send_asset(OTHER.address, "", "spot", "USDC", 10.0)["status"] == "ok"
        state = info.user_state(WALLET.address)
        assert Decimal(state["withdrawable"]) == Decimal("100000") - Decimal("1.5") - 1000 + 400 - 50 - 10
        types = {row["delta"]["type"] for row in info.user_non_funding_ledger_updates(WALLET.address, 0)}
        assert {"deposit", "internalTransfer", "accountClassTransfer", "withdraw", "send"} <= types

    await in_thread(flow)


async def test_expires_after_and_noop(venue: RunningVenue) -> None:
    def flow() -> None:
        info, exchange = clients(venue)
        px = float(f"{mid(info, 'ETH') * 0.9:.4g}")
        exchange.set_expires_after(int(time.time() * 1e3) + 60_000)
        assert exchange.order("ETH", True, 0.2, px, {"limit": {"tif": "Gtc"}})["status"] == "ok"
        exchange.set_expires_after(int(time.time() * 1e3) - 1_000)
        late = exchange.order("ETH", True, 0.2, px, {"limit": {"tif": "Gtc"}})
        assert late == {"status": "err", "response": "Action already expired"}
        exchange.set_expires_after(None)
        nonce = int(time.time() * 1e3)
        assert exchange.noop(nonce)["status"] == "ok"
        assert "nonce" in exchange.noop(nonce)["response"]

    await in_thread(flow)


async def test_reads_that_the_sdk_knows(venue: RunningVenue) -> None:
    def flow() -> None:
        info, _ = clients(venue)
        user = WALLET.address
        now = int(time.time() * 1e3)
        assert info.meta()["universe"][0]["name"] == "BTC"
        assert len(info.meta_and_asset_ctxs()[1]) == 3
        assert info.perp_dexs() == [None]
        assert info.spot_meta_and_asset_ctxs()[1] == []
        book = info.l2_snapshot("BTC")
        assert len(book["levels"][0]) == 20 and float(book["levels"][0][0]["px"]) < float(book["levels"][1][0]["px"])
        assert len(info.candles_snapshot("BTC", "1h", now - 36_000_000, now)) >= 9
        assert len(info.funding_history("BTC", now - 36_000_000)) >= 9
        assert info.user_funding_history(user, 0) == []
        assert info.user_fees(user)["userCrossRate"] == "0.00045"
        assert info.user_rate_limit(user)["nRequestsCap"] == 10_000
        assert [name for name, _ in info.portfolio(user)][:4] == ["day", "week", "month", "allTime"]
        assert info.query_user_abstraction_state(user) == "default"
        assert info.query_referral_state(user)["cumVlm"] == "0.0"
        assert info.user_staking_summary(user)["delegated"] == "0.0"
        assert info.user_staking_delegations(user) == info.user_staking_rewards(user) == []
        assert info.user_twap_slice_fills(user) == info.user_vault_equities(user) == info.delegator_history(user) == []
        assert info.query_user_to_multi_sig_signers(user) is None
        assert info.query_perp_deploy_auction_status()["durationSeconds"] > 0

    await in_thread(flow)


async def test_every_subscription_the_sdk_knows(venue: RunningVenue) -> None:
    seen: dict[str, list[Any]] = {}
    user = WALLET.address
    plain: list[Any] = [
        {"type": "allMids"},
        *({"type": kind, "coin": "ETH"} for kind in ("l2Book", "trades", "bbo", "activeAssetCtx")),
        {"type": "candle", "coin": "ETH", "interval": "1m"},
        {"type": "activeAssetData", "user": user, "coin": "ETH"},
        *(
            {"type": kind, "user": user}
            for kind in ("userEvents", "userFills", "orderUpdates", "userFundings", "userNonFundingLedgerUpdates")
        ),
        {"type": "webData2", "user": user},
    ]

    def start() -> Info:
        info = Info(venue.url)
        for subscription in plain:
            info.subscribe(subscription, lambda m: seen.setdefault(m["channel"], []).append(m["data"]))
        return info

    info = await in_thread(start)
    try:
        for _ in range(2_000):
            if sum(len(p) for p in venue.venue.hub.topics.values()) == len(plain):
                break
            await asyncio.sleep(0.01)
        exchange = await in_thread(lambda: Exchange(WALLET, venue.url))
        await in_thread(lambda: exchange.market_open("ETH", True, 0.1, None, 0.01))
        wanted = {"user" if s["type"] == "userEvents" else s["type"] for s in plain}
        async with asyncio.timeout(30):
            while set(seen) & wanted != wanted:
                await venue.step(10)
                await asyncio.sleep(0.01)
    finally:
        await in_thread(info.disconnect_websocket)
    assert seen["orderUpdates"][0][0]["status"] == "filled"
    assert seen["userFills"][0]["isSnapshot"] is True
    assert any(f["coin"] == "ETH" for m in seen["userFills"][1:] for f in m["fills"])
    assert any("fills" in m for m in seen["user"])
    assert seen["bbo"][0]["bbo"][0]["n"] >= 1
    assert seen["candle"][0]["i"] == "1m"
    assert seen["webData2"][0]["user"] == user.lower()
