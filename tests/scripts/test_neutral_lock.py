"""The committed lock names no host, and neutralising a filled lock gives a neutral one."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

FILLED = """version = 1

[[package]]
name = "aiohttp"
version = "3.14.5"
source = { registry = "https://index.example/simple" }
dependencies = [
    { name = "numpy", version = "2.4.6", source = { registry = "https://index.example/simple" }, marker = "x" },
]
sdist = { url = "https://files.example/a.tar.gz", hash = "sha256:00", size = 1 }
wheels = [
    { url = "https://files.example/a.whl", hash = "sha256:00", size = 1 },
]

[[package]]
name = "slipstream"
version = "0.1.0"
source = { editable = "." }

[package.metadata]
requires-dist = [{ name = "aiohttp", specifier = ">=3" }]

[package.metadata.requires-dev]
dev = [{ name = "ruff" }]

[[package]]
name = "typer"
version = "1"
source = { registry = "https://index.example/simple" }
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("neutral_lock", ROOT / "scripts" / "neutral_lock.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_addresses_go_and_versions_stay(script: ModuleType) -> None:
    text = script.neutral(FILLED)
    assert not script.HOST.search(text)
    assert [w for w in text.split('"') if w in ("3.14.5", "2.4.6", "typer")] == ["3.14.5", "2.4.6", "typer"]
    assert "metadata" not in text and "wheels" not in text and "sdist" not in text
    assert script.neutral(text) == text


def test_a_filled_lock_is_recognised(script: ModuleType) -> None:
    assert script.HOST.search(FILLED)
