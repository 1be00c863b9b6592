"""Jobs on processes of this machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from typing import Any

from slipstream.simulation.sweep.executor import WorkerLost
from slipstream.simulation.sweep.worker import LEAVE_SECONDS, Worker, asking

TRIES = 3


class PoolExecutor:
    """An `Executor` of at most ``workers`` processes, which stay for the next run; another takes the place of the dead.

    Jobs that nobody waits for any more, as when another raised or whoever asked has gone, end with their workers.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._idle: list[Worker] = []
        self._busy: dict[Worker, int] = {}  # and the place of the job
        self._turn = 0

    def run(self, work: str, jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See `Executor.run`. Raises RuntimeError when it is asked for more after another run began."""
        self._abandon()
        turn = self._turn
        waiting, deaths = deque(range(len(jobs))), [0] * len(jobs)
        try:
            while waiting or self._busy:
                while waiting and len(self._busy) < self.workers:
                    place = waiting.popleft()
                    asked, worker = asking(work, jobs[place]), self._free(work)
                    self._busy[worker] = place
                    worker.begin(asked)
                for worker in self._ready():
                    place, reply = self._busy[worker], worker.reply()
                    del self._busy[worker]
                    if reply is None:
                        worker.end()
                        deaths[place] += 1
                        waiting.append(place)
                        _check(place, deaths[place])
                        continue
                    self._idle.append(worker)
                    worked, value = reply
                    if not worked:
                        raise value
                    yield place, value
                    if turn != self._turn:
                        raise RuntimeError("another run has begun on this executor, or it was closed")
        finally:
            if turn == self._turn:
                self._abandon()

    def _free(self, work: str) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            worker.end()  # it died between two jobs
        return Worker(work)

    def _ready(self) -> list[Worker]:
        """Those that are done or dead; waits for one."""
        by_handle = {handle: worker for worker in self._busy for handle in worker.handles}
        return list(dict.fromkeys(by_handle[handle] for handle in wait(list(by_handle))))  # type: ignore[index]

    def _abandon(self) -> None:
        """End the jobs under way: they are pure, and nobody waits for them."""
        self._turn += 1
        while self._busy:
            worker, _ = self._busy.popitem()
            worker.end()

    def close(self) -> None:
        """Let the workers go."""
        self._abandon()
        for worker in self._idle:
            worker.let_go()
        while self._idle:
            self._idle.pop().end(LEAVE_SECONDS)


def _check(place: int, deaths: int) -> None:
    if deaths >= TRIES:
        raise WorkerLost(f"job {place} ended its worker {TRIES} times; give it more memory or leave it out")
