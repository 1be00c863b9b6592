"""The first thing that is read of a tape, and the last that is written: ``tape.json``.

``{"slipstream_tape": 1, "sha256": "...", "header": {...}}``: the hash is that of the header's bytes as they stand in
the file, and the header has a checksum of every chunk, so that no byte of a tape can change unnoticed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.scale import Market
from slipstream.lob.replay.rows import BEST, CLEAR, DEPTH, FUNDING, L3_ROW_DTYPE, ROW_DTYPE, TRADE

VERSION = 1
FILE = "tape.json"
LARGEST = 64 << 20  # bytes of a header: a longer file is none
KINDS = {"depth": DEPTH, "best": BEST, "clear": CLEAR, "trade": TRADE, "funding": FUNDING}
Layout = Literal["rows", "orders"]
DTYPES: dict[Layout, np.dtype[np.void]] = {"rows": ROW_DTYPE, "orders": L3_ROW_DTYPE}
Packing = Literal["none", "zstd"]
DATA: dict[Packing, str] = {"none": "rows.bin", "zstd": "rows.zst"}


class Chunk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows that are read together: where they lie in the data file, their times, CRC-32 of the rows unpacked."""

    rows: int
    offset: int
    size: int
    crc32: int
    first_ns: int
    last_ns: int
    first_local_ns: int
    last_local_ns: int


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that rows came from: its name (no path: tapes travel), bytes, SHA-256."""

    name: str
    size: int
    sha256: str


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was found, how often, what was done about it; ``places`` names the first of them by file and row."""

    reason: str
    action: str
    count: int
    places: tuple[str, ...] = ()


class Clock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was done to the times of hearing.

    ``mode`` is `recorded`, `exchange` or an offset; ``offset_ns`` was added. Of ``rows``, ``raised`` were heard before
    they happened and are heard then, ``delayed`` were heard before the row above them and are heard with it.
    ``median_ns`` and ``least_ns`` are hearing minus happening as it was recorded.
    """

    mode: str = "recorded"
    offset_ns: int = 0
    rows: int = 0
    raised: int = 0
    delayed: int = 0
    longest_delay_ns: int = 0
    median_ns: int = 0
    least_ns: int = 0


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tape: one market's rows. Times are ns since the epoch; spans are of the exchange's clock and of ours."""

    market: Market
    layout: Layout = "rows"
    packing: Packing = "none"
    rows: int
    kinds: dict[str, int]
    first_ns: int
    last_ns: int
    first_local_ns: int
    last_local_ns: int
    chunks: tuple[Chunk, ...]
    format: str = ""
    sources: tuple[Source, ...] = ()
    findings: tuple[Finding, ...] = ()
    clock: Clock = Clock()

    @property
    def dtype(self) -> np.dtype[np.void]:
        """What a row is."""
        return DTYPES[self.layout]

    @property
    def seconds(self) -> float:
        """From the first row to the last, by the exchange's clock."""
        return (self.last_ns - self.first_ns) / 1e9


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    slipstream_tape: int
    sha256: str
    header: msgspec.Raw


class _Version(msgspec.Struct):
    slipstream_tape: int | None = None


def header_bytes(header: Header) -> bytes:
    """A header as its file holds it."""
    inner = msgspec.json.encode(header)
    digest = hashlib.sha256(inner).hexdigest()
    return msgspec.json.encode(_Envelope(VERSION, digest, msgspec.Raw(inner))) + b"\n"


def read_header(folder: Path) -> Header:
    """The header of a tape. Raises TapeError: no tape, another version, damaged."""
    path = folder / FILE
    try:
        if path.stat().st_size > LARGEST:
            raise TapeError(f"{path}: {path.stat().st_size} bytes are no header of a tape")
        text = path.read_bytes()
    except FileNotFoundError:
        raise TapeError(f"{folder}: no {FILE} in it: not a tape; make one with `slipstream tape convert`") from None
    except OSError as error:
        raise TapeError(f"{path}: cannot be read: {error.strerror or error}") from None
    try:
        version = msgspec.json.decode(text, type=_Version).slipstream_tape
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TapeError(f"{path}: not a header: {error}") from None
    if version != VERSION:
        raise TapeError(f"{path}: version {version} of a tape; this release reads {VERSION}: convert its source again")
    try:
        envelope = msgspec.json.decode(text, type=_Envelope)
        inner = bytes(envelope.header)
        if hashlib.sha256(inner).hexdigest() != envelope.sha256:
            raise TapeError(f"{path}: its checksum does not hold: it was changed or damaged; convert its source again")
        header = msgspec.json.decode(inner, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TapeError(f"{path}: not a header: {error}") from None
    _check(header, path)
    return header


def _check(header: Header, path: Path) -> None:
    if unknown := sorted(set(header.kinds) - set(KINDS)):
        raise TapeError(f"{path}: kinds of rows that are not known: {', '.join(unknown)}")
    if sum(chunk.rows for chunk in header.chunks) != header.rows or sum(header.kinds.values()) != header.rows:
        raise TapeError(f"{path}: its chunks, kinds and rows do not add up; convert its source again")
    end = 0
    for number, chunk in enumerate(header.chunks):
        plain = chunk.rows * header.dtype.itemsize
        if chunk.offset != end or chunk.rows <= 0 or (header.packing == "none" and chunk.size != plain):
            raise TapeError(f"{path}: chunk {number} does not lie where the one before it ends")
        end += chunk.size
