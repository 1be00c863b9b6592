"""Reading bars and funding from files (Parquet, Feather, CSV) or a lake into `Bars`, with every finding reported.

A path that is a folder is a lake, and its rows of Hyperliquid are read; ``<lake>/venue=NAME`` reads another venue's.

Bars: columns ``coin, ts, open, close, volume`` (others are ignored); ``ts`` is the bar's OPEN, ms UTC or an ISO 8601
time; ``volume`` is in base coin. Funding: ``coin, ts, rate``; ``ts`` is the settlement, ``rate``
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
from slipstream.data.files import coins_of, numbers_of, read_table, times_of
from slipstream.data.lake import Lake, Query
from slipstream.data.quality import MOST_PX, MOST_SZ, RATE_CAP
from slipstream.data.streams import FUNDING, HOUR, INTERVALS, MS, LakeError

# Hyperliquid settled every 8 hours before this time, every hour since
HOURLY_SINCE_MS = 1_686_182_400_000
VENUE = "hl"
LEAP = 5.0
SPARSE = 10  # times as many bars as there are: a time is wrong, and a grid of them would fill the memory


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
    try:
        if path.is_dir():
            frame = _lake_table(path, "rate" in columns, coins, hours, as_of_ms)
            return frame[[*columns, *also]].copy()
    except (LakeError, OSError) as error:
        raise BarsError(str(error)[:400]) from None
    try:
        if not path.suffix and not path.exists():
            raise LakeError(f"{path}: there is no such file, and no such lake")
        frame = read_table(path)
        missing = [column for column in columns if column not in frame.columns]
        if missing:
            raise LakeError(f"{path}: no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}")
        extra = list(also) if set(also) <= set(frame.columns) else []
        frame = frame[[*columns, *extra]].copy()
        frame["coin"] = coins_of(frame["coin"], path)
        frame["ts"] = times_of(frame["ts"], path) // MS
    except (LakeError, OSError) as error:
        raise BarsError(str(error)) from None
    for column in (*columns, *extra):
        if column not in ("coin", "ts"):
            frame[column] = _numbers(frame, column, path)
    return frame


def _numbers(frame: pd.DataFrame, column: str, path: Path) -> npt.NDArray[np.float64]:
    """A column as numbers, empty cells as NaN. Raises BarsError naming the row of a text."""
    values = numbers_of(frame[column])
    bad = np.flatnonzero(np.isnan(values) & frame[column].notna().to_numpy())
    if len(bad):
        text = frame[column].iloc[int(bad[0])]
        raise BarsError(f"{path}: row {int(bad[0]) + 2}: {column} is {text!r}, not a number")
    return values


def _check(frame: pd.DataFrame, path: Path) -> None:
    twice = frame.duplicated(["coin", "ts"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise BarsError(f"{path}: {int(twice.sum())} rows twice, the first {row.coin} at ts {row.ts}; keep one of each")
    for column in ("open", "close"):
        bad = ~((frame[column] > 0.0) & (frame[column] <= MOST_PX))
        if bad.any():
            row = frame[bad].iloc[0]
            raise BarsError(
                f"{path}: {column} {row[column]} of {row.coin} at ts {row.ts} is not a positive price below {MOST_PX:g}"
            )
    bad = ~((frame["volume"] >= 0.0) & (frame["volume"] <= MOST_SZ))
    if bad.any():
        row = frame[bad].iloc[0]
        raise BarsError(
            f"{path}: volume {row.volume} of {row.coin} at ts {row.ts} is not a number from 0 up to {MOST_SZ:g}"
        )


def _widen(frame: pd.DataFrame) -> list[str]:
    """Let each bar's low and high hold its open and close; says how many did not."""
    if "high" not in frame:
        return []
    top, bottom = frame[["open", "close"]].max(axis=1), frame[["open", "close"]].min(axis=1)
    wrong = ~((frame["high"] >= top) & (frame["low"] <= bottom) & (frame["low"] > 0.0) & np.isfinite(frame["high"]))
    frame.loc[wrong, "high"], frame.loc[wrong, "low"] = top[wrong], bottom[wrong]
    return [f"high and low of {int(wrong.sum())} bars did not hold open and close: set to these"] if wrong.any() else []


def _back(frame: pd.DataFrame) -> list[str]:
    """Says how often the time goes back within a coin."""
    back = int((frame.groupby("coin", sort=False)["ts"].diff() < 0).sum())
    return [f"the time went back {back} times within a coin: sorted"] if back else []


def _leaps(frame: pd.DataFrame) -> list[str]:
    """Says which closes no market is likely to have made: they are kept."""
    moved = frame["close"] / frame.groupby("coin")["close"].shift()
    far = frame[(moved > LEAP) | (moved < 1.0 / LEAP)]
    if far.empty:
        return []
    where = f"the first {far['coin'].iloc[0]} at ts {far['ts'].iloc[0]}"
    return [
        f"{len(far)} closes are more than {LEAP:g} times, or less than a {LEAP:g}th, of the one before, {where}: kept"
    ]


def _step(frame: pd.DataFrame, path: Path, hours: float | None) -> int:
    """Length of a bar in ms: given, or the commonest distance of two bars of a coin."""
    gaps = frame.groupby("coin")["ts"].diff().dropna()
    if gaps.empty and hours is None:
        raise BarsError(f"{path}: no coin has two bars")
    common = int(gaps.mode().iloc[0]) if len(gaps) else 0
    step = common if hours is None else round(hours * HOUR_MS)
    if common not in (0, step):
        raise BarsError(f"{path}: most bars are {common / HOUR_MS:g} h apart, and bars of {hours:g} h are asked for")
    return step


def _grid(frame: pd.DataFrame, step: int, path: Path) -> npt.NDArray[np.int64]:
    """Every open from the first bar to the last. Raises BarsError where nearly all of them are missing."""
    first, last = int(frame["ts"].min()), int(frame["ts"].max())
    count, held = (last - first) // step + 1, int(frame["ts"].nunique())
    if count > SPARSE * held + 1_000:
        raise BarsError(
            f"{path}: {_day(first)} to {_day(last)} has {count} bars of {step / HOUR_MS:g} h, and {held} are there: is "
            "a time wrong, or the length of the bars?"
        )
    return np.arange(first, last + step, step, dtype=np.int64)


def _day(ms: int) -> str:
    return str(np.datetime64(ms, "ms").astype("datetime64[D]"))


def read_bars(
    path: Path,
    funding: Path | None = None,
    *,
    coins: tuple[str, ...] = (),
    hours: float | None = None,
    as_of_ms: int | None = None,
    now_ms: int | None = None,
) -> Bars:
    """Bars from a file or a lake, all coins of it or those named, as far as known by a time. Raises BarsError.

    ``now_ms`` refuses a file with bars that close later; a lake's were held against its source's clock as they came in.
    """
    needed = ("coin", "ts", "open", "close", "volume")
    frame = _table(path, needed, ("high", "low"), coins=coins, hours=hours, as_of_ms=as_of_ms)
    if coins:
        absent = sorted(set(coins) - set(frame["coin"]))
        if absent:
            raise BarsError(f"{path}: no bars of {', '.join(absent)}")
        frame = frame[frame["coin"].isin(coins)]
    _check(frame, path)
    notes = _back(frame)
    frame = frame.sort_values(["coin", "ts"])
    step = _step(frame, path, hours)
    if as_of_ms is not None:
        frame = frame[frame["ts"] + step <= as_of_ms]
    if now_ms is not None and not path.is_dir():
        check_past(path, int(frame["ts"].max()) + step, now_ms)
    off = frame["ts"] % step != 0
    if off.any():
        row = frame[off].iloc[0]
        raise BarsError(f"{path}: {row.coin} at ts {row.ts} does not open on the grid of {step / HOUR_MS:g} h")
    notes += _widen(frame)
    traded = (frame["volume"] > 0.0).groupby(frame["coin"]).cummax()
    if (~traded).any():
        filled = frame[~traded]
        notes.append(f"dropped {len(filled)} bars before the first trade of {filled['coin'].nunique()} coins")
        frame = frame[traded]
    if frame.empty:
        raise BarsError(f"{path}: no bar has any volume")
    notes += _leaps(frame)
    grid = _grid(frame, step, path)
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
    rates, gaps = (None, None) if funding is None else read_funding(funding, names, grid, step, as_of_ms, held=held)
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
    path: Path,
    names: tuple[str, ...],
    grid: npt.NDArray[np.int64],
    step: int,
    as_of_ms: int | None = None,
    *,
    held: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Rates summed by the bar that they are settled in (after its open, up to its close), and how many are missing.

    ``grid`` holds the bars' opens, evenly ``step`` ms apart, ``held`` where a coin has a bar. Raises BarsError, also
    where more than half of the settlements are missing.
    """
    frame = _table(path, ("coin", "ts", "rate"), coins=names, as_of_ms=as_of_ms)
    frame = frame[frame["coin"].isin(names) & (frame["ts"] <= (np.inf if as_of_ms is None else as_of_ms))]
    # the venue stamps a settlement some milliseconds after the full hour
    frame["ts"] = (frame["ts"] + HOUR_MS // 2) // HOUR_MS * HOUR_MS
    bad = ~np.isfinite(frame["rate"])
    if bad.any():
        row = frame[bad].iloc[0]
        raise BarsError(f"{path}: rate of {row.coin} at ts {row.ts} is not a number")
    huge = frame["rate"].abs() > RATE_CAP
    if huge.any():
        row = frame[huge].iloc[0]
        raise BarsError(
            f"{path}: rate {row.rate:g} of {row.coin} at ts {row.ts} is beyond {RATE_CAP:g} a settlement; a rate is a "
            "fraction (0.0001 is one bp), neither a percentage nor a year's"
        )
    twice = frame.duplicated(["coin", "ts"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise BarsError(f"{path}: {int(twice.sum())} settlements twice, the first {row.coin} at ts {row.ts}")
    frame["bar"] = (frame["ts"] - 1 - int(grid[0])) // step
    frame = frame[(frame["bar"] >= 0) & (frame["bar"] < len(grid))]
    if frame.empty:
        raise BarsError(f"{path}: no settlement of a coin of the bars in the time of the bars")
    column = frame["coin"].map({name: j for j, name in enumerate(names)}).to_numpy(dtype=np.int64)
    row_of = frame["bar"].to_numpy(dtype=np.int64)
    total = np.zeros((len(grid), len(names)))
    count = np.zeros((len(grid), len(names)), dtype=np.int64)
    np.add.at(total, (row_of, column), frame["rate"].to_numpy(dtype=np.float64))
    np.add.at(count, (row_of, column), 1)
    expected = np.where(grid >= HOURLY_SINCE_MS, step // HOUR_MS, 0)[:, None]
    missing = np.maximum(expected - count, 0)
    due, lacking = int((expected * held).sum()), int((missing * held).sum())
    if 2 * lacking > due:
        raise BarsError(
            f"{path}: {lacking} of the {due} settlements that the bars' coins had are missing, more than half: bring "
            "funding of these coins and days, or test without it, knowingly, where the command offers that"
        )
    return total, missing


def check_past(path: Path, last_ms: int, now_ms: int) -> None:
    """Raises BarsError for data that end after now."""
    if last_ms > now_ms:
        raise BarsError(
            f"{path}: ends {_day(last_ms)}, and it is {_day(now_ms)}: a time is wrong, or this machine's clock"
        )
