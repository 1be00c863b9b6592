"""Jobs on a Ray cluster: one that is given by its address, or workers of this machine."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError

from slipstream.simulation.sweep.executor import WorkerLost, call

RETRIES = 3


class RayExecutor:
    """An `Executor`. A job whose worker or node died is tried elsewhere, three times at most."""

    def __init__(self, workers: int, address: str | None = None) -> None:
        self._mine = not ray.is_initialized()
        if self._mine:
            local: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if address is None else {}
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **local)
        self._call: Any = ray.remote(num_cpus=1, max_retries=RETRIES)(call)

    def run(self, work: str, jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See `Executor.run`."""
        places = {self._call.remote(work, job): place for place, job in enumerate(jobs)}
        pending = list(places)
        while pending:
            done, pending = ray.wait(pending, num_returns=1)
            for reference in done:
                try:
                    result = ray.get(reference)
                except RayTaskError as error:
                    raise error.cause from None  # what the job itself raised
                except (WorkerCrashedError, NodeDiedError, OutOfMemoryError) as error:
                    raise WorkerLost(f"job {places[reference]} ended its worker each time: {error}") from None
                yield places[reference], result

    def close(self) -> None:
        """Let the workers go; a cluster that was given stays."""
        if self._mine:
            ray.shutdown()
