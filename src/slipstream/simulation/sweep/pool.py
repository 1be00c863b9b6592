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
    """An `Executor` of ``workers`` processes, each started anew when it dies.

    Every worker is a pool of one. In a pool of several a death breaks them all, does not tell whose job it was, and
    waits for ever if another worker is just being started (CPython's `ProcessPoolExecutor` ends those it knew of).
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pools: dict[int, ProcessPoolExecutor] = {}

    def run(self, work: str, jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See `Executor.run`."""
        waiting, free = deque(range(len(jobs))), list(range(self.workers))
        deaths = [0] * len(jobs)
        under_way: dict[Future[Any], tuple[int, int]] = {}
        while waiting or under_way:
            while free and waiting:
                worker, place = free.pop(), waiting.popleft()
                under_way[self._submit(worker, work, jobs[place])] = worker, place
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                worker, place = under_way.pop(future)
                free.append(worker)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    self._end(worker)
                    deaths[place] += 1
                    if deaths[place] >= TRIES:
                        raise WorkerLost(
                            f"job {place} ended its worker {TRIES} times; give it more memory or leave it out"
                        ) from None
                    waiting.append(place)
                else:
                    yield place, result

    def _submit(self, worker: int, work: str, job: Any) -> Future[Any]:
        try:
            return self._open(worker, work).submit(call, work, job)
        except (BrokenProcessPool, OSError):  # it died between two jobs, or its pipes were being closed
            self._end(worker)
            return self._open(worker, work).submit(call, work, job)

    def _open(self, worker: int, work: str) -> ProcessPoolExecutor:
        if worker not in self._pools:
            for name in SINGLE:
                os.environ.setdefault(name, "1")
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload([work.partition(":")[0]])  # what is imported once need not be again
            self._pools[worker] = ProcessPoolExecutor(1, mp_context=context, initializer=leave_with_parent)
        return self._pools[worker]

    def _end(self, worker: int) -> None:
        pool = self._pools.pop(worker, None)
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def close(self) -> None:
        """Let the workers go."""
        for worker in list(self._pools):
            self._end(worker)
