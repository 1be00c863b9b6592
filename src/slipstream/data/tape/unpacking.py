"""Text files that may be packed: by the end of their name, and what reading a damaged one raises."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

UNPACK: dict[str, Callable[[Any], Any]] = {".gz": lambda file: gzip.GzipFile(fileobj=file), ".xz": lzma.LZMAFile}
DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, UnicodeDecodeError)
"""Cut off, or not what its name says; gzip says the one of three that the place of the fault decides."""


def unpacked(plain: Any, path: Path) -> IO[bytes]:
    """A file that was opened for bytes, as the bytes inside: unpacked where its name ends in .gz or .xz."""
    inside: IO[bytes] = UNPACK[path.suffix](plain) if path.suffix in UNPACK else plain
    return inside
