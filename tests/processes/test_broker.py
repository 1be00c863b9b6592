"""The broker as a process: serves the fund's bus until told to stop, and says what it cannot work with."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from slipstream.model.errors import ConfigError
from slipstream.model.messages import Beat
from slipstream.model.topics import Topics
from slipstream.processes.broker import run_broker
from slipstream.processes.fund import FundOptions
from slipstream.runtime.bus.connect import connect

FUND = Path(__file__).resolve().parents[2] / "configs" / "fund.yml"
CODE = "import sys, typer; from slipstream.processes.broker import broker; typer.run(broker)"


def fund_file(folder: Path, bus: str) -> Path:
    text = FUND.read_text()
    assert "\n  port: 0 " in text
    path = folder / "fund.yml"
    path.write_text(text.replace("\n  port: 0 ", f"\n  {bus} "))
    return path


async def test_it_serves_the_bus_until_told_to_stop(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [sys.executable, "-c", CODE, "--fund", str(fund_file(tmp_path, f"port: {port}")), "--state-dir"]
    argv.append(str(tmp_path / "state"))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:  # noqa: ASYNC220 - nothing else runs
        try:
            assert child.stdout is not None
            said = child.stdout.readline()
            assert said.startswith("broker ready: ") and f"127.0.0.1:{port}" in said and "brawler, gradient" in said
            file = tmp_path / "state" / "broker" / "credentials.json"
            passwords = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
            assert not any(one in said for one in passwords.values())
            url = f"mqtt://auditor:{passwords['auditor']}@127.0.0.1:{port}"
            async with connect(url, "auditor", realm="demo") as bus:
                await bus.publish(Topics("demo").beat("auditor"), Beat("auditor", 1, 1, 1, 1, 1))
        finally:
            child.send_signal(signal.SIGTERM)
            assert child.wait(20) == 0


@pytest.mark.parametrize(
    ("bus", "says"),
    [("port: 0", "bus.port is 0: the others could not find it"), ("url: mqtt://h:1", "bus.url names a broker already")],
)
async def test_what_it_cannot_work_with(tmp_path: Path, bus: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        await run_broker(FundOptions(fund=fund_file(tmp_path, bus), state_dir=tmp_path))
