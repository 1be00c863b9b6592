"""One operating system process: started within its limits, signalled, measured."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

from slipstream.runtime.supervisor.spec import Limits, Spec

MB = 1024 * 1024
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Child:
    """A process that was started, the stream of what it prints, and its end."""

    def __init__(
        self, process: asyncio.subprocess.Process, stream: asyncio.StreamReader, pipe: asyncio.ReadTransport
    ) -> None:
        self.pid = process.pid
        self.stream = stream
        self._process = process
        self._pipe = pipe

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait for its end: the exit code, negative for a signal."""
        return await self._process.wait()

    def terminate(self) -> None:
        """Ask it to end."""
        if self.is_running:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it and whatever it started in its group: that would hold the journal's lock and the log."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Read no more of what it prints."""
        self._pipe.close()


async def start(spec: Spec) -> Child:
    """Start a spec in a process group of its own. Raises OSError.

    The pipe is ours, not asyncio's: its ``wait`` would wait for whoever else holds the pipe as well.
    """
    limits = spec.limits

    def prepare() -> None:  # in the child, before the program: nothing here may take a lock
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        _apply(limits)

    reading, writing = os.pipe()
    stream = asyncio.StreamReader()
    try:
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb", 0)
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *spec.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                env={**os.environ, **spec.env},
                start_new_session=True,
                preexec_fn=prepare,
            )
        except BaseException:
            pipe.close()
            raise
    finally:
        os.close(writing)
    return Child(process, stream, pipe)


def _apply(limits: Limits) -> None:
    for which, value in (
        (resource.RLIMIT_AS, limits.address_space_mb * MB),
        (resource.RLIMIT_NOFILE, limits.open_files),
    ):
        if value:
            _, hard = resource.getrlimit(which)
            bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(which, (bound, bound))


def resident_mb(pid: int) -> float | None:
    """Resident memory of a process; None where it cannot be read."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * resource.getpagesize() / MB
