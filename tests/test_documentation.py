"""The page of commands: what it says works as spelled does."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "DOCUMENTATION.md"
ROW = re.compile(r"^\| `([^`]+)` \| as spelled \|", re.MULTILINE)
SPELLED = ROW.findall(PAGE.read_text(encoding="utf-8"))
IMPORTS = [one for one in SPELLED if one.startswith("from ")]
OTHERS = {"sync", "pytest", "ruff", "mypy"}  # tools of the environment, run by the gate itself


def target(words: list[str]) -> tuple[list[str], list[str]]:
    """How to ask for the help of a command, and the flags that it must know."""
    if words[:2] == ["uv", "run"]:
        words = words[2:]
    if words[0] == "python":
        words = words[1:]
        start = [sys.executable, "-m", words[1]] if words[0] == "-m" else [sys.executable, words[0]]
        rest = words[2:] if words[0] == "-m" else words[1:]
    else:
        scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
        module, _, name = scripts[words[0]].partition(":")
        code = f"import sys; sys.argv[0] = {words[0]!r}; from {module} import {name}; {name}()"
        start, rest = [sys.executable, "-c", code], words[1:]
    return start, [word for word in rest if word.startswith("--") and word != "--"]


@pytest.mark.parametrize("command", [one for one in SPELLED if one not in IMPORTS and not OTHERS & set(one.split())])
def test_what_is_spelled_so_works_so(command: str) -> None:
    start, flags = target(shlex.split(command))
    # what follows a lone -- belongs to the command behind it
    hidden = ["--strategy", "gradient", "--"] if "run_backtest" in command else []
    done = subprocess.run(
        [*start, *hidden, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    for flag in flags:
        assert flag == "--strategy" or flag in done.stdout, f"{command}: no {flag}"


def test_what_is_imported_so_is_there() -> None:
    for line in IMPORTS:
        done = subprocess.run([sys.executable, "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}"


def test_the_page_names_every_command_of_the_table_once() -> None:
    assert len(SPELLED) > 10 and len(set(SPELLED)) == len(SPELLED)
    text = PAGE.read_text(encoding="utf-8")
    for path in re.findall(r"`(configs/[^` ]+|src/[^` ]+|scripts/[^` ]+)`", text):
        assert (ROOT / path).exists(), path
