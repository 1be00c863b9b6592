"""Jobs on a Ray cluster: one that is given by its address, or workers of this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, UnserializableException, WorkerCrashedError

from slipstream.model.errors import ConfigError
from slipstream.simulation.sweep.executor import JobFailed, WorkerLost, call

RETRIES = 3
_ray: Any = ray  # some of its functions carry no types
# A cluster of our own keeps to this machine and tells nobody of it; "local", since without a word Ray would join
# whatever cluster was started here last.
OWN: dict[str, Any] = {"address": "local", "_node_ip_address": "127.0.0.1", "include_dashboard": False}


def _result(reference: Any, place: int) -> Any:
    """A job's result. Raises what the job raised, JobFailed and WorkerLost."""
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise error.cause from None  # what the job itself raised
    except UnserializableException as error:
        raise JobFailed(f"a job raised what cannot be brought here: {error}") from None
    except (WorkerCrashedError, NodeDiedError, OutOfMemoryError) as error:
        raise WorkerLost(f"job {place} ended its worker each time: {error}") from None


class RayExecutor:
    """An `Executor`. A job whose worker or node died is tried elsewhere, three times at most."""

    def __init__(self, workers: int, address: str | None = None) -> None:
        self._mine = not ray.is_initialized()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as Ray will have it, without the warning
        if self._mine:
            where = {**OWN, "num_cpus": workers} if address is None else {"address": address}
            try:
                ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError) as error:
                raise ConfigError(f"--executor ray: no cluster at {where['address']}: {error}") from None
        if _ray.cluster_resources().get("CPU", 0.0) < 1.0:
            self.close()
            raise ConfigError(f"--address {address}: the cluster has no CPU to give; add a node: ray start --address …")
        self._call: Any = ray.remote(num_cpus=1, max_retries=RETRIES)(call)

    def run(self, work: str, jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See `Executor.run`."""
        places = {self._call.remote(work, job): place for place, job in enumerate(jobs)}
        pending = list(places)
        try:
            while pending:
                done, pending = ray.wait(pending, num_returns=1)
                for reference in done:
                    yield places[reference], _result(reference, places[reference])
        finally:
            for reference in pending:
                _ray.cancel(reference, force=True)

    def close(self) -> None:
        """Let the workers go; a cluster that was given stays."""
        if self._mine:
            ray.shutdown()
