"""CSV files of one symbol each, that grow while a recorder runs and are read by the candidate scan.

- best prices: ``recv_ms,event_ms,bid_px,bid_sz,ask_px,ask_sz``
- depth: ``recv_ms,event_ms,bid_usd,ask_usd``, the value of the visible levels within `DEPTH_BPS` of the middle
- funding: ``ts,rate``; ``ts`` is the settlement in ms, ``rate`` a fraction per interval

A writer that was killed may leave half a row: the next one cuts it off. Readers leave out an unfinished last row.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from slipstream.data.quality import RATE_CAP
from slipstream.model.events import L2Book

BBO = ("recv_ms", "event_ms", "bid_px", "bid_sz", "ask_px", "ask_sz")
DEPTH = ("recv_ms", "event_ms", "bid_usd", "ask_usd")
FUNDING = ("ts", "rate")
DEPTH_BPS = 25.0
KEPT = 1 << 16
EARLIEST_MS, LATEST_MS = 10**12, 10**14  # 2001 to 5138: anything else is not ms since 1970
Floats = npt.NDArray[np.float64]
TOKENS = ("symbol", "lower", "cex_symbol", "cex_lower")


class SampleError(ValueError):
    """A file of samples, or a pattern of their names, that cannot be used as it is."""


def path_of(pattern: str, symbol: str, cex_symbol: str) -> Path:
    """A symbol's file. Tokens: {symbol}, {lower}, {cex_symbol}, {cex_lower}. Raises SampleError."""
    values = dict(zip(TOKENS, (symbol, symbol.lower(), cex_symbol, cex_symbol.lower()), strict=True))
    try:
        return Path(pattern.format(**values))
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        known = ", ".join(f"{{{token}}}" for token in TOKENS)
        raise SampleError(f"pattern {pattern!r}: {type(error).__name__} {error}; its tokens are {known}") from None


def depth_usd(book: L2Book, within_bps: float = DEPTH_BPS) -> tuple[float, float]:
    """USD value of the visible bids and asks within some bp of the middle; (0, 0) of a one-sided book."""
    if not book.bids or not book.asks:
        return 0.0, 0.0
    middle = (book.bids[0][0] + book.asks[0][0]) / 2.0
    far = middle * within_bps / 1e4
    bids = sum(px * sz for px, sz in book.bids if px >= middle - far)
    asks = sum(px * sz for px, sz in book.asks if px <= middle + far)
    return bids, asks


class SampleFile:
    """Appends rows to one file, of which it is the only writer. A context manager."""

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self.path = path
        self.rows = 0
        self._columns = columns
        self._kept: list[str] = []
        self._handle = -1

    def __enter__(self) -> SampleFile:
        """Open it, cut half a row off its end. Raises SampleError (locked, other columns), OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._handle)
            raise SampleError(f"{self.path}: another recorder writes it; choose another pattern, or stop it") from None
        try:
            self._mend()
        except BaseException:
            os.close(self._handle)
            raise
        return self

    def _mend(self) -> None:
        header = (",".join(self._columns) + "\n").encode()
        size = os.fstat(self._handle).st_size
        begins = os.pread(self._handle, len(header), 0)
        if size < len(header) and header.startswith(begins):
            os.ftruncate(self._handle, 0)
            os.write(self._handle, header)
            return
        if begins != header:
            raise SampleError(f"{self.path}: its columns are not {header.decode().strip()}; move it away")
        end = size
        while end > len(header):
            start = max(len(header), end - KEPT)
            found = os.pread(self._handle, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        os.ftruncate(self._handle, end)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Write what is kept, and close. Raises OSError."""
        try:
            self.flush()
        finally:
            os.close(self._handle)

    def write(self, row: tuple[int | float, ...]) -> None:
        """Take a row, in the order of the columns."""
        self._kept.append(",".join(map(repr, row)) + "\n")
        self.rows += 1

    def flush(self) -> None:
        """Hand the rows to the system: from here on they survive a kill. Raises OSError."""
        data = memoryview("".join(self._kept).encode())
        self._kept.clear()
        while data:
            data = data[os.write(self._handle, data) :]


def _row_at(file: BinaryIO, offset: int, column: int) -> tuple[int, float]:
    """(where it begins, time) of the first whole row at or after an offset; the time is inf at the end of the file.

    Raises ValueError for a row without a time.
    """
    file.seek(offset - 1)
    file.readline()
    start, row = file.tell(), file.readline()
    return start, (float(row.split(b",")[column]) if row.endswith(b"\n") else np.inf)


def _begin(file: BinaryIO, header: bytes, column: int, last_ms: float) -> int:
    """Where the rows of the last so many ms begin, by bisection: files are in the order of their times.

    The first row, where a time cannot be read: reading on finds what is wrong with it.
    """
    low, high = len(header), file.seek(0, 2)
    try:
        file.seek(max(low, high - KEPT))
        rows = file.read().split(b"\n")[:-1]
        cut = float(rows[-1].split(b",")[column]) - last_ms
        while low < high:
            middle = (low + high) // 2
            if _row_at(file, middle, column)[1] < cut:
                low = middle + 1
            else:
                high = middle
        return _row_at(file, low, column)[0]
    except (ValueError, IndexError):
        return len(header)


def _text(path: Path, time: str, last_ms: float | None) -> tuple[bytes, int]:
    """(header and whole rows, how many rows were passed over before them). Raises SampleError."""
    try:
        with path.open("rb") as file:
            header = file.readline()
            names = header.decode("utf-8", "replace").strip().split(",")
            begin = len(header)
            if last_ms is not None and time in names:
                begin = _begin(file, header, names.index(time), last_ms)
            file.seek(len(header))
            passed, left = 0, begin - len(header)
            while left:
                chunk = file.read(min(left, 1 << 20))
                passed += chunk.count(b"\n")
                left -= len(chunk)
            text = file.read()
    except OSError as error:
        raise SampleError(f"{path}: {error.strerror or error}") from None
    if not header.endswith(b"\n"):
        raise SampleError(f"{path}: no header; the first row names the columns, among them {time}")
    return header + text[: text.rfind(b"\n") + 1], passed


def read_samples(path: Path, columns: tuple[str, ...], last_ms: float | None = None) -> dict[str, Floats]:
    """The named columns in the order of the first, which is a time in ms; others are ignored.

    ``last_ms``: only the rows of so many ms before the last one. Several rows of one time stay, in their order in the
    file. Raises SampleError, naming file, row (1 is the header) and column: not there, no such column, no rows, a field
    that is no number, a time that is not ms, times that go back by more than a minute.
    """
    import pandas as pd

    text, passed = _text(path, columns[0], last_ms)
    frame = _parsed(path, text)
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise SampleError(f"{path}: row 1: no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}")
    if frame.empty:
        raise SampleError(f"{path}: no rows below the header")
    out: dict[str, Floats] = {}
    for name in columns:
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            field = frame[name].iloc[int(bad[0])]
            raise SampleError(f"{path}: row {passed + int(bad[0]) + 2}: {name} is {field!r}, not a number")
        out[name] = values
    _check_times(path, columns[0], out[columns[0]], passed)
    order = np.argsort(out[columns[0]], kind="stable")
    return {name: values[order] for name, values in out.items()}


def _parsed(path: Path, text: bytes) -> Any:
    """Header and rows as a frame of texts. Raises SampleError."""
    import io
    import warnings

    import pandas as pd

    names = text.partition(b"\n")[0].decode("utf-8", "replace").strip().split(",")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SampleError(f"{path}: row 1: column {twice[0]!r} comes twice; keep one of the two")
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(io.BytesIO(text), dtype=str, keep_default_na=False, index_col=False)
        except pd.errors.ParserWarning:
            raise SampleError(f"{path}: rows have more fields than the header ({len(names)})") from None
        except (ValueError, UnicodeDecodeError) as error:
            raise SampleError(f"{path}: not a CSV file: {str(error).strip()}") from None


def check_rates(path: Path, samples: dict[str, Floats]) -> None:
    """Raises SampleError for settlements that come twice, or rates that are no fraction."""
    twice = np.flatnonzero(np.diff(samples["ts"]) == 0.0)
    if len(twice):
        raise SampleError(
            f"{path}: the settlement at {samples['ts'][twice[0]]:.0f} ms comes twice; keep one of the two"
        )
    bad = np.flatnonzero(np.abs(samples["rate"]) > RATE_CAP)
    if len(bad):
        at = int(bad[0])
        raise SampleError(
            f"{path}: at {samples['ts'][at]:.0f} ms: rate {samples['rate'][at]:g} is beyond {RATE_CAP:g}; a "
            "rate is a fraction (0.0001 is one bp), no percentage"
        )


def _check_times(path: Path, name: str, times: Floats, passed: int) -> None:
    bad = np.flatnonzero((times < EARLIEST_MS) | (times > LATEST_MS))
    if len(bad):
        row = int(bad[0])
        raise SampleError(f"{path}: row {passed + row + 2}: {name} is {times[row]:.0f}, not a time in ms since 1970")
    back = np.flatnonzero(np.diff(times) < -60_000.0)
    if len(back):
        row = int(back[0]) + 1
        raise SampleError(
            f"{path}: row {passed + row + 2}: {name} is more than a minute before the row above; sort the file"
        )


def check_bbo(path: Path, samples: dict[str, Floats]) -> None:
    """Raises SampleError for prices or sizes that are negative, or a market that is crossed (0 is an empty side)."""
    for name in BBO[2:]:
        bad = np.flatnonzero(samples[name] < 0.0)
        if len(bad):
            at = int(bad[0])
            raise SampleError(f"{path}: at {samples['recv_ms'][at]:.0f} ms: {name} is {samples[name][at]}, below 0")
    both = (samples["bid_px"] > 0.0) & (samples["ask_px"] > 0.0)
    bad = np.flatnonzero(both & (samples["bid_px"] > samples["ask_px"]))
    if len(bad):
        at = int(bad[0])
        raise SampleError(
            f"{path}: at {samples['recv_ms'][at]:.0f} ms: bid {samples['bid_px'][at]} is above ask "
            f"{samples['ask_px'][at]}"
        )
