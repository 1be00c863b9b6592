"""Help teaches, and the shell completes: every command has examples, of flags that exist."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from slipstream.examples import EXAMPLES, show_examples
from slipstream.late import LATE, add, register

OWN = {"up", "venue", "doctor", "replay", "report"}
CONSOLE = "slipstream.console.commands"  # its commands have examples in their own words


def whole(words: tuple[str, str] = ("", "")) -> Any:
    """The application with every late command loaded."""
    app = typer.Typer()
    register(app, words)
    for module in LATE:
        app.registered_commands = [one for one in app.registered_commands if one.name not in names_of(module)]
        add(app, module)
    return app


def names_of(module: str) -> set[str]:
    return {name for name, _ in LATE[module].values()}


def test_every_command_has_examples() -> None:
    known = {name for module in LATE if module != CONSOLE for name in names_of(module)}
    assert EXAMPLES.keys() >= known | OWN | {"pod"}
    assert all(line.split()[0] == name for name, lines in EXAMPLES.items() for line in lines)


@pytest.mark.slow
def test_examples_use_what_there_is() -> None:
    from slipstream.cli import app as own

    late = get_command(whole(("pod", "brawler")))
    root = get_command(own)
    for name, lines in EXAMPLES.items():
        for line in lines:
            words = shlex.split(line)
            command: Any = (root if name in OWN else late).commands[name]
            rest = words[1:]
            while getattr(command, "commands", None) and rest and not rest[0].startswith("-"):
                command, rest = command.commands[rest[0]], rest[1:]
            if name == "pod" and "carry" in line:
                continue  # announced by name alone until it is asked for
            flags = {option for one in command.params for option in one.opts} | {"--help"}
            assert {word for word in rest if word.startswith("--")} <= flags, line


def test_examples_stand_under_the_options() -> None:
    app = typer.Typer(rich_markup_mode=None)

    @app.command("sweep")
    def sweep() -> None:
        """Nothing."""

    @app.command("other")
    def other() -> None:
        """Nothing either."""

    show_examples(app)
    shown = {info.name: info.epilog for info in app.registered_commands}
    assert "  slipstream sweep template --demo" in str(shown["sweep"]) and "Examples" not in str(shown["other"])


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("slipstream sweep --tr", {"--trials", "--train-days"}),
        ("slipstream import --st", {"--stream", "--stamped", "--strict"}),
        ("slipstream watchlist --out", {"--output-dir"}),
        ("slipstream lake ", {"show", "verify"}),
        ("slipstream pod ", {"brawler", "gradient", "carry", "template"}),
        ("slipstream research rep", {"reproduce"}),
    ],
)
def test_the_shell_completes_what_follows_a_command(line: str, offered: set[str]) -> None:
    words = line.split(" ")
    asked = {"_SLIPSTREAM_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    script = Path(sys.executable).parent / "slipstream"
    done = subprocess.run(
        [script], env={**os.environ, **asked}, capture_output=True, text=True, timeout=90, check=False
    )
    assert set(done.stdout.split()) >= offered, done.stderr
