"""Reading bars and funding from files (Parquet, Feather, CSV) or a lake into `Bars`, with every finding reported.

A path that is a folder is a lake, and its rows of Hyperliquid are read; ``<lake>/venue=NAME`` reads another venue's.

Bars: columns ``coin, ts, open, close, volume`` (others are ignored); ``ts`` is the bar's OPEN, ms UTC or a time
that pandas understands; ``volume`` is in base coin. Funding: ``coin, ts, rate``; ``ts`` is the settlement, ``rate``
a fraction per interval, paid AT ``ts``.

What is wrong is not mended silently: duplicates, prices that are not positive numbers and bars off the grid are errors
that name the row; bars before a coin's first trade (zero volume, back-filled by the source) are dropped and reported;
missing bars stay missing (NaN) and are reported.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.data.lake import Lake, Query
from slipstream.data.streams import FUNDING, HOUR, INTERVALS, MS, LakeError

# Hyperliquid settled every 8 hours before this time, every hour since
HOURLY_SINCE_MS = 1_686_182_400_000
VENUE = "hl"


class BarsError(ValueError):
    """A file of bars or funding that cannot be used as it is."""


def _lake_table(
    path: Path, funding: bool, coins: tuple[str, ...], hours: float | None, as_of_ms: int | None
) -> pd.DataFrame:
    """Bars of so many hours (None: of the only length that there is), or funding, as a file would hold them."""
    venue = path.name.removeprefix("venue=") if path.name.startswith("venue=") else VENUE
    lake = Lake(path.parent if path.name.startswith("venue=") else path)
    held = [stream for owner, stream in lake.streams() if owner == venue and (stream == FUNDING) == funding]
    held = [stream for stream in held if funding or stream.startswith("bars_")]
    lengths = {stream: INTERVALS[stream.removeprefix("bars_")] / HOUR for stream in held if not funding}
    fitting = [stream for stream in held if funding or hours is None or lengths[stream] == hours]
    if len(fitting) != 1:
        wanted = FUNDING if funding else "bars" if hours is None else f"bars of {hours:g} h"
        which = "more than one length of bars: say how many hours" if fitting else f"no {wanted} of {venue}"
        raise BarsError(f"{path}: the lake has {which}; it has {', '.join(held) or 'none'}; `slipstream lake show`")
    as_of = None if as_of_ms is None else as_of_ms * MS
    frame = lake.frame(Query(venue=venue, stream=fitting[0], coins=coins, as_of_ns=as_of))
    time = "settle_ns" if funding else "open_ns"
    return frame.assign(ts=frame[time] // MS)


def _table(
    path: Path,
    columns: tuple[str, ...],
    also: tuple[str, ...] = (),
    *,
    coins: tuple[str, ...] = (),
    hours: float | None = None,
    as_of_ms: int | None = None,
) -> pd.DataFrame:
    if path.is_dir():
        try:
            frame = _lake_table(path, "rate" in columns, coins, hours, as_of_ms)
        except LakeError as error:
            raise BarsError(str(error)) from None
        return frame[[*columns, *also]].copy()
    if not path.suffix and not path.exists():
        raise BarsError(f"{path}: there is no such file, and no such lake")
    readers = {".parquet": pd.read_parquet, ".feather": pd.read_feather, ".csv": pd.read_csv}
    if path.suffix not in readers:
        raise BarsError(f"{path}: ending `{path.suffix}` is not known; give one of {', '.join(readers)}")
    if not path.is_file():
        raise BarsError(f"{path}: there is no such file")
    try:
        frame = readers[path.suffix](path)
    except (ValueError, OSError) as error:
        raise BarsError(f"{path}: cannot be read: {error}") from None
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise BarsError(f"{path}: no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}")
    extra = list(also) if set(also) <= set(frame.columns) else []
    frame = frame[[*columns, *extra]].copy()
    frame["coin"] = frame["coin"].astype(str)
    if not pd.api.types.is_integer_dtype(frame["ts"]):
        try:
            stamps = pd.to_datetime(frame["ts"], utc=True).dt.as_unit("ms")
        except (ValueError, TypeError) as error:
            raise BarsError(f"{path}: ts is neither ms nor a time: {error}") from None
        frame["ts"] = stamps.astype("int64")
    return frame


def _check(frame: pd.DataFrame, path: Path) -> None:
    twice = frame.duplicated(["coin", "ts"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise BarsError(f"{path}: {int(twice.sum())} rows twice, the first {row.coin} at ts {row.ts}; keep one of each")
    for column in ("open", "close"):
        bad = ~(np.isfinite(frame[column]) & (frame[column] > 0.0))
        if bad.any():
            row = frame[bad].iloc[0]
            raise BarsError(f"{path}: {column} {row[column]} of {row.coin} at ts {row.ts} is not a positive price")
    bad = ~(np.isfinite(frame["volume"]) & (frame["volume"] >= 0.0))
    if bad.any():
        row = frame[bad].iloc[0]
        raise BarsError(f"{path}: volume {row.volume} of {row.coin} at ts {row.ts} is not a number from 0 up")


def _widen(frame: pd.DataFrame) -> list[str]:
    """Let each bar's low and high hold its open and close; says how many did not."""
    if "high" not in frame:
        return []
    top, bottom = frame[["open", "close"]].max(axis=1), frame[["open", "close"]].min(axis=1)
    wrong = ~((frame["high"] >= top) & (frame["low"] <= bottom) & (frame["low"] > 0.0) & np.isfinite(frame["high"]))
    frame.loc[wrong, "high"], frame.loc[wrong, "low"] = top[wrong], bottom[wrong]
    return [f"high and low of {int(wrong.sum())} bars did not hold open and close: set to these"] if wrong.any() else []


def _step(frame: pd.DataFrame, path: Path, hours: float | None) -> int:
    """Length of a bar in ms: given, or the commonest distance of two bars of a coin."""
    if hours is not None:
        return round(hours * HOUR_MS)
    gaps = frame.groupby("coin")["ts"].diff().dropna()
    if gaps.empty:
        raise BarsError(f"{path}: no coin has two bars")
    return int(gaps.mode().iloc[0])


def read_bars(
    path: Path,
    funding: Path | None = None,
    *,
    coins: tuple[str, ...] = (),
    hours: float | None = None,
    as_of_ms: int | None = None,
) -> Bars:
    """Bars from a file or a lake, all coins of it or those named, as far as known by a time. Raises BarsError."""
    needed = ("coin", "ts", "open", "close", "volume")
    frame = _table(path, needed, ("high", "low"), coins=coins, hours=hours, as_of_ms=as_of_ms)
    if coins:
        absent = sorted(set(coins) - set(frame["coin"]))
        if absent:
            raise BarsError(f"{path}: no bars of {', '.join(absent)}")
        frame = frame[frame["coin"].isin(coins)]
    _check(frame, path)
    frame = frame.sort_values(["coin", "ts"])
    step = _step(frame, path, hours)
    if as_of_ms is not None:
        frame = frame[frame["ts"] + step <= as_of_ms]
    off = frame["ts"] % step != 0
    if off.any():
        row = frame[off].iloc[0]
        raise BarsError(f"{path}: {row.coin} at ts {row.ts} does not open on the grid of {step / HOUR_MS:g} h")
    notes = _widen(frame)
    traded = (frame["volume"] > 0.0).groupby(frame["coin"]).cummax()
    if (~traded).any():
        filled = frame[~traded]
        notes.append(f"dropped {len(filled)} bars before the first trade of {filled['coin'].nunique()} coins")
        frame = frame[traded]
    if frame.empty:
        raise BarsError(f"{path}: no bar has any volume")
    grid = np.arange(int(frame["ts"].min()), int(frame["ts"].max()) + step, step, dtype=np.int64)
    names = tuple(sorted(frame["coin"].unique()))
    frame = frame.assign(usd=frame["volume"] * (frame["open"] + frame["close"]) / 2.0)
    columns = {
        name: frame.pivot(index="ts", columns="coin", values=name).reindex(index=grid, columns=list(names)).to_numpy()
        for name in ("open", "high", "low", "close", "usd")
        if name in frame
    }
    held = np.isfinite(columns["close"])
    spans = sum(int(last - first + 1) for first, last in (_ends(held[:, j]) for j in range(len(names))))
    if spans > held.sum():
        notes.append(f"{spans - int(held.sum())} bars are missing between first and last of their coin")
    ended = [name for j, name in enumerate(names) if not held[-1, j]]
    if ended:
        notes.append(f"{len(ended)} coins end before the file does: {', '.join(ended)}")
    rates, gaps = (None, None) if funding is None else read_funding(funding, names, grid, step, as_of_ms)
    return Bars(
        coins=names,
        opened=grid,
        hours=step / HOUR_MS,
        open=columns["open"].astype(np.float64),
        close=columns["close"].astype(np.float64),
        volume_usd=columns["usd"].astype(np.float64),
        high=columns["high"].astype(np.float64) if "high" in columns else None,
        low=columns["low"].astype(np.float64) if "low" in columns else None,
        funding=rates,
        funding_gaps=gaps,
        notes=tuple(notes),
    )


def _ends(held: npt.NDArray[np.bool_]) -> tuple[int, int]:
    places = np.flatnonzero(held)
    return int(places[0]), int(places[-1])


def read_funding(
    path: Path, names: tuple[str, ...], grid: npt.NDArray[np.int64], step: int, as_of_ms: int | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Rates summed by the bar that they are settled in (after its open, up to its close), and how many are missing.

    ``grid`` holds the bars' opens, evenly ``step`` ms apart. Raises BarsError.
    """
    frame = _table(path, ("coin", "ts", "rate"), coins=names, as_of_ms=as_of_ms)
    frame = frame[frame["coin"].isin(names) & (frame["ts"] <= (np.inf if as_of_ms is None else as_of_ms))]
    # the venue stamps a settlement some milliseconds after the full hour
    frame["ts"] = (frame["ts"] + HOUR_MS // 2) // HOUR_MS * HOUR_MS
    bad = ~np.isfinite(frame["rate"])
    if bad.any():
        row = frame[bad].iloc[0]
        raise BarsError(f"{path}: rate of {row.coin} at ts {row.ts} is not a number")
    twice = frame.duplicated(["coin", "ts"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise BarsError(f"{path}: {int(twice.sum())} settlements twice, the first {row.coin} at ts {row.ts}")
    frame["bar"] = (frame["ts"] - 1 - int(grid[0])) // step
    frame = frame[(frame["bar"] >= 0) & (frame["bar"] < len(grid))]
    column = frame["coin"].map({name: j for j, name in enumerate(names)}).to_numpy(dtype=np.int64)
    row_of = frame["bar"].to_numpy(dtype=np.int64)
    total = np.zeros((len(grid), len(names)))
    count = np.zeros((len(grid), len(names)), dtype=np.int64)
    np.add.at(total, (row_of, column), frame["rate"].to_numpy(dtype=np.float64))
    np.add.at(count, (row_of, column), 1)
    expected = np.where(grid >= HOURLY_SINCE_MS, step // HOUR_MS, 0)[:, None]
    return total, np.maximum(expected - count, 0)
