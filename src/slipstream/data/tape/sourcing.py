"""Files that tapes are made of, read as a stream: hashed on the way, and every fault named by file and row."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.header import Source
from slipstream.data.tape.scale import Floats, Grid, Ints, Market
from slipstream.data.tape.terms import Terms
from slipstream.data.tape.unpacking import DAMAGED, unpacked

BLOCK = 1 << 18  # bytes of text at a time
EARLIEST_NS, LATEST_NS = 10**18, 4_102_444_800 * 10**9  # 2001 to 2100
SIZE_DECIMALS = 8  # that are looked for, at most
HYPERLIQUID = "hl"
PRICE_DECIMALS = 6  # of Hyperliquid's prices and sizes together


class Hashed(io.RawIOBase):
    """A file that is read from its beginning to its end, and hashed meanwhile."""

    def __init__(self, path: Path, terms: Terms) -> None:
        """Raises TapeError."""
        try:
            self._file: IO[bytes] = path.open("rb")
            self._whole = path.stat().st_size
        except OSError as error:
            raise TapeError(f"{path}: cannot be read: {error.strerror or error}") from None
        self.path = path
        self._digest = hashlib.sha256()
        self._done = 0
        self._terms = terms

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes."""
        n = self._file.readinto(buffer)  # type: ignore[attr-defined]
        self._digest.update(memoryview(buffer)[:n])
        self._done += n
        self._terms.progress(self._done, self._whole, self.path.name)
        return int(n)

    def source(self) -> Source:
        """The file, as far as it was read; the rest is read now."""
        while self.read(BLOCK):
            pass
        return Source(name=self.path.name, size=self._done, sha256=self._digest.hexdigest())

    def close(self) -> None:
        """Stay open: whoever unpacks the file closes it before its hash is known. `leave` closes it."""

    def leave(self) -> None:
        """Close the file."""
        self._file.close()


def hashed(path: Path, terms: Terms) -> Source:
    """A whole file's name, size and hash. Raises TapeError, OSError."""
    file = Hashed(path, terms)
    try:
        return file.source()
    finally:
        file.leave()


class Csv:
    """A .csv or .csv.gz as batches of columns. ``file`` is hashed."""

    def __init__(self, path: Path, columns: Mapping[str, str], terms: Terms) -> None:
        """``columns``: type of each by its name in pyarrow's words. Raises TapeError."""
        self.path = path
        self.columns = dict(columns)
        self.file = Hashed(path, terms)
        self.rows = 0  # read so far, without the header

    def batches(self) -> Iterator[Mapping[str, Any]]:
        """Columns of some rows as arrays; ``first`` is the row's number in the file (1 is the header). TapeError."""
        import pyarrow as pa
        import pyarrow.csv as pc

        plain: Any = io.BufferedReader(self.file, BLOCK)
        text: Any = unpacked(plain, self.path)
        options = pc.ConvertOptions(
            column_types={name: getattr(pa, kind)() for name, kind in self.columns.items()},
            include_columns=list(self.columns),
        )
        reading = pc.ReadOptions(block_size=BLOCK, use_threads=False)
        try:
            with pc.open_csv(text, read_options=reading, convert_options=options) as reader:
                for batch in reader:
                    out = {name: _values(batch.column(name)) for name in self.columns}
                    out["row"] = np.arange(self.rows + 2, self.rows + 2 + batch.num_rows, dtype=np.int64)
                    self.rows += batch.num_rows
                    yield out
        except (pa.ArrowException, KeyError, *DAMAGED) as error:
            said = str(error).strip("'").splitlines()[0] if str(error) else type(error).__name__
            raise TapeError(f"{self.path}: after row {self.rows + 1}: {said}") from None
        if not self.rows:
            raise TapeError(f"{self.path}: no rows below the header")


def _values(column: Any) -> Any:
    return column.to_numpy(zero_copy_only=False)


def header_of(path: Path) -> list[str]:
    """The names in the first line of a .csv or .csv.gz. Raises TapeError."""
    try:
        with path.open("rb") as plain:
            line = unpacked(plain, path).readline(1 << 20).decode()
    except FileNotFoundError:
        raise TapeError(f"{path}: there is no such file") from None
    except DAMAGED as error:
        raise TapeError(f"{path}: row 1: cannot be read: {error}; copy it again") from None
    names = line.strip().split(",")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TapeError(f"{path}: row 1: column {twice[0]} comes twice")
    return names


def need_columns(path: Path, names: Sequence[str], needed: Sequence[str]) -> None:
    """Raises TapeError for the first column that is not there."""
    for name in needed:
        if name not in names:
            raise TapeError(f"{path}: row 1: no column {name}; the header has {','.join(names)[:200]}")


def times_ns(path: Path, row: Ints, values: Floats, unit_ns: int, name: str, exact_ns: int) -> Ints:
    """Times as ns, rounded to ``exact_ns``, between 2001 and 2100. Raises TapeError naming the first that is none."""
    with np.errstate(invalid="ignore"):
        steps = np.rint(values * (unit_ns // exact_ns))
        bad = ~np.isfinite(values) | (steps * exact_ns < EARLIEST_NS) | (steps * exact_ns > LATEST_NS)
    if bad.any():
        at = int(np.argmax(bad))
        raise TapeError(f"{path}: row {row[at]}: {name} {values[at]!r} is no time between 2001 and 2100")
    out: Ints = steps.astype(np.int64) * exact_ns
    return out


def only_hyperliquid(form: str, terms: Terms) -> None:
    """Raises TapeError where another venue is asked for than a format is of."""
    if terms.venue not in ("", HYPERLIQUID):
        raise TapeError(f"--venue {terms.venue}: the format {form} is of {HYPERLIQUID} alone")


def decimals_of(values: Floats, most: int) -> int:
    """The most decimals that any of the values shows, up to ``most``."""
    good = values[np.isfinite(values)]
    for places in range(most):
        scaled = good * 10.0**places
        if (np.abs(scaled - np.rint(scaled)) <= np.maximum(1e-6, np.abs(scaled) * 1e-12)).all():
            return places
    return most


def market_of(venue: str, coin: str, px: Floats, sz: Floats, terms: Terms) -> tuple[Market, bool]:
    """A market and whether its grid or lot was guessed from first prices and sizes, where the terms do not tell them.

    Hyperliquid (``hl``): the five-figure grid whose decimals follow from those of sizes. Elsewhere: a linear grid.
    """
    told = terms.size_decimals.get(coin)
    size_decimals = decimals_of(sz, PRICE_DECIMALS if venue == HYPERLIQUID else SIZE_DECIMALS) if told is None else told
    lot = f"1e-{size_decimals}" if size_decimals > 6 else (f"{10.0**-size_decimals:.{size_decimals}f}")
    guessed = told is None
    if venue == HYPERLIQUID and coin not in terms.tick_sizes:
        if size_decimals > PRICE_DECIMALS:
            raise TapeError(f"{coin}: {size_decimals} decimals of sizes: Hyperliquid has {PRICE_DECIMALS} at most")
        grid = Grid(decimals=PRICE_DECIMALS - size_decimals)
    elif coin in terms.tick_sizes:
        grid = Grid(tick_size=terms.tick_sizes[coin])
    else:
        places = decimals_of(px, SIZE_DECIMALS)
        grid, guessed = Grid(tick_size=f"{10.0**-places:.{places}f}"), True
    return Market(venue=venue, coin=coin, grid=grid, lot=lot), guessed
