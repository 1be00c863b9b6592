"""A sample of the chaos runs; `python -m tests.chaos.street` and `python -m tests.chaos.kills` do any number."""

from pathlib import Path

import pytest

from tests.chaos.kills import killing_run
from tests.chaos.street import FAULTS, choose, faulty_run


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 2, 11, 12, len(FAULTS) + 1, len(FAULTS) + 2])
async def test_faults_leave_both_sides_with_one_story(seed: int, tmp_path: Path) -> None:
    truth = await faulty_run(tmp_path, seed, choose(seed))
    assert truth.problems == []
    assert truth.orders > 0


@pytest.mark.slow
async def test_a_killed_pod_continues_its_story(tmp_path: Path) -> None:
    truth = await killing_run(tmp_path, 5, 3)
    assert truth.problems == []
    assert truth.fills > 0
