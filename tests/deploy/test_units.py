"""The systemd units: systemd takes them without a word, they are hardened, and they call commands that exist."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from slipstream.cli import app
from slipstream.late import register
from slipstream.model.errors import SecretError
from slipstream.runtime.secrets import read_owned

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
# what a timer starts is in test_cron.py
UNITS = sorted(path for path in FOLDER.glob("*.service") if not path.with_suffix(".timer").exists())
PROGRAM = "/opt/slipstream/bin/slipstream"


def instance(path: Path) -> str:
    """A template's name with an instance in it."""
    return path.name.replace("@.", "@brawler.")


def read(path: Path) -> dict[str, dict[str, list[str]]]:
    """Sections, keys, and every value of a key (systemd allows several)."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return found


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as on a machine where the program is installed: here it is another folder, and an empty program."""
    program = tmp_path / "bin" / "slipstream"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for path in FOLDER.iterdir():
        text = path.read_text().replace(PROGRAM, str(program)).replace("file:///opt/slipstream/docs", "file:///tmp")
        (tmp_path / instance(path)).write_text(text)
    return tmp_path


def analyze(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine: the units were not verified")
    environ = {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:", "SYSTEMD_LOG_LEVEL": "warning"}
    return subprocess.run(
        ["systemd-analyze", *argv], cwd=folder, env=environ, capture_output=True, text=True, timeout=60
    )


def test_systemd_takes_every_unit_without_a_word(installed: Path) -> None:
    names = [f"./{one.name}" for one in sorted(installed.glob("slipstream*"))]
    assert len(names) == len(list(FOLDER.iterdir())) >= len(UNITS) + 1
    found = analyze(installed, "verify", "--man=no", *names)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@pytest.mark.parametrize("line", ["ProtectSytem=strict", "RestartSec=soon", "ExecStart=/nowhere/slipstream"])
def test_systemd_would_have_said_so(installed: Path, line: str) -> None:
    unit = installed / "slipstream-auditor.service"
    unit.write_text(unit.read_text().replace("Type=exec", f"Type=exec\n{line}"))
    found = analyze(installed, "verify", "--man=no", f"./{unit.name}")
    assert found.returncode != 0 or unit.name in found.stderr


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_every_unit_is_hardened(installed: Path, path: Path) -> None:
    found = analyze(installed, "security", "--offline=true", "--no-pager", "--threshold=20", f"./{instance(path)}")
    assert found.returncode == 0, found.stdout + found.stderr
    service = read(path)["Service"]
    assert service["DynamicUser"] == ["yes"] and service["LimitCORE"] == ["0"]


def options_of(words: list[str]) -> set[str]:
    """The flags of the command that words name. Commands of pods and processes are registered when they are called."""
    here = typer.Typer()
    here.registered_commands.extend(app.registered_commands)
    register(here, (words[0], words[1] if len(words) > 1 else ""))
    command: Any = typer.main.get_command(here)
    for word in words:
        command = command.commands.get(word)
        assert command is not None, f"there is no `slipstream {' '.join(words)}`"
    return {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_the_command_exists_and_knows_the_flags(path: Path) -> None:
    (line,) = read(path)["Service"]["ExecStart"]
    program, *words = shlex.split(line.replace("%i", "brawler"))
    assert program == PROGRAM
    name = [word for word in words if not word.startswith("-")][: 2 if words[0] == "pod" else 1]
    options = options_of(name)
    flags = {word for word in words if word.startswith("--")}
    assert flags and flags <= options, f"unknown: {', '.join(sorted(flags - options))}"


def test_the_pods_come_last_and_go_first() -> None:
    pod = read(FOLDER / "slipstream-pod@.service")
    after = pod["Unit"]["After"][0].split()
    others = {one.name for one in UNITS} - {
        "slipstream-pod@.service",
        "slipstream-alerts.service",
        "slipstream-recorder.service",
    }
    assert others <= set(after)
    for path in UNITS:
        unit = read(path)["Unit"]
        assert unit["PartOf"] == ["slipstream.target"]
        assert not {name for name in unit["After"][0].split() if "pod@" in name}
    assert int(pod["Service"]["TimeoutStopSec"][0]) >= 60


def test_restarts() -> None:
    for path in UNITS:
        found = read(path)
        unit, service = found["Unit"], found["Service"]
        if path.stem == "slipstream-pod@":
            assert (unit["StartLimitBurst"], unit["StartLimitIntervalSec"]) == (["5"], ["600"])
            assert (service["Restart"], service["RestartPreventExitStatus"]) == (["on-failure"], ["2"])
        else:
            assert (unit["StartLimitIntervalSec"], service["Restart"]) == (["0"], ["always"])


def test_keys_arrive_as_credentials_and_only_where_something_signs() -> None:
    for path in UNITS:
        service = read(path)["Service"]
        signs = path.stem in ("slipstream-pod@", "slipstream-breaker")
        assert ("LoadCredential" in service) is signs
        assert "SECRET" not in " ".join(service.get("Environment", []))
        for one in service.get("LoadCredential", []):
            name, _, source = one.partition(":")
            assert source.startswith("/etc/slipstream/keys/")
            used = " ".join([*service["ExecStart"], *service["Environment"]])
            assert f"%d/{name}" in used


def test_no_unit_needs_a_folder_it_may_not_write() -> None:
    for path in UNITS:
        service = read(path)["Service"]
        own = "/".join(["%S", *service["StateDirectory"]])
        for word in shlex.split(service["ExecStart"][0]):
            # --state-dir is the fund's folder: a process writes in the part of it that has its name
            assert not word.startswith("%S/") or word.startswith(own) or own.startswith(word + "/")


def test_a_credential_of_systemd_is_read_and_nothing_wider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd gives the service's user an access list, whose mask shows as the group's right to read: mode 0440."""
    secret = tmp_path / "credentials" / "password"
    secret.parent.mkdir()
    secret.write_text("open sesame")
    secret.chmod(0o440)
    with pytest.raises(SecretError, match="readable by others"):
        read_owned(secret, "password file")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(secret.parent))
    assert read_owned(secret, "password file") == "open sesame"
    other = tmp_path / "password"
    other.write_text("x")
    other.chmod(0o440)
    with pytest.raises(SecretError, match="readable by others"):
        read_owned(other, "password file")
    for mode in (0o444, 0o460):
        secret.chmod(mode)
        with pytest.raises(SecretError, match="readable by others"):
            read_owned(secret, "password file")
