"""The reference exchange's WebSocket streams, by path or by SUBSCRIBE.

Streams: <symbol>@bookTicker, !bookTicker, <symbol>@aggTrade, <symbol>@trade, <symbol>@depth[5|10|20][@100ms|500ms],
<symbol>@kline_<interval>, <symbol>@markPrice[@1s], <symbol>@ticker, !ticker@arr. Updates follow the venue's blocks.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from slipstream.venues.emulator.feed import Symbol, binance_intervals
from slipstream.venues.emulator.hub import ENCODER
from slipstream.venues.emulator.outbox import Outbox
from slipstream.venues.emulator.state import Block
from slipstream.venues.emulator.venue import Venue

MS = 1_000_000
SECOND_BLOCKS = 10
STREAM = re.compile(
    r"(?P<symbol>[a-z0-9]+)@(?P<kind>bookTicker|aggTrade|trade|depth|markPrice|ticker|kline)"
    r"(?P<levels>5|10|20)?(?:_(?P<interval>\w+))?(?:@(?P<pace>1s|3s|0ms|100ms|250ms|500ms))?"
)
WHOLE = {
    "!bookTicker": "bookTicker",
    "!ticker@arr": "ticker",
    "!markPrice@arr": "markPrice",
    "!markPrice@arr@1s": "markPrice",
}


class Stream(msgspec.Struct, frozen=True):
    """One stream; ``coin`` is its symbol (empty: all of them), ``wrapped`` that its frames carry its name."""

    kind: str
    name: str
    coin: str = ""
    levels: int = 0
    interval: str = ""
    wrapped: bool = False
    user: str = ""


def streams_of(path: str | None, query: str | None) -> list[str]:
    """The streams that a URL names: /ws/a/b or /stream?streams=a/b."""
    return [name for name in (query or path or "").split("/") if name]


def read_stream(name: str, symbols: dict[str, Symbol], wrapped: bool) -> Stream | None:
    """A stream by its name; None for what is none, or of an unknown symbol."""
    if name in WHOLE:
        return Stream(WHOLE[name], name, wrapped=wrapped)
    match = STREAM.fullmatch(name)
    if match is None or match["symbol"].upper() not in symbols:
        return None
    kind, interval = match["kind"], match["interval"] or ""
    if (kind == "kline") != bool(interval) or (interval and interval not in binance_intervals()):
        return None
    if match["levels"] and kind != "depth":
        return None
    return Stream(kind, name, match["symbol"].upper(), int(match["levels"] or 0), interval, wrapped)


class BinanceSession:
    """One client's SUBSCRIBE conversation."""

    def __init__(self, venue: Venue, outbox: Outbox, *, combined: bool) -> None:
        self._venue, self._outbox, self._wrapped = venue, outbox, combined

    def subscribe(self, names: list[str]) -> None:
        """Listen to the streams that exist; others stay silent, as on the real exchange."""
        for name in names:
            stream = read_stream(name, self._venue.feed.symbols, self._wrapped)
            if stream is not None:
                self._venue.hub.subscribe(self._outbox, stream)
                if stream.kind == "depth":
                    self._venue.feed.follow_depth(self._venue.feed.symbols[stream.coin])

    def receive(self, decoded: Any) -> None:
        """One message of the client."""
        if not isinstance(decoded, dict):
            self._say({"error": {"code": 3, "msg": "Invalid JSON: expected a request object"}})
            return
        number, method, params = decoded.get("id"), decoded.get("method"), decoded.get("params", [])
        if number is not None and not isinstance(number, int | str):
            self._say({"error": {"code": 2, "msg": "Invalid request: id must be an integer or a string"}})
        elif method == "LIST_SUBSCRIPTIONS":
            mine = [t.name for t in self._venue.hub.peers[self._outbox] if isinstance(t, Stream)]
            self._say({"result": sorted(mine), "id": number})
        elif method == "SET_PROPERTY" and params in (["combined", True], ["combined", False]):
            self._wrapped = bool(params[1])
            self._say({"result": None, "id": number})
        elif method == "GET_PROPERTY":
            self._say({"result": self._wrapped, "id": number})
        elif method in ("SUBSCRIBE", "UNSUBSCRIBE") and _names(params):
            if method == "SUBSCRIBE":
                self.subscribe(params)
            else:
                for name in params:
                    for wrapped in (True, False):
                        stream = read_stream(name, self._venue.feed.symbols, wrapped)
                        if stream is not None:
                            self._venue.hub.unsubscribe(self._outbox, stream)
            self._say({"result": None, "id": number})
        else:
            self._say({"error": {"code": 2, "msg": "Invalid request: unknown method or params"}, "id": number})

    def _say(self, body: Any) -> None:
        self._outbox.push(ENCODER.encode(body))


def _names(params: Any) -> bool:
    return isinstance(params, list) and all(isinstance(name, str) for name in params)


class BinancePublisher:
    """Turns the market's reference prices into frames after every block."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._count = 0
        self._best: dict[str, int] = {}  # symbol -> update id last told
        self._trades: dict[str, int] = {}  # symbol -> next aggregate trade id
        self._depth: dict[str, int] = {}

    def on_block(self, block: Block) -> None:
        """Publish what happened up to a block."""
        self._count += 1
        wanted: dict[tuple[str, str], list[Stream]] = {}
        for topic in self._venue.hub.topics:
            if isinstance(topic, Stream):
                wanted.setdefault((topic.kind, topic.coin), []).append(topic)
        if not wanted:
            self._trades.clear()
            self._venue.feed.keep_depth(set())
            return
        frames: dict[tuple[str, str, int, str], list[Any]] = {}
        for (kind, name), streams in wanted.items():
            symbols = self._venue.feed.symbols
            chosen = [symbols[name]] if name else list(symbols.values())
            for stream in streams:
                key = (kind, name, stream.levels, stream.interval)
                if key not in frames:
                    frames[key] = [data for s in chosen for data in self._news(stream, s, block)]
                if not name and kind != "bookTicker" and frames[key]:
                    self._publish(stream, frames[key])
                else:
                    for data in frames[key]:
                        self._publish(stream, data)
        self._remember(wanted)

    def _publish(self, stream: Stream, data: Any) -> None:
        body = {"stream": stream.name, "data": data} if stream.wrapped else data
        self._venue.hub.publish(stream, ENCODER.encode(body))

    def _remember(self, wanted: dict[tuple[str, str], list[Stream]]) -> None:
        feed = self._venue.feed
        for symbol in feed.symbols.values():
            self._best[symbol.name] = feed.best(symbol).update_id
            self._trades[symbol.name] = feed.next_trade_id(symbol)
        followed = {name for kind, name in wanted if kind == "depth"}
        self._depth = {name: self._best[name] for name in followed}
        feed.keep_depth(followed)

    def _news(self, stream: Stream, symbol: Symbol, block: Block) -> list[Any]:
        feed, now_ms = self._venue.feed, block.ns // MS
        if stream.kind == "bookTicker":
            best = feed.best(symbol)
            if self._best.get(symbol.name) == best.update_id:
                return []
            return [
                {
                    "e": "bookTicker",
                    "u": best.update_id,
                    "E": now_ms,
                    "T": best.time_ms,
                    "s": symbol.name,
                    "b": best.bid,
                    "B": best.bid_qty,
                    "a": best.ask,
                    "A": best.ask_qty,
                }
            ]
        if stream.kind in ("aggTrade", "trade"):
            return self._tape(stream.kind, symbol, now_ms)
        if stream.kind == "depth":
            return self._depth_update(stream, symbol, now_ms)
        if self._count % SECOND_BLOCKS:
            return []
        if stream.kind == "markPrice":
            index = feed.premium_index(symbol)
            return [
                {
                    "e": "markPriceUpdate",
                    "E": now_ms,
                    "s": symbol.name,
                    "p": index["markPrice"],
                    "i": index["indexPrice"],
                    "P": index["estimatedSettlePrice"],
                    "r": index["lastFundingRate"],
                    "T": index["nextFundingTime"],
                }
            ]
        if stream.kind == "kline":
            return self._kline(stream, symbol, now_ms)
        return [_ticker(feed.binance_day(symbol), now_ms)]

    def _tape(self, kind: str, symbol: Symbol, now_ms: int) -> list[Any]:
        since = self._trades.get(symbol.name)
        if since is None:
            return []
        rows = self._venue.feed.agg_trades(symbol, since)
        if kind == "aggTrade":
            return [{"e": "aggTrade", "E": now_ms, "s": symbol.name, **row} for row in rows]
        return [
            {"e": "trade", "E": now_ms, "T": row["T"], "s": symbol.name, "t": row["a"], "p": row["p"], "q": row["q"],
             "X": "MARKET", "m": row["m"]}
            for row in rows
        ]  # fmt: skip

    def _depth_update(self, stream: Stream, symbol: Symbol, now_ms: int) -> list[Any]:
        feed = self._venue.feed
        last = self._depth.get(symbol.name)
        head = {"e": "depthUpdate", "E": now_ms, "T": now_ms, "s": symbol.name}
        if stream.levels:
            book = feed.depth(symbol, stream.levels)
            ids = {"U": book.update_id, "u": book.update_id, "pu": last or book.update_id}
            return [{**head, **ids, "b": book.bids, "a": book.asks}]
        update = feed.depth_update(symbol)
        return [] if update is None else [{**head, **update}]

    def _kline(self, stream: Stream, symbol: Symbol, now_ms: int) -> list[Any]:
        rows = self._venue.feed.klines(symbol, stream.interval, self._venue.feed.kline_start(stream.interval), 1 << 62)
        if not rows:
            return []
        o = rows[-1]
        bar = {
            "t": o[0], "T": o[6], "s": symbol.name, "i": stream.interval, "f": -1, "L": -1, "o": o[1], "c": o[4],
            "h": o[2], "l": o[3], "v": o[5], "n": o[8], "x": False, "q": o[7], "V": o[9], "Q": o[10], "B": "0",
        }  # fmt: skip
        return [{"e": "kline", "E": now_ms, "s": symbol.name, "k": bar}]


def _ticker(day: dict[str, Any], now_ms: int) -> Any:
    return {
        "e": "24hrTicker", "E": now_ms, "s": day["symbol"], "p": day["priceChange"], "P": day["priceChangePercent"],
        "w": day["weightedAvgPrice"], "c": day["lastPrice"], "Q": day["lastQty"], "o": day["openPrice"],
        "h": day["highPrice"], "l": day["lowPrice"], "v": day["volume"], "q": day["quoteVolume"], "O": day["openTime"],
        "C": day["closeTime"], "F": day["firstId"], "L": day["lastId"], "n": day["count"],
    }  # fmt: skip
