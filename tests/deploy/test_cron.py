"""What runs by the clock: systemd takes the timers, the services are hardened, and both they and the CronJobs call
commands that exist with flags that these have."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD, CRON = ROOT / "deploy" / "systemd", ROOT / "deploy" / "kubernetes" / "cron"
TIMERS = sorted(SYSTEMD.glob("*.timer"))
JOBS = sorted(CRON.glob("*.yml"))
PROGRAM = "/opt/slipstream/bin/slipstream"
COMMANDS = {
    "record-bbo": ("record_bbo", "record_bbo"),
    "compact": ("record", "compact"),
    "candidates": ("candidates", "candidates"),
    "watchlist": ("watchlist", "watchlist"),
    "volume-gap": ("volume_gap", "volume_gap"),
}


def check(words: list[str]) -> None:
    """The command exists, parses these words, and needs no more."""
    module, name = COMMANDS[words[0]]
    app = typer.Typer()
    app.command()(getattr(importlib.import_module(f"slipstream.processes.{module}"), name))
    command: Any = typer.main.get_command(app)
    with command.make_context(words[0], words[1:]) as context:
        assert context.params


def values(path: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", path.read_text(), re.MULTILINE)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    program = tmp_path / "bin" / "slipstream"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for timer in TIMERS:
        for path in (timer, timer.with_suffix(".service")):
            text = path.read_text().replace(PROGRAM, str(program)).replace("file:///opt/slipstream/docs", "file:///tmp")
            (tmp_path / path.name).write_text(text)
    return tmp_path


def analyze(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine: the units were not verified")
    environ = {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:", "SYSTEMD_LOG_LEVEL": "warning"}
    return subprocess.run(
        ["systemd-analyze", *argv], cwd=folder, env=environ, capture_output=True, text=True, timeout=60
    )


def test_systemd_takes_timers_and_services_without_a_word(installed: Path) -> None:
    names = sorted(f"./{path.name}" for path in installed.glob("slipstream-*"))
    assert len(names) == 2 * len(TIMERS) == 2 * len(COMMANDS)
    found = analyze(installed, "verify", "--man=no", *names)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    timer = installed / TIMERS[0].name
    timer.write_text(timer.read_text().replace("OnCalendar=", "OnCalendar=soon "))
    wrong = analyze(installed, "verify", "--man=no", f"./{timer.name}")
    assert wrong.returncode != 0 or "OnCalendar" in wrong.stderr


@pytest.mark.parametrize("timer", TIMERS, ids=lambda path: path.stem)
def test_a_service_by_the_clock(installed: Path, timer: Path) -> None:
    service = timer.with_suffix(".service")
    found = analyze(installed, "security", "--offline=true", "--no-pager", "--threshold=20", f"./{service.name}")
    assert found.returncode == 0, found.stdout + found.stderr
    assert (values(service, "Type"), values(service, "User")) == (["oneshot"], ["slipstream-capture"])
    assert values(service, "DynamicUser") == ["yes"] and "LoadCredential" not in service.read_text()
    (line,) = values(service, "ExecStart")
    program, *words = shlex.split(line.replace("%S", "/var/lib"))
    assert program == PROGRAM and f"slipstream-{words[0]}" == timer.stem
    check(words)


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_a_cron_job(path: Path) -> None:
    job = yaml.safe_load(path.read_text())
    assert (job["apiVersion"], job["kind"], job["metadata"]["name"]) == (
        "batch/v1",
        "CronJob",
        f"slipstream-{path.stem}",
    )
    spec = job["spec"]
    minute, hour, *days = spec["schedule"].split()
    assert re.fullmatch(r"\d+", minute) and re.fullmatch(r"\d+|\*(/\d+)?", hour) and days == ["*", "*", "*"]
    assert (spec["concurrencyPolicy"], spec["timeZone"]) == ("Forbid", "Etc/UTC")
    template = spec["jobTemplate"]["spec"]
    assert template["backoffLimit"] == 0 and template["activeDeadlineSeconds"] > 0
    pod = template["template"]["spec"]
    assert pod["restartPolicy"] == "Never" and pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
    }  # fmt: skip
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert container["command"] == ["slipstream"] and "memory" in container["resources"]["limits"]
    check(container["args"])


def test_each_tool_has_a_timer_and_a_job() -> None:
    assert {path.stem.removeprefix("slipstream-") for path in TIMERS} == {path.stem for path in JOBS} == COMMANDS.keys()


def test_a_flag_that_is_none_would_be_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        check(["watchlist", "--hl-patern", "x", "--cex-pattern", "y"])
