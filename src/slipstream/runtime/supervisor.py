"""Runs the processes of a fund: ordered start and stop, restart with backoff, one line per process.

Each child is a process group of its own, so that Ctrl-C in a terminal reaches only the supervisor, which then stops
the children in reverse order: pods cancel their orders while the venue still answers. If the supervisor itself dies,
the kernel sends the children SIGTERM (Linux).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from enum import Enum
from pathlib import Path

import msgspec

LOG_BYTES = 16 * 1024 * 1024  # a log is started anew past this size; one older file is kept
_ERROR = re.compile(r"\b(error|critical|fatal|traceback)\b", re.IGNORECASE)
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Rejected|Refused)\b.*")
_PR_SET_PDEATHSIG = 1


class State(Enum):
    """Where a supervised process is."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BACKOFF = "backoff"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Spec(msgspec.Struct, frozen=True):
    """What to run. ``ready`` is asked until it says True (None: ready when started); times are seconds."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = {}
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_timeout: float = 60.0
    stop_timeout: float = 20.0
    max_restarts: int = 5
    backoff: float = 0.5


class Process:
    """One supervised process and what a person wants to know of it."""

    def __init__(self, spec: Spec, on_change: Callable[[Process], None]) -> None:
        self.spec = spec
        self._on_change = on_change
        self.state = State.WAITING
        self.pid: int | None = None
        self.restarts = 0
        self.exit_code: int | None = None
        self.first_error = ""
        self.started = 0.0
        self.settled = asyncio.Event()  # READY once, or given up
        self._child: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    def line(self) -> str:
        """Name, state, pid, restarts and the first error on one line."""
        parts = [f"{self.spec.name:<12}", f"{self.state.value:<9}"]
        if self.pid is not None:
            parts.append(f"pid {self.pid}")
        if self.restarts:
            parts.append(f"restarts {self.restarts}")
        if self.exit_code is not None and self.state is not State.READY:
            parts.append(f"exit {self.exit_code}")
        if self.first_error:
            parts.append(f"| {self.first_error}")
        return " ".join(parts)

    def _move(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self._on_change(self)

    async def run(self) -> None:
        """Keep the process running until `stop`, or until it failed too often in a row."""
        delay = self.spec.backoff
        while not self._stopping.is_set():
            began = time.monotonic()
            await self._live()
            if self._stopping.is_set():
                break
            if time.monotonic() - began > 60.0:
                self.restarts, delay = 0, self.spec.backoff
            if self.restarts >= self.spec.max_restarts:
                self._move(State.FAILED)
                self.settled.set()
                return
            self.restarts += 1
            self._move(State.BACKOFF)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            delay = min(delay * 2.0, 30.0)
        self._move(State.STOPPED)
        self.settled.set()

    async def _live(self) -> None:
        """One life of the child: start, wait until ready, read its output, wait for its end."""
        self._move(State.STARTING)
        self.started = time.monotonic()
        try:
            self._child = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, **self.spec.env},
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        except OSError as error:
            self._note(f"cannot start {self.spec.argv[0]}: {error.strerror}")
            self.exit_code = 127
            return
        self.pid = self._child.pid
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_output(self._child))
            waiter = group.create_task(self._await_ready())
            self.exit_code = await self._child.wait()
            waiter.cancel()
        self.pid = None
        if self.exit_code and not self._stopping.is_set() and not self.first_error:
            self._note(f"ended with exit code {self.exit_code}: see {self.spec.log}")

    async def _await_ready(self) -> None:
        if self.spec.ready is not None:
            deadline = time.monotonic() + self.spec.ready_timeout
            while not await self.spec.ready():
                if time.monotonic() > deadline:
                    self._note(f"not ready after {self.spec.ready_timeout:.0f} s: see {self.spec.log}")
                    self._signal(signal.SIGKILL)
                    return
                await asyncio.sleep(0.1)
        if not self._stopping.is_set():
            self._move(State.READY)
            self.settled.set()

    async def _read_output(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None
        self.spec.log.parent.mkdir(parents=True, exist_ok=True)
        out = self.spec.log.open("ab")
        partial = b""
        try:
            while chunk := await child.stdout.read(65536):
                out.write(chunk)
                out.flush()
                if out.tell() > LOG_BYTES:
                    out.close()
                    self.spec.log.replace(self.spec.log.with_suffix(".1.log"))
                    out = self.spec.log.open("ab")
                whole, _, partial = (partial + chunk).rpartition(b"\n")
                self._find_error(whole)
                partial = partial[-4_096:]
        finally:
            out.close()
            self._find_error(partial)

    def _find_error(self, text: bytes) -> None:
        if self.first_error:
            return None
        lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
        for line in lines:
            if _EXCEPTION.match(line):
                return self._note(line)
        for line in lines:
            if _ERROR.search(line) and not line.lower().startswith("traceback"):
                return self._note(line)
        return None

    def _note(self, line: str) -> None:
        if not self.first_error:
            self.first_error = line[:300]

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None and self._child.returncode is None:
            with suppress(ProcessLookupError):
                self._child.send_signal(number)

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL once ``stop_timeout`` has passed; returns when the child is gone."""
        self._stopping.set()
        child = self._child
        if child is None or child.returncode is not None:
            self._move(State.STOPPED)
            return
        self._move(State.STOPPING)
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(child.wait(), self.spec.stop_timeout)
        except TimeoutError:
            self._note(f"did not stop within {self.spec.stop_timeout:.0f} s and was killed")
            self._signal(signal.SIGKILL)
            await child.wait()
        self._move(State.STOPPED)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """The processes of one fund, started in order, stopped in reverse. Use as an async context manager.

    Leaving the context stops what is still running.
    """

    def __init__(self, specs: list[Spec], on_change: Callable[[Process], None] | None = None) -> None:
        self.processes = [Process(spec, on_change or (lambda process: None)) for spec in specs]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Supervisor:
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        self._stack.push_async_callback(self.stop)
        try:
            for process in self.processes:
                group.create_task(process.run())
                await process.settled.wait()
                if process.state is State.FAILED:
                    break
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    @property
    def is_healthy(self) -> bool:
        """Whether every process is ready."""
        return all(p.state is State.READY for p in self.processes)

    async def stop(self) -> None:
        """Stop all, last started first."""
        for process in reversed(self.processes):
            if process.state is not State.WAITING:
                await process.stop()
