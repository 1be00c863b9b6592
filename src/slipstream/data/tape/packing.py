"""Chunks that are seldom read, made small: columns of differences, byte by byte, under zstd."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.data.tape.fault import TapeError

LEVEL = 3
WALKING = ("exch_ns", "tick", "seq")  # their neighbours are near: differences are small


def pack(rows: npt.NDArray[np.void]) -> bytes:
    """Rows as one zstd frame."""
    import zstandard

    parts = [_shuffled(_column(rows, name)) for name in rows.dtype.names or ()]
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True).compress(b"".join(parts))


def unpack(data: bytes, dtype: np.dtype[np.void], count: int, where: str) -> npt.NDArray[np.void]:
    """The inverse of `pack`. Raises TapeError: damaged, or not so many rows."""
    import zstandard

    size = count * dtype.itemsize
    try:
        if zstandard.frame_content_size(data) != size:
            raise TapeError(f"{where}: does not hold {count} rows of {dtype.itemsize} bytes")
        plain = zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise TapeError(f"{where}: damaged: {error}") from None
    rows = np.empty(count, dtype)
    at = 0
    for name in dtype.names or ():
        kind = dtype[name]
        part = np.frombuffer(plain, np.uint8, count * kind.itemsize, at).reshape(kind.itemsize, count)
        values = np.ascontiguousarray(part.T).view(kind)[:, 0]
        at += count * kind.itemsize
        if name in WALKING:
            values = np.cumsum(values, dtype=kind)
        rows[name] = values + rows["exch_ns"] if name == "local_ns" else values
    return rows


def _column(rows: npt.NDArray[np.void], name: str) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = rows[name]
    if name == "local_ns":
        values = values - rows["exch_ns"]
    elif name in WALKING:
        values = np.diff(values, prepend=values.dtype.type(0))
    return values


def _shuffled(values: npt.NDArray[Any]) -> bytes:
    """First bytes of all, then second bytes of all, and so on: most are zero."""
    plain = np.ascontiguousarray(values)
    return plain.view(np.uint8).reshape(len(plain), plain.dtype.itemsize).T.tobytes()
