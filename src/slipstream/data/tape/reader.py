"""Reads a tape: chunks mapped into memory without copying, each held against its checksum when it is first read.

A chunk is a map of its own: when nobody holds its rows any more its pages are gone, so a month of tape is read in the
memory of a chunk. The maps are private: what is written into rows stays in memory and never reaches the file (compiled
code wants arrays it may write to).
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.header import DATA, FILE, Header, read_header
from slipstream.data.tape.packing import unpack

Rows = npt.NDArray[np.void]


class Tape:
    """One market's rows on disk. ``header`` says what they are; rows have the dtype ``header.dtype``."""

    def __init__(self, folder: Path, *, check: bool = True) -> None:
        """Raises TapeError: no tape, another version, damaged, cut off. ``check`` False trusts the rows' checksums."""
        self.folder = folder
        self.header: Header = read_header(folder)
        self.path = folder / DATA[self.header.packing]
        self._unchecked = set(range(len(self.header.chunks))) if check else set()
        chunks = self.header.chunks
        whole = chunks[-1].offset + chunks[-1].size if chunks else 0
        try:
            size = self.path.stat().st_size
        except OSError as error:
            raise TapeError(f"{self.path}: cannot be read: {error.strerror}; convert its source again") from None
        if size != whole:
            raise TapeError(
                f"{self.path}: {size} bytes, and the header says {whole}: cut off or written to; "
                "convert its source again"
            )

    def __len__(self) -> int:
        return self.header.rows

    @property
    def rows(self) -> Rows:
        """All rows as one array, mapped, not held against checksums. Raises TapeError for a packed tape."""
        if self.header.packing != "none":
            raise TapeError(f"{self.path}: packed; read it by chunks, or convert it again without --packed")
        return self._mapped(0, self.header.rows * self.header.dtype.itemsize)

    def chunk(self, number: int) -> Rows:
        """The rows of a chunk. Raises TapeError if they are not those that were written."""
        chunk = self.header.chunks[number]
        where = f"{self.path}: chunk {number}"
        try:
            if self.header.packing == "none":
                rows = self._mapped(chunk.offset, chunk.size)
            else:
                with self.path.open("rb") as file:
                    file.seek(chunk.offset)
                    rows = unpack(file.read(chunk.size), self.header.dtype, chunk.rows, where)
        except (OSError, ValueError) as error:
            raise TapeError(f"{where}: cannot be read: {error}") from None
        if number in self._unchecked:
            if zlib.crc32(rows.data) != chunk.crc32:
                first = sum(one.rows for one in self.header.chunks[:number])
                raise TapeError(
                    f"{where} (rows {first} to {first + chunk.rows - 1}): its checksum does not hold: damaged; "
                    "convert its source again"
                )
            self._unchecked.discard(number)
        return rows

    def chunks(self) -> Iterator[Rows]:
        """Every chunk in its order. Raises TapeError as `chunk` does."""
        for number in range(len(self.header.chunks)):
            yield self.chunk(number)

    def _mapped(self, offset: int, size: int) -> Rows:
        if not size:
            return np.zeros(0, self.header.dtype)
        skipped = offset % mmap.ALLOCATIONGRANULARITY
        with self.path.open("rb") as file:
            pages = mmap.mmap(file.fileno(), size + skipped, access=mmap.ACCESS_COPY, offset=offset - skipped)
        return np.frombuffer(pages, self.header.dtype, size // self.header.dtype.itemsize, skipped)


def open_tape(folder: Path, *, check: bool = True) -> Tape:
    """The tape in a folder. Raises TapeError."""
    return Tape(folder, check=check)


def tape_folders(path: Path) -> list[Path]:
    """A tape's own folder, or those of the tapes in a folder, by name. Raises TapeError if there is none."""
    if (path / FILE).is_file():
        return [path]
    if not path.is_dir():
        there = "that is a file" if path.exists() else "there is no such folder"
        raise TapeError(f"{path}: {there}; give a tape's folder, or a folder of tapes")
    found = sorted(one.parent for one in path.glob(f"[!.]*/{FILE}"))
    if not found:
        raise TapeError(f"{path}: no tape in it; make some with `slipstream tape convert SOURCE --to {path}`")
    return found


def open_tapes(path: Path, coins: tuple[str, ...] = (), *, check: bool = True) -> list[Tape]:
    """The tapes of a folder, or the tape that it is; of these ``coins`` if any are named. Raises TapeError."""
    tapes = [open_tape(folder, check=check) for folder in tape_folders(path)]
    there = [tape.header.market.coin for tape in tapes]
    if lacking := [coin for coin in coins if coin not in there]:
        raise TapeError(f"{path}: no tape of {', '.join(lacking)}; there are tapes of {', '.join(there)}")
    return [tape for tape in tapes if not coins or tape.header.market.coin in coins]
