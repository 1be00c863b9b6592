"""Kill switches: hysteresis, backoff, and that relapses wait longer."""

import math

import pytest

from slipstream.strategies.brawler.switches import Finding, Patience, Switch, above

PATIENCE = Patience(first_ns=5, longest_ns=20, memory_ns=100)
BAD, CLEAR, BETWEEN = Finding.BAD, Finding.CLEAR, Finding.BETWEEN


def test_suspends_at_once_and_resumes_after_the_backoff() -> None:
    switch = Switch("x", PATIENCE)
    assert switch.look(CLEAR, "", 0) is None
    assert switch.look(BETWEEN, "", 1) is None
    assert switch.look(BAD, "why", 2) is True
    assert switch.detail == "why"
    assert switch.look(CLEAR, "", 3) is None
    assert switch.look(BETWEEN, "", 6) is None  # not over yet: the wait begins anew
    assert switch.look(CLEAR, "", 7) is None
    assert switch.look(CLEAR, "", 11) is None
    assert switch.look(CLEAR, "", 12) is False
    assert not switch.is_open


def test_relapses_wait_longer_and_are_forgotten() -> None:
    switch = Switch("x", PATIENCE)
    now = 0
    for expected in (5, 10, 20, 20):
        assert switch.look(BAD, "", now) is True
        assert switch.backoff_ns == expected
        switch.look(CLEAR, "", now)
        assert switch.look(CLEAR, "", now + expected - 1) is None
        now += expected
        assert switch.look(CLEAR, "", now) is False
        now += 1
    now += 200
    assert switch.look(BAD, "", now) is True
    assert switch.backoff_ns == 5


@pytest.mark.parametrize(
    ("value", "finding"),
    [(0.5, CLEAR), (0.7, BETWEEN), (0.99, BETWEEN), (1.0, BAD), (math.inf, BAD), (math.nan, BAD)],
)
def test_above(value: float, finding: Finding) -> None:
    assert above(value, 1.0, 0.7) is finding
