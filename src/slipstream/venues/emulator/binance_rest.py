"""GET /fapi/...: the reference exchange's market data (USD-M futures). Numbers are strings, time is ms.

Source: the exchange's public documentation of its USD-M market data; weights are not enforced here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipstream.venues.emulator.feed import DEPTHS, Symbol, binance_intervals
from slipstream.venues.emulator.venue import Venue

MS = 1_000_000
Params = dict[str, str]
HOUR_MS = 3_600_000


class Refused(Exception):
    """A request that the reference exchange answers with its error object."""

    def __init__(self, code: int, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.code, self.text, self.status = code, text, status


def answer(venue: Venue, path: str, params: Params) -> tuple[int, Any]:
    """(HTTP status, body) of a request path below /fapi/."""
    version, _, name = path.partition("/")
    rule = ROUTES.get(name) if version in ("v1", "v2", "v3") else None
    if rule is None:
        return 404, {"code": -5000, "msg": f"Path /fapi/{path}, Method GET is invalid"}
    try:
        return 200, rule(venue, params)
    except Refused as refused:
        return refused.status, {"code": refused.code, "msg": refused.text}


def _symbol(venue: Venue, params: Params) -> Symbol:
    name = params.get("symbol")
    if name is None:
        raise Refused(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
    symbol = venue.feed.symbols.get(name.upper())
    if symbol is None:
        raise Refused(-1121, "Invalid symbol.")
    return symbol


def _one_or_all(venue: Venue, params: Params, make: Callable[[Venue, Symbol], Any]) -> Any:
    if params.get("symbol") is not None:
        return make(venue, _symbol(venue, params))
    return [make(venue, symbol) for symbol in venue.feed.symbols.values()]


def _integer(params: Params, name: str, default: int, least: int = 0, most: int = 1 << 62) -> int:
    text = params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text[:20]) <= most:
        raise Refused(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{least}' to '{most}'.")
    return int(text)


def server_time(venue: Venue, _params: Params) -> Any:
    return {"serverTime": venue.exchange.now_ns // MS}


def exchange_info(venue: Venue, _params: Params) -> Any:
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
    ]
    return {
        "timezone": "UTC",
        "serverTime": venue.exchange.now_ns // MS,
        "futuresType": "U_MARGINED",
        "rateLimits": limits,
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [_symbol_info(s) for s in venue.feed.symbols.values()],
    }


def _symbol_info(s: Symbol) -> Any:
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": s.tick, "maxPrice": "10000000", "tickSize": s.tick},
        {"filterType": "LOT_SIZE", "minQty": s.step, "maxQty": "100000000", "stepSize": s.step},
        {"filterType": "MARKET_LOT_SIZE", "minQty": s.step, "maxQty": "100000000", "stepSize": s.step},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.1500", "multiplierDown": "0.8500", "multiplierDecimal": "4"},
    ]
    return {
        "symbol": s.name,
        "pair": s.name,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": s.base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": s.price_decimals,
        "quantityPrecision": s.size_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": filters,
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def book_ticker(venue: Venue, params: Params) -> Any:
    return _one_or_all(venue, params, _book_ticker)


def _book_ticker(venue: Venue, symbol: Symbol) -> Any:
    best = venue.feed.best(symbol)
    return {
        "symbol": symbol.name,
        "bidPrice": best.bid,
        "bidQty": best.bid_qty,
        "askPrice": best.ask,
        "askQty": best.ask_qty,
        "time": best.time_ms,
        "lastUpdateId": best.update_id,
    }


def depth(venue: Venue, params: Params) -> Any:
    symbol = _symbol(venue, params)
    limit = _integer(params, "limit", 500)
    if limit not in DEPTHS:
        raise Refused(-4021, f"{limit} is not valid depth limit.")
    book = venue.feed.depth(symbol, limit)
    return {
        "lastUpdateId": book.update_id,
        "E": book.time_ms,
        "T": book.time_ms,
        "bids": book.bids,
        "asks": book.asks,
    }


def agg_trades(venue: Venue, params: Params) -> Any:
    symbol = _symbol(venue, params)
    limit = _integer(params, "limit", 500, 1, 1_000)
    start, end = _integer(params, "startTime", 0), _integer(params, "endTime", 1 << 62)
    first = _integer(params, "fromId", 0)
    rows = [t for t in venue.feed.agg_trades(symbol, first) if start <= t["T"] <= end]
    forward = "fromId" in params or "startTime" in params
    return rows[:limit] if forward else rows[-limit:]


def trades(venue: Venue, params: Params) -> Any:
    limit = _integer(params, "limit", 500, 1, 1_000)
    rows = venue.feed.agg_trades(_symbol(venue, params), 0)[-limit:]
    return [
        {
            "id": t["a"],
            "price": t["p"],
            "qty": t["q"],
            "quoteQty": f"{float(t['p']) * float(t['q']):.8f}",
            "time": t["T"],
            "isBuyerMaker": t["m"],
        }
        for t in rows
    ]


def klines(venue: Venue, params: Params) -> Any:
    symbol = _symbol(venue, params)
    interval = params.get("interval", "")
    if interval not in binance_intervals():
        raise Refused(-1120, "Invalid interval.")
    limit = _integer(params, "limit", 500, 1, 1_500)
    start, end = _integer(params, "startTime", 0), _integer(params, "endTime", 1 << 62)
    rows = venue.feed.klines(symbol, interval, start, end)
    return rows[:limit] if "startTime" in params else rows[-limit:]


def day_ticker(venue: Venue, params: Params) -> Any:
    return _one_or_all(venue, params, lambda v, s: v.feed.binance_day(s))


def price_ticker(venue: Venue, params: Params) -> Any:
    def price(v: Venue, symbol: Symbol) -> Any:
        day = v.feed.binance_day(symbol)
        return {"symbol": symbol.name, "price": day["lastPrice"], "time": day["closeTime"]}

    return _one_or_all(venue, params, price)


def premium_index(venue: Venue, params: Params) -> Any:
    return _one_or_all(venue, params, lambda v, s: v.feed.premium_index(s))


def funding_rate(venue: Venue, params: Params) -> Any:
    limit = _integer(params, "limit", 100, 1, 1_000)
    start, end = _integer(params, "startTime", 0), _integer(params, "endTime", 1 << 62)
    rows = venue.feed.binance_funding_history(_symbol(venue, params), start, end)
    return rows[:limit] if "startTime" in params else rows[-limit:]


def funding_info(venue: Venue, _params: Params) -> Any:
    return [
        {
            "symbol": s.name,
            "adjustedFundingRateCap": "0.02000000",
            "adjustedFundingRateFloor": "-0.02000000",
            "fundingIntervalHours": 8,
            "disclaimer": False,
        }
        for s in venue.feed.symbols.values()
    ]


def open_interest(venue: Venue, params: Params) -> Any:
    symbol = _symbol(venue, params)
    return {
        "symbol": symbol.name,
        "openInterest": venue.feed.binance_open_interest(symbol),
        "time": venue.exchange.now_ns // MS,
    }


ROUTES: dict[str, Callable[[Venue, Params], Any]] = {
    "ping": lambda _venue, _params: {},
    "time": server_time,
    "exchangeInfo": exchange_info,
    "ticker/bookTicker": book_ticker,
    "ticker/24hr": day_ticker,
    "ticker/price": price_ticker,
    "depth": depth,
    "aggTrades": agg_trades,
    "trades": trades,
    "klines": klines,
    "premiumIndex": premium_index,
    "fundingRate": funding_rate,
    "fundingInfo": funding_info,
    "openInterest": open_interest,
}
