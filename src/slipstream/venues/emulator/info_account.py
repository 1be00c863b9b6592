"""``/info`` about an address."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from slipstream.venues.emulator import shapes
from slipstream.venues.emulator.exchange import queries
from slipstream.venues.emulator.query import Query
from slipstream.venues.emulator.shapes import Json, number, usd
from slipstream.venues.emulator.state import ZERO, Account
from slipstream.venues.emulator.venue import Venue

MS = 1_000_000
DAY_MS = 86_400_000
PERIODS = (("day", DAY_MS), ("week", 7 * DAY_MS), ("month", 30 * DAY_MS), ("allTime", None))
Answer = Callable[[Venue, Query], Any]


def clearinghouse_state(venue: Venue, query: Query) -> Any:
    return None if query.other_dex() else shapes.clearinghouse(venue.exchange, query.address())


def spot_clearinghouse_state(venue: Venue, query: Query) -> Any:
    return shapes.spot_state(venue.exchange, query.address())


def open_orders(venue: Venue, query: Query) -> Any:
    user, foreign = query.address(), query.other_dex()
    return [] if foreign else [shapes.basic_order(o) for o in queries.open_orders(venue.exchange, user)]


def frontend_open_orders(venue: Venue, query: Query) -> Any:
    user, foreign = query.address(), query.other_dex()
    return [] if foreign else frontend_orders(venue, user)


def frontend_orders(venue: Venue, user: str) -> list[Json]:
    """Open orders of a user with everything a front end shows; waiting children inside their parents."""
    opened = [queries.with_children(venue.exchange, o) for o in queries.open_orders(venue.exchange, user)]
    armed = venue.exchange.floor.triggers
    waiting = {
        child.oid for parent in opened for child in parent.children if child.oid not in armed.get(child.coin, {})
    }
    return [shapes.frontend_order(x.order, x.children) for x in opened if x.order.oid not in waiting]


def order_status(venue: Venue, query: Query) -> Any:
    order = queries.order_status(venue.exchange, query.address(), query.order_key())
    if order is None:
        return {"status": "unknownOid"}
    return {"status": "order", "order": shapes.order_with_status(order)}


def historical_orders(venue: Venue, query: Query) -> Any:
    return [shapes.order_with_status(o) for o in queries.historical_orders(venue.exchange, query.address())]


def user_fills(venue: Venue, query: Query) -> Any:
    records = queries.fills(venue.exchange, query.address())
    return shapes.aggregated(records) if query.flag("aggregateByTime") else [shapes.fill(r) for r in records]


def user_fills_by_time(venue: Venue, query: Query) -> Any:
    start, end = query.span()
    records = queries.fills_by_time(venue.exchange, query.address(), start, end)
    if query.flag("reversed"):
        records = records[::-1]
    return shapes.aggregated(records) if query.flag("aggregateByTime") else [shapes.fill(r) for r in records]


def user_funding(venue: Venue, query: Query) -> Any:
    return [shapes.funding_row(r) for r in queries.fundings(venue.exchange, query.address(), *query.span())]


def ledger_updates(venue: Venue, query: Query) -> Any:
    return [shapes.ledger_row(r) for r in queries.ledger_rows(venue.exchange, query.address(), *query.span())]


def user_fees(venue: Venue, query: Query) -> Any:
    state = queries.fee_state(venue.exchange, query.address())
    settings = venue.exchange.settings
    base = settings.fee_tiers[0]
    vip = [
        {"ntlCutoff": number(t.cutoff), "cross": number(t.cross), "add": number(t.add), "spotCross": "0.0007",
         "spotAdd": "0.0004"}
        for t in settings.fee_tiers[1:]
    ]  # fmt: skip
    rebates = [{"makerFractionCutoff": number(t.fraction), "add": number(t.add)} for t in settings.maker_tiers]
    return {
        "dailyUserVlm": [
            {"date": date, "userCross": usd(cross), "userAdd": usd(add), "exchange": usd(whole)}
            for date, cross, add, whole in state.daily
        ],
        "feeSchedule": {
            "cross": number(base.cross),
            "add": number(base.add),
            "spotCross": "0.0007",
            "spotAdd": "0.0004",
            "tiers": {"vip": vip, "mm": rebates},
            "referralDiscount": "0.04",
            "stakingDiscountTiers": [{"bpsOfMaxSupply": "0.0", "discount": "0.0"}],
        },
        "userCrossRate": number(state.cross),
        "userAddRate": number(state.add),
        "userSpotCrossRate": "0.0007",
        "userSpotAddRate": "0.0004",
        "activeReferralDiscount": "0.0",
        "trial": None,
        "feeTrialReward": "0.0",
        "nextTrialAvailableTimestamp": None,
        "stakingLink": None,
        "activeStakingDiscount": {"bpsOfMaxSupply": "0.0", "discount": "0.0"},
    }


def user_rate_limit(venue: Venue, query: Query) -> Any:
    state = queries.rate_limit(venue.exchange, query.address())
    return {
        "cumVlm": number(state.volume),
        "nRequestsUsed": state.used,
        "nRequestsCap": state.cap,
        "nRequestsSurplus": state.surplus,
    }


def active_asset_data(venue: Venue, query: Query) -> Any:
    user, coin = query.address(), query.text("coin")
    return shapes.active_asset_data(venue.exchange, user, coin) if coin in venue.exchange.instruments else None


def user_role(venue: Venue, query: Query) -> Any:
    role, master = queries.role(venue.exchange, query.address())
    if role == "agent":
        return {"role": role, "data": {"user": master}}
    return {"role": role, "data": {"master": master}} if role == "subAccount" else {"role": role}


def extra_agents(venue: Venue, query: Query) -> Any:
    return [
        {"name": agent.name, "address": agent.address, "validUntil": agent.valid_until_ns // MS}
        for agent in queries.agents(venue.exchange, query.address())
        if agent.name
    ]


def sub_accounts(venue: Venue, query: Query) -> Any:
    rows = [
        {
            "name": sub.name,
            "subAccountUser": sub.address,
            "master": sub.master,
            "clearinghouseState": shapes.clearinghouse(venue.exchange, sub.address),
            "spotState": shapes.spot_state(venue.exchange, sub.address),
        }
        for sub in queries.sub_accounts(venue.exchange, query.address())
    ]
    return rows or None


def max_builder_fee(venue: Venue, query: Query) -> Any:
    return queries.builder_fee_cap(venue.exchange, query.address(), query.address("builder"))


def user_abstraction(venue: Venue, query: Query) -> Any:
    return queries.account_of(venue.exchange, query.address()).abstraction


def user_dex_abstraction(venue: Venue, query: Query) -> Any:
    return queries.account_of(venue.exchange, query.address()).abstraction == "dexAbstraction"


def portfolio(venue: Venue, query: Query) -> Any:
    account = queries.account_of(venue.exchange, query.address())
    perps = [_period(venue, account, name, length) for name, length in PERIODS]
    return [*perps, *([f"perp{name[0].upper()}{name[1:]}", body] for name, body in perps)]


def _period(venue: Venue, account: Account, name: str, length: int | None) -> Any:
    now_ms = venue.exchange.now_ns // MS
    since = 0 if length is None else now_ms - length
    rows = [(ns // MS, value, profit) for ns, value, profit in account.equity_history if ns // MS >= since]
    value = queries.clearinghouse(venue.exchange, account.address).total.account_value + account.spot_usdc
    base = rows[0][2] if rows else ZERO
    volume = account.volume if length is None else _volume_since(venue, account, since)
    history = [[ms, usd(equity)] for ms, equity, _ in rows] + [[now_ms, usd(value)]]
    profits = [[ms, usd(profit - base)] for ms, _, profit in rows]
    profits = profits or [[now_ms, "0.0"]]
    return [name, {"accountValueHistory": history, "pnlHistory": profits, "vlm": usd(volume)}]


def _volume_since(venue: Venue, account: Account, since_ms: int) -> Decimal:
    recent = (f for f in account.fills if f.ns // MS >= since_ms)
    return sum((f.px * f.sz for f in recent), ZERO)


def twap_history(venue: Venue, query: Query) -> Any:
    user = query.address()
    now = venue.exchange.now_ns
    past = [shapes.twap_history(t, t.status, t.next_ns) for t in queries.past_twaps(venue.exchange, user)]
    return [shapes.twap_history(t, t.status, min(now, t.start_ns)) for t in queries.twaps(venue.exchange, user)] + past


def twap_slice_fills(venue: Venue, query: Query) -> Any:
    records = queries.twap_fills(venue.exchange, query.address())
    return [{"fill": shapes.fill(r), "twapId": r.twap_id} for r in records]


def user_vault_equities(venue: Venue, query: Query) -> Any:
    now_ms = venue.exchange.now_ns // MS
    return [
        {"vaultAddress": vault.address, "equity": usd(worth), "lockedUntilTimestamp": now_ms}
        for vault, worth in queries.vault_shares(venue.exchange, query.address())
    ]


def vault_details(venue: Venue, query: Query) -> Any:
    vault = venue.exchange.accounts.get(query.address("vaultAddress"))
    if vault is None or not vault.is_vault:
        return None
    value = queries.clearinghouse(venue.exchange, vault.address).total.account_value
    return {
        "name": vault.name,
        "vaultAddress": vault.address,
        "leader": vault.master or vault.address,
        "description": "",
        "portfolio": [_period(venue, vault, name, length) for name, length in PERIODS],
        "apr": 0.0,
        "followerState": None,
        "leaderFraction": 1.0,
        "leaderCommission": 0.0,
        "followers": [{"user": user, "vaultEquity": usd(shares)} for user, shares in vault.shares.items()],
        "maxDistributable": float(value),
        "maxWithdrawable": float(value),
        "isClosed": False,
        "relationship": {"type": "normal"},
        "allowDeposits": True,
        "alwaysCloseOnWithdraw": False,
    }


def referral(venue: Venue, query: Query) -> Any:
    account = queries.account_of(venue.exchange, query.address())
    code = account.referrer
    return {
        "referredBy": None if code is None else {"referrer": "0x" + "0" * 40, "code": code},
        "cumVlm": number(account.volume),
        "unclaimedRewards": "0.0",
        "claimedRewards": "0.0",
        "builderRewards": "0.0",
        "referrerState": {"stage": "needToTrade", "data": {"required": "10000.0"}},
        "rewardHistory": [],
        "tokenToState": [],
    }


def delegator_summary(_venue: Venue, query: Query) -> Any:
    query.address()
    return {"delegated": "0.0", "undelegated": "0.0", "totalPendingWithdrawal": "0.0", "nPendingWithdrawals": 0}


def nothing_yet(_venue: Venue, query: Query) -> Any:
    """Lists about staking and the like, which this venue does not have."""
    query.address()
    return []


def no_signers(_venue: Venue, query: Query) -> Any:
    query.address()
    return None


def web_data(venue: Venue, query: Query) -> Any:
    """``webData2``: one account with the whole market around it."""
    user = query.address()
    exchange = venue.exchange
    role, _ = queries.role(exchange, user)
    unnamed = [a for a in queries.agents(exchange, user) if not a.name]
    account = queries.account_of(exchange, user)
    return {
        "clearinghouseState": shapes.clearinghouse(exchange, user),
        "leadingVaults": [],
        "totalVaultEquity": usd(sum((w for _, w in queries.vault_shares(exchange, user)), ZERO)),
        "openOrders": frontend_orders(venue, user),
        "agentAddress": unnamed[0].address if unnamed else None,
        "agentValidUntil": unnamed[0].valid_until_ns // MS if unnamed else None,
        "cumLedger": usd(account.deposits),
        "meta": shapes.meta(exchange),
        "assetCtxs": venue.asset_contexts(),
        "serverTime": exchange.now_ns // MS,
        "isVault": role == "vault",
        "user": user,
        "twapStates": [[t.twap_id, shapes.twap_state(t)] for t in queries.twaps(exchange, user)],
        "spotState": shapes.spot_state(exchange, user),
        "spotAssetCtxs": [],
        "perpsAtOpenInterestCap": queries.coins_at_cap(exchange),
    }


ACCOUNT: dict[str, Answer] = {
    "clearinghouseState": clearinghouse_state,
    "spotClearinghouseState": spot_clearinghouse_state,
    "openOrders": open_orders,
    "frontendOpenOrders": frontend_open_orders,
    "orderStatus": order_status,
    "historicalOrders": historical_orders,
    "userFills": user_fills,
    "userFillsByTime": user_fills_by_time,
    "userFunding": user_funding,
    "userNonFundingLedgerUpdates": ledger_updates,
    "userFees": user_fees,
    "userRateLimit": user_rate_limit,
    "activeAssetData": active_asset_data,
    "userRole": user_role,
    "extraAgents": extra_agents,
    "subAccounts": sub_accounts,
    "maxBuilderFee": max_builder_fee,
    "approvedBuilders": lambda venue, query: list(queries.account_of(venue.exchange, query.address()).builder_fees),
    "userAbstraction": user_abstraction,
    "userDexAbstraction": user_dex_abstraction,
    "portfolio": portfolio,
    "twapHistory": twap_history,
    "userTwapSliceFills": twap_slice_fills,
    "userVaultEquities": user_vault_equities,
    "vaultDetails": vault_details,
    "leadingVaults": nothing_yet,
    "referral": referral,
    "delegatorSummary": delegator_summary,
    "delegations": nothing_yet,
    "delegatorRewards": nothing_yet,
    "delegatorHistory": nothing_yet,
    "userToMultiSigSigners": no_signers,
    "isVip": lambda _venue, query: bool(query.address()) and False,
    "webData2": web_data,
}
