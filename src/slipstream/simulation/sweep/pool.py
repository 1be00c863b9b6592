"""Jobs on processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from slipstream.simulation.sweep.executor import WorkerLost, call

TRIES = 3
# One thread a worker: as many workers as cores, and results that do not depend on how sums are split among threads.
SINGLE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def leave_with_parent() -> None:
    """In a worker: end when the process that owns the pool does, even if it was killed and could say nothing."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent").start()


class PoolExecutor:
    """An `Executor` of ``workers`` processes, started anew whenever one of them dies.

    A death breaks the whole pool. Whatever was under way is then tried alone, so that the job that kills is told from
    those that happened to be beside it.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.deaths = 0
        self._pool: ProcessPoolExecutor | None = None

    def run(self, work: str, jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See `Executor.run`."""
        waiting, suspects = deque(range(len(jobs))), deque[int]()
        tries = [0] * len(jobs)
        under_way: dict[Future[Any], int] = {}
        while waiting or suspects or under_way:
            if suspects and not under_way:
                self._submit(under_way, work, jobs, suspects.popleft(), tries)
            while not suspects and waiting and len(under_way) < self.workers:
                self._submit(under_way, work, jobs, waiting.popleft(), tries)
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            broken = False
            for future in done:
                place = under_way.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    broken = True
                    suspects.append(place)
                else:
                    yield place, result
            if broken:
                suspects.extend(under_way.values())
                under_way.clear()
                self._died(suspects, tries)

    def _submit(
        self, under_way: dict[Future[Any], int], work: str, jobs: Sequence[Any], place: int, tries: list[int]
    ) -> None:
        tries[place] += 1
        try:
            under_way[self._open(work).submit(call, work, jobs[place])] = place
        except (BrokenProcessPool, OSError):  # a worker died between two jobs, or while another was to be started
            self.close()
            under_way[self._open(work).submit(call, work, jobs[place])] = place

    def _died(self, suspects: deque[int], tries: list[int]) -> None:
        self.deaths += 1
        self.close()
        for place in suspects:
            if tries[place] >= TRIES:
                raise WorkerLost(f"job {place} ended its worker {TRIES} times; give it more memory or leave it out")

    def _open(self, work: str) -> ProcessPoolExecutor:
        if self._pool is None:
            for name in SINGLE:
                os.environ.setdefault(name, "1")
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload([work.partition(":")[0]])  # what is imported once need not be again
            self._pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=leave_with_parent)
        return self._pool

    def close(self) -> None:
        """Let the workers go."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
