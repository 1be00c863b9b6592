"""Tables from CSV, Feather and Parquet files, and their columns as times, numbers and coins.

Nothing is guessed: a file that cannot be read whole, a header that names a column twice, a row with more fields than
the header and a time that cannot be meant are errors that say what, where, and how to mend. Times without a zone are
UTC. Cells that are not numbers become NaN, for the caller to drop and tell, or to refuse.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from slipstream.data.streams import LakeError, check_word

Unit = Literal["s", "ms", "us", "ns"]
UNITS: dict[str, int] = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
ENDINGS = (".parquet", ".feather", ".csv")
EARLIEST_NS = 1_230_768_000_000_000_000  # 2009
LATEST_NS = 4_102_444_800_000_000_000  # 2100
HEADER = 1 << 20  # bytes of a first line: a longer one is none


def check_file(path: Path) -> None:
    """Raises LakeError: not there, a folder, not to be looked at."""
    check_folder(path)
    if not path.is_file():
        raise LakeError(f"{path}: there is no such file")


def check_folder(path: Path) -> None:
    """Raises LakeError: a folder, or not to be looked at."""
    try:
        folder = path.is_dir()
        path.exists()
    except OSError as error:
        raise LakeError(f"{str(path)[:200]}: cannot be looked at: {error.strerror or error}") from None
    if folder:
        raise LakeError(f"{path}: is a folder; name the file in it")


def read_table(path: Path) -> Any:
    """A file as a pandas frame, with rows. Raises LakeError: not there, another ending, damaged, empty."""
    if path.suffix not in ENDINGS:
        check_folder(path)
        raise LakeError(f"{path}: ending `{path.suffix}` is not known; give one of {', '.join(ENDINGS)}")
    import pandas as pd

    return _read(path, {".parquet": read_parquet, ".feather": pd.read_feather, ".csv": _read_csv}[path.suffix])


def read_csv(path: Path) -> Any:
    """A CSV file by whatever name as a pandas frame, with rows. Raises LakeError as `read_table` does."""
    return _read(path, _read_csv)


def _read(path: Path, reader: Callable[[Path], Any]) -> Any:
    import pyarrow as pa

    check_file(path)
    try:
        frame = reader(path)
    except LakeError:
        raise
    except (ValueError, OSError, OverflowError, MemoryError, pa.ArrowException, csv.Error) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise LakeError(f"{path}: cannot be read: {(said or type(error).__name__).splitlines()[0]}") from None
    names = [str(name) for name in frame.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise LakeError(f"{path}: column {twice[0]} comes twice; keep one of the two")
    if frame.empty:
        raise LakeError(f"{path}: no rows")
    return frame


def read_parquet(path: Path) -> Any:
    """A Parquet file as a pandas frame; pages that were written with a checksum are held against it.

    Raises OSError, ArrowException.
    """
    import pyarrow.parquet as pq

    return pq.read_table(path, page_checksum_verification=True, partitioning=None).to_pandas()


def _read_csv(path: Path) -> Any:
    import pandas as pd

    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader([file.readline(HEADER)]), [])
    names = [name.strip() for name in header]
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise LakeError(f"{path}: column {twice[0]} comes twice; keep one of the two")
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            # without index_col=False, rows with a field too many shift every column by one
            return pd.read_csv(path, index_col=False, low_memory=False, encoding="utf-8-sig")
        except pd.errors.ParserWarning:
            raise LakeError(
                f"{path}: rows have more fields than the header ({len(header)}); name every column"
            ) from None


def times_of(column: Any, path: Path, unit: Unit = "ms") -> npt.NDArray[np.int64]:
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
    return _stamps(column, path)


def _stamps(column: Any, path: Path) -> npt.NDArray[np.int64]:
    import pandas as pd

    form = None if pd.api.types.is_datetime64_any_dtype(column) else "ISO8601"
    try:
        stamps = pd.to_datetime(column, utc=True, errors="coerce", format=form)
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


def numbers_of(column: Any) -> npt.NDArray[np.float64]:
    """A column as numbers; what is none becomes NaN."""
    import pandas as pd

    return np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)


def coins_of(column: Any, path: Path) -> Any:
    """A column of coins as text. Raises LakeError for an empty cell, naming the row (1 is the header), and for names
    that could lead out of a folder.
    """
    texts = column.astype(object).where(column.notna(), "").astype(str)
    bad = (texts.str.strip() == "").to_numpy()
    if bad.any():
        raise LakeError(f"{path}: row {int(np.flatnonzero(bad)[0]) + 2}: no coin; fill it in, or drop the row")
    for name in texts.unique():
        check_word(f"{path}: coin", name)
    return texts
