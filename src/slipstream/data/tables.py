"""Tables of bars and funding from CSV, Feather and Parquet files, as rows that the lake can hold.

Columns may go by the names that exchanges and exporters use (`NAMES`). Times without a zone are UTC; whole numbers are
ms unless the caller says otherwise, and a time that cannot be meant is an error that names the row. Cells that are not
numbers become NaN here and are dropped, and told, by the checks that follow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from slipstream.data.files import Unit, coins_of, numbers_of, read_table, times_of
from slipstream.data.streams import FUNDING, HOUR, INTERVALS, LakeError, Stream, bars_stream, stream_of

NAMES: dict[str, tuple[str, ...]] = {
    "time": ("ts", "time", "timestamp", "date", "datetime", "open_time", "opentime", "fundingtime", "t"),
    "coin": ("coin", "symbol", "s"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
    "trades": ("trades", "count", "number_of_trades", "n"),
    "rate": ("rate", "fundingrate", "funding_rate", "funding"),
    "premium": ("premium",),
}
LEAST = 3  # distances of bars: fewer do not tell how long bars are
NEEDED = {True: ("time", "rate"), False: ("time", "open", "high", "low", "close", "volume")}
OPTIONAL = {True: ("premium",), False: ("trades",)}


def _named(frame: Any, path: Path, funding: bool) -> dict[str, Any]:
    """The columns by our names."""
    theirs = {str(name).strip().lower(): name for name in frame.columns}
    if len(theirs) < frame.shape[1]:
        raise LakeError(f"{path}: two columns differ only by case or spaces: {', '.join(map(str, frame.columns))}")
    out: dict[str, Any] = {}
    for ours in (*NEEDED[funding], *OPTIONAL[funding], "coin"):
        found = [theirs[name] for name in NAMES[ours] if name in theirs]
        if found:
            out[ours] = frame[found[0]]
        elif ours in NEEDED[funding]:
            raise LakeError(
                f"{path}: no column for {ours} ({' or '.join(NAMES[ours][:4])}); it has "
                f"{', '.join(map(str, frame.columns))}"
            )
    return out


def rows_of(
    path: Path, stream: str, *, coin: str = "", unit: Unit = "ms", offset_ns: int = 0
) -> tuple[Stream, list[tuple[str, Any]]]:
    """The stream, and (coin, rows) of every coin of a file of bars or funding. Raises LakeError.

    ``stream`` is ``funding`` or ``bars_`` and an interval; ``coin`` names that of a file without a column for it.
    ``offset_ns`` is added to the times: minus a bar's length for a file that stamps bars by their close.
    """
    import pandas as pd

    kind = stream_of(stream)
    funding = kind.name == FUNDING
    if not funding and not kind.name.startswith("bars_"):
        raise LakeError(f"{stream}: only funding and bars come from files; give one of them")
    frame = read_table(path)
    columns = _named(frame, path, funding)
    if "coin" not in columns and not coin:
        raise LakeError(f"{path}: no column coin; name the coin of the file, or give a pattern of file names")
    times = times_of(columns.pop("time"), path, unit) + offset_ns
    names = coins_of(pd.Series([coin] * len(frame)) if coin else columns["coin"], path)
    columns.pop("coin", None)
    table = pd.DataFrame({name: numbers_of(column) for name, column in columns.items()})
    for name in OPTIONAL[funding]:
        if name not in table:
            table[name] = np.nan
    if funding:
        # the venue stamps a settlement some milliseconds after the full hour
        table["settle_ns"] = (times + HOUR // 2) // HOUR * HOUR
        table["known_ns"] = np.maximum(times, table["settle_ns"])
    else:
        table["open_ns"] = times
        table["close_ns"] = times + INTERVALS[stream.removeprefix("bars_")]
        _check_length(times, names, stream.removeprefix("bars_"), path)
    table = table[list(kind.columns)]
    groups = table.groupby(names.to_numpy(), sort=True)
    return kind, [(str(name), rows.reset_index(drop=True)) for name, rows in groups]


def _check_length(times: Any, names: Any, interval: str, path: Path) -> None:
    """Raises LakeError where bars are commonly another distance apart than they are said to be long."""
    import pandas as pd

    frame = pd.DataFrame({"coin": names.to_numpy(), "time": times}).drop_duplicates().sort_values(["coin", "time"])
    apart = frame.groupby("coin")["time"].diff().dropna()
    if len(apart) < LEAST:
        return
    common = int(apart.mode().iloc[0])
    if common != INTERVALS[interval]:
        near = next((name for name, length in INTERVALS.items() if length == common), f"{common / HOUR:g} h")
        raise LakeError(
            f"{path}: most bars are {near} apart, and --interval says {interval}; give the bars' own length"
        )


def interval_of(text: str) -> str:
    """The stream of an interval such as 1h. Raises LakeError."""
    return bars_stream(text).name
