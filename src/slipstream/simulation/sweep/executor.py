"""Who computes: one port, and behind it a pool of processes, Dask or Ray.

What is shipped is the place of a function, ``module:name``, and plain jobs that name files, never tables; every worker
reads the files itself. Jobs are pure: computed twice, as after the death of a worker, they give the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Protocol

from slipstream.model.errors import ConfigError, SlipstreamError


class WorkerLost(SlipstreamError):
    """A job ended its worker every time it was tried: too little memory, or a bug in native code."""


class JobFailed(SlipstreamError):
    """A job raised something that cannot be brought here as it is; what it was and where stands in the message."""


class Executor(Protocol):
    """Computes jobs somewhere."""

    def run(self, work: str, jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Place and result of every job, each once, in the order in which they finish.

        A job whose worker died is computed again. Raises what a job raised (JobFailed where that cannot be shipped) and
        WorkerLost. Jobs under way when it raises, or when the iterator is closed, are given up.
        """
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...


def call(work: str, job: Any) -> Any:
    """Compute one job, in the worker."""
    module, _, name = work.partition(":")
    return getattr(import_module(module), name)(job)


def make_executor(name: str, workers: int, address: str | None = None) -> Executor:
    """An executor by its name: ``local``, ``dask`` or ``ray``. Raises ConfigError."""
    if workers < 1:
        raise ConfigError(f"--workers {workers}: at least one is needed")
    if name == "local":
        from slipstream.simulation.sweep.pool import PoolExecutor

        if address is not None:
            raise ConfigError("--address has no meaning for local workers; choose --executor dask or ray")
        return PoolExecutor(workers)
    try:
        if name == "dask":
            from slipstream.simulation.sweep.on_dask import DaskExecutor

            return DaskExecutor(workers, address)
        if name == "ray":
            from slipstream.simulation.sweep.on_ray import RayExecutor

            return RayExecutor(workers, address)
    except ImportError as error:
        raise ConfigError(f"--executor {name}: {error}; install the extra: uv sync --extra cluster") from None
    raise ConfigError(f"--executor {name}: choose local, dask or ray")
