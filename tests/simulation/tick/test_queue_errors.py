"""Errors of queue models, over probes whose errors are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from slipstream.simulation.tick.queue_errors import by_offset, by_size, judge
from slipstream.simulation.tick.queue_probe import MODELS, OFFSETS_S, PROBE_DTYPE

SECOND = 10**9


def made(count: int, errors: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Probes a minute apart, 100 lots in front, one comparison each with 50 in front; ``errors`` by probe and model."""
    probes = np.zeros(count, PROBE_DTYPE)
    probes["joined_ns"] = np.arange(count) * 60 * SECOND
    probes["first"] = 100
    probes["truth_at"] = -1
    probes["truth_at"][:, 0] = 50
    probes["doubts_at"][:, 0] = np.arange(count) % 2
    probes["front_at"][:, 0, :-1] = 50 + errors
    return probes


def flat(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    return rng.normal(0.0, 20.0, (count, len(MODELS) - 1))


def test_errors_are_shares_of_what_was_in_front_with_intervals_around_them() -> None:
    rng = np.random.default_rng(1)
    errors = flat(rng, 4000)
    errors[:, 1] = 10.0
    errors[:, 2] *= 0.25
    judged = judge(made(4000, errors), np.random.default_rng(2))
    one, two, three = judged.verdicts[1], judged.verdicts[2], judged.verdicts[3]
    assert (one.model, judged.probes, judged.comparisons, judged.doubtful) == ("power n=1", 4000, 4000, 0.5)
    assert one.bias.value == one.mae.value == one.mae.low == pytest.approx(0.1)
    assert one.mae_lots.value == pytest.approx(10.0) and one.quantiles == pytest.approx((0.1,) * 5)
    assert two.mae.value == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.05)
    assert two.mae.low < two.mae.value < two.mae.high and two.bias.low < 0 < two.bias.high
    assert judged.best is two and two.even and not three.even and not one.even


def test_models_that_are_alike_cannot_be_told_apart() -> None:
    judged = judge(made(200, flat(np.random.default_rng(3), 200)), np.random.default_rng(2))
    assert sum(verdict.even for verdict in judged.verdicts) >= 4


def test_intervals_are_as_wide_as_blocks_that_go_together_make_them() -> None:
    rng = np.random.default_rng(4)
    alone = flat(rng, 1000)
    together = np.repeat(flat(rng, 100), 10, axis=0)  # ten probes a block see the same
    widths = []
    for errors in (alone, together):
        bias = judge(made(1000, errors), np.random.default_rng(5)).verdicts[0].bias
        widths.append(bias.high - bias.low)
    assert widths[1] / widths[0] == pytest.approx(np.sqrt(10), rel=0.25)


def test_fills_that_only_one_side_sees_and_their_times() -> None:
    probes = made(4, np.zeros((4, len(MODELS) - 1)))
    probes["filled_ns"] = [10 * SECOND, 20 * SECOND, 0, 0]
    probes["model_ns"][:, 0] = [13 * SECOND, 0, 30 * SECOND, 0]
    probes["model_ns"][:, 1] = [8 * SECOND, 24 * SECOND, 0, 0]
    judged = judge(probes, np.random.default_rng(0), block_s=60.0)
    averse, power = judged.verdicts[:2]
    assert judged.filled == 0.5
    assert (averse.false.value, averse.missed.value, averse.late_s.value) == (0.25, 0.25, 3.0)
    assert (power.false.value, power.missed.value) == (0.0, 0.0)
    assert (power.late_s.value, power.off_s.value) == (1.0, 3.0)


def test_only_comparisons_in_doubt_may_count() -> None:
    errors = np.zeros((100, len(MODELS) - 1))
    errors[1::2] = 10.0  # those with a doubt
    assert judge(made(100, errors), np.random.default_rng(0)).verdicts[0].mae.value == pytest.approx(0.05)
    judged = judge(made(100, errors), np.random.default_rng(0), doubtful=True)
    assert judged.verdicts[0].mae.value == pytest.approx(0.1) and judged.comparisons == 50


def test_nothing_to_compare_is_said() -> None:
    probes = made(5, np.zeros((5, len(MODELS) - 1)))
    probes["truth_at"] = -1
    with pytest.raises(ValueError, match="none of 5 probes can be compared"):
        judge(probes, np.random.default_rng(0))


def test_probes_are_parted_by_size_and_by_the_time_they_waited() -> None:
    probes = made(9, np.full((9, len(MODELS) - 1), 30.0))
    probes["first"] = np.arange(1, 10) * 10
    parts = by_size(probes)
    assert [label for label, _ in parts] == ["10 to 30", "40 to 60", "70 to 90"]
    curve = by_offset(probes[-1:])
    assert curve.shape == (len(MODELS) - 1, len(OFFSETS_S))
    assert curve[0, 0] == pytest.approx(30 / 90) and np.isnan(curve[:, 1:]).all()
