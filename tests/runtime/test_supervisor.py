"""The supervisor with real child processes: order, restarts, first errors, stubborn children."""

import asyncio
import os
import signal
import sys
import textwrap
from pathlib import Path

from slipstream.runtime.supervisor import Process, Spec, State, Supervisor


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
