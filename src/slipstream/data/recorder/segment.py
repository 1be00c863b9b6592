"""A file of lines that a killed writer leaves readable: whole zstd frames, one after the other.

Every flush ends a frame with a checksum, so what was flushed can be read whatever happens afterwards: by this module,
and by ``zstd -dc`` alike. A file that is still written ends in ``.open``; closing it syncs and renames it. `recover`
closes what a killed writer left: its last frame, if torn, is cut off, and the cut is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import zstandard

ENDING = ".jsonl.zst"
OPEN = ".open"
LEVEL = 3
CHUNK = 1 << 20
MOST = 1 << 16  # bytes of lines that are kept back at most: a frame's worth


class Segment:
    """Writes one file. Not safe for several threads."""

    def __init__(self, path: Path) -> None:
        """``path`` is the final name. Raises FileExistsError if it, or its open form, is there; OSError."""
        if not path.name.endswith(ENDING):
            raise ValueError(f"{path}: the name of a segment ends in {ENDING}")
        if path.exists():
            raise FileExistsError(f"{path}: there is such a segment already")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.lines = 0
        self.size = 0
        self._open = path.with_name(path.name + OPEN)
        self._handle = os.open(self._open, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True)
        self._kept: list[bytes] = []
        self._kept_bytes = 0

    def write(self, line: bytes) -> None:
        """Take a line, with its end. Raises OSError when a full frame cannot be written."""
        self._kept.append(line)
        self._kept_bytes += len(line)
        self.lines += 1
        if self._kept_bytes >= MOST:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the system, as one whole frame: from here on it survives a kill. Raises OSError."""
        if not self._kept:
            return
        frame = memoryview(self._compressor.compress(b"".join(self._kept)))
        self._kept.clear()
        self._kept_bytes = 0
        self.size += len(frame)
        while frame:
            frame = frame[os.write(self._handle, frame) :]

    def close(self) -> Path:
        """Flush, sync, give the file its final name. Raises OSError; what was flushed before is recoverable then."""
        try:
            self.flush()
            os.fsync(self._handle)
        finally:
            os.close(self._handle)
        os.rename(self._open, self.path)
        _sync_folder(self.path.parent)
        return self.path


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _frames(path: Path) -> Iterator[tuple[int, bytes]]:
    """(end in the file, contents) of every whole frame; stops before one that is torn or damaged."""
    with path.open("rb") as file:
        taken, data = 0, file.read(CHUNK)
        while data:
            decoder = zstandard.ZstdDecompressor().decompressobj()
            parts, spent = [], 0
            try:
                while not decoder.eof and data:
                    parts.append(decoder.decompress(data))
                    spent += len(data)
                    data = file.read(CHUNK) if not decoder.eof else b""
            except zstandard.ZstdError:
                return
            if not decoder.eof:
                return
            rest = decoder.unused_data
            taken += spent - len(rest)
            data = rest or file.read(CHUNK)
            yield taken, b"".join(parts)


def read_lines(path: Path) -> Iterator[bytes]:
    """Every line of a segment, closed or open, without its end; one frame in memory at a time.

    Stops before a torn or damaged end: `torn_bytes` tells its size. Raises OSError.
    """
    left = b""
    for _, text in _frames(path):
        *lines, left = (left + text).split(b"\n")
        yield from (line for line in lines if line)


def torn_bytes(path: Path) -> int:
    """Bytes at a segment's end that are no whole frame. Raises OSError."""
    end = 0
    for end, _ in _frames(path):  # noqa: B007 the last one counts
        pass
    return path.stat().st_size - end


def recover(path: Path) -> tuple[Path | None, int]:
    """Close a segment that a killed writer left open: (final name, bytes cut off); None if nothing whole was in it.

    Raises ValueError for a file that is not open, OSError.
    """
    if not path.name.endswith(ENDING + OPEN):
        raise ValueError(f"{path}: not an open segment")
    torn = torn_bytes(path)
    size = path.stat().st_size
    if torn == size:
        path.unlink()
        return None, torn
    with path.open("r+b") as file:
        file.truncate(size - torn)
        os.fsync(file.fileno())
    final = path.with_name(path.name.removesuffix(OPEN))
    os.rename(path, final)
    _sync_folder(path.parent)
    return final, torn
