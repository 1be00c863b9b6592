"""A process that no longer works does not say that it lives."""

from __future__ import annotations

import time

import pytest

from slipstream.processes.host import STALLED, Work


def test_work_that_ceased_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    work = Work()
    now[0] += STALLED
    assert not work.stalled
    now[0] += 0.1
    assert work.stalled
    work.done()
    assert not work.stalled
