"""Jobs on a Dask cluster: one that is given by its address, or workers of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import distributed

from slipstream.model.errors import ConfigError
from slipstream.simulation.sweep.executor import WorkerLost, call

READY_SECONDS = 60
_dask: Any = distributed  # its classes carry no types


class DaskExecutor:
    """An `Executor`. The scheduler gives the jobs of a dead worker to another, three times at most.

    Of jobs that are given up those that have begun run to their end: Dask computes them in threads.
    """

    def __init__(self, workers: int, address: str | None = None) -> None:
        self._cluster: Any = None
        self._client: Any = None
        if address is None:
            self._cluster = _dask.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs=40,
            )
        try:
            self._client = _dask.Client(address or self._cluster, set_as_default=False, timeout=READY_SECONDS)
            self._client.wait_for_workers(1, timeout=READY_SECONDS)
        except (OSError, TimeoutError, ValueError) as error:  # without workers jobs would wait for ever
            self.close()
            where = f"--address {address}" if address is not None else "--executor dask"
            raise ConfigError(
                f"{where}: no worker within {READY_SECONDS} s ({error}); start one with `dask worker ADDRESS`"
            ) from None

    def run(self, work: str, jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See `Executor.run`."""
        futures = {self._client.submit(call, work, job, pure=False): place for place, job in enumerate(jobs)}
        try:
            for future in _dask.as_completed(list(futures), loop=self._client.loop):
                try:
                    result = future.result()
                except distributed.KilledWorker as error:
                    raise WorkerLost(f"job {futures[future]} ended its worker each time: {error}") from None
                yield futures[future], result
        finally:
            self._client.cancel([future for future in futures if not future.done()])

    def close(self) -> None:
        """Let the workers go; a cluster that was given stays."""
        if self._client is not None:
            self._client.close()
        if self._cluster is not None:
            self._cluster.close()
