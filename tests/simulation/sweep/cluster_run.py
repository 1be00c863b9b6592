"""Everything an executor on a cluster must do, in a process of its own: ``cluster_run.py dask|ray FOLDER SECONDS``.

A process of its own, so that whoever hangs can be ended whole, and nothing of it stays in the tests' process. Each
step is named when it begins: the last name is what hung. `sweep_jobs` is found by PYTHONPATH, as it is in the workers.
"""

from __future__ import annotations

import contextlib
import faulthandler
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import sweep_jobs
from small_sweep import Inline, market, same, swept

from slipstream.simulation.sweep.executor import Executor, make_executor

WORK = "sweep_jobs:think"
JOBS = 12
BEGAN = time.monotonic()


def step(name: str) -> None:
    print(f"{time.monotonic() - BEGAN:6.1f} s  {name}", flush=True)


def results(executor: Executor, jobs: list[sweep_jobs.Job]) -> list[tuple[int, float]]:
    found = dict(executor.run(WORK, jobs))
    assert sorted(found) == list(range(len(jobs))), "every job once"
    return [found[place] for place in sorted(found)]


def exercise(executor: Executor, folder: Path) -> None:
    """Jobs of which one kills its worker the first time, one that cannot be done, and a whole sweep."""
    step("jobs, one of which kills its worker")
    mark = folder / "died"
    found = results(executor, [sweep_jobs.Job(k, str(mark) if k == 3 else "") for k in range(JOBS)])
    assert mark.exists(), "a worker did die"
    assert found == [sweep_jobs.think(sweep_jobs.Job(k)) for k in range(JOBS)], "to the bit what is computed here"
    step("a job that cannot be done")
    try:
        list(executor.run(WORK, [sweep_jobs.Job(1, fails=True)]))
    except ValueError as error:
        assert "job 1 cannot be done" in str(error)
    else:
        raise AssertionError("a job that fails said nothing")
    step("a sweep")
    path = market(folder)
    there = swept(executor, folder / "there", path, trials=4, folds=1)
    assert same(there, swept(Inline(), folder / "here", path, trials=4, folds=1)), "to the bit"


@contextlib.contextmanager
def dask() -> Iterator[Executor]:
    step("a scheduler and two workers")
    executor = make_executor("dask", 2)
    try:
        yield executor
    finally:
        step("closing")
        executor.close()


@contextlib.contextmanager
def ray() -> Iterator[Executor]:
    """Two nodes: a head and another, of one CPU each."""
    step("imports")
    import ray as its
    from ray.cluster_utils import Cluster

    step("the head")
    spare = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **spare})
    try:
        step("the second node")
        cluster.add_node(num_cpus=1)
        step("the executor")
        executor = make_executor("ray", 2, cluster.address)
        try:
            assert len([one for one in its.nodes() if one["Alive"]]) == 2
            yield executor
        finally:
            step("closing")
            executor.close()
    finally:
        cluster.shutdown()


def main() -> None:
    kind, folder, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    faulthandler.dump_traceback_later(seconds, exit=True)
    with {"dask": dask, "ray": ray}[kind]() as executor:
        exercise(executor, folder)
    step("done")


if __name__ == "__main__":
    main()
