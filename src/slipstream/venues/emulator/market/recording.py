"""Recordings of real books, best prices and trades: read, checked row by row, turned into ticks and lots.

A folder holds per coin ``orderbooks_COIN.csv.gz`` (exchange_timestamp in ms, bid_price_0, bid_size_0, ask_price_0, ..),
``trades_COIN.csv.gz`` (price, size, side buy or sell, trade_id, exchange_timestamp) and, optionally, the best prices
between two books, ``prices_COIN.csv.gz`` (price, size, side bid or ask, exchange_timestamp).

Tapes are made of the same files (`slipstream.data.tape.hyperliquid`) with faults mended and told. Here the first one is
refused, and what serves a venue loads neither that room nor its libraries; a test holds both readings equal.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.model.errors import ConfigError
from slipstream.venues.emulator.market.house import BEST, STATE, TRADE

MS = 1_000_000
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
EARLIEST_MS, LATEST_MS = 10**12, 10**14  # 2001 to 5138: anything else is not ms since 1970
EXACT = 1e-6


class Tape(msgspec.Struct, frozen=True):
    """One coin's recording. Times are ns as recorded; tables are in ticks and lots (see `house`)."""

    coin: str
    size_decimals: int
    times: Ints
    kinds: Ints
    rows: Ints
    trades: Ints  # aggressor, tick, lots
    bests: Ints  # bid tick, lots, ask tick, lots
    states: Ints  # (n, 2, levels, 2)
    mid_times: Ints
    mids: Floats  # USD

    @property
    def begins(self) -> int:
        """Time of the first book, ns."""
        return int(self.times[self.kinds == STATE][0])

    @property
    def ends(self) -> int:
        """Time of the last event, ns."""
        return int(self.times[-1])


class Table:
    """A csv.gz file as columns of text, with errors that name file and row (row 1 is the header)."""

    def __init__(self, path: Path, needed: tuple[str, ...]) -> None:
        self.path = path
        try:
            text = gzip.decompress(path.read_bytes()).decode()
        except FileNotFoundError:
            raise ConfigError(f"{path}: there is no such file; a recording needs it") from None
        except (OSError, EOFError, zlib.error) as error:
            raise ConfigError(f"{path}: not a whole gzip file: {error}; copy it again") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: not text: {error}") from error
        lines = text.splitlines()
        self.names = lines[0].split(",") if lines else []
        for name in needed:
            if name not in self.names:
                raise ConfigError(f"{path}: row 1: no column {name!r}; the header has {','.join(self.names)[:200]}")
        self.rows = [line.split(",") for line in lines[1:]]
        width = len(self.names)
        for at, row in enumerate(self.rows):
            if len(row) != width:
                raise self.error(at, f"{len(row)} fields where the header has {width}")
        if not self.rows:
            raise ConfigError(f"{path}: no rows below the header")

    def error(self, row: int, reason: str) -> ConfigError:
        """An error about a row (0 is the first below the header)."""
        return ConfigError(f"{self.path}: row {row + 2}: {reason}")

    def text(self, name: str) -> list[str]:
        """A column as text."""
        at = self.names.index(name)
        return [row[at] for row in self.rows]

    def numbers(self, names: list[str], *, blank: bool = False) -> Floats:
        """Columns as floats, shape (rows, columns); an empty field is NaN if ``blank`` allows it."""
        places = [self.names.index(name) for name in names]
        fields = [row[at] or "nan" for row in self.rows for at in places] if blank else [
            row[at] for row in self.rows for at in places
        ]  # fmt: skip
        try:
            values = np.array(fields, np.float64)
        except ValueError:
            raise self._bad_field(fields, names) from None
        if not blank and not np.isfinite(values).all():
            at = int(np.flatnonzero(~np.isfinite(values))[0])
            raise self.error(at // len(names), f"{names[at % len(names)]} is {fields[at]!r}, not a number")
        return values.reshape(len(self.rows), len(names))

    def _bad_field(self, fields: list[str], names: list[str]) -> ConfigError:
        for at, field in enumerate(fields):
            try:
                float(field)
            except ValueError:
                return self.error(at // len(names), f"{names[at % len(names)]} is {field!r}, not a number")
        raise AssertionError("a number that is none was reported")

    def times(self) -> Ints:
        """The column exchange_timestamp, ns."""
        ms = self.numbers(["exchange_timestamp"])[:, 0]
        wrong = np.flatnonzero((ms < EARLIEST_MS) | (ms > LATEST_MS) | (ms != np.floor(ms)))
        if len(wrong):
            field = self.text("exchange_timestamp")[int(wrong[0])]
            raise self.error(int(wrong[0]), f"exchange_timestamp {field} is not whole ms since 1970")
        out: Ints = ms.astype(np.int64) * MS
        return out

    def refuse(self, wrong: npt.NDArray[np.bool_], reason: str) -> None:
        """Raise for the first row where ``wrong`` holds anywhere."""
        if wrong.any():
            raise self.error(int(np.argwhere(wrong)[0][0]), reason)


def to_ticks(table: Table, px: Floats, decimals: int) -> Ints:
    """Places on the price grid, -1 for NaN. Refuses prices that are not positive or not on the grid."""
    there = ~np.isnan(px)
    table.refuse(there & (px <= 0), "a price is not positive")
    scaled = np.where(there, px, 1.0) * 10.0**decimals
    units = np.rint(scaled).astype(np.int64)
    digits = np.zeros_like(units)
    for power in range(1, 18):
        digits += units >= 10**power
    k = np.clip(digits - 4, 0, decimals)
    step = 10**k
    off = (np.abs(scaled - units) > np.maximum(EXACT, np.abs(scaled) * 1e-12)) | (units % step != 0)
    table.refuse(there & off, f"a price is not legal with {decimals} decimals and five significant figures")
    ticks: Ints = np.where(k == 0, units, 100_000 + (k - 1) * 90_000 + units // step - 10_000)
    return np.where(there, ticks, -1)


def to_lots(table: Table, sizes: Floats, size_decimals: int) -> Ints:
    """Whole lots, 0 for NaN. Refuses sizes that are not positive or not whole."""
    there = ~np.isnan(sizes)
    table.refuse(there & (sizes <= 0), "a size is not positive")
    scaled = np.where(there, sizes, 0.0) * 10.0**size_decimals
    lots = np.rint(scaled)
    off = np.abs(scaled - lots) > np.maximum(EXACT, np.abs(scaled) * 1e-12)
    table.refuse(there & off, f"a size has more than {size_decimals} decimals")
    out: Ints = lots.astype(np.int64)
    return out


def size_decimals_of(table: Table) -> int:
    """The most decimals that any size of a book recording shows."""
    longest = 0
    for name in table.names:
        if "_size_" in name:
            for field in table.text(name):
                whole, _, part = field.partition(".")
                if not (whole + part).isdigit() and field:
                    continue  # a field that is no plain number is refused where it is read
                longest = max(longest, len(part.rstrip("0")))
    return min(longest, 6)


def read_states(table: Table, size_decimals: int) -> tuple[Ints, Ints, Floats]:
    """(times, states, mids) of a book recording; of several rows of one time the last counts."""
    levels = sum(name.startswith("bid_price_") for name in table.names)
    sides = []
    for side in ("bid", "ask"):
        prices = table.numbers([f"{side}_price_{k}" for k in range(levels)], blank=True)
        sizes = table.numbers([f"{side}_size_{k}" for k in range(levels)], blank=True)
        table.refuse(np.isnan(prices) != np.isnan(sizes), f"a {side} price without a size, or a size without a price")
        table.refuse(np.isnan(prices[:, :1]), f"no best {side}")
        table.refuse(np.diff(np.isnan(prices).astype(np.int8), axis=1) < 0, f"a {side} level after an empty one")
        sign = -1.0 if side == "bid" else 1.0
        table.refuse(np.diff(prices, axis=1) * sign <= 0, f"{side} prices are not in order, best first")
        sides.append((prices, to_ticks(table, prices, 6 - size_decimals), to_lots(table, sizes, size_decimals)))
    table.refuse(sides[0][0][:, :1] >= sides[1][0][:, :1], "the best bid is not below the best ask")
    times = table.times()
    table.refuse(np.diff(times, prepend=times[:1]) < 0, "exchange_timestamp is before the row above")
    states = np.stack([np.stack([ticks, lots], axis=-1) for _, ticks, lots in sides], axis=1)
    last = np.append(np.diff(times) > 0, True)
    mids = (sides[0][0][:, 0] + sides[1][0][:, 0]) / 2.0
    return times[last], np.ascontiguousarray(states[last]), mids[last]


def read_bests(table: Table, size_decimals: int) -> tuple[Ints, Ints, Floats]:
    """(times, bests, mids) of a best-price recording: rows of one time are one state."""
    times, names = table.times(), np.array(table.text("side"))
    table.refuse((names != "bid") & (names != "ask"), "side is neither bid nor ask")
    table.refuse(np.diff(times, prepend=times[:1]) < 0, "exchange_timestamp is before the row above")
    prices = table.numbers(["price"])
    ticks = to_ticks(table, prices, 6 - size_decimals)[:, 0]
    lots = to_lots(table, table.numbers(["size"]), size_decimals)[:, 0]
    unique, back = np.unique(times, return_inverse=True)
    bests = np.full((len(unique), 4), -1, np.int64)
    pair = np.full((len(unique), 2), np.nan)
    for column, name in ((0, "bid"), (1, "ask")):
        here = names == name
        bests[back[here], 2 * column] = ticks[here]
        bests[back[here], 2 * column + 1] = lots[here]
        pair[back[here], column] = prices[here, 0]
    crossed = (bests[:, 0] >= 0) & (bests[:, 2] >= 0) & (bests[:, 0] >= bests[:, 2])
    table.refuse(crossed[back], "the best bid is not below the best ask of the same time")
    return unique, bests, pair.mean(axis=1)


def read_trades(table: Table, size_decimals: int) -> tuple[Ints, Ints]:
    """(times, trades) of a trade recording in order of time; of a trade recorded twice the first counts."""
    times, names = table.times(), np.array(table.text("side"))
    table.refuse((names != "buy") & (names != "sell"), "side is neither buy nor sell")
    ticks = to_ticks(table, table.numbers(["price"]), 6 - size_decimals)[:, 0]
    lots = to_lots(table, table.numbers(["size"]), size_decimals)[:, 0]
    _, first = np.unique(np.array(table.text("trade_id")), return_index=True)
    first.sort()
    order = first[np.argsort(times[first], kind="stable")]
    trades = np.stack([np.where(names == "buy", 1, -1), ticks, lots], axis=1)
    return times[order], np.ascontiguousarray(trades[order])


def read_tape(folder: Path, coin: str, size_decimals: int | None) -> Tape:
    """One coin's recording; size decimals are inferred where None. Raises ConfigError with file, row and reason."""
    needed = ("exchange_timestamp", "bid_price_0", "bid_size_0", "ask_price_0", "ask_size_0")
    book_table = Table(folder / f"orderbooks_{coin}.csv.gz", needed)
    decimals = size_decimals_of(book_table) if size_decimals is None else size_decimals
    state_times, states, mids = read_states(book_table, decimals)
    fields = ("price", "size", "side", "exchange_timestamp")
    trade_times, trades = read_trades(Table(folder / f"trades_{coin}.csv.gz", (*fields, "trade_id")), decimals)
    best_times, bests, best_mids = np.zeros(0, np.int64), np.zeros((0, 4), np.int64), np.zeros(0)
    if (folder / f"prices_{coin}.csv.gz").exists():
        best_times, bests, best_mids = read_bests(Table(folder / f"prices_{coin}.csv.gz", fields), decimals)
    parts = ((TRADE, trade_times), (BEST, best_times), (STATE, state_times))
    times = np.concatenate([part for _, part in parts])
    kinds = np.concatenate([np.full(len(part), kind, np.int64) for kind, part in parts])
    rows = np.concatenate([np.arange(len(part), dtype=np.int64) for _, part in parts])
    order = np.lexsort((rows, kinds, times))
    order = order[times[order] >= state_times[0]]  # before the first book there is nothing to trade against
    both = np.isfinite(best_mids)
    mid_times = np.concatenate([best_times[both], state_times])
    by_time = np.argsort(mid_times, kind="stable")
    return Tape(
        coin=coin,
        size_decimals=decimals,
        times=times[order],
        kinds=kinds[order],
        rows=rows[order],
        trades=trades,
        bests=bests,
        states=states,
        mid_times=mid_times[by_time],
        mids=np.concatenate([best_mids[both], mids])[by_time],
    )


def coins_of(folder: Path) -> tuple[str, ...]:
    """The coins recorded in a folder. Raises ConfigError if it is none or holds no recording."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: not a folder; --replay names a folder of recordings")
    names = sorted(path.name for path in folder.glob("orderbooks_*.csv.gz"))
    if not names:
        raise ConfigError(f"{folder}: no orderbooks_COIN.csv.gz in it; --replay names a folder of recordings")
    return tuple(name.removeprefix("orderbooks_").removesuffix(".csv.gz") for name in names)


def fingerprint(tapes: Any) -> int:
    """A number that tells one set of recordings from another."""
    total = 0
    for tape in tapes:
        for part in (tape.times, tape.trades, tape.bests, tape.states):
            total = zlib.crc32(np.ascontiguousarray(part).tobytes(), total)
    return total
