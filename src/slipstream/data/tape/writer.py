"""Writes a tape chunk by chunk: it appears whole under its name, or not at all.

Rows go to ``.NAME.part`` beside the tape, in bounded memory; leaving the context writes the header, syncs and renames.
A writer that was killed leaves only that folder, which no reader looks at; the next writer of the same tape removes it
and starts from the beginning.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.header import (
    DATA,
    DTYPES,
    FILE,
    Chunk,
    Clock,
    Finding,
    Header,
    Layout,
    Packing,
    Source,
    header_bytes,
)
from slipstream.data.tape.packing import pack
from slipstream.data.tape.scale import Market
from slipstream.data.tape.tally import Tally
from slipstream.data.tape.terms import Terms
from slipstream.lob.replay.rows import MORE

CHUNK_ROWS = 1 << 20
Rows = npt.NDArray[np.void]


class TapeWriter:
    """Takes the rows of one market, in their order. A context manager: leaving it without an error makes the tape.

    ``append`` takes any number of rows; ``findings``, ``clock`` and ``sources`` may be set until the context is left.
    """

    def __init__(
        self,
        folder: Path,
        market: Market,
        *,
        layout: Layout = "rows",
        packing: Packing = "none",
        format: str = "",
        replace: bool = False,
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        """``folder`` is the tape's own. Raises TapeError if it is there already and ``replace`` does not say so."""
        if folder.exists() and not replace:
            raise TapeError(f"{folder}: is there already; name another folder, or say --replace")
        self.folder = folder
        self.market = market
        self.layout: Layout = layout
        self.packing: Packing = packing
        self.format = format
        self.findings: Sequence[Finding] = ()
        self.sources: Sequence[Source] = ()
        self.clock = Clock()
        self._part = folder.with_name(f".{folder.name}.part")
        self._tally = Tally()
        self._chunks: list[Chunk] = []
        self._chunk_rows = chunk_rows
        self._kept = np.empty(chunk_rows, DTYPES[layout])
        self._held = 0
        self._lock = -1
        self._file: Any = None

    @property
    def rows(self) -> int:
        """How many rows it has taken."""
        return self._tally.rows

    @classmethod
    def asked(
        cls,
        to: Path,
        market: Market,
        terms: Terms,
        form: str,
        *,
        layout: Layout = "rows",
        chunk_rows: int = CHUNK_ROWS,
    ) -> TapeWriter:
        """Of a conversion's terms: the tape of a market under ``to``, read from a format. Raises TapeError."""
        packing: Packing = "zstd" if terms.packed else "none"
        folder = to / market.name
        return cls(
            folder, market, layout=layout, packing=packing, format=form, replace=terms.replace, chunk_rows=chunk_rows
        )

    def __enter__(self) -> TapeWriter:
        """Make the folder it writes in. Raises TapeError (another writer is at work, not to be written), OSError."""
        try:
            self._part.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TapeError(f"{self.folder}: cannot be written: {error.strerror}; choose another folder") from None
        self._lock = os.open(self._part, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise TapeError(f"{self.folder}: another writer makes this tape; wait for it, or stop it") from None
        for left in self._part.iterdir():  # of a writer that was killed
            left.unlink()
        self._file = (self._part / DATA[self.packing]).open("wb")
        return self

    def append(self, rows: Rows) -> None:
        """Take rows of the tape's dtype. Raises TapeError (a row that no tape may hold, and its place), OSError."""
        if rows.dtype != self._kept.dtype:
            raise TapeError(f"{self.folder}: rows of {rows.dtype}; a tape of {self.layout} takes {self._kept.dtype}")
        if not len(rows):
            return
        try:
            self._tally.take(rows)
        except TapeError as error:
            raise TapeError(f"{self.folder}: {error}") from None
        at = 0
        while at < len(rows):
            part = rows[at : at + self._chunk_rows - self._held]
            here = self._kept[self._held : self._held + len(part)]
            # numpy copies structures field by field, words as they are
            here.view(np.int64)[:] = np.ascontiguousarray(part).view(np.int64)
            self._held += len(part)
            at += len(part)
            if self._held == self._chunk_rows:
                self._flush()

    def _flush(self) -> None:
        rows = self._kept[: self._held]
        if not len(rows):
            return
        rows["market"] = 0
        plain = rows.tobytes() if self.packing == "none" else b""
        data = plain or pack(rows)
        chunks = self._chunks
        chunks.append(
            Chunk(
                rows=len(rows),
                offset=chunks[-1].offset + chunks[-1].size if chunks else 0,
                size=len(data),
                crc32=zlib.crc32(plain or rows.tobytes()),
                first_ns=int(rows["exch_ns"][0]),
                last_ns=int(rows["exch_ns"][-1]),
                first_local_ns=int(rows["local_ns"][0]),
                last_local_ns=int(rows["local_ns"][-1]),
            )
        )
        try:
            self._file.write(data)
        except OSError as error:  # of a write the system does not say where
            raise OSError(error.errno, error.strerror, str(self.folder)) from None
        self._held = 0

    def header(self) -> Header:
        """What the rows so far, as far as they are in chunks, would be headed by."""
        tally, chunks = self._tally, self._chunks
        return Header(
            market=self.market,
            layout=self.layout,
            packing=self.packing,
            rows=sum(chunk.rows for chunk in chunks),
            kinds=tally.by_name(),
            first_ns=chunks[0].first_ns if chunks else 0,
            last_ns=chunks[-1].last_ns if chunks else 0,
            first_local_ns=chunks[0].first_local_ns if chunks else 0,
            last_local_ns=chunks[-1].last_local_ns if chunks else 0,
            chunks=tuple(chunks),
            format=self.format,
            sources=tuple(self.sources),
            findings=tuple(self.findings),
            clock=msgspec.structs.replace(self.clock, rows=self.clock.rows or tally.rows),
        )

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Make the tape, or nothing. Raises TapeError (the last message does not end), OSError."""
        try:
            try:
                if error is None:
                    self._finish()
            finally:
                self._file.close()  # a full disk is told again here
        except OSError as why:
            raise OSError(why.errno, why.strerror, str(self.folder)) from None
        finally:
            shutil.rmtree(self._part, ignore_errors=True)
            os.close(self._lock)

    def _finish(self) -> None:
        last = self._tally.last
        if last is not None and last["kind"] & MORE:
            raise TapeError(f"{self.folder}: row {self.rows - 1}: the last message does not end")
        self._flush()
        self._file.flush()
        os.fsync(self._file.fileno())
        with (self._part / FILE).open("wb") as file:
            file.write(header_bytes(self.header()))
            file.flush()
            os.fsync(file.fileno())
        _sync(self._part)
        old = self.folder.with_name(f".{self.folder.name}.old")
        if self.folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.rename(self.folder, old)
        os.rename(self._part, self.folder)
        _sync(self.folder.parent)
        shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
