"""A pod as a process of its own: SIGTERM cancels, waits and says what is left; its journal replays."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from kernel_doubles import Scripted, quote

from slipstream.runtime.journal import SqliteJournal
from slipstream.runtime.replay import replay

HERE = Path(__file__).resolve().parent
CODE = """
    import sys
    from pathlib import Path
    sys.path[:0] = [{runtime!r}, {execution!r}]
    from kernel_doubles import quote
    from loopback import Loopback, make_parts, START
    from test_signals import Quoting
    from slipstream.runtime.clock import ScaledClock
    from slipstream.runtime.pod import run, run_pod
    clock = ScaledClock(start_ns=START)
    venue = Loopback(clock)
    venue.silent_cancels = sys.argv[2] == "deaf"
    parts = make_parts(Path(sys.argv[1]), venue, Quoting(), handle_signals=True, stop_timeout=0.5,
                       say=lambda line: print(line, flush=True))
    outcome = run(run_pod(parts))
    print("resting", len(venue.resting), flush=True)
    sys.exit(outcome.exit_code)
"""


class Quoting(Scripted):
    """Wants one quote, from the first price on."""

    def on_event(self, event: object, view: object) -> list:  # type: ignore[override, type-arg]
        return [quote("1999", "2002")] if type(event).__name__ == "Bbo" else []


@pytest.mark.parametrize(("number", "hearing", "code"), [(signal.SIGTERM, "good", 0), (signal.SIGINT, "deaf", 3)])
def test_a_signal_stops_a_pod_in_order(tmp_path: Path, number: signal.Signals, hearing: str, code: int) -> None:
    script = textwrap.dedent(CODE).format(runtime=str(HERE), execution=str(HERE.parent / "execution"))
    argv = [sys.executable, "-c", script, str(tmp_path), hearing]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        while "running" not in (line := child.stdout.readline()):
            assert line, child.communicate()
        with SqliteJournal(tmp_path / "pod.journal", read_only=True) as reader:
            while len(placed := [c for _, _, row in reader.read() for c in row if type(c).__name__ == "Place"]) < 2:
                assert child.poll() is None
        child.send_signal(number)
        out, err = child.communicate(timeout=30)
    assert child.returncode == code, err
    assert f"stopping   pid {child.pid}  {number.name} received" in out
    last = "no orders left" if code == 0 else "2 orders may still rest: buy 1 ETH at 1999"
    assert last in out and f"resting {0 if code == 0 else 2}" in out
    with SqliteJournal(tmp_path / "pod.journal", read_only=True) as journal:
        assert replay(journal, lambda session: Quoting()).identical
    assert len(placed) == 2
