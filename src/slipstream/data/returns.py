"""Reading a wide CSV of returns, one column a coin, into `Bars`, with every finding reported.

The first column is the time a return's period ENDED: ms UTC, or ISO 8601. Every other column is a
coin, its cells simple returns (0.01 is one percent); an empty cell is a period in which the coin had no price.

Returns carry no prices, no volumes and no funding. Prices become an index that begins at 100; every coin counts as
``USD_A_DAY`` liquid, so that filters of liquidity pass everything; funding comes from a file of its own, or not at all.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.data.bars import SPARSE, BarsError, check_past, read_funding
from slipstream.data.files import numbers_of, read_csv, times_of
from slipstream.data.streams import MS, LakeError, check_word

USD_A_DAY = 1e12
HUGE = 10.0


def read_returns(
    path: Path, funding: Path | None = None, *, coins: tuple[str, ...] = (), now_ms: int | None = None
) -> Bars:
    """Bars of a file of returns, all coins of it or those named. Raises BarsError, also where they end after now."""
    frame = _table(path)
    if now_ms is not None:
        check_past(path, int(frame.index.max()), now_ms)
    if coins:
        absent = sorted(set(coins) - set(frame.columns))
        if absent:
            raise BarsError(f"{path}: no column of {', '.join(absent)}; it has {', '.join(frame.columns)}")
        frame = frame[list(coins)]
    frame, notes = _sorted(frame, path)
    returns = frame.to_numpy(dtype=np.float64)
    _check(returns, frame, path)
    stamps = frame.index.to_numpy(dtype=np.int64)
    step = int(pd.Series(np.diff(stamps)).mode().iloc[0])
    off = (stamps - stamps[0]) % step != 0
    if off.any():
        place = int(np.flatnonzero(off)[0])
        raise BarsError(f"{path}: row {place + 2} is not on the grid of {step / HOUR_MS:g} h that most rows keep")
    count = int(stamps[-1] - stamps[0]) // step + 1
    if count > SPARSE * len(stamps) + 1_000:
        raise BarsError(
            f"{path}: from first to last row there are {count} periods, and {len(stamps)} are there: is a time wrong?"
        )
    grid = np.arange(stamps[0], stamps[-1] + step, step, dtype=np.int64)
    if len(grid) > len(stamps):
        notes.append(f"{len(grid) - len(stamps)} rows are missing: no coin has a bar then")
        table = np.full((len(grid), returns.shape[1]), np.nan)
        table[(stamps - stamps[0]) // step] = returns
        returns = table
    notes += _gaps(returns, tuple(frame.columns))
    close = 100.0 * np.cumprod(1.0 + np.nan_to_num(returns), axis=0)
    close = np.where(np.isfinite(returns), close, np.nan)
    opened = grid - step
    names = tuple(frame.columns)
    rates, missing = (
        (None, None) if funding is None else read_funding(funding, names, opened, step, held=np.isfinite(close))
    )
    return Bars(
        coins=names,
        opened=opened,
        hours=step / HOUR_MS,
        open=close / (1.0 + returns),
        close=close,
        volume_usd=np.where(np.isfinite(close), USD_A_DAY * step / (24 * HOUR_MS), np.nan),
        funding=rates,
        funding_gaps=missing,
        notes=(
            "made of returns: prices are an index, every coin counts as liquid without bound, impact has no meaning",
            *notes,
        ),
    )


def _table(path: Path) -> pd.DataFrame:
    """The file, indexed by ms, coins as columns."""
    try:
        frame = read_csv(path)
    except LakeError as error:
        raise BarsError(str(error)) from None
    if frame.shape[1] < 2 or len(frame) < 2:
        raise BarsError(
            f"{path}: {len(frame)} rows of {frame.shape[1]} columns; give a time and a column of returns for each "
            "coin, separated by commas, and at least 2 rows"
        )
    frame.columns = frame.columns.astype(str)
    first = frame.columns[0]
    try:
        frame[first] = times_of(frame[first], path) // MS
    except LakeError as error:
        raise BarsError(f"{error} (column {first}, the first, is the time)") from None
    frame = frame.set_index(first)
    for at, name in enumerate(frame.columns):
        if name.startswith("Unnamed: "):
            raise BarsError(f"{path}: column {at + 2} has no name; name its coin, or drop it")
        try:
            check_word(f"{path}: coin", name)
        except LakeError as error:
            raise BarsError(str(error)) from None
        texts = frame[name]
        frame[name] = numbers_of(texts)
        bad = np.flatnonzero(np.isnan(frame[name].to_numpy()) & texts.notna().to_numpy())
        if len(bad):
            row = int(bad[0])
            raise BarsError(f"{path}: row {row + 2}: column {name} holds {texts.iloc[row]!r}, not a number")
    return frame


def _sorted(frame: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
    if frame.index.has_duplicates:
        stamp = frame.index[frame.index.duplicated()][0]
        raise BarsError(f"{path}: {int(frame.index.duplicated().sum())} times come twice, the first {stamp} ms")
    if frame.index.is_monotonic_increasing:
        return frame, []
    return frame.sort_index(), ["the rows were not in the order of time: sorted"]


def _check(returns: npt.NDArray[np.float64], frame: pd.DataFrame, path: Path) -> None:
    bad = np.isinf(returns) | (returns <= -1.0) | (returns > HUGE)
    if bad.any():
        row, column = (int(place[0]) for place in np.nonzero(bad))
        raise BarsError(
            f"{path}: {frame.columns[column]} at {frame.index[row]} ms returns {returns[row, column]:g}; a simple "
            f"return lies above -1 and, unless it is a percentage or a price by mistake, below {HUGE:g}"
        )
    empty = [str(name) for j, name in enumerate(frame.columns) if not np.isfinite(returns[:, j]).any()]
    if empty:
        raise BarsError(f"{path}: column {', '.join(empty)} is empty; drop it")


def _gaps(returns: npt.NDArray[np.float64], names: tuple[str, ...]) -> list[str]:
    held = np.isfinite(returns)
    places = [np.flatnonzero(held[:, j]) for j in range(len(names))]
    inside = sum(int(p[-1] - p[0] + 1 - p.size) for p in places)
    ended = [name for name, p in zip(names, places, strict=True) if p[-1] < len(returns) - 1]
    notes = [f"{inside} cells are empty between first and last of their coin"] if inside else []
    return notes + ([f"{len(ended)} coins end before the file does: {', '.join(ended)}"] if ended else [])
