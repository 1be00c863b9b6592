"""The same jobs give the same results wherever they are computed, and no dead worker takes one with it."""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_sweep import Inline, market, same, swept

from slipstream.model.errors import ConfigError
from slipstream.simulation.sweep.executor import Executor, JobFailed, WorkerLost, make_executor
from slipstream.simulation.sweep.pool import TRIES, PoolExecutor
from slipstream.simulation.sweep.worker import LEAVE_SECONDS

HERE = Path(__file__).parent
NAME = "sweep_jobs"
WORK = f"{NAME}:think"
QUIET = ("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning", "ignore::UserWarning")
pytestmark = [pytest.mark.filterwarnings(rule) for rule in QUIET]


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """The module of jobs under a name that workers can import too."""
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / f"{NAME}.py").write_text((HERE / "jobs.py").read_text())
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    yield importlib.import_module(NAME)
    sys.modules.pop(NAME, None)


def results(executor: Executor, jobs: list[object]) -> list[tuple[int, float]]:
    found = dict(executor.run(WORK, jobs))
    assert sorted(found) == list(range(len(jobs))), "every job once"
    return [found[place] for place in sorted(found)]


def survives(executor: Executor, module: object, folder: Path) -> list[tuple[int, float]]:
    """Twelve jobs, two of which kill their worker the first time; then one that cannot be done."""
    make = module.Job  # type: ignore[attr-defined]
    dying = {3: str(folder / "first"), 8: str(folder / "second")}
    found = results(executor, [make(k, dying.get(k, "")) for k in range(12)])
    assert (folder / "first").exists() and (folder / "second").exists(), "two workers did die"
    with pytest.raises(ValueError, match="job 1 cannot be done"):
        list(executor.run(WORK, [make(1, fails=True)]))
    assert results(executor, [make(7)])[0] == found[7]
    return found


@pytest.mark.slow
def test_a_pool_survives_its_workers(jobs: object, tmp_path: Path) -> None:
    executor = make_executor("local", 2)
    try:
        found = survives(executor, jobs, tmp_path)
        assert found == [jobs.think(jobs.Job(k)) for k in range(12)]  # type: ignore[attr-defined]
        with pytest.raises(WorkerLost, match="job 1 ended its worker 3 times"):
            make = jobs.Job  # type: ignore[attr-defined]
            list(executor.run(WORK, [make(0), make(1, die_always=True), make(2)]))
        assert results(executor, [make(5)])[0] == found[5], "and works on afterwards"
        assert sweeps_alike(executor, tmp_path)
    finally:
        executor.close()


def sweeps_alike(executor: Executor, folder: Path) -> bool:
    """Whether a whole sweep comes out as it does without any workers."""
    path, few = market(folder), {"trials": 4, "folds": 1}
    return same(swept(executor, folder / "there", path, **few), swept(Inline(), folder / "here", path, **few))


CLUSTER_SECONDS = 240.0  # ten to twenty do where nothing hangs and nobody else computes; ten times that is a hang
MARK = "SLIPSTREAM_TEST_CLUSTER"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are looked at in /proc")
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_a_cluster_of_two_gives_the_same(jobs: object, tmp_path: Path, kind: str) -> None:
    """Two workers or nodes, a death, a whole sweep: in `cluster_run.py`. Nothing of it is left behind."""
    mark, said = f"{os.getpid()}-{kind}", tmp_path / "said"
    path = os.pathsep.join([str(HERE), os.environ["PYTHONPATH"]])
    own = {MARK: mark, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore", "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, str(HERE / "cluster_run.py"), kind, str(tmp_path), str(CLUSTER_SECONDS)]
    with said.open("w") as out:
        run = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env={**os.environ, **own})
        try:
            code = run.wait(CLUSTER_SECONDS + 10.0)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            left = ended(mark, run)
    assert code == 0, f"{kind} ended with {code}, the last step is what hung or failed:\n{said.read_text()}"
    assert not left, f"{kind} left {left} behind"


def ended(mark: str, run: subprocess.Popen[bytes]) -> list[str]:
    """What still runs under a mark some seconds later; it is ended."""
    deadline = time.monotonic() + 15.0
    while (left := marked(mark)) and run.poll() is not None and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    run.wait(10)
    return list(left.values())


def marked(mark: str) -> dict[int, str]:
    """Processes that have the mark in the environment they were started with: their ids and commands."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0") and alive(int(folder.name)):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
        except (OSError, ProcessLookupError):
            continue  # another user's, or gone
    return found


def test_what_makes_no_sense_is_refused() -> None:
    for words, said in (
        (("cloud", 2), "choose local, dask or ray"),
        (("local", 0), "at least one"),
        (("local", 1, "tcp://127.0.0.1:1"), "no meaning for local"),
    ):
        with pytest.raises(ConfigError, match=said):
            make_executor(*words)  # type: ignore[arg-type]


def test_a_scheduler_that_is_not_there_is_said_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from slipstream.simulation.sweep import on_dask

    monkeypatch.setattr(on_dask, "READY_SECONDS", 1)
    with pytest.raises(ConfigError, match=r"--address tcp://127.0.0.1:1: no worker within 1 s"):
        make_executor("dask", 1, "tcp://127.0.0.1:1")


OWNER = f"""
import sys
from slipstream.simulation.sweep.executor import make_executor
import {NAME} as jobs
if __name__ == "__main__":
    hands = make_executor("local", 2)
    try:
        found = dict(hands.run("{NAME}:pid", [jobs.Job(k) for k in range(8)]))
        print(*sorted(set(found.values())), flush=True)
        list(hands.run("{WORK}", [jobs.Job(0, sys.argv[1], endless=True)]))
    finally:
        hands.close()
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked at in /proc")
@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_its_owner(jobs: object, tmp_path: Path, by: signal.Signals) -> None:
    """Killed, or interrupted with all of its group as a terminal does: then without a word of the workers."""
    script, begun = tmp_path / "owner.py", tmp_path / "begun"
    script.write_text(OWNER)
    command = [sys.executable, str(script), str(begun)]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=os.environ, start_new_session=True) as owner:
        assert owner.stdout is not None and owner.stderr is not None
        pids = [int(word) for word in owner.stdout.readline().split()]
        assert pids and all(alive(pid) for pid in pids)
        until(begun.exists)
        if by is signal.SIGKILL:
            owner.kill()
        else:
            os.killpg(owner.pid, by)
        owner.wait(10)
        until(lambda: not any(alive(pid) for pid in pids))
        said = owner.stderr.read()
    assert said.count("Traceback") == (by is signal.SIGINT), said


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def pool() -> Iterator[PoolExecutor]:
    """Two workers, which must be gone a moment after they are let go."""
    executor = PoolExecutor(2)
    yield executor
    began = time.monotonic()
    executor.close()
    assert time.monotonic() - began < LEAVE_SECONDS, "somebody had to be ended by force, or was waited for"
    executor.close()


@pytest.mark.timeout(60)
def test_what_nobody_waits_for_any_more_is_given_up(jobs: Any, pool: PoolExecutor) -> None:
    """Beside a job that never ends: one that cannot be done, one that is all that was wanted, one of another run."""
    endless, quick = jobs.Job(0, endless=True), jobs.Job(1)
    with pytest.raises(ValueError, match="job 1 cannot be done"):
        list(pool.run(WORK, [endless, jobs.Job(1, fails=True)]))
    left = pool.run(WORK, [endless, quick])
    assert next(left) == (1, jobs.think(quick))
    assert results(pool, [quick, quick]) == [jobs.think(quick)] * 2
    with pytest.raises(RuntimeError, match="another run has begun"):
        next(left)
    assert next(iter(pool.run(WORK, [endless, quick]))) == (1, jobs.think(quick))  # and closed while one is under way


@pytest.mark.timeout(60)
def test_what_cannot_be_shipped_is_said_and_no_worker_is_blamed(jobs: Any, pool: PoolExecutor) -> None:
    before = set(results_of(pool, f"{NAME}:pid", [jobs.Job(k) for k in range(6)]))
    with pytest.raises(JobFailed, match=r"a job raised Odd: 1 and 2\n(.|\n)*in odd"):
        list(pool.run(f"{NAME}:odd", [jobs.Job(1)]))
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        list(pool.run(f"{NAME}:closure", [jobs.Job(1)]))
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        list(pool.run(WORK, [jobs.Job(1), lambda: None]))
    with pytest.raises(AttributeError, match="absent") as caught:
        list(pool.run(f"{NAME}:absent", [jobs.Job(1)]))
    assert "in a worker:\nTraceback" in caught.value.__notes__[0]
    after = set(results_of(pool, f"{NAME}:pid", [jobs.Job(k) for k in range(6)]))
    assert before & after, "whoever had no part in it works on"


@pytest.mark.timeout(60)
def test_workers_that_die_between_two_jobs_are_no_job_s_fault(jobs: Any) -> None:
    executor = PoolExecutor(TRIES)
    try:
        pids = set(results_of(executor, f"{NAME}:pid", [jobs.Job(k) for k in range(TRIES)]))
        assert len(pids) == TRIES
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in pids))
        assert results(executor, [jobs.Job(3)]) == [jobs.think(jobs.Job(3))]
    finally:
        executor.close()


def results_of(executor: Executor, work: str, jobs: list[object]) -> list[int]:
    return [result for _, result in executor.run(work, jobs)]
