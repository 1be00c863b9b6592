"""Less patience than an operator has: the played fund speaks many times a second."""

import pytest

from slipstream.console import commands, errands


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands, "SETTLE_S", 0.05)
    monkeypatch.setattr(commands, "READ_S", 1.5)
