"""What README and docs tell a user to type exists, and the main commands do what they say."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from slipstream.cli import app as own
from slipstream.examples import show_examples
from slipstream.late import LATE, register

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROCESSES = {"up", "venue", "pod", "broker", "allocator", "auditor", "breaker", "alerts", "record"}
RESEARCH = {"compact", "import", "lake", "costs", "backtest", "sweep", "new-strategy", "train", "research", "tape"}
CRON = {"record-bbo", "candidates", "watchlist", "volume-gap"}
OPERATOR = {"status", "pods", "mandates", "breaks", "halt", "resume", "flatten", "override", "top"}
COMMANDS = PROCESSES | OPERATOR | RESEARCH | CRON | {"doctor", "parity", "replay", "report", "market"}
GROUPS = {
    "pod": ("brawler", "gradient", "carry", "template"),
    "train": ("carry",),
    "research": ("reproduce", "brawler-ticks"),
    "breaks": ("explain", "resolve"),
    "costs": ("calibrate", "show", "compare"),
    "tape": ("convert", "check", "show"),
    "market": ("calibrate", "facts"),
    "lake": ("show", "verify", "check", "adopt", "bars", "export"),
}
BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`(?:uv run )?slipstream ([a-z][a-z-]*)((?: [^`]*)?)`")


def run(*argv: str, cwd: Path = ROOT, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)


def slipstream(*argv: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "slipstream", *argv, cwd=cwd)


def help_of(command: str) -> str:
    """The help of a command, with that of the commands under it."""
    return "".join(shown(*argv) for argv in [(command,), *((command, under) for under in GROUPS.get(command, ()))])


@cache
def shown(*words: str) -> str:
    """What ``slipstream WORDS --help`` prints, without a process for each of them."""
    app = typer.Typer(name="slipstream", no_args_is_help=True, rich_markup_mode=None)
    app.registered_commands, app.registered_groups = list(own.registered_commands), list(own.registered_groups)
    register(app, (words[0], words[1] if len(words) > 1 else ""))
    show_examples(app)
    told = CliRunner().invoke(app, [*words, "--help"], prog_name="slipstream")
    assert told.exit_code == 0, (words, told.output)
    return told.stdout


def test_the_readme_has_exactly_two_commands_to_begin_with() -> None:
    block = BLOCK.search((ROOT / "README.md").read_text())
    assert block
    commands = [line.split("#")[0].strip() for line in block.group(1).splitlines() if line.strip()]
    assert commands == ["uv run slipstream up", "uv run scripts/check"]
    assert "uv run scripts/check" in (ROOT / ".ci" / "run").read_text()


def test_every_command_and_flag_in_the_pages_exists() -> None:
    helps: dict[str, str] = {}
    for page in PAGES:
        for command, rest in INLINE.findall(page.read_text()):
            assert command in COMMANDS, f"{page.name}: slipstream {command}"
            if command not in helps:
                helps[command] = help_of(command)
            told = helps[command]
            for flag in re.findall(r"--[a-z-]+", rest):
                assert flag in told, f"{page.name}: slipstream {command} has no {flag}"
    assert helps.keys() >= {"venue", "pod", "doctor", "replay"} | OPERATOR


def test_every_command_is_in_the_help_and_in_the_readme() -> None:
    listed, readme = slipstream("--help").stdout, (ROOT / "README.md").read_text()
    for command in COMMANDS:
        assert re.search(rf"^\s+{command}\b", listed, re.MULTILINE), command
        assert f"slipstream {command}" in readme, command


SUMMARIES = {name: summary for commands in LATE.values() for name, summary in commands.values()}


@pytest.mark.parametrize("name", sorted(SUMMARIES))
def test_the_summary_shown_before_a_command_is_loaded_is_its_own(name: str) -> None:
    told = shown(name).split("\n\n")[1]
    assert " ".join(told.split()) == SUMMARIES[name]


def test_every_link_of_the_pages_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"


def test_the_lock_filter_of_contributing_keeps_a_clone_clean(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    clone = tmp_path / "clone"
    assert run("git", "clone", "-q", str(ROOT), str(clone)).returncode == 0
    assert run("python3", "scripts/neutral_lock.py", "--install", cwd=clone).returncode == 0
    lock = clone / "uv.lock"
    filled = lock.read_text().replace('registry = "."', 'registry = "https://index.example/simple"')
    lock.write_text(filled)
    run("git", "add", "uv.lock", cwd=clone)
    assert run("git", "diff", "--cached", "--stat", cwd=clone).stdout == "", "a filled lock is no change"
    assert run("git", "checkout", "-q", "HEAD", "--", ".", cwd=clone).returncode == 0
    assert run("python3", "scripts/neutral_lock.py", "--check", cwd=clone).returncode == 0


def test_errors_of_the_user_are_one_line() -> None:
    wrong = slipstream("venue", "--coins", "NOPE", "--port", "0")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("slipstream: unknown coin 'NOPE'") and wrong.stderr.count("\n") == 1
    lost = slipstream("replay", "nothing.db")
    assert lost.returncode == 2 and "Traceback" not in lost.stderr


@pytest.mark.slow
def test_up_starts_the_fund_and_stops_it_in_order(tmp_path: Path) -> None:
    done = slipstream("up", "--for", "45", "--plain", "--coins", "BTC,ETH,SOL,WLFI", "--dir", str(tmp_path / "up"))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    ready = [line.split()[0] for line in lines if line.split()[1:2] == ["ready"]]
    assert ready[:2] == ["broker", "venue"]
    assert {*ready[2:5]} == {"auditor", "breaker", "allocator"} and {*ready[5:]} == {"brawler", "gradient"}
    assert "no order rests" in lines
    assert {line.split()[0] for line in lines if line.split()[1:2] == ["stopped"]} == {*ready[1:]}
    assert not [line for line in lines if "failed" in line or "restarts" in line]
    for process in ready[2:]:
        (journal,) = (tmp_path / "up").glob(f"*/{process}/*.db")
        replayed = slipstream("replay", str(journal))
        assert replayed.returncode == 0 and "identical" in replayed.stdout, (process, replayed)
    (journal,) = (tmp_path / "up").glob("*/brawler/journal.db")
    report = slipstream("report", str(journal))
    assert report.returncode == 0 and "net PnL of all coins" in report.stdout
    (whole,) = (tmp_path / "up").iterdir()
    fund = slipstream("report", str(whole))
    assert fund.returncode == 0, fund.stderr
    assert {line.split(":")[0] for line in fund.stdout.splitlines() if ": net " in line} == {
        "fund",
        "brawler",
        "gradient",
    }
    assert "capital moved" in fund.stdout


def test_the_shell_completes_commands() -> None:
    asked = {**os.environ, "_SLIPSTREAM_COMPLETE": "complete_bash", "COMP_WORDS": "slipstream ", "COMP_CWORD": "1"}
    script = Path(sys.executable).parent / "slipstream"
    done = subprocess.run([script], env=asked, capture_output=True, text=True, timeout=60, check=False)
    assert set(done.stdout.split()) >= COMMANDS
