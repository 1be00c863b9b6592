"""Tables of bars and funding from CSV, Feather and Parquet files, as rows that the lake can hold.

Columns may go by the names that exchanges and exporters use (`NAMES`). Times without a zone are UTC; whole numbers are
ms unless the caller says otherwise, and a time that cannot be meant is an error that names the row. Cells that are not
numbers become NaN here and are dropped, and told, by the checks that follow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from slipstream.data.streams import FUNDING, HOUR, INTERVALS, LakeError, Stream, bars_stream, stream_of

Unit = Literal["s", "ms", "us", "ns"]
UNITS: dict[str, int] = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
EARLIEST_NS = 1_230_768_000_000_000_000  # 2009
LATEST_NS = 4_102_444_800_000_000_000  # 2100
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
NEEDED = {True: ("time", "rate"), False: ("time", "open", "high", "low", "close", "volume")}
OPTIONAL = {True: ("premium",), False: ("trades",)}


def read_table(path: Path) -> Any:
    """A file as a pandas frame. Raises LakeError: not there, another ending, damaged, empty."""
    import pandas as pd
    import pyarrow as pa

    readers: dict[str, Any] = {".parquet": pd.read_parquet, ".feather": pd.read_feather, ".csv": pd.read_csv}
    if path.suffix not in readers:
        raise LakeError(f"{path}: ending `{path.suffix}` is not known; give one of {', '.join(readers)}")
    if not path.is_file():
        raise LakeError(f"{path}: there is no such file")
    try:
        frame = readers[path.suffix](path)
    except (ValueError, OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise LakeError(f"{path}: cannot be read: {(str(error) or type(error).__name__).splitlines()[0]}") from None
    if frame.empty:
        raise LakeError(f"{path}: no rows")
    return frame


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


def _times(column: Any, path: Path, unit: Unit) -> npt.NDArray[np.int64]:
    """A column of times as ns. Raises LakeError naming the row (1 is the header)."""
    import pandas as pd

    texts = column
    if not pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_datetime64_any_dtype(column):
        numbers = pd.to_numeric(column, errors="coerce")
        # numbers among which something else stands are a column of numbers with a fault
        column = numbers if numbers.notna().mean() >= 0.5 else column
    if pd.api.types.is_numeric_dtype(column):
        values = np.asarray(column, dtype=np.float64)
        bad = ~np.isfinite(values) | (values != np.floor(values))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise LakeError(f"{path}: row {row + 2}: time {texts.iloc[row]} is not a whole number of {unit}")
        scaled = values * UNITS[unit]
        bad = (scaled < EARLIEST_NS) | (scaled > LATEST_NS)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise LakeError(
                f"{path}: row {row + 2}: time {texts.iloc[row]} {unit} is not between 2009 and 2100; is it in another "
                "unit (s, ms, us, ns)?"
            )
        return np.asarray(column, dtype=np.int64) * UNITS[unit]
    try:
        stamps = pd.to_datetime(column, utc=True, errors="coerce", format=_format(column))
    except (ValueError, TypeError) as error:
        raise LakeError(f"{path}: time is neither a number nor a time: {str(error).splitlines()[0]}") from None
    empty = np.asarray(stamps.isna(), dtype=np.bool_)
    if empty.any():
        row = int(np.flatnonzero(empty)[0])
        raise LakeError(f"{path}: row {row + 2}: {column.iloc[row]!r} is not a time; write it like 2025-03-01T08:00Z")
    out: npt.NDArray[np.int64] = stamps.dt.as_unit("ns").astype("int64").to_numpy()
    bad = (out < EARLIEST_NS) | (out > LATEST_NS)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise LakeError(f"{path}: row {row + 2}: {column.iloc[row]} is not between 2009 and 2100")
    return out


def _format(column: Any) -> str | None:
    import pandas as pd

    return None if pd.api.types.is_datetime64_any_dtype(column) else "ISO8601"


def _numbers(column: Any) -> npt.NDArray[np.float64]:
    import pandas as pd

    return np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)


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
    times = _times(columns.pop("time"), path, unit) + offset_ns
    names = pd.Series([coin] * len(frame)) if coin else columns["coin"].astype(str)
    columns.pop("coin", None)
    table = pd.DataFrame({name: _numbers(column) for name, column in columns.items()})
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
    table = table[list(kind.columns)]
    groups = table.groupby(names.to_numpy(), sort=True)
    return kind, [(str(name), rows.reset_index(drop=True)) for name, rows in groups]


def interval_of(text: str) -> str:
    """The stream of an interval such as 1h. Raises LakeError."""
    return bars_stream(text).name
