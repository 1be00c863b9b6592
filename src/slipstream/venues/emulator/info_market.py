"""``/info`` about the market."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from slipstream.venues.emulator import depth, shapes
from slipstream.venues.emulator.exchange import Malformed, queries
from slipstream.venues.emulator.query import LATEST, Query
from slipstream.venues.emulator.settings import MARKET_ORDER_NOTIONALS
from slipstream.venues.emulator.shapes import USDC_TOKEN, Json, number
from slipstream.venues.emulator.venue import Venue

MS = 1_000_000
HOUR_MS = 3_600_000
INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "3d", "1w", "1M")
RECENT = 10
ROWS = 500
CANDLES = 5_000
Answer = Callable[[Venue, Query], Any]
SPOT_META: Json = {
    "universe": [],
    "tokens": [
        {
            "name": "USDC",
            "szDecimals": 8,
            "weiDecimals": 8,
            "index": 0,
            "tokenId": USDC_TOKEN,
            "isCanonical": True,
            "evmContract": None,
            "fullName": None,
            "deployerTradingFeeShare": "0.0",
        }
    ],
}


def meta(venue: Venue, query: Query) -> Any:
    return None if query.other_dex() else shapes.meta(venue.exchange)


def meta_and_contexts(venue: Venue, query: Query) -> Any:
    return None if query.other_dex() else [shapes.meta(venue.exchange), venue.asset_contexts()]


def all_mids(venue: Venue, query: Query) -> Any:
    return {} if query.other_dex() else venue.mids()


def l2_book(venue: Venue, query: Query) -> Any:
    coin = query.text("coin")
    figures, mantissa = query.optional("nSigFigs"), query.optional("mantissa")
    instrument = venue.exchange.instruments.get(coin)
    if instrument is None:
        return None
    book = venue.exchange.books[coin]
    return depth.l2_book(book, instrument, venue.exchange.now_ns // MS, figures, mantissa)


def candle_snapshot(venue: Venue, query: Query) -> Any:
    request = query.body.get("req")
    if not isinstance(request, dict):
        raise Malformed("`req` must be an object")
    inner = Query(request)
    coin, interval = inner.text("coin"), inner.text("interval")
    start, end = inner.integer("startTime"), inner.integer("endTime", LATEST)
    if interval not in INTERVALS:
        raise Malformed(f"`interval` must be one of {', '.join(INTERVALS)}")
    if coin not in venue.exchange.instruments:
        return []
    return venue.feed.candles(coin, interval, start, end)[-CANDLES:]


def recent_trades(venue: Venue, query: Query) -> Any:
    coin = query.text("coin")
    if coin not in venue.exchange.instruments:
        return None
    return [shapes.trade(t) for t in venue.tape.recent(coin, RECENT)]


def funding_history(venue: Venue, query: Query) -> Any:
    coin = query.text("coin")
    start, end = query.span()
    if coin not in venue.exchange.instruments:
        return None
    return venue.feed.funding_history(coin, start, LATEST if end is None else end)[:ROWS]


def predicted_fundings(venue: Venue, _query: Query) -> Any:
    now_ms = venue.exchange.now_ns // MS
    rows: list[Any] = []
    for coin, context in venue.exchange.contexts.items():
        here = {
            "fundingRate": number(context.funding),
            "nextFundingTime": (now_ms // HOUR_MS + 1) * HOUR_MS,
            "fundingIntervalHours": 1,
        }
        there = venue.feed.binance_funding(coin)
        rows.append([coin, [["BinPerp", there], ["HlPerp", here], ["BybitPerp", None]]])
    return rows


def max_market_notionals(_venue: Venue, _query: Query) -> Any:
    return [[leverage, number(notional)] for leverage, notional in MARKET_ORDER_NOTIONALS]


def exchange_status(venue: Venue, _query: Query) -> Any:
    return {"time": venue.exchange.now_ns // MS, "specialStatuses": None}


def dex_status(venue: Venue, _query: Query) -> Any:
    total = sum((a.deposits for a in venue.exchange.accounts.values()), Decimal(0))
    return {"totalNetDeposit": number(total)}


def dex_limits(_venue: Venue, query: Query) -> Any:
    return None if query.text("dex") else {
        "totalOiCap": "0.0", "oiSzCapPerPerp": "0.0", "maxTransferNtl": "0.0", "coinToOiCap": [],
    }  # fmt: skip


def auction_status(venue: Venue, _query: Query) -> Any:
    start = venue.exchange.now_ns // (1_000 * MS)
    return {
        "startTimeSeconds": start,
        "durationSeconds": 111_600,
        "startGas": "500.0",
        "currentGas": None,
        "endGas": None,
    }


MARKET: dict[str, Answer] = {
    "meta": meta,
    "metaAndAssetCtxs": meta_and_contexts,
    "allPerpMetas": lambda venue, _query: [shapes.meta(venue.exchange)],
    "perpDexs": lambda _venue, _query: [None],
    "allMids": all_mids,
    "l2Book": l2_book,
    "candleSnapshot": candle_snapshot,
    "recentTrades": recent_trades,
    "fundingHistory": funding_history,
    "predictedFundings": predicted_fundings,
    "perpsAtOpenInterestCap": lambda venue, _query: queries.coins_at_cap(venue.exchange),
    "maxMarketOrderNtls": max_market_notionals,
    "exchangeStatus": exchange_status,
    "perpDexStatus": dex_status,
    "perpDexLimits": dex_limits,
    "perpDeployAuctionStatus": auction_status,
    "spotMeta": lambda _venue, _query: SPOT_META,
    "spotMetaAndAssetCtxs": lambda _venue, _query: [SPOT_META, []],
    "vaultSummaries": lambda _venue, _query: [],
    "validatorSummaries": lambda _venue, _query: [],
}
