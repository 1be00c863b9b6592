"""A new strategy passes lint, types, import law and its own tests before a word of it is changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from slipstream.model.errors import ConfigError
from slipstream.processes.new_strategy import class_name, make, new_strategy, renamed
from slipstream.strategies.registry import read_entries

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("src", "tests/strategies", "configs", "docs")
FILES = ("pyproject.toml", ".importlinter", "README.md", "LICENSE")
app = typer.Typer()
app.command("new-strategy")(new_strategy)


def copy(folder: Path) -> Path:
    """The parts of this checkout that a strategy touches, with their times: caches of types stay good."""
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy2(ROOT / name, folder / name)
    return folder


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_names() -> None:
    assert class_name("mean_flip") == "MeanFlip"
    assert renamed("Template of template, SLIPSTREAM_TEMPLATE_X", "mean_flip") == (
        "MeanFlip of mean_flip, SLIPSTREAM_MEAN_FLIP_X"
    )


@pytest.mark.slow
def test_a_new_strategy_is_whole_at_once(tmp_path: Path) -> None:
    folder, slug = copy(tmp_path), "aa_flip"  # its imports sort before the template's, its class is longer
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files = make(folder, slug, 'Flips "means"')
    assert all(path.read_bytes() == data for path, data in before.items()), "nothing that was there is touched"
    assert {path.suffix for path in files} == {".py", ".toml", ".yml", ".md"}
    assert not [path for path in files if "template" in path.read_text().lower()]
    (page,) = [path.read_text() for path in files if path.suffix == ".md"]
    assert "Nobody has tested it" in page and "USD (-" not in page, "nobody else's results"
    assert read_entries(folder / "src/slipstream/strategies")[slug].title == 'Flips "means"'
    made = [str(path.relative_to(folder)) for path in files if path.suffix == ".py"]
    for words in (("ruff", "check"), ("ruff", "format", "--check")):
        done = run(folder, *words, *made)
        assert done.returncode == 0, done.stdout + done.stderr
    cache = ROOT / ".mypy_cache"
    if cache.is_dir():
        shutil.copytree(cache, folder / ".mypy_cache", ignore_dangling_symlinks=True)
    typed = run(folder, "mypy", *(name for name in made if name.startswith("src")))
    assert typed.returncode == 0, typed.stdout + typed.stderr
    own = run(folder, "pytest", "-q", "-n0", f"tests/strategies/{slug}", "tests/strategies/test_registry.py")
    assert own.returncode == 0, own.stdout + own.stderr
    assert "failed" not in own.stdout and "passed" in own.stdout
    again = CliRunner().invoke(app, [slug, "--root", str(folder)])
    assert again.exit_code == 2 and "is there already" in again.output


@pytest.mark.parametrize("slug", ["", "Flip", "9flip", "mean-flip", "flip_", "a__b", "class", "x" * 25, "../evil"])
def test_names_that_cannot_be(slug: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a strategy's name"):
        make(ROOT, slug)


@pytest.mark.parametrize("slug", ["gradient", "template", "fund"])
def test_names_that_are_taken(slug: str) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        make(ROOT, slug)


def test_it_needs_a_checkout(tmp_path: Path) -> None:
    done: Any = CliRunner().invoke(app, ["flip", "--root", str(tmp_path)])
    assert done.exit_code == 2 and "run this in a checkout" in done.output and "Traceback" not in done.output
