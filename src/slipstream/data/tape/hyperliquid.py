"""Recordings of Hyperliquid's sockets as tapes: books of 20 levels, best prices, trades, a file each and coin.

``orderbooks_COIN.csv.gz`` (timestamp: local s; exchange_timestamp: ms; bid_price_0, bid_size_0, ask_price_0, ...),
``trades_COIN.csv.gz`` (timestamp, price, size, side of the aggressor, trade_id, exchange_timestamp), and, optionally,
``prices_COIN.csv.gz`` (timestamp, price, size, side bid or ask, exchange_timestamp).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.findings import SHIFT, TWICE, UNREADABLE, Findings
from slipstream.data.tape.heard import Heard, Scale, Sides, bests, books, trades
from slipstream.data.tape.pipeline import Pipeline, Seen, run
from slipstream.data.tape.scale import Ints
from slipstream.data.tape.sourcing import (
    HYPERLIQUID,
    Csv,
    header_of,
    market_of,
    need_columns,
    only_hyperliquid,
    times_ns,
)
from slipstream.data.tape.terms import Made, Report, Terms

NAME = "hyperliquid"
MS, SECOND = 1_000_000, 1_000_000_000
US = 1_000  # local seconds are told to the microsecond
GUESSED_ROWS = 2_000  # books from which lots are guessed
BOOKS, PRICES, TRADES = range(3)
_TIMES = {"timestamp": "float64", "exchange_timestamp": "float64"}
_DEAL = {**_TIMES, "price": "float64", "size": "float64", "side": "string"}


def convert(source: Path, to: Path, terms: Terms) -> Report:
    """Convert a folder of recordings (or one coin by its book file). Raises TapeError, OSError."""
    only_hyperliquid(NAME, terms)
    folder = source if source.is_dir() else source.parent
    pattern = "orderbooks_*.csv.gz" if source.is_dir() else source.name
    coins = [path.name.removeprefix("orderbooks_").removesuffix(".csv.gz") for path in sorted(folder.glob(pattern))]
    if lacking := [coin for coin in terms.coins if coin not in coins]:
        raise TapeError(f"{folder}: no orderbooks_{lacking[0]}.csv.gz; there are {', '.join(coins) or 'none'}")
    if not coins:
        raise TapeError(f"{folder}: no orderbooks_COIN.csv.gz in it")
    return Report(format=NAME, made=tuple(_coin(folder, coin, to, terms) for coin in coins if terms.wants(coin)))


def _coin(folder: Path, coin: str, to: Path, terms: Terms) -> Made:
    paths = [folder / f"{name}_{coin}.csv.gz" for name in ("orderbooks", "prices", "trades")]
    names = header_of(paths[BOOKS])
    depth = len(list(takewhile(lambda k: f"bid_price_{k}" in names, count())))
    levels = [
        f"{side}_{what}_{k}" for k in range(max(1, depth)) for side in ("bid", "ask") for what in ("price", "size")
    ]
    need_columns(paths[BOOKS], names, [*_TIMES, *levels])
    scale = _scale(paths[BOOKS], coin, levels, terms)
    found = Findings([path.name for path in paths], strict=terms.strict)
    tables = {BOOKS: Csv(paths[BOOKS], {**_TIMES, **dict.fromkeys(levels, "float64")}, terms)}
    if paths[PRICES].exists():
        need_columns(paths[PRICES], header_of(paths[PRICES]), list(_DEAL))
        tables[PRICES] = Csv(paths[PRICES], _DEAL, terms)
    need_columns(paths[TRADES], header_of(paths[TRADES]), [*_DEAL, "trade_id"])
    tables[TRADES] = Csv(paths[TRADES], {**_DEAL, "trade_id": "int64"}, terms)
    read = {BOOKS: _books, PRICES: _prices, TRADES: _trades}
    try:
        with Pipeline(to, scale, found, terms, NAME, streams=len(tables)) as pipeline:
            run(pipeline, [read[which](table, scale, found) for which, table in tables.items()])
            pipeline.sources = [table.file.source() for table in tables.values()]
    finally:
        for table in tables.values():
            table.file.leave()
    assert pipeline.made is not None
    return pipeline.made


def _scale(path: Path, coin: str, levels: list[str], terms: Terms) -> Scale:
    table = Csv(path, dict.fromkeys(levels, "float64"), Terms())
    sizes, prices = [], []
    for batch in table.batches():
        sizes += [batch[name] for name in levels if "_size_" in name]
        prices += [batch[name] for name in levels if "_price_" in name]
        if table.rows >= GUESSED_ROWS:
            break
    table.file.leave()
    return Scale(*market_of(HYPERLIQUID, coin, np.concatenate(prices), np.concatenate(sizes), terms))


def _times(table: Csv, batch: Any, which: int) -> tuple[Ints, Ints, Ints]:
    """(happened, heard, place)."""
    row = batch["row"]
    exch = times_ns(table.path, row, batch["exchange_timestamp"], MS, "exchange_timestamp", MS)
    local = times_ns(table.path, row, batch["timestamp"], SECOND, "timestamp", US)
    return exch, local, row + (which << SHIFT)


def _books(table: Csv, scale: Scale, found: Findings) -> Iterator[Heard]:
    depth = sum(name.startswith("bid_price_") for name in table.columns)
    for batch in table.batches():
        sides = []
        for side in ("bid", "ask"):
            px, sz = (np.stack([batch[f"{side}_{what}_{k}"] for k in range(depth)], 1) for what in ("price", "size"))
            there = ~(np.isnan(px) & np.isnan(sz))
            sides.append(Sides(there.sum(1), px[there], sz[there]))
        yield books(scale, found, *_times(table, batch, BOOKS), *sides)


def _prices(table: Csv, scale: Scale, found: Findings) -> Iterator[Heard]:
    """Rows of one time, of hearing and of happening, are one message; it may go on in the next batch."""
    kept: dict[str, Any] = {}
    for batch in table.batches():
        joined = {name: np.concatenate([kept[name], batch[name]]) if kept else batch[name] for name in batch}
        same = (joined["timestamp"] == joined["timestamp"][-1]) & (
            joined["exchange_timestamp"] == joined["exchange_timestamp"][-1]
        )
        cut = len(same) - int(np.argmin(same[::-1])) if not same.all() else 0
        kept = {name: values[cut:] for name, values in joined.items()}
        if cut:
            yield _quotes(table, {name: values[:cut] for name, values in joined.items()}, scale, found)
    if kept:
        yield _quotes(table, kept, scale, found)


def _quotes(table: Csv, part: Any, scale: Scale, found: Findings) -> Heard:
    exch, local, place = _times(table, part, PRICES)
    side = part["side"]
    bid, ask = side == "bid", side == "ask"
    found.note(UNREADABLE, place[~(bid | ask)])
    first = np.append(True, (np.diff(exch) != 0) | (np.diff(local) != 0))
    group = np.cumsum(first) - 1
    px, sz = np.full((2, int(group[-1]) + 1, 2), np.nan)
    for column, here in ((0, bid), (1, ask)):
        px[group[here], column], sz[group[here], column] = part["price"][here], part["size"][here]
    # a price that is none must not pass for a side that was not told
    px[np.isnan(px) & ~np.isnan(sz)] = -1.0
    return bests(scale, found, exch[first], local[first], place[first], px, sz)


def _trades(table: Csv, scale: Scale, found: Findings) -> Iterator[Heard]:
    seen = Seen()
    for batch in table.batches():
        exch, local, place = _times(table, batch, TRADES)
        fresh = seen.fresh(batch["trade_id"])
        found.note(TWICE, place[~fresh])
        side = np.where(batch["side"] == "buy", 1, np.where(batch["side"] == "sell", -1, 0))[fresh]
        px, sz = batch["price"][fresh], batch["size"][fresh]
        yield trades(scale, found, exch[fresh], local[fresh], place[fresh], px, sz, side)
