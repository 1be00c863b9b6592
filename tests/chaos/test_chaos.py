"""A sample of the chaos runs; `python -m tests.chaos.street`, `.kills` and `.fund` do any number."""

from pathlib import Path

import pytest

from tests.chaos.fund import ROOT, chaos
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


@pytest.mark.slow
async def test_a_fund_among_faults_loses_nothing(tmp_path: Path) -> None:
    coins = ("BTC", "ETH", "SOL", "WLFI")
    verdict = await chaos(
        tmp_path, ROOT / "configs" / "fund.yml", 5, 6, speed=60.0, coins=coins, say=lambda *_, **__: None
    )
    assert verdict.problems == []
    assert verdict.faults >= 6 and verdict.fills > 0
