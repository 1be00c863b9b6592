"""The same jobs give the same results wherever they are computed, and no dead worker takes one with it."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from small_sweep import Inline, market, same, swept

from slipstream.model.errors import ConfigError
from slipstream.simulation.sweep.executor import Executor, WorkerLost, make_executor
from slipstream.simulation.sweep.pool import PoolExecutor

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


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked at in /proc")
@pytest.mark.slow
def test_no_worker_outlives_a_killed_owner(jobs: object, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from slipstream.simulation.sweep.executor import make_executor\n"
        f"import {NAME} as jobs\n"
        "if __name__ == '__main__':\n"
        "    hands = make_executor('local', 2)\n"
        f"    found = dict(hands.run('{NAME}:pid', [jobs.Job(k) for k in range(8)]))\n"
        "    print(*sorted(set(found.values())), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    script = tmp_path / "owner.py"
    script.write_text(code)
    owner = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert owner.stdout is not None
    pids = [int(word) for word in owner.stdout.readline().split()]
    assert pids and all(alive(pid) for pid in pids)
    owner.kill()
    owner.wait(10)
    owner.stdout.close()
    deadline = time.monotonic() + 20.0
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if alive(pid)]


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_pool_that_closes_while_a_worker_is_started_is_opened_anew(
    jobs: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dying worker makes the pool close its pipes; a worker that is being started then finds them closed."""
    executor = PoolExecutor(1)
    begin, failed = ProcessPoolExecutor.submit, list[bool]()

    def submit(self: ProcessPoolExecutor, *args: object) -> object:
        if not failed:
            failed.append(True)
            raise OSError("handle is closed")
        return begin(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(ProcessPoolExecutor, "submit", submit)
    try:
        job = jobs.Job(3)  # type: ignore[attr-defined]
        assert list(executor.run(WORK, [job])) == [(0, jobs.think(job))]  # type: ignore[attr-defined]
    finally:
        executor.close()
    assert failed
