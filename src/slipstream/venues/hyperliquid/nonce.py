"""Nonces that are never used twice, not even after kill -9.

A nonce is max(last + 1, now in ms). The file holds a bound above everything handed out so far: a block of numbers is
reserved, fsync'd, before the first of it is used, and a restart begins at the bound. One process per file (a lock).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from slipstream.model.errors import ConfigError

BLOCK = 2_000  # ms reserved ahead: one fsync every two seconds at most


class Nonces:
    """One signer's counter. ``now_ms`` is the wall clock in ms. A context manager that releases the file."""

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        """Open or create the file. Raises ConfigError if another process holds it or it is unreadable."""
        self._now_ms = now_ms
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise ConfigError(f"{path}: another process signs with this key; run one process per agent key") from None
        text = os.pread(self._file, 64, 0).decode("ascii", "replace").strip()
        if text and not text.isdigit():
            os.close(self._file)
            raise ConfigError(f"{path}: {text!r} is not a nonce; delete the file if no process uses this key")
        self._bound = int(text or 0)
        self._last = max(self._bound, 0)

    def next(self) -> int:
        """A nonce above every earlier one. Raises OSError if the reservation cannot be written: do not send then."""
        nonce = max(self._last + 1, self._now_ms())
        if nonce >= self._bound:
            bound = nonce + BLOCK
            os.pwrite(self._file, f"{bound:020d}\n".encode(), 0)
            os.fsync(self._file)
            self._bound = bound
        self._last = nonce
        return nonce

    def close(self) -> None:
        """Release the file."""
        os.close(self._file)

    def __enter__(self) -> Nonces:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
