"""What a process prints: to its log, which is bounded, and the first line that tells of an error."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

LOG_BYTES = 16 * 1024 * 1024  # a log is started anew past this size; one older file is kept
LINE_CHARS = 300
_ERROR = re.compile(r"\b(error|critical|fatal|traceback)\b", re.IGNORECASE)
_HEADING = re.compile(r"Traceback \(most recent call last\)|ExceptionGroup: ")
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Rejected|Refused)\b.*")


class Output:
    """Copies one life's output to the log and keeps the first error in it."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.first_error = ""

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Read until the stream ends."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        out = self._log.open("ab")
        partial = b""
        try:
            while chunk := await stream.read(65536):
                out.write(chunk)
                out.flush()
                if out.tell() > LOG_BYTES:
                    out.close()
                    self._log.replace(self._log.with_suffix(".1.log"))
                    out = self._log.open("ab")
                whole, _, partial = (partial + chunk).rpartition(b"\n")
                self._find_error(whole)
                partial = partial[-4_096:]
        finally:
            out.close()
            self._find_error(partial)

    def note(self, line: str) -> None:
        """Remember a line as the first error, if there is none yet."""
        if not self.first_error:
            self.first_error = line[:LINE_CHARS]

    def _find_error(self, text: bytes) -> None:
        if self.first_error:
            return None
        # a group of exceptions is drawn as a tree; what it was raised for stands inside
        lines = [line.lstrip(" |+-").rstrip() for line in text.decode("utf-8", "replace").splitlines()]
        told = [line for line in lines if line and not _HEADING.search(line)]
        for line in told:
            if _EXCEPTION.match(line):
                return self.note(line)
        for line in told:
            if _ERROR.search(line):
                return self.note(line)
        return None
