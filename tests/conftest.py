"""What every test leaves behind as it found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _log_lines_go_nowhere_closed() -> Iterator[None]:
    """A command run within a test sends log lines to that test's own stream, which is closed when the next one logs."""
    yield
    structlog.reset_defaults()
