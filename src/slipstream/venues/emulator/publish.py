"""From a block to the frames its listeners get."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from slipstream.venues.emulator import depth, shapes
from slipstream.venues.emulator.exchange import queries
from slipstream.venues.emulator.hub import message
from slipstream.venues.emulator.info_account import frontend_orders, web_data
from slipstream.venues.emulator.query import LATEST, Query
from slipstream.venues.emulator.shapes import Json
from slipstream.venues.emulator.state import Block, FillRecord
from slipstream.venues.emulator.subscriptions import Topic
from slipstream.venues.emulator.venue import Venue

MS = 1_000_000
BOOK_BLOCKS = 5  # full books at most every half second
STATE_BLOCKS = 10  # states that drift with prices: every second
SNAPSHOT_FILLS = 100
SNAPSHOT_TRADES = 10


class News(msgspec.Struct):
    """One block, sorted by who wants to hear it."""

    count: int  # blocks since the start: the beat of the periodic streams
    time_ms: int
    books: set[str]
    touched: set[str]
    trades: dict[str, list[Json]] = {}
    updates: dict[str, list[Json]] = {}
    fills: dict[str, list[FillRecord]] = {}
    fundings: dict[str, list[Any]] = {}
    ledger: dict[str, list[Json]] = {}
    events: dict[str, list[Json]] = {}
    twaps: dict[str, list[Json]] = {}
    twap_fills: dict[str, list[Json]] = {}

    def due(self, period: int) -> bool:
        """Whether a periodic stream has its turn."""
        return self.count % period == 0


class Publisher:
    """Turns blocks into frames; remembers the last of those streams that only speak on change."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._last: dict[Topic, Any] = {}
        self._count = 0
        self._moved: set[str] = set()  # coins traded since the last candle

    def on_block(self, block: Block) -> None:
        """Publish a block."""
        self._count += 1
        news = self._sort(block)
        self._moved.update(news.trades)
        for topic in list(self._venue.hub.topics):
            if isinstance(topic, Topic):
                for data in PUSHES[topic.kind](self, topic, news):
                    self._venue.hub.publish(topic, message(topic.channel, data))
        if news.due(BOOK_BLOCKS):
            self._moved.clear()
        if news.due(1_000):  # forget streams that nobody hears any more
            self._last = {t: last for t, last in self._last.items() if t in self._venue.hub.topics}

    def _sort(self, block: Block) -> News:
        news = News(self._count, block.ns // MS, set(block.books), set(block.touched), {}, {}, {}, {}, {}, {}, {}, {})
        for coin, prints in self._venue.tape.record(block).items():
            if Topic("trades", coin) in self._venue.hub.topics:
                news.trades[coin] = [shapes.trade(p) for p in prints]
            else:
                news.trades[coin] = []
        for update in block.updates:
            news.updates.setdefault(update.user, []).append(shapes.order_update(update))
        for user, record in block.fills:
            news.fills.setdefault(user, []).append(record)
        for user, funding in block.fundings:
            news.fundings.setdefault(user, []).append(funding)
        for user, row in block.ledger:
            news.ledger.setdefault(user, []).append(shapes.ledger_row(row))
        for user, event in block.user_events:
            news.events.setdefault(user, []).append(event)
        for user, twap, status in block.twaps:
            news.twaps.setdefault(user, []).append(shapes.twap_history(twap, status, block.ns))
        for user, twap_id, record in block.twap_fills:
            news.twap_fills.setdefault(user, []).append({"fill": shapes.fill(record), "twapId": twap_id})
        return news

    def first(self, topic: Topic) -> list[Json | list[Any]]:
        """What a new listener gets at once."""
        rule = FIRST.get(topic.kind)
        return [] if rule is None else [data for data in [rule(self._venue, topic)] if data is not None]

    # one method per kind of stream; each yields the data of zero or more frames

    def book(self, topic: Topic, news: News) -> Iterator[Any]:
        if news.due(BOOK_BLOCKS):
            yield book_data(self._venue, topic)

    def bbo(self, topic: Topic, news: News) -> Iterator[Any]:
        if topic.coin not in news.books and topic in self._last:
            return
        data = bbo_data(self._venue, topic)
        if data["bbo"] != self._last.get(topic):
            self._last[topic] = data["bbo"]
            yield data

    def trades(self, topic: Topic, news: News) -> Iterator[Any]:
        if rows := news.trades.get(topic.coin):
            yield rows

    def candle(self, topic: Topic, news: News) -> Iterator[Any]:
        if news.due(BOOK_BLOCKS) and topic.coin in self._moved and (data := candle_data(self._venue, topic)):
            yield data

    def by_user(self, topic: Topic, news: News) -> Iterator[Any]:
        user = topic.user
        if topic.kind == "orderUpdates":
            if rows := news.updates.get(user):
                yield rows
        elif topic.kind == "userFills":
            if fills := news.fills.get(user):
                rows = shapes.aggregated(fills) if topic.aggregate else [shapes.fill(f) for f in fills]
                yield {"user": user, "fills": rows}
        elif topic.kind == "userFundings":
            if fundings := news.fundings.get(user):
                yield {"user": user, "fundings": [shapes.funding_event(f) for f in fundings]}
        elif topic.kind == "userNonFundingLedgerUpdates":
            if rows := news.ledger.get(user):
                yield {"user": user, "nonFundingLedgerUpdates": rows}
        elif topic.kind == "userTwapHistory":
            if rows := news.twaps.get(user):
                yield {"user": user, "history": rows}
        elif topic.kind == "userTwapSliceFills" and (rows := news.twap_fills.get(user)):
            yield {"user": user, "twapSliceFills": rows}

    def user_events(self, topic: Topic, news: News) -> Iterator[Any]:
        user = topic.user
        if fills := news.fills.get(user):
            yield {"fills": [shapes.fill(f) for f in fills]}
        for funding in news.fundings.get(user, ()):
            yield {"funding": shapes.funding_event(funding)}
        yield from news.events.get(user, ())
        if rows := news.twap_fills.get(user):
            yield {"twapSliceFills": rows}
        if rows := news.twaps.get(user):
            yield {"twapHistory": rows}

    def historical(self, topic: Topic, news: News) -> Iterator[Any]:
        if rows := news.updates.get(topic.user):
            changed = {row["order"]["oid"] for row in rows}
            orders = queries.historical_orders(self._venue.exchange, topic.user)
            found = [shapes.order_with_status(o) for o in orders if o.oid in changed]
            yield {"user": topic.user, "orderHistory": found}

    def user_state(self, topic: Topic, news: News) -> Iterator[Any]:
        if topic.user in news.touched or news.due(STATE_BLOCKS):
            yield from self._changed(topic)

    def orders_state(self, topic: Topic, news: News) -> Iterator[Any]:
        if topic.user in news.touched:
            yield from self._changed(topic)

    def market_state(self, topic: Topic, news: News) -> Iterator[Any]:
        if news.due(STATE_BLOCKS):
            yield from self._changed(topic)

    def mids(self, topic: Topic, news: News) -> Iterator[Any]:
        if news.due(BOOK_BLOCKS):
            yield from self._changed(topic)

    def _changed(self, topic: Topic) -> Iterator[Any]:
        data = FIRST[topic.kind](self._venue, topic)
        if data is None or data == self._last.get(topic):
            return
        self._last[topic] = data
        yield data

    def fast_contexts(self, topic: Topic, news: News) -> Iterator[Any]:
        if not news.due(BOOK_BLOCKS):
            return
        now = fast_prices(self._venue)
        before = self._last.get(topic, {})
        delta = {}
        for coin, prices in now.items():
            old = before.get(coin, {})
            if changed := {k: v for k, v in prices.items() if k not in old or old[k] != v}:
                delta[coin] = changed
        self._last[topic] = now
        if delta:
            yield deflated(delta)

    def silent(self, _topic: Topic, _news: News) -> Iterator[Any]:
        yield from ()


def book_data(venue: Venue, topic: Topic) -> Json:
    exchange = venue.exchange
    data = depth.l2_book(
        exchange.books[topic.coin],
        exchange.instruments[topic.coin],
        exchange.now_ns // MS,
        topic.figures,
        topic.mantissa,
        5 if topic.fast else depth.LEVELS,
    )
    return {**data, "fast": True} if topic.fast else data


def bbo_data(venue: Venue, topic: Topic) -> Json:
    exchange = venue.exchange
    best = depth.best(exchange.books[topic.coin], exchange.instruments[topic.coin])
    return {"coin": topic.coin, "time": exchange.now_ns // MS, "bbo": best}


def candle_data(venue: Venue, topic: Topic) -> Json | None:
    rows = venue.feed.candles(topic.coin, topic.interval, venue.feed.candle_start(topic.interval), LATEST)
    return rows[-1] if rows else None


def trades_data(venue: Venue, topic: Topic) -> list[Json] | None:
    return [shapes.trade(t) for t in reversed(venue.tape.recent(topic.coin, SNAPSHOT_TRADES))] or None


def fast_prices(venue: Venue) -> dict[str, Json]:
    """Mark and mid prices of every coin."""
    return {
        coin: {"markPx": shapes.number(c.mark), "midPx": None if c.mid is None else shapes.number(c.mid)}
        for coin, c in venue.exchange.contexts.items()
    }


def deflated(data: Any) -> str:
    """JSON as base64 of raw DEFLATE (RFC 1951): how the venue packs ``fastAssetCtxs``."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return b64encode(packer.compress(msgspec.json.encode(data)) + packer.flush()).decode()


def web_data3(venue: Venue, topic: Topic) -> Json:
    """``webData3``: the short form of ``webData2``."""
    whole = web_data(venue, Query({"user": topic.user}))
    kept = ("agentAddress", "agentValidUntil", "cumLedger", "serverTime", "isVault", "user")
    dex = {
        "totalVaultEquity": whole["totalVaultEquity"],
        "perpsAtOpenInterestCap": whole["perpsAtOpenInterestCap"],
        "leadingVaults": [],
    }
    return {"userState": {name: whole[name] for name in kept}, "perpDexStates": [dex]}


def _clearinghouse(venue: Venue, topic: Topic) -> Json:
    state = shapes.clearinghouse(venue.exchange, topic.user)
    return {"dex": topic.dex, "user": topic.user, "clearinghouseState": state}


def _snapshot(name: str, rows: Callable[[Venue, Topic], list[Any]]) -> Callable[[Venue, Topic], Json]:
    def build(venue: Venue, topic: Topic) -> Json:
        return {"user": topic.user, name: rows(venue, topic), "isSnapshot": True}

    return build


def _fills(venue: Venue, topic: Topic) -> list[Json]:
    records = queries.fills(venue.exchange, topic.user)[:SNAPSHOT_FILLS]
    return shapes.aggregated(records) if topic.aggregate else [shapes.fill(r) for r in records]


def _fundings(venue: Venue, topic: Topic) -> list[Json]:
    return [shapes.funding_event(r) for r in queries.account_of(venue.exchange, topic.user).fundings[-500:]]


def _ledger(venue: Venue, topic: Topic) -> list[Json]:
    return [shapes.ledger_row(r) for r in queries.account_of(venue.exchange, topic.user).ledger[-500:]]


def _twap_rows(venue: Venue, topic: Topic) -> list[Json]:
    past = queries.past_twaps(venue.exchange, topic.user)
    return [shapes.twap_history(t, t.status, t.next_ns) for t in past]


First = Callable[[Venue, Topic], Any]
FIRST: dict[str, First] = {
    "allMids": lambda venue, _topic: {"mids": venue.mids()},
    "l2Book": book_data,
    "bbo": bbo_data,
    "trades": trades_data,
    "candle": candle_data,
    "activeAssetCtx": lambda venue, topic: {"coin": topic.coin, "ctx": venue.context(topic.coin)},
    "activeAssetData": lambda venue, topic: shapes.active_asset_data(venue.exchange, topic.user, topic.coin),
    "userFills": _snapshot("fills", _fills),
    "userFundings": _snapshot("fundings", _fundings),
    "userNonFundingLedgerUpdates": _snapshot("nonFundingLedgerUpdates", _ledger),
    "userTwapHistory": _snapshot("history", _twap_rows),
    "userTwapSliceFills": _snapshot(
        "twapSliceFills",
        lambda venue, topic: [
            {"fill": shapes.fill(r), "twapId": r.twap_id} for r in queries.twap_fills(venue.exchange, topic.user)
        ],
    ),
    "userHistoricalOrders": _snapshot(
        "orderHistory",
        lambda venue, topic: [
            shapes.order_with_status(o) for o in queries.historical_orders(venue.exchange, topic.user)
        ],
    ),
    "webData2": lambda venue, topic: web_data(venue, Query({"user": topic.user})),
    "webData3": web_data3,
    "clearinghouseState": _clearinghouse,
    "openOrders": lambda venue, topic: {
        "dex": topic.dex,
        "user": topic.user,
        "orders": frontend_orders(venue, topic.user),
    },
    "spotState": lambda venue, topic: {
        "user": topic.user,
        "spotState": shapes.spot_state(venue.exchange, topic.user),
    },
    "twapStates": lambda venue, topic: {
        "dex": topic.dex,
        "user": topic.user,
        "states": [[t.twap_id, shapes.twap_state(t)] for t in queries.twaps(venue.exchange, topic.user)],
    },
    "assetCtxs": lambda venue, topic: {"dex": topic.dex, "ctxs": venue.asset_contexts()},
    "allDexsAssetCtxs": lambda venue, _topic: {"ctxs": [["", venue.asset_contexts()]]},
    "fastAssetCtxs": lambda venue, _topic: deflated(fast_prices(venue)),
    "spotAssetCtxs": lambda _venue, _topic: [],
    "allDexsClearinghouseState": lambda venue, topic: {
        "user": topic.user,
        "clearinghouseStates": [["", shapes.clearinghouse(venue.exchange, topic.user)]],
    },
}
Push = Callable[[Publisher, Topic, News], Iterator[Any]]
PUSHES: dict[str, Push] = {
    "allMids": Publisher.mids,
    "l2Book": Publisher.book,
    "bbo": Publisher.bbo,
    "trades": Publisher.trades,
    "candle": Publisher.candle,
    "activeAssetCtx": Publisher.market_state,
    "activeAssetData": Publisher.user_state,
    "orderUpdates": Publisher.by_user,
    "userEvents": Publisher.user_events,
    "userFills": Publisher.by_user,
    "userFundings": Publisher.by_user,
    "userNonFundingLedgerUpdates": Publisher.by_user,
    "userTwapHistory": Publisher.by_user,
    "userTwapSliceFills": Publisher.by_user,
    "userHistoricalOrders": Publisher.historical,
    "notification": Publisher.silent,
    "webData2": Publisher.user_state,
    "webData3": Publisher.user_state,
    "clearinghouseState": Publisher.user_state,
    "openOrders": Publisher.orders_state,
    "spotState": Publisher.orders_state,
    "twapStates": Publisher.orders_state,
    "assetCtxs": Publisher.market_state,
    "allDexsAssetCtxs": Publisher.market_state,
    "fastAssetCtxs": Publisher.fast_contexts,
    "spotAssetCtxs": Publisher.silent,
    "allDexsClearinghouseState": Publisher.user_state,
    "outcomeMetaUpdates": Publisher.silent,
}
