"""Bars and funding of a lake as CSV files, in the columns that every reader of files here takes.

``coin,ts,open,high,low,close,volume`` (ts: the bar's open) or ``coin,ts,rate`` (ts: the settlement); ts is ms UTC. Of a
time that was revised, the newest row. A file appears whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from slipstream.data.lake import Lake, Query
from slipstream.data.streams import FUNDING, MS, LakeError, stream_of

COLUMNS = {True: ("rate",), False: ("open", "high", "low", "close", "volume")}


def export(lake: Lake, query: Query, path_of: Callable[[str], Path]) -> dict[Path, int]:
    """Write the rows of a query, each coin's into the file that ``path_of`` names; rows by file.

    Coins of one file follow each other in it. Raises LakeError (no such stream, a coin without rows), OSError.
    """
    stream = stream_of(query.stream)
    if stream.name != FUNDING and not stream.name.startswith("bars_"):
        raise LakeError(f"{query.stream}: only bars and funding are exported")
    coins = query.coins or lake.coins(query.venue, query.stream)
    if not coins:
        raise LakeError(f"{lake.path}: no {query.stream} of {query.venue}; `slipstream lake show` tells what is there")
    files: dict[Path, list[str]] = {}
    for coin in coins:
        files.setdefault(path_of(coin), []).append(coin)
    return {path: _write(lake, query, path, named) for path, named in files.items()}


def _write(lake: Lake, query: Query, path: Path, coins: list[str]) -> int:
    import msgspec
    import pandas as pd

    stream = stream_of(query.stream)
    parts = []
    for coin in coins:
        rows = lake.frame(msgspec.structs.replace(query, coins=(coin,)))
        if rows.empty:
            raise LakeError(f"{lake.path}: no {query.stream} of {query.venue} {coin} in that time; nothing to export")
        parts.append(rows.assign(ts=rows[stream.time] // MS)[["coin", "ts", *COLUMNS[stream.name == FUNDING]]])
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with hidden.open("w", encoding="utf-8", newline="") as file:
            pd.concat(parts).to_csv(file, index=False, lineterminator="\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(hidden, path)
    finally:
        hidden.unlink(missing_ok=True)
    return sum(map(len, parts))
