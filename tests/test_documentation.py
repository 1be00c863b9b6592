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
LINE = re.compile(r"^\| `([^`]+)` \| as spelled \|([^|]*)\|([^|]*)\|", re.MULTILINE)
ROWS = LINE.findall(PAGE.read_text(encoding="utf-8"))
SPELLED = [command for command, _, _ in ROWS]
OLD_PAGE = ROOT.parent / "shared" / "seeds"  # the page that first promised these commands, where it is at hand
IMPORTS = [one for one in SPELLED if one.startswith("from ")]
OTHERS = {"sync", "pytest", "ruff", "mypy", "aws", "cat"}  # tools of the environment, run by the gate itself


def is_command(line: str) -> bool:
    """Whether a line of the table runs something of ours."""
    return line not in IMPORTS and " " in line and not OTHERS & set(line.split())


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


@pytest.mark.parametrize("command", [one for one in SPELLED if is_command(one) and "tests/" not in one])
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


def test_every_line_that_works_names_the_test_that_runs_it() -> None:
    for command, _, ran in ROWS:
        named = re.search(r"`(tests/[a-z_/]+\.py)::(test_\w+)`", ran)
        if not named:
            assert ran.strip() in ("the gate", "a tool of its own") and OTHERS & set(command.split()), command
            continue
        text = (ROOT / named[1]).read_text(encoding="utf-8")
        assert f"def {named[2]}(" in text, f"{command}: no {named[2]} in {named[1]}"


def test_paths_of_old_are_there() -> None:
    for path in ("config/brawler.yml", "config/brawler_single_asset.example.yml"):
        assert (ROOT / path).read_bytes() == (ROOT / "configs" / Path(path).name).read_bytes()


def test_nothing_that_was_promised_is_forgotten() -> None:
    """Word for word: every line to type of the page that promised them has a line in the table."""
    pages = sorted(OLD_PAGE.glob("004_*.txt"))
    if not pages:
        pytest.skip(f"the page that promised the commands is not at {OLD_PAGE}")
    text, table = pages[0].read_text(encoding="utf-8"), PAGE.read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    start = re.compile(r"(uv|python|source|sudo|aws|cat) ")
    lines = [line.removeprefix("# ").partition("  #")[0].strip() for line in lines]
    lines += [word for word in re.findall(r"`([^`\n]+)`", text) if word.startswith("uv ")]
    imports = [line for line in text.splitlines() if line.startswith("from slipstream")]
    promised = {line for line in lines if start.match(line)} | set(imports)
    assert len(promised) > 20
    assert not [line for line in sorted(promised) if f"`{line}`" not in table]


def test_the_page_names_every_command_of_the_table_once() -> None:
    assert len(SPELLED) > 10 and len(set(SPELLED)) == len(SPELLED)
    text = PAGE.read_text(encoding="utf-8")
    for path in re.findall(r"`(configs/[^` ]+|src/[^` ]+|scripts/[^` ]+)`", text):
        assert (ROOT / path).exists(), path
