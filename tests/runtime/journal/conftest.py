"""The journal's two homes: every test that takes ``where`` runs on an SQLite file and on a real PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "execution")]

from pg_server import Server  # noqa: E402 - found by the line above

NUMBERS = count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One PostgreSQL for all tests of the run; each takes a schema of its own."""
    server = Server()
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def schema(server: Server) -> str:
    """The address of a schema that nobody used before."""
    return server.url(f"s{next(NUMBERS)}")


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a journal that does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'journal.db'}"
    found: str = request.getfixturevalue("schema")
    return found
