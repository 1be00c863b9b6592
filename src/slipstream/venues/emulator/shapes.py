"""The venue's JSON for orders, fills, positions and contexts. Numbers are strings with at least one decimal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from slipstream.model.instrument import Instrument, plain
from slipstream.venues.emulator.exchange import CoinContext, queries
from slipstream.venues.emulator.exchange.venue import Exchange
from slipstream.venues.emulator.state import (
    FillRecord,
    FundingRecord,
    LedgerRecord,
    OrderUpdate,
    PublicTrade,
    Twap,
    VenueOrder,
)

MS = 1_000_000
ZERO_HASH = "0x" + "0" * 64
Json = dict[str, Any]
USDC_TOKEN = "0x6d1e7cde53ba9467b783cb7c530ce054"


def number(value: Decimal) -> str:
    """A number as the venue answers it: no exponent, at least one decimal."""
    text = plain(value)
    return text if "." in text else text + ".0"


def usd(value: Decimal) -> str:
    """Money rounded to millionths (derived figures: equity, margin, profit)."""
    return number(value.quantize(Decimal("0.000001")))


def basic_order(order: VenueOrder) -> Json:
    """An order as in ``openOrders`` and ``orderUpdates``."""
    out: Json = {
        "coin": order.coin,
        "side": order.side.value,
        "limitPx": number(order.limit_px),
        "sz": number(order.sz),
        "oid": order.oid,
        "timestamp": order.created_ns // MS,
        "origSz": number(order.orig_sz),
    }
    if order.reduce_only:
        out["reduceOnly"] = True
    if order.cloid is not None:
        out["cloid"] = order.cloid
    return out


def frontend_order(order: VenueOrder, children: list[VenueOrder] | None = None) -> Json:
    """An order with everything a front end shows."""
    return {
        "coin": order.coin,
        "side": order.side.value,
        "limitPx": number(order.limit_px),
        "sz": number(order.sz),
        "oid": order.oid,
        "timestamp": order.created_ns // MS,
        "triggerCondition": queries.trigger_condition(order),
        "isTrigger": order.trigger is not None,
        "triggerPx": number(order.trigger.px) if order.trigger is not None else "0.0",
        "children": [frontend_order(child) for child in children or ()],
        "isPositionTpsl": order.is_position_tpsl,
        "reduceOnly": order.reduce_only,
        "orderType": queries.order_kind(order),
        "origSz": number(order.orig_sz),
        "tif": order.tif,
        "cloid": order.cloid,
    }


def order_with_status(order: VenueOrder) -> Json:
    """An order and what became of it."""
    status_ns = order.status_ns or order.created_ns
    return {"order": frontend_order(order), "status": order.status.value, "statusTimestamp": status_ns // MS}


def order_update(update: OrderUpdate) -> Json:
    """An element of ``orderUpdates``."""
    return {
        "order": basic_order(update.order),
        "status": update.status.value,
        "statusTimestamp": update.ns // MS,
    }


def fill(record: FillRecord) -> Json:
    """One fill of a user."""
    out: Json = {
        "coin": record.coin,
        "px": number(record.px),
        "sz": number(record.sz),
        "side": record.side.value,
        "time": record.ns // MS,
        "startPosition": number(record.start_position),
        "dir": record.dir,
        "closedPnl": number(record.closed_pnl),
        "hash": record.hash,
        "oid": record.oid,
        "crossed": record.crossed,
        "fee": number(record.fee),
        "tid": record.tid,
        "feeToken": "USDC",
        "twapId": record.twap_id,
    }
    if record.cloid is not None:
        out["cloid"] = record.cloid
    if record.builder_fee is not None:
        out["builderFee"] = number(record.builder_fee)
    if record.liquidation is not None:
        out["liquidation"] = record.liquidation
    return out


def aggregated(fills: list[FillRecord]) -> list[Json]:
    """Fills with neighbours of one order, time and price side merged: size and fee add up, the price is the mean."""
    out: list[Json] = []
    groups: list[list[FillRecord]] = []
    for record in fills:
        if groups and _one_taking(groups[-1][-1], record):
            groups[-1].append(record)
        else:
            groups.append([record])
    for group in groups:
        row = fill(group[0])
        size = sum((r.sz for r in group), Decimal(0))
        row["sz"] = number(size)
        row["px"] = number((sum((r.px * r.sz for r in group), Decimal(0)) / size).quantize(Decimal("0.00000001")))
        row["fee"] = number(sum((r.fee for r in group), Decimal(0)))
        row["closedPnl"] = number(sum((r.closed_pnl for r in group), Decimal(0)))
        out.append(row)
    return out


def _one_taking(one: FillRecord, other: FillRecord) -> bool:
    return one.crossed and other.crossed and (one.oid, one.ns, one.coin) == (other.oid, other.ns, other.coin)


def trade(print_: PublicTrade) -> Json:
    """One public trade."""
    return {
        "coin": print_.coin,
        "side": print_.side.value,
        "px": number(print_.px),
        "sz": number(print_.sz),
        "time": print_.ns // MS,
        "hash": print_.hash,
        "tid": print_.tid,
        "users": [print_.buyer, print_.seller],
    }


def funding_delta(record: FundingRecord) -> Json:
    """The fields of one funding payment."""
    return {
        "coin": record.coin,
        "usdc": number(record.usdc),
        "szi": number(record.szi),
        "fundingRate": number(record.rate),
        "nSamples": None,
    }


def funding_row(record: FundingRecord) -> Json:
    """A row of ``userFunding``."""
    return {"time": record.ns // MS, "hash": ZERO_HASH, "delta": {"type": "funding", **funding_delta(record)}}


def funding_event(record: FundingRecord) -> Json:
    """A funding payment on a stream."""
    return {"time": record.ns // MS, **funding_delta(record)}


def ledger_row(record: LedgerRecord) -> Json:
    """A row of ``userNonFundingLedgerUpdates``."""
    return {"time": record.ns // MS, "hash": record.hash, "delta": record.delta}


def margin_summary(summary: queries.MarginSummary) -> Json:
    """A margin summary."""
    return {
        "accountValue": usd(summary.account_value),
        "totalNtlPos": usd(summary.notional),
        "totalRawUsd": usd(summary.raw_usd),
        "totalMarginUsed": usd(summary.margin_used),
    }


def position(view: queries.PositionView) -> Json:
    """One position."""
    held = view.position
    leverage: Json = {"type": "cross" if held.is_cross else "isolated", "value": held.leverage}
    if not held.is_cross:
        leverage["rawUsd"] = usd(held.isolated_usd)
    return {
        "type": "oneWay",
        "position": {
            "coin": held.coin,
            "szi": number(held.szi),
            "leverage": leverage,
            "entryPx": number(held.entry_px),
            "positionValue": usd(view.value),
            "unrealizedPnl": usd(view.unrealised),
            "returnOnEquity": number(view.return_on_equity.quantize(Decimal("0.0000000001"))),
            "liquidationPx": _px(view.liquidation_px),
            "marginUsed": usd(view.margin_used),
            "maxLeverage": view.max_leverage,
            "cumFunding": {
                "allTime": usd(held.funding_all_time),
                "sinceOpen": usd(held.funding_since_open),
                "sinceChange": usd(held.funding_since_change),
            },
        },
    }


def _px(px: Decimal | None) -> str | None:
    return None if px is None else number(px.quantize(Decimal("0.0000000001")))


def clearinghouse(exchange: Exchange, user: str) -> Json:
    """``clearinghouseState``."""
    state = queries.clearinghouse(exchange, user)
    return {
        "marginSummary": margin_summary(state.total),
        "crossMarginSummary": margin_summary(state.cross),
        "crossMaintenanceMarginUsed": usd(state.cross_maintenance),
        "withdrawable": usd(state.withdrawable),
        "assetPositions": [position(view) for view in state.positions],
        "time": exchange.now_ns // MS,
    }


def spot_state(exchange: Exchange, user: str) -> Json:
    """``spotClearinghouseState``: USDC is the only token here."""
    total, hold = queries.spot_hold(exchange, user)
    row = {"coin": "USDC", "token": 0, "total": number(total), "hold": number(hold), "entryNtl": "0.0"}
    return {"balances": [row] if total or hold else []}


def active_asset_data(exchange: Exchange, user: str, coin: str) -> Json:
    """``activeAssetData``."""
    can = queries.tradable(exchange, user, coin)
    leverage: Json = {"type": "cross" if can.is_cross else "isolated", "value": can.leverage}
    if not can.is_cross:
        held = queries.account_of(exchange, user).positions.get(coin)
        leverage["rawUsd"] = usd(held.isolated_usd) if held is not None else "0.0"
    return {
        "user": user.lower(),
        "coin": coin,
        "leverage": leverage,
        "maxTradeSzs": [number(sz) for sz in can.max_sizes],
        "availableToTrade": [usd(value) for value in can.available],
        "markPx": number(can.mark),
    }


def twap_state(twap: Twap) -> Json:
    """The state of a TWAP."""
    return {
        "coin": twap.coin,
        "user": twap.user,
        "side": twap.side.value,
        "sz": number(twap.sz),
        "executedSz": number(twap.executed_sz),
        "executedNtl": number(twap.executed_ntl),
        "minutes": twap.minutes,
        "reduceOnly": twap.reduce_only,
        "randomize": twap.randomize,
        "timestamp": twap.start_ns // MS,
    }


def twap_history(twap: Twap, status: str, ns: int) -> Json:
    """A row of the TWAP history: times in seconds, as the venue has it."""
    word: Json = {"status": status}
    if status == "error":
        word["description"] = twap.error
    return {"time": ns // (1_000 * MS), "state": twap_state(twap), "status": word, "twapId": twap.twap_id}


def asset(instrument: Instrument) -> Json:
    """A row of the universe."""
    out: Json = {
        "name": instrument.coin,
        "szDecimals": instrument.size_decimals,
        "maxLeverage": instrument.max_leverage,
        "marginTableId": margin_table_id(instrument),
    }
    if instrument.only_isolated:
        out["onlyIsolated"] = True
        out["marginMode"] = "strictIsolated"
    if instrument.delisted:
        out["isDelisted"] = True
    return out


def margin_table_id(instrument: Instrument) -> int:
    """The id of its margin table; below 50 it is the leverage itself."""
    return instrument.margin_table or instrument.max_leverage


def meta(exchange: Exchange) -> Json:
    """``meta``: asset id = index."""
    listed = sorted(exchange.instruments.values(), key=lambda i: i.asset)
    tables: dict[int, Json] = {}
    for instrument in listed:
        tiers = [(number(t.lower_bound), t.max_leverage) for t in instrument.tiers]
        tiered = len(tiers) > 1
        tables[margin_table_id(instrument)] = {
            "description": f"tiered {instrument.max_leverage}x" if tiered else "",
            "marginTiers": [
                {"lowerBound": bound, "maxLeverage": leverage}
                for bound, leverage in tiers or [("0.0", instrument.max_leverage)]
            ],
        }
    return {
        "universe": [asset(i) for i in listed],
        "marginTables": [[table, tables[table]] for table in sorted(tables)],
        "collateralToken": 0,
    }


class DayStats:
    """Volume of the last 24 h and the price a day ago."""

    __slots__ = ("base", "notional", "prev_px")

    def __init__(self, notional: Decimal, base: Decimal, prev_px: Decimal) -> None:
        self.notional, self.base, self.prev_px = notional, base, prev_px


def context(instrument: Instrument, now: CoinContext, day: DayStats) -> Json:
    """The context of a perp: prices, funding, open interest, volume."""
    empty = now.mid is None
    impacts = None
    if now.impact_bid is not None and now.impact_ask is not None:
        impacts = [number(now.impact_bid), number(now.impact_ask)]
    return {
        "funding": "0.0" if instrument.delisted else number(now.funding),
        "openInterest": number(now.open_interest),
        "prevDayPx": number(day.prev_px),
        "dayNtlVlm": number(day.notional),
        "premium": None if now.premium is None or empty else number(now.premium),
        "oraclePx": number(now.oracle),
        "markPx": number(now.mark),
        "midPx": None if now.mid is None else number(now.mid),
        "impactPxs": impacts,
        "dayBaseVlm": number(day.base),
    }
