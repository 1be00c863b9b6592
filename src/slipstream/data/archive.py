"""Hyperliquid's public archive: its keys, what they cost, and its objects as rows.

``hyperliquid-archive`` (requester pays), LZ4 frames:

- ``market_data/YYYYMMDD/H/l2Book/COIN.lz4``: books, JSON lines in the recorder's envelope; the hour is not padded;
- ``asset_ctxs/YYYYMMDD.csv.lz4``: contexts of all coins, a row a minute.

The archive has no candles and no spot; uploads come about monthly, with gaps. Objects are read as they come, in bounded
memory; one that ends early is an error, never half an object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any, BinaryIO, Literal

import msgspec
import numpy as np

from slipstream.data.recorder.envelope import LineError, read_line
from slipstream.data.recorder.frames import read_frame
from slipstream.data.streams import CONTEXT_FIELDS, LakeError
from slipstream.model.events import L2Book

BUCKET = "hyperliquid-archive"
Kind = Literal["contexts", "books"]
KINDS: tuple[Kind, ...] = ("contexts", "books")
CONTEXT_COLUMNS = ("time", "coin", *CONTEXT_FIELDS)
LINE_MOST = 1 << 20  # bytes of a line: a longer one is no line of the archive
_BOOK = re.compile(r"market_data/(\d{8})/(\d{1,2})/l2Book/([^/]+)\.lz4")
_CONTEXT = re.compile(r"asset_ctxs/(\d{8})\.csv\.lz4")


class ArchiveError(LakeError):
    """An object of the archive that cannot be read as what its key says."""


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """One object: ``size`` in bytes as it is stored, ``etag`` that tells its contents; a book's coin and hour."""

    key: str
    size: int
    etag: str
    kind: Kind
    day: str
    coin: str = ""
    hour: int = -1


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """USD that the requester pays: a GB (1e9 bytes) out to the internet, a thousand GETs and LISTs.

    Defaults: common list prices of S3; those of the bucket's region, of the day, and of your contract may differ.
    """

    gb: float = 0.09
    gets: float = 0.0004
    lists: float = 0.005


def object_of(key: str, size: int, etag: str) -> Object | None:
    """The object of a key; None for keys that are neither books nor contexts."""
    found = _BOOK.fullmatch(key)
    if found is not None and int(found[2]) < 24 and str(int(found[2])) == found[2]:
        return Object(key=key, size=size, etag=etag, kind="books", day=found[1], coin=found[3], hour=int(found[2]))
    found = _CONTEXT.fullmatch(key)
    return None if found is None else Object(key=key, size=size, etag=etag, kind="contexts", day=found[1])


def days_of(start: str, end: str) -> list[str]:
    """YYYYMMDD of every day from start to end, both within. Raises ArchiveError."""
    try:
        first, last = date.fromisoformat(start), date.fromisoformat(end)
    except ValueError:
        raise ArchiveError(f"--start {start} --end {end}: write dates like 2023-10-01") from None
    if last < first:
        raise ArchiveError(f"--end {end} is before --start {start}")
    return [f"{first + timedelta(days=n):%Y%m%d}" for n in range((last - first).days + 1)]


def prefixes(kinds: Sequence[Kind], days: Sequence[str]) -> list[str]:
    """What to list: a prefix a day of books; one for a month of contexts."""
    out = [f"market_data/{day}/" for day in days] if "books" in kinds else []
    months = dict.fromkeys(day[:6] for day in days)
    return [f"asset_ctxs/{month}" for month in months] + out if "contexts" in kinds else out


def wanted(objects: Iterable[Object], days: Sequence[str], coins: Sequence[str]) -> list[Object]:
    """Those of the days and coins (none: all), in the order of time. Contexts hold all coins in one object."""
    inside = set(days)
    chosen = [one for one in objects if one.day in inside and (not coins or not one.coin or one.coin in coins)]
    return sorted(chosen, key=lambda one: (one.day, one.hour, one.key))


def cost(objects: Sequence[Object], listed: int, prices: Prices) -> float:
    """USD for so many listings and for getting the objects."""
    size = sum(one.size for one in objects)
    return size / 1e9 * prices.gb + len(objects) / 1_000 * prices.gets + listed / 1_000 * prices.lists


def lines_of(stream: BinaryIO, key: str) -> Iterator[bytes]:
    """The lines of an LZ4 object, as they come. Raises ArchiveError: damaged, cut off, or no lines."""
    import lz4.frame

    try:
        with lz4.frame.open(stream, "rb") as file:
            while line := file.readline(LINE_MOST + 1):
                if len(line) > LINE_MOST:
                    raise ArchiveError(f"{key}: a line of more than {LINE_MOST} bytes; this is no object of lines")
                yield line
    except (EOFError, RuntimeError, ValueError) as error:
        if isinstance(error, ArchiveError):
            raise
        raise ArchiveError(f"{key}: not a whole LZ4 object: {str(error) or type(error).__name__}") from None


def books_of(stream: BinaryIO, item: Object, refused: list[str]) -> Iterator[L2Book]:
    """The books of an object. Lines that cannot be read go to ``refused``. Raises ArchiveError."""
    for number, line in enumerate(lines_of(stream, item.key), 1):
        try:
            recv_ns, raw = read_line(line)
            found = read_frame(raw, recv_ns, {})
        except (LineError, UnicodeDecodeError) as error:
            refused.append(f"{item.key}:{number}: {error}")
            continue
        books = [one for one in found if isinstance(one, L2Book)] if isinstance(found, list) else []
        if len(books) != 1 or books[0].coin != item.coin:
            refused.append(f"{item.key}:{number}: not a book of {item.coin}")
            continue
        yield books[0]


def contexts_of(stream: BinaryIO, item: Object, coins: Sequence[str], refused: list[str]) -> Iterator[tuple[str, Any]]:
    """(coin, frame of ``minute_contexts``) of an object, a day's rows at their own times. Raises ArchiveError."""
    import io

    import pandas as pd

    text = b"".join(lines_of(stream, item.key))
    try:
        frame = pd.read_csv(io.BytesIO(text), dtype={"time": str, "coin": str}, keep_default_na=True)
    except (ValueError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{item.key}: not a CSV: {str(error).splitlines()[0]}") from None
    absent = [name for name in CONTEXT_COLUMNS if name not in frame.columns]
    if absent:
        raise ArchiveError(f"{item.key}: no column {', '.join(absent)}; it has {', '.join(map(str, frame.columns))}")
    times = pd.to_datetime(frame["time"], utc=True, errors="coerce", format="ISO8601")
    bad = times.isna() | frame["coin"].isna() | (times.dt.strftime("%Y%m%d") != item.day)
    lines = (np.flatnonzero(bad.to_numpy()) + 2).tolist()
    refused += [f"{item.key}:{line}: no time of the day, or no coin" for line in lines[:20]]
    if len(lines) > 20:
        refused.append(f"{item.key}: and {len(lines) - 20} lines more")
    frame, times = frame[~bad], times[~bad]
    columns: dict[str, Any] = {"time_ns": times.dt.as_unit("ns").astype("int64")}
    for name in CONTEXT_FIELDS:
        columns[name] = pd.to_numeric(frame[name], errors="coerce").astype(np.float64)
    table = pd.DataFrame(columns)
    for coin, rows in table.groupby(frame["coin"], sort=True):
        if not coins or str(coin) in coins:
            yield str(coin), rows.reset_index(drop=True)
