"""No nonce twice: not in a burst, not backwards in time, not after kill -9, not by two processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slipstream.model.errors import ConfigError
from slipstream.venues.hyperliquid.nonce import Nonces

CHILD = """
import sys, time
from pathlib import Path
from slipstream.venues.hyperliquid.nonce import Nonces
nonces = Nonces(Path(sys.argv[1]), lambda: time.time_ns() // 1_000_000)
while True:
    sys.stdout.write(f"{nonces.next()}\\n")
"""


def test_a_burst_and_a_clock_that_steps_back(tmp_path: Path) -> None:
    times = iter([1_000] * 5_000 + [500] * 10 + [9_000])
    with Nonces(tmp_path / "n", lambda: next(times)) as nonces:
        drawn = [nonces.next() for _ in range(5_011)]
    assert drawn == sorted(set(drawn)) and drawn[-1] == 9_000


def test_a_restart_never_reuses(tmp_path: Path) -> None:
    with Nonces(tmp_path / "n", lambda: 1_000) as nonces:
        last = [nonces.next() for _ in range(10)][-1]
    with Nonces(tmp_path / "n", lambda: 900) as again:
        assert again.next() > last


def test_kill_nine_never_reuses(tmp_path: Path) -> None:
    path, drawn = tmp_path / "n", []
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(3_000)]
        os.kill(child.pid, signal.SIGKILL)
        rest = child.stdout.read()
        child.wait(timeout=10)
        child.stdout.close()
        # the last line may be cut in the middle
        drawn += [int(line) for line in lines + rest.splitlines(keepends=True) if line.endswith("\n")]
    assert len(drawn) >= 9_000 and len(set(drawn)) == len(drawn)


def test_two_processes_cannot_share_a_key(tmp_path: Path) -> None:
    with Nonces(tmp_path / "n", lambda: 1), pytest.raises(ConfigError, match="another process signs"):
        Nonces(tmp_path / "n", lambda: 1)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "n").write_text("rubbish")
    with pytest.raises(ConfigError, match="is not a nonce"):
        Nonces(tmp_path / "n", lambda: 1)
