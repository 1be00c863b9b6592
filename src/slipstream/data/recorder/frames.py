"""Frames of both venues as the house's events. Prices are decimal strings on the wire and float64 here.

The wire is read here a second time, and apart from the connectors: a recording is read years after it was made, and
without them. Frames that are none of ours (subscription answers, other channels) give nothing; one whose numbers cannot
be (a price that is negative, infinite or no number, a time outside 1970 to 2100) is no venue's, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import nan
from typing import Annotated, Any, Literal

import msgspec

from slipstream.data.recorder.envelope import CHANNEL, LineError, Note
from slipstream.model.events import AssetContext, Bbo, L2Book, Trade
from slipstream.model.instrument import Side

MS = 1_000_000
Heard = Bbo | L2Book | Trade | AssetContext
Price = Annotated[float, msgspec.Meta(gt=0.0, lt=1e15)]
Amount = Annotated[float, msgspec.Meta(ge=0.0, lt=1e18)]
Quote = Annotated[float, msgspec.Meta(ge=0.0, lt=1e15)]  # 0: that side is empty, or the venue tells no price
Rate = Annotated[float, msgspec.Meta(gt=-10.0, lt=10.0)]
Time = Annotated[int, msgspec.Meta(ge=0, le=4_102_444_800_000)]  # ms
Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Rows = list[tuple[Price, Amount]]


class _Frame(msgspec.Struct):
    channel: str = ""
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Level(msgspec.Struct):
    px: Price
    sz: Amount


class _Book(msgspec.Struct):
    coin: str
    time: Time
    levels: tuple[list[_Level], list[_Level]]


class _Best(msgspec.Struct):
    coin: str
    time: Time
    bbo: tuple[_Level | None, _Level | None]


class _Deal(msgspec.Struct):
    coin: str
    side: Literal["A", "B"]
    px: Price
    sz: Amount
    time: Time
    tid: Id


class _Ctx(msgspec.Struct, rename="camel"):
    mark_px: Quote
    oracle_px: Quote
    funding: Rate
    open_interest: Amount


class _Context(msgspec.Struct):
    coin: str
    ctx: _Ctx


class _Ticker(msgspec.Struct):
    s: str
    b: Quote
    B: Amount
    a: Quote
    A: Amount
    T: Time


class _AggTrade(msgspec.Struct):
    s: str
    a: Id
    p: Price
    q: Amount
    T: Time
    m: bool


class _Depth(msgspec.Struct):
    s: str
    T: Time
    b: Rows
    a: Rows


class _Mark(msgspec.Struct):
    s: str
    E: Time
    p: Quote
    i: Quote
    r: str


_FRAME = msgspec.json.Decoder(_Frame).decode
_DECODERS: dict[Any, Callable[[bytes], Any]] = {
    kind: msgspec.json.Decoder(kind, strict=False).decode
    for kind in (_Book, _Best, list[_Deal], _Context, _Ticker, _AggTrade, _Depth, _Mark, Note)
}


def _levels(side: list[_Level]) -> tuple[tuple[float, float], ...]:
    return tuple((level.px, level.sz) for level in side)


def _hyperliquid(channel: str, data: bytes, recv_ns: int) -> list[Heard]:
    if channel == "l2Book":
        book: _Book = _DECODERS[_Book](data)
        bids, asks = book.levels
        return [L2Book("hl", book.coin, _levels(bids), _levels(asks), book.time * MS, recv_ns)]
    if channel == "bbo":
        best: _Best = _DECODERS[_Best](data)
        bid, ask = (level or _Level(0.0, 0.0) for level in best.bbo)  # an empty side has no level
        return [Bbo("hl", best.coin, bid.px, bid.sz, ask.px, ask.sz, best.time * MS, recv_ns)]
    if channel == "trades":
        deals: list[_Deal] = _DECODERS[list[_Deal]](data)
        return [
            Trade("hl", x.coin, x.px, x.sz, Side.BUY if x.side == "B" else Side.SELL, x.tid, x.time * MS, recv_ns)
            for x in deals
        ]
    if channel == "activeAssetCtx":
        one: _Context = _DECODERS[_Context](data)
        ctx = one.ctx
        # the venue sends no time with it: ours stands in
        made = AssetContext(
            "hl", one.coin, ctx.mark_px, ctx.oracle_px, ctx.funding, ctx.open_interest, recv_ns, recv_ns
        )
        return [made]
    return []


def _binance(stream: str, data: bytes, recv_ns: int, coins: Mapping[str, str]) -> list[Heard]:
    kind = stream.partition("@")[2]
    if kind == "bookTicker":
        row: _Ticker = _DECODERS[_Ticker](data)
        coin = coins.get(row.s)
        return [] if coin is None else [Bbo("binance", coin, row.b, row.B, row.a, row.A, row.T * MS, recv_ns)]
    if kind == "aggTrade":
        deal: _AggTrade = _DECODERS[_AggTrade](data)
        coin, side = coins.get(deal.s), Side.SELL if deal.m else Side.BUY
        return [] if coin is None else [Trade("binance", coin, deal.p, deal.q, side, deal.a, deal.T * MS, recv_ns)]
    if kind.startswith("depth"):
        book: _Depth = _DECODERS[_Depth](data)
        coin = coins.get(book.s)
        return [] if coin is None else [L2Book("binance", coin, tuple(book.b), tuple(book.a), book.T * MS, recv_ns)]
    if kind.startswith("markPrice"):
        mark: _Mark = _DECODERS[_Mark](data)
        coin, rate = coins.get(mark.s), float(mark.r) if mark.r else nan  # empty: a contract that delivers
        if mark.r and not -10.0 < rate < 10.0:
            raise LineError(f"a frame that cannot be read: funding rate {mark.r!r} of {mark.s}")
        return [] if coin is None else [AssetContext("binance", coin, mark.p, mark.i, rate, nan, mark.E * MS, recv_ns)]
    return []


def read_frame(raw: bytes | msgspec.Raw, recv_ns: int, coins: Mapping[str, str]) -> list[Heard] | Note:
    """What a frame says. ``coins`` maps Binance's symbols to our coins. Raises LineError.

    Contexts: Binance's funding is per its own settlement interval, Hyperliquid's per hour; Binance tells no open
    interest there (NaN).
    """
    try:
        frame = _FRAME(raw)
        if frame.stream:
            return _binance(frame.stream, frame.data, recv_ns, coins)
        if frame.channel == CHANNEL:
            note: Note = _DECODERS[Note](frame.data)
            return note
        return _hyperliquid(frame.channel, frame.data, recv_ns)
    except LineError:
        raise
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise LineError(f"a frame that cannot be read: {error}") from None
