"""The supervisor with real child processes: order, restarts, first errors, stubborn children."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.model.errors import ConfigError
from slipstream.runtime.supervisor import Life, Limits, Process, Spec, State, Supervisor
from slipstream.runtime.supervisor.budget import RestartBudget
from slipstream.runtime.supervisor.spec import dependencies


def spec(tmp_path: Path, name: str, code: str, **options: object) -> Spec:
    marker = tmp_path / f"{name}.ready"
    code = f"from pathlib import Path; ready = lambda: Path({str(marker)!r}).touch()\n" + textwrap.dedent(code)

    async def is_ready() -> bool:
        return marker.exists()

    return Spec(name, (sys.executable, "-u", "-c", code), tmp_path / f"{name}.log", ready=is_ready, **options)  # type: ignore[arg-type]


SLEEPER = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("bye", flush=True), sys.exit(0)))
ready()
while True: signal.pause()
"""


async def test_ordered_start_and_reverse_stop(tmp_path: Path) -> None:
    seen: list[tuple[str, State]] = []
    specs = [spec(tmp_path, "venue", SLEEPER), spec(tmp_path, "pod", SLEEPER)]
    async with Supervisor(specs, lambda p: seen.append((p.spec.name, p.state))) as supervisor:
        assert supervisor.is_healthy
        assert all("ready" in p.line() and "pid" in p.line() for p in supervisor.processes)
    up = [(name, state) for name in ("venue", "pod") for state in (State.STARTING, State.READY)]
    down = [(name, state) for name in ("pod", "venue") for state in (State.STOPPING, State.STOPPED)]
    assert seen == up + down
    assert (tmp_path / "pod.log").read_text() == "bye\n"


async def test_a_killed_child_is_restarted(tmp_path: Path) -> None:
    back = asyncio.Event()

    def watch(process: Process) -> None:
        if process.state is State.READY and process.restarts:
            back.set()

    async with Supervisor([spec(tmp_path, "pod", SLEEPER, backoff=0.01)], watch) as supervisor:
        process = supervisor.processes[0]
        first = process.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(20):
            await back.wait()
        assert process.restarts == 1
        assert process.pid != first


async def test_first_error_is_kept_and_failure_is_final(tmp_path: Path) -> None:
    code = "raise ValueError('tick_size must be positive')"
    async with Supervisor([spec(tmp_path, "pod", code, backoff=0.01, max_restarts=2)]) as supervisor:
        process = supervisor.processes[0]
        assert process.state is State.FAILED
        assert process.restarts == 2
        assert "ValueError: tick_size must be positive" in process.line()
        assert not supervisor.is_healthy


async def test_what_follows_a_failure_is_not_started(tmp_path: Path) -> None:
    specs = [spec(tmp_path, "venue", "raise SystemExit(3)", max_restarts=0), spec(tmp_path, "pod", SLEEPER)]
    async with Supervisor(specs) as supervisor:
        assert [p.state for p in supervisor.processes] == [State.FAILED, State.WAITING]
        assert "exit 3" in supervisor.processes[0].line()


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    code = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nready()\nwhile True: signal.pause()"
    async with Supervisor([spec(tmp_path, "pod", code, stop_timeout=0.2)]) as supervisor:
        process = supervisor.processes[0]
    assert process.state is State.STOPPED
    assert "was killed" in process.line()


async def test_a_missing_program_says_so(tmp_path: Path) -> None:
    lost = Spec("pod", (str(tmp_path / "nothing"),), tmp_path / "pod.log", max_restarts=0)
    async with Supervisor([lost]) as supervisor:
        assert "cannot start" in supervisor.processes[0].line()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody announces."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.01)


class Seen:
    """Remembers every state of every process and lets a test wait for one."""

    def __init__(self) -> None:
        self.states: list[tuple[str, State]] = []
        self._changed = asyncio.Event()

    def __call__(self, process: Process) -> None:
        self.states.append((process.spec.name, process.state))
        self._changed.set()

    async def until(self, name: str, state: State, times: int = 1) -> None:
        async with asyncio.timeout(20):
            while self.states.count((name, state)) < times:
                self._changed.clear()
                await self._changed.wait()


async def test_a_hung_process_is_killed_and_started_again(tmp_path: Path) -> None:
    """SIGSTOP: alive for the operating system, silent for everybody else."""
    seen, asked = Seen(), 0
    stopped: set[int] = set()

    async def alive() -> bool:
        nonlocal asked
        asked += 1
        return supervisor["pod"].pid not in stopped

    one = spec(tmp_path, "pod", SLEEPER, backoff=0.01, alive=alive, alive_misses=3, watch_every=0.02)
    async with Supervisor([one], seen) as supervisor:
        process = supervisor["pod"]
        first = process.pid
        assert first is not None
        await until(lambda: asked >= 5)
        assert process.state is State.READY and process.restarts == 0
        os.kill(first, signal.SIGSTOP)
        stopped.add(first)
        await seen.until("pod", State.READY, times=2)
        assert process.pid != first and process.restarts == 1
        (life,) = process.lives
        assert life.exit_code == -signal.SIGKILL and life.pid == first
        assert life.last_exit.startswith("killed by SIGKILL: hung: 3 probes missed, silent for 0.")
    states = [state for _, state in seen.states]
    assert states[:5] == [State.STARTING, State.READY, State.HUNG, State.BACKOFF, State.STARTING]


@pytest.mark.parametrize("how", ["late", "error"])
async def test_a_probe_that_is_late_or_fails_is_a_miss(tmp_path: Path, how: str) -> None:
    seen = Seen()

    async def alive() -> bool:
        if how == "error":
            raise ValueError("no answer I understand")
        await asyncio.Event().wait()
        return True

    one = spec(
        tmp_path, "pod", SLEEPER, alive=alive, alive_misses=2, alive_timeout=0.05, watch_every=0.02, max_restarts=0
    )
    async with Supervisor([one], seen) as supervisor:
        await seen.until("pod", State.FAILED)
        assert "hung: 2 probes missed" in supervisor["pod"].last_exit
        assert ("ValueError: no answer" in supervisor["pod"].first_error) is (how == "error")


async def test_now_and_then_a_miss_is_no_hang(tmp_path: Path) -> None:
    answers = [False, False, True] * 5

    async def alive() -> bool:
        return answers.pop() if answers else True

    one = spec(tmp_path, "pod", SLEEPER, alive=alive, alive_misses=3, watch_every=0.01)
    async with Supervisor([one]) as supervisor:
        await until(lambda: not answers)
        assert supervisor["pod"].state is State.READY and supervisor["pod"].restarts == 0


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
async def test_a_process_that_takes_too_much_memory_is_killed_with_a_line(tmp_path: Path) -> None:
    code = "ready(); kept = []\nimport time\nwhile True: kept.append(b'x' * 4_000_000); time.sleep(0.01)"
    seen = Seen()
    one = spec(tmp_path, "pod", code, limits=Limits(memory_mb=100), watch_every=0.02, max_restarts=0)
    async with Supervisor([one], seen) as supervisor:
        await seen.until("pod", State.FAILED)
        process = supervisor["pod"]
        assert ("pod", State.OVER) in seen.states
        assert "over its limit" in process.last_exit and "more than 100 MB" in process.line()


async def test_limits_of_the_operating_system_hold_in_the_child(tmp_path: Path) -> None:
    code = """
import resource
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
try:
    bytearray(900_000_000)
except MemoryError:
    print("refused", flush=True)
"""
    one = spec(tmp_path, "pod", code + SLEEPER, limits=Limits(address_space_mb=600, open_files=77))
    async with Supervisor([one]):
        await until(lambda: "refused" in (tmp_path / "pod.log").read_text())
    assert (tmp_path / "pod.log").read_text().split()[:2] == ["77", "refused"]


async def test_every_life_is_kept_with_its_own_error_and_end(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        count = Path(sys.argv[0] if False else {!r})
        number = len(count.read_text()) if count.exists() else 0
        count.write_text("x" * (number + 1))
        if number == 0: raise ValueError("first")
        if number == 1: sys.exit(7)
    """.format(str(tmp_path / "count"))
    seen = Seen()
    one = spec(tmp_path, "pod", textwrap.dedent(code) + SLEEPER, backoff=0.01)
    async with Supervisor([one], seen) as supervisor:
        process = supervisor["pod"]
        assert process.state is State.READY and process.restarts == 2
        first, second = process.lives
        assert (first.number, first.last_exit, first.first_error) == (1, "exit code 1", "ValueError: first")
        assert (second.number, second.last_exit) == (2, "exit code 7")
        assert second.first_error.startswith("ended with exit code 7")
        (row,) = supervisor.rows()
        assert (row.name, row.state, row.pid, row.restarts, row.restarts_left) == ("pod", "ready", process.pid, 2, 3)
        assert row.exit_code == 7 and row.up_s >= 0.0 and row.last_exit == "exit code 7"
        assert row.memory_mb is None or row.memory_mb > 1.0


async def test_what_a_child_started_goes_with_it(tmp_path: Path) -> None:
    """A grandchild holds the pipe open: without its end the next life would never begin."""
    code = """
        import os, subprocess, sys
        child = subprocess.Popen(["sleep", "600"])
        print("grandchild", child.pid, flush=True)
        ready()
        sys.stdin.read()
        os._exit(4)
    """
    seen = Seen()
    async with Supervisor([spec(tmp_path, "pod", code, max_restarts=0)], seen) as supervisor:
        await seen.until("pod", State.FAILED)
        assert supervisor["pod"].exit_code == 4
    pid = int((tmp_path / "pod.log").read_text().split()[1])
    await until(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie that its parent has not collected yet."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(shown.stdout.strip()) and not shown.stdout.startswith("Z")


async def test_dependencies_order_the_start_and_the_stop(tmp_path: Path) -> None:
    seen = Seen()
    specs = [
        spec(tmp_path, "pod", SLEEPER, after=("venue", "bus")),
        spec(tmp_path, "venue", SLEEPER, after=()),
        spec(tmp_path, "bus", SLEEPER, after=()),
    ]
    async with Supervisor(specs, seen) as supervisor:
        assert supervisor.is_healthy
    order = {one: number for number, one in enumerate(seen.states)}
    for name in ("venue", "bus"):
        assert order[name, State.READY] < order["pod", State.STARTING]
        assert order["pod", State.STOPPED] < order[name, State.STOPPING]


async def test_what_does_not_depend_on_a_failure_starts(tmp_path: Path) -> None:
    specs = [
        spec(tmp_path, "venue", "raise SystemExit(3)", max_restarts=0, after=()),
        spec(tmp_path, "pod", SLEEPER, after=("venue",)),
        spec(tmp_path, "view", SLEEPER, after=("pod",)),
        spec(tmp_path, "bus", SLEEPER, after=()),
    ]
    async with Supervisor(specs) as supervisor:
        states = [p.state for p in supervisor.processes]
        assert states == [State.FAILED, State.WAITING, State.WAITING, State.READY]


async def test_leaving_while_something_never_becomes_ready(tmp_path: Path) -> None:
    specs = [spec(tmp_path, "venue", "import time; time.sleep(600)"), spec(tmp_path, "pod", SLEEPER)]
    supervisor = Supervisor(specs)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3), supervisor:
            pass
    assert [p.state for p in supervisor.processes] == [State.STOPPED, State.WAITING]


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ((("b",), ("a",)), "a, b wait for each other"),
        (((), ("c",)), "b starts after 'c', which is not there; there are a, b"),
        ((("a",), ()), "a wait for each other"),
    ],
)
def test_dependencies_that_make_no_sense(tmp_path: Path, after: tuple[tuple[str, ...], ...], says: str) -> None:
    specs = [Spec(name, ("x",), tmp_path, after=names) for name, names in zip("ab", after, strict=True)]
    with pytest.raises(ConfigError, match=says):
        Supervisor(specs)
    with pytest.raises(ConfigError, match="two processes are called 'a'"):
        dependencies([specs[0], specs[0]])


def test_the_budget_refills() -> None:
    budget = RestartBudget(limit=2, window=600.0, backoff=0.5)
    assert [budget.spend(0.0, 1.0), budget.spend(300.0, 1.0), budget.spend(599.0, 1.0)] == [0.5, 1.0, None]
    assert budget.left(601.0) == 1
    assert [budget.spend(601.0, 1.0), budget.spend(602.0, 1.0)] == [2.0, None]
    assert budget.spend(950.0, 300.0) == 0.5  # it was well for long


@given(st.lists(st.floats(0.0, 500.0), max_size=60), st.integers(0, 6))
def test_never_more_restarts_in_a_window_than_allowed(gaps: list[float], limit: int) -> None:
    budget, now, taken = RestartBudget(limit, 600.0, 0.5), 0.0, []
    for gap in gaps:
        now += gap
        if budget.spend(now, gap) is not None:
            taken.append(now)
        assert sum(at > now - 600.0 for at in taken) <= limit
    assert budget.left(now + 601.0) == limit


def test_ends_in_words() -> None:
    assert Life(1).last_exit == ""
    assert Life(1, exit_code=-9).last_exit == "killed by SIGKILL"
    assert Life(1, exit_code=-99).last_exit == "killed by signal 99"


async def test_the_first_error_of_a_group_is_its_cause(tmp_path: Path) -> None:
    code = """
        import asyncio
        async def fail(): raise ValueError("lists no perp 'SOL'")
        async def main():
            async with asyncio.TaskGroup() as group: group.create_task(fail())
        asyncio.run(main())
    """
    async with Supervisor([spec(tmp_path, "pod", code, max_restarts=0)]) as supervisor:
        assert supervisor["pod"].first_error == "ValueError: lists no perp 'SOL'"
