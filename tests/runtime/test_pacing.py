"""A clock that follows a venue which cannot keep its speed."""

import pytest

from slipstream.runtime.clock import ScaledClock
from slipstream.runtime.pacing import steer

SECOND = 1_000_000_000


class Wall:
    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


@pytest.mark.parametrize("pace", [20.0, 13.0, 4.0, 0.0])
def test_it_converges_and_never_goes_back(pace: float) -> None:
    wall = Wall()
    clock = ScaledClock(20.0, wall=wall, start_ns=1000 * SECOND)
    venue = 1000.0
    seen = clock.now()
    for second in range(1, 31):
        for _ in range(10):
            wall.ns += SECOND // 10
            venue += pace / 10
            assert clock.now() >= seen
            seen = clock.now()
        steer(clock, 20.0, int(venue * SECOND), pace if second > 1 else 20.0, 1.0)
        assert clock.now() >= seen
    ahead = clock.now() / SECOND - venue
    # at a standstill it creeps on, at a fiftieth of its speed
    assert abs(ahead) < (1.0 if pace else 20.0 + 30 * 0.4)


def test_a_clock_behind_jumps_ahead() -> None:
    wall = Wall()
    clock = ScaledClock(20.0, wall=wall, start_ns=1000 * SECOND)
    steer(clock, 20.0, 1005 * SECOND, 20.0, 1.0)
    assert clock.now() == 1005 * SECOND
    assert clock.speed == 20.0
