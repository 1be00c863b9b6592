"""Where a tape's rows came from."""

from __future__ import annotations

import hashlib
from pathlib import Path

from slipstream.data.tape.header import Source


def source_of(path: Path) -> Source:
    """A file by name, bytes and SHA-256. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return Source(name=path.name, size=path.stat().st_size, sha256=digest.hexdigest())
