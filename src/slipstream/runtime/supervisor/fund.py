"""The processes of one fund, together: started in the order of their dependencies, stopped in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from slipstream.runtime.supervisor.process import Process
from slipstream.runtime.supervisor.spec import Row, Spec, State, dependencies


class Supervisor:
    """The processes of one fund. Use as an async context manager; leaving it stops what is still running.

    Entering waits until every process was ready once, or is known not to become so: it failed, or something that it
    starts after did. Raises ConfigError if the specs' names do not fit together.
    """

    def __init__(self, specs: list[Spec], on_change: Callable[[Process], None] | None = None) -> None:
        self._after = dependencies(specs)
        self.processes = [Process(spec, on_change or (lambda process: None)) for spec in specs]
        self._named = {process.spec.name: process for process in self.processes}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Supervisor:
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        self._stack.push_async_callback(self.stop)
        try:
            for process in self.processes:
                group.create_task(self._run(process))
            for process in self.processes:
                await process.settled.wait()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def _run(self, process: Process) -> None:
        """Wait for what the process starts after, then keep it running."""
        for name in self._after[process.spec.name]:
            earlier = self._named[name]
            await earlier.settled.wait()
            if earlier.state in (State.FAILED, State.WAITING):
                process.settled.set()
                return
        if not process.is_stopping:
            await process.run()

    def __getitem__(self, name: str) -> Process:
        """A process by its name."""
        return self._named[name]

    @property
    def is_healthy(self) -> bool:
        """Whether every process is ready."""
        return all(p.state is State.READY for p in self.processes)

    def rows(self) -> list[Row]:
        """Every process as plain values, in the order of the specs."""
        return [process.row() for process in self.processes]

    async def stop(self) -> None:
        """Stop all: each once everything that started after it is gone."""

        async def stop(process: Process) -> None:
            for later in self.processes:
                if process.spec.name in self._after[later.spec.name]:
                    await gone[later.spec.name].wait()
            try:
                await process.stop()
            finally:
                gone[process.spec.name].set()

        gone = {process.spec.name: asyncio.Event() for process in self.processes}
        async with asyncio.TaskGroup() as group:
            for process in self.processes:
                group.create_task(stop(process))
