"""What tapes can be made of: one table, name -> converter. A room that reads another format adds its line.

A converter is ``convert(source, to, terms) -> Report``: it writes one tape a market into folders under ``to`` and
raises `TapeError` naming file, row and reason for what it refuses. ``seems(source)`` looks at names only.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import msgspec

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.terms import Report, Terms

Convert = Callable[[Path, Path, Terms], Report]


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """A format: where its converter is (imported when it is asked for), what it is in a line, how it is recognised."""

    module: str
    title: str
    files: tuple[str, ...]  # patterns of names; a source that has one of them seems to be of the format
    function: str = "convert"

    def seems(self, source: Path) -> bool:
        """Whether a file, or one in a folder, has such a name."""
        if source.is_dir():
            return any(next(source.glob(pattern), None) is not None for pattern in self.files)
        return any(source.match(pattern.rpartition("/")[2]) for pattern in self.files)


FORMATS: dict[str, Format] = {
    "hyperliquid": Format(
        module="slipstream.data.tape.hyperliquid",
        title="recordings: orderbooks_COIN.csv.gz, prices_COIN.csv.gz, trades_COIN.csv.gz",
        files=("orderbooks_*.csv.gz",),
    ),
    "recorder": Format(
        module="slipstream.data.tape.recorder",
        title="closed segments of `slipstream record`",
        files=("*/*/*.jsonl.zst", "*.jsonl.zst"),
    ),
    "lake": Format(
        module="slipstream.data.tape.lake",
        title="the lake's streams bbo, books, trades and contexts",
        files=("venue=*/stream=books/coin=*", "venue=*/stream=bbo/coin=*", "venue=*/stream=trades/coin=*"),
    ),
    "archive": Format(
        module="slipstream.data.tape.archive",
        title="Hyperliquid's archive: market_data/YYYYMMDD/H/l2Book/COIN.lz4",
        files=("market_data/*/*/l2Book/*.lz4", "*/*/l2Book/*.lz4", "*/l2Book/*.lz4", "l2Book/*.lz4", "*.lz4"),
    ),
    "binance": Format(
        module="slipstream.data.tape.binance",
        title="Binance USD-M socket lines: local ns, JSON",
        files=("*usdm*.gz", "*usdm*.jsonl", "*usdt*.gz"),
    ),
    "hftbacktest": Format(
        module="slipstream.data.tape.hftbacktest", title="event arrays of hftbacktest (.npz)", files=("*.npz",)
    ),
    "lobster": Format(
        module="slipstream.data.tape.lobster",
        title="LOBSTER message and orderbook files",
        files=("*_message_*.csv", "*_message_*.csv.gz"),
    ),
    "orders": Format(
        module="slipstream.data.tape.orders",
        title="order logs: id, timestamp, exchange.timestamp, price, volume, action, direction",
        files=("*orders*.csv", "*orders*.csv.gz", "*orders*.csv.xz", "*events*.csv*"),
    ),
}


def seeming(source: Path) -> str:
    """The format that a source seems to have. Raises TapeError: none of them, or several."""
    if not source.exists():
        raise TapeError(f"{source}: there is no such file or folder")
    found = [name for name, form in FORMATS.items() if form.seems(source)]
    if len(found) == 1:
        return found[0]
    known = "; ".join(f"{name} ({', '.join(form.files)})" for name, form in FORMATS.items())
    said = f"could be {' or '.join(found)}" if found else f"no file of a name that is known: {known}"
    raise TapeError(f"{source}: {said}; say which: --format NAME")


def convert(source: Path, to: Path, terms: Terms, form: str = "auto") -> Report:
    """Convert a source into tapes under ``to``. Raises TapeError, OSError."""
    name = seeming(source) if form == "auto" else form
    if name not in FORMATS:
        raise TapeError(f"--format {name} is not known; there are {', '.join(FORMATS)}")
    if not source.exists():
        raise TapeError(f"{source}: there is no such file or folder")
    chosen = FORMATS[name]
    function: Convert = getattr(import_module(chosen.module), chosen.function)
    return function(source, to, terms)
