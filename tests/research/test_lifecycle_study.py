"""The study in small, and its arithmetic held equal to the lifecycle's own."""

from __future__ import annotations

import numpy as np
import pytest

from slipstream.core.stats.eprocess import spending
from slipstream.federation.life import HOUR, Admit, HourSeen, LifecycleState, Rules
from slipstream.federation.lifecycle import evidence, step
from slipstream.model.mandate import Stage
from slipstream.research.decay import decay, decay_lines
from slipstream.research.lifecycle_study import ALPHA, PLANNED, RESERVE, first_passages, level, level_lines, main, power
from slipstream.research.noise import NOISES
from slipstream.research.pods import BLOCK, WARM, clopper_pearson, plain, standardised


def nothing() -> None:
    """No progress to show."""


def rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


@pytest.mark.parametrize("name", sorted(NOISES))
def test_noise_has_mean_0_and_variance_1(name: str) -> None:
    draw = NOISES[name](rng(4), 2_000)
    values = np.concatenate([draw(50) for _ in range(8)])
    assert values.shape == (400, 2_000)
    assert abs(values.mean()) < 0.006
    assert values.var() == pytest.approx(1.0, abs=0.12)
    if name.startswith("AR(1)"):
        assert np.corrcoef(values[1:].ravel(), values[:-1].ravel())[0, 1] == pytest.approx(float(name[6:]), abs=0.01)


@pytest.mark.parametrize("name", ["gaussian", "student t(3)", "GARCH(1,1)", "AR(1) 0.3", "market held"])
def test_no_more_false_promotions_than_the_budget(name: str) -> None:
    found = level(name, rng(1), 600, 0.7, nothing)
    assert all(x.low <= ALPHA for x in found.at_alpha)
    assert all(x.low <= spending(ALPHA, 1, PLANNED, RESERVE) for x in found.at_claim)
    assert [x.value for x in found.at_alpha] == sorted(x.value for x in found.at_alpha)
    assert "90 d" in "\n".join(level_lines([found]))


def test_good_pods_are_promoted_sooner_the_better_they_are() -> None:
    days = [power(sharpe, "gaussian", rng(2), 60, 1.0, nothing).median_days for sharpe in (6.0, 12.0)]
    assert days == sorted(days, reverse=True) and days[-1] < 120


def test_the_detector_sees_decay_sooner_than_rolling_sharpe() -> None:
    found = decay(6.0, 0.0, "student t(3)", rng(3), 240, nothing)
    rows = {one.rule: one for one in found.delays}
    assert rows["e-detector"].false_alarms.low <= 0.1 <= rows["e-detector"].false_alarms.high
    assert all(rows[f"rolling {w}"].ours_sooner_by.low > 0.0 for w in ("30 d", "180 d", "365 d"))
    assert "rolling 90 d" in "\n".join(decay_lines([found]))


def test_study_and_lifecycle_do_the_same_arithmetic() -> None:
    blocks = 24
    stream = plain(NOISES["student t(3)"](rng(9), 2), lambda _: 10.0, 2)
    seen = [next(stream) for _ in range(blocks)]
    rules = Rules()
    assert (rules.block_hours, rules.warm_blocks) == (BLOCK, WARM)
    assert (rules.alpha, rules.planned_pods, rules.reserve) == (ALPHA, PLANNED, RESERVE)
    for pod in range(2):
        state = step(LifecycleState(rules), Admit("a", Stage.INCUBATION, 0))[0]
        path: list[float] = []
        for i, ret in enumerate(np.concatenate([block[:, pod] for block in seen])):
            state = step(state, HourSeen("a", (i + 1) * HOUR, float(ret), 0.0, 0.0))[0]
            if (i + 1) % BLOCK == 0:
                path.append(evidence(state.pods["a"]))
        for bound in sorted(set(path[WARM:])):  # each value the lifecycle saw is reached at the same block
            passed = first_passages(standardised(iter(seen), 2), 2, blocks, (bound - 1e-9,), nothing)[0][pod]
            assert passed == 1 + next(i for i, x in enumerate(path) if i >= WARM and x >= bound - 1e-9)


def test_clopper_pearson_covers() -> None:
    assert clopper_pearson(0, 100).low == 0.0 and clopper_pearson(0, 100).high == pytest.approx(0.03622, abs=1e-5)
    assert clopper_pearson(100, 100).high == 1.0
    assert clopper_pearson(5, 100).low == pytest.approx(0.01643, abs=1e-5)


def test_bad_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--pods", "5"])
    assert "at least 100" in capsys.readouterr().err
