"""Portfolio: taper, usage, and the two switches."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.strategies.brawler.config import Portfolio as Terms
from slipstream.strategies.brawler.portfolio import Portfolio, gross_usage, size_factor
from slipstream.strategies.brawler.switches import Patience

SOON = Patience(1, 1, 0)


@pytest.mark.parametrize(
    ("usage", "factor"), [(0.0, 1.0), (0.5, 1.0), (0.75, 0.5), (0.9, 0.25), (1.0, 0.25), (9, 0.25)]
)
def test_taper(usage: float, factor: float) -> None:
    assert size_factor(usage, 0.5, 0.25) == pytest.approx(factor)


@given(st.floats(0, 3), st.floats(0, 3), st.floats(0, 0.99), st.floats(0.01, 1))
def test_taper_only_falls(a: float, b: float, start: float, floor: float) -> None:
    low, high = sorted((a, b))
    assert 1.0 >= size_factor(low, start, floor) >= size_factor(high, start, floor) >= floor


def test_usage_counts_both_signs_and_fails_closed() -> None:
    assert gross_usage([(2.0, 100.0), (-1.0, 300.0), (0.0, None)], 1000.0) == 0.5
    assert math.isinf(gross_usage([(1e-9, None)], 1000.0))


def test_reduce_only_and_halt_come_and_go() -> None:
    portfolio = Portfolio(Terms(gross_cap=1000, reduce_only_ratio=0.8, halt_ratio=1.2, resume_ratio=0.6), SOON)
    seen = []
    for now, gross in enumerate((500, 850, 1250, 900, 700, 590, 580, 570)):
        for switch, suspended in portfolio.look([(1.0, float(gross))], now):
            seen.append((gross, switch.reason, suspended))
    assert seen == [
        (850, "portfolio", True),
        (1250, "portfolio halt", True),
        (580, "portfolio halt", False),
        (580, "portfolio", False),
    ]
