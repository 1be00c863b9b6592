"""The price of requests: bursts are cheap, habits are dear, the budget never runs out."""

import pytest

from slipstream.strategies.brawler.pace import DOUBLING, UNTOLD, Pace

SECOND = 1_000_000_000


def test_price_doubles_with_debt_and_the_pace_pays_it_off() -> None:
    pace = Pace(1000.0, 50.0)
    pace.move(SECOND, 20_000)  # 20 a second
    assert pace.factor == 1.0
    pace.spend(int(2 * DOUBLING))
    assert pace.factor == 4.0
    pace.move(SECOND + SECOND // 4, 20_000)
    assert pace.factor == pytest.approx(2.0 ** ((2 * DOUBLING - 5) / DOUBLING))
    pace.move(100 * SECOND, 20_000)
    assert (pace.debt, pace.factor) == (0.0, 1.0)


def test_an_exhausted_budget_still_trickles_and_an_untold_one_is_the_first_ten_thousand() -> None:
    poor, untold = Pace(100.0, 1000.0), Pace(100.0, 1000.0)
    for pace, left in ((poor, 0), (untold, None)):
        pace.move(SECOND, left)
        pace.spend(1_000)
        pace.move(11 * SECOND, left)
    assert poor.debt == pytest.approx(999.0)
    assert untold.debt == pytest.approx(max(0.0, 1_000 - UNTOLD / 100 * 10))


def test_the_pace_is_bounded_however_much_is_left() -> None:
    pace = Pace(10.0, 2.0)
    pace.move(SECOND, 1_000_000)
    pace.spend(100)
    pace.move(11 * SECOND, 1_000_000)
    assert pace.debt == pytest.approx(80.0)


def test_one_who_asks_while_it_pays_never_runs_out() -> None:
    """A request is sent whenever its worth, 8 times the base price, covers the price."""
    left, pace = 10_000, Pace(3600.0, 10.0)
    for second in range(1, 24 * 3600):
        pace.move(second * SECOND, left)
        while pace.factor <= 8.0 and left > 0:
            pace.spend(1)
            left -= 1
        if second == 3600:
            assert 3_000 < left < 5_000  # 1/e of it, less the burst
        left += second % 10 == 0  # the venue's trickle
    assert left > 0
