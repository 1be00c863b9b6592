"""`slipstream new-strategy <slug>`: a complete, registered strategy to begin from, copied from the template.

The template is itself a strategy that is linted, typed and tested like any other, so what is written passes the same
checks before a word of it is changed. Nothing that exists is touched: the registry finds the new entry by its file.
"""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from slipstream.model.cloid import pod_prefix
from slipstream.model.errors import ConfigError
from slipstream.strategies.registry import STRATEGIES

MOULD = "template"
PLACES = (
    "src/slipstream/strategies/template",
    "src/slipstream/processes/template.py",
    "tests/strategies/template",
    "configs/template.yml",
    "docs/strategies/template/README.md",
)
ENDINGS = (".py", ".toml", ".yml", ".md")
RESULTS = "## What it is worth"  # from here on the template's page speaks of the template alone
UNTESTED = "Nobody has tested it on real bars yet. It begins as a copy of a reversal book: write here what was found.\n"
SLUG = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST = 24
WORD = re.compile(r"template|Template|TEMPLATE")


def class_name(slug: str) -> str:
    """The class of a slug: ``mean_flip`` is ``MeanFlip``."""
    return "".join(part.capitalize() for part in slug.split("_"))


def check_slug(slug: str, root: Path) -> None:
    """Raises ConfigError: not a name, too long, taken, or one whose orders could not be told from another's."""
    if not SLUG.fullmatch(slug) or keyword.iskeyword(slug) or len(slug) > LONGEST:
        raise ConfigError(
            f"{slug!r} cannot be a strategy's name: lower-case letters, digits and single underscores, beginning with "
            f"a letter, at most {LONGEST}, such as mean_flip"
        )
    if slug in STRATEGIES or (root / "src/slipstream/strategies" / slug).exists():
        raise ConfigError(f"a strategy {slug!r} is there already; choose another name")
    if (root / "src/slipstream/processes" / f"{slug}.py").exists():
        raise ConfigError(f"src/slipstream/processes/{slug}.py is there already; choose another name")
    twin = [other for other in STRATEGIES if pod_prefix(other) == pod_prefix(slug)]
    if twin:
        raise ConfigError(
            f"orders of {slug!r} would carry the same prefix as those of {twin[0]!r}; choose another name"
        )


def renamed(text: str, slug: str) -> str:
    """The template's text under another name."""
    names = {MOULD: slug, MOULD.capitalize(): class_name(slug), MOULD.upper(): slug.upper()}
    return WORD.sub(lambda found: names[found.group()], text)


def mould(root: Path) -> list[Path]:
    """The template's files, from the root of a checkout. Raises ConfigError where they are not."""
    out: list[Path] = []
    for place in PLACES:
        path = root / place
        if not path.exists():
            raise ConfigError(f"{root}: no {place}; run this in a checkout of the project, or give --root")
        files = [path] if path.is_file() else sorted(path.iterdir())
        out += [file for file in files if file.suffix in ENDINGS]
    return out


def copied(root: Path, slug: str, title: str | None) -> dict[Path, str]:
    """What to write: path to text. Raises ConfigError."""
    out: dict[Path, str] = {}
    for source in mould(root):
        text = source.read_text(encoding="utf-8")
        if source.suffix == ".md":
            text = f"{text.partition(RESULTS)[0]}{RESULTS}\n\n{UNTESTED}"
        text = renamed(text, slug)
        if title is not None and source.name == "entry.toml":
            text = re.sub(r"(?m)^title = .*$", lambda _: f"title = {_quoted(title)}", text)
        target = root / renamed(str(source.relative_to(root)), slug)
        if target.exists():
            raise ConfigError(f"{target.relative_to(root)} is there already; move it away or choose another name")
        out[target] = text
    return out


def _quoted(title: str) -> str:
    """A TOML string."""
    if not title.isprintable() or not title.strip():
        raise ConfigError("--title: give a line of text")
    return '"' + title.replace("\\", "\\\\").replace('"', '\\"') + '"'


def make(root: Path, slug: str, title: str | None = None) -> list[Path]:
    """Write a new strategy into a checkout; the files, sorted. Nothing is written unless all of it can be.

    Raises ConfigError.
    """
    check_slug(slug, root)
    texts = copied(root, slug, title)
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    _tidy(root, [path for path in texts if path.suffix == ".py"])
    return sorted(texts)


def _tidy(root: Path, files: list[Path]) -> None:
    """Sort imports and wrap lines anew: another name has another place in the alphabet and another length."""
    names = [str(path.relative_to(root)) for path in files]
    for words in (["check", "-q", "--fix", "--select", "I"], ["format", "-q"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, *names], cwd=root, capture_output=True, text=True, check=False
        )
        if done.returncode:
            typer.echo(f"ruff {words[0]} could not tidy the new files: {done.stderr.strip()}", err=True)


def new_strategy(
    slug: Annotated[str, typer.Argument(help="Its name: lower-case, such as mean_flip.")],
    title: Annotated[str | None, typer.Option(help="One line about it, for lists.")] = None,
    root: Annotated[Path, typer.Option(help="The checkout to write into.")] = Path(),
) -> None:
    """Write a new strategy: config, signals, backtest, pod, tests and docs, registered."""
    try:
        files = make(root.resolve(), slug, title)
    except ConfigError as error:
        typer.echo(f"new-strategy: {error}", err=True)
        raise typer.Exit(2) from None
    for path in files:
        typer.echo(f"wrote {path.relative_to(root.resolve())}")
    typer.echo(f"next: edit src/slipstream/strategies/{slug}/signals.py, then")
    typer.echo(f"  uv run slipstream backtest {slug} --demo")
    typer.echo(f"  uv run pytest tests/strategies/{slug}")
