"""One supervised process: its lives one after the other, each watched until it ends."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from slipstream.runtime.supervisor.budget import RestartBudget
from slipstream.runtime.supervisor.child import Child, resident_mb, start
from slipstream.runtime.supervisor.output import Output
from slipstream.runtime.supervisor.spec import Life, Probe, Row, Spec, State

LIVES = 20  # ended lives that are remembered
DRAIN = 2.0  # seconds for the rest of the output after a child's end


class Process:
    """One supervised process and what a person wants to know of it."""

    def __init__(self, spec: Spec, on_change: Callable[[Process], None]) -> None:
        self.spec = spec
        self._on_change = on_change
        self.state = State.WAITING
        self.pid: int | None = None
        self.restarts = 0
        self.memory_mb: float | None = None
        self.lives: deque[Life] = deque(maxlen=LIVES)
        self.settled = asyncio.Event()  # READY once, or given up, or never to be started
        self.ended = asyncio.Event()  # not running and not to be started again
        self._budget = RestartBudget(spec.max_restarts, spec.restart_window, spec.backoff)
        self._child: Child | None = None
        self._output = Output(spec.log)
        self._began = 0.0
        self._count = 0
        self._reason = ""
        self._stopping = asyncio.Event()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    @property
    def exit_code(self) -> int | None:
        """How the last ended life ended; None if none has. Negative: by that signal."""
        return self.lives[-1].exit_code if self.lives else None

    @property
    def last_exit(self) -> str:
        """How the last ended life ended, in words; empty if none has."""
        return self.lives[-1].last_exit if self.lives else ""

    @property
    def first_error(self) -> str:
        """The first error of this life; if it has none, of the latest that had one."""
        errors = (self._output.first_error, *(life.first_error for life in reversed(self.lives)))
        return next((error for error in errors if error), "")

    def line(self) -> str:
        """Name, state, pid, restarts, the last end and the first error on one line."""
        parts = [f"{self.spec.name:<12}", f"{self.state.value:<10}"]
        if self.pid is not None:
            parts.append(f"pid {self.pid}")
        if self.restarts:
            parts.append(f"restarts {self.restarts}")
        if self.exit_code is not None and self.state is not State.READY:
            parts.append(f"exit {self.exit_code}")
        if self.first_error:
            parts.append(f"| {self.first_error}")
        return " ".join(parts)

    def row(self) -> Row:
        """The same as values."""
        now = time.monotonic()
        return Row(
            name=self.spec.name,
            state=self.state.value,
            pid=self.pid,
            restarts=self.restarts,
            restarts_left=self._budget.left(now),
            up_s=round(now - self._began, 1) if self.pid is not None else 0.0,
            memory_mb=self.memory_mb if self.pid is not None else None,
            exit_code=self.exit_code,
            last_exit=self.last_exit,
            first_error=self.first_error,
        )

    def _move(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self._on_change(self)

    async def run(self) -> None:
        """Keep the process running until `stop`, or until it failed too often."""
        try:
            while not self._stopping.is_set():
                await self._live()
                if self._stopping.is_set():
                    break
                now = time.monotonic()
                delay = self._budget.spend(now, now - self._began)
                if delay is None:
                    self._move(State.FAILED)
                    return
                self.restarts += 1
                self._move(State.BACKOFF)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), delay)
            self._move(State.STOPPED)
        finally:
            self.settled.set()
            self.ended.set()

    async def _live(self) -> None:
        """One life of the child: start, wait until ready, watch it, wait for its end."""
        self._move(State.STARTING)
        self._began = time.monotonic()
        self._count += 1
        self._reason, self._output = "", Output(self.spec.log)
        pid, exit_code = None, 127
        try:
            child = await start(self.spec)
        except OSError as error:
            self._output.note(f"cannot start {self.spec.argv[0]}: {error.strerror}")
        else:
            self._child, self.pid = child, child.pid
            pid, exit_code = child.pid, await self._attend(child)
            self._child = self.pid = None
        if exit_code and not self._stopping.is_set():
            self._output.note(f"ended with exit code {exit_code}: see {self.spec.log}")
        seconds = round(time.monotonic() - self._began, 3)
        self.lives.append(Life(self._count, pid, seconds, exit_code, self._reason, self._output.first_error))

    async def _attend(self, child: Child) -> int:
        """Look after a running child until it has ended; its exit code."""
        if self._stopping.is_set():  # told to stop while it was being started
            child.terminate()
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._output.read(child.stream))
                watch = group.create_task(self._watch(child))
                exit_code = await child.wait()
                watch.cancel()
                child.kill()
                await asyncio.wait({reading}, timeout=DRAIN)
                reading.cancel()  # a grandchild that left the group may hold the pipe for ever
        finally:
            if child.is_running:
                child.kill()
            child.close()
        return exit_code

    async def _watch(self, child: Child) -> None:
        """Wait until the child is ready, then see that it answers and stays within its bounds."""
        deadline = time.monotonic() + self.spec.ready_timeout
        while self.spec.ready is not None and not await self._ask(self.spec.ready, self.spec.ready_timeout):
            if time.monotonic() > deadline:
                return self._kill(child, None, f"not ready after {self.spec.ready_timeout:.0f} s: see {self.spec.log}")
            if self._is_over(child):
                return None
            await asyncio.sleep(min(0.1, self.spec.watch_every))
        if self._stopping.is_set():
            return None
        self._move(State.READY)
        self.settled.set()
        misses, answered = 0, time.monotonic()
        while not self._is_over(child):
            await asyncio.sleep(self.spec.watch_every)
            if self.spec.alive is None or self._stopping.is_set():
                continue
            if await self._ask(self.spec.alive, self.spec.alive_timeout):
                misses, answered = 0, time.monotonic()
                continue
            misses += 1
            if misses >= self.spec.alive_misses and not self._stopping.is_set():
                silent = time.monotonic() - answered
                return self._kill(child, State.HUNG, f"hung: {misses} probes missed, silent for {silent:.1f} s")
        return None

    async def _ask(self, probe: Probe, within: float) -> bool:
        """What a probe says; an error and no answer in time are a no, and the first error is kept."""
        try:
            async with asyncio.timeout(within):
                return await probe()
        except TimeoutError:
            return False
        except Exception as error:  # one process's probe must not end all the others
            self._output.note(f"probe: {type(error).__name__}: {error}")
            return False

    def _is_over(self, child: Child) -> bool:
        """Measure the child; kill it if it is too big."""
        self.memory_mb = resident_mb(child.pid)
        bound = self.spec.limits.memory_mb
        if not bound or self.memory_mb is None or self.memory_mb <= bound or self._stopping.is_set():
            return False
        self._kill(child, State.OVER, f"over its limit: {self.memory_mb:.0f} MB of memory, more than {bound} MB")
        return True

    def _kill(self, child: Child, state: State | None, reason: str) -> None:
        self._reason = reason
        self._output.note(reason)
        if state is not None:
            self._move(state)
        child.kill()

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL once ``stop_timeout`` has passed; returns when the child is gone."""
        self._stopping.set()
        if self.state is State.WAITING:
            self.settled.set()
            self.ended.set()
            return
        child = self._child
        if child is not None and child.is_running:
            self._move(State.STOPPING)
            child.terminate()
        try:
            await asyncio.wait_for(self.ended.wait(), self.spec.stop_timeout)
        except TimeoutError:
            self._reason = f"did not stop within {self.spec.stop_timeout:.0f} s and was killed"
            self._output.note(self._reason)
            if self._child is not None:
                self._child.kill()
            await self.ended.wait()
