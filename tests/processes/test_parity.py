"""Backtest = live: at every rebalance of days on the emulator the backtest decides and orders what the pod did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipstream.pods import strategy_of
from slipstream.processes.parity import parity
from slipstream.runtime.journal import open_journal
from slipstream.runtime.replay import replay
from tests.processes.stepped_books import CARRY, GRADIENT, opened, pass_bars

BARS = 9  # of four hours: a day and a half


@pytest.mark.parametrize(("slug", "values"), [("gradient", GRADIENT), ("carry", CARRY)])
def test_every_rebalance_is_the_backtests(slug: str, values: dict[str, Any], tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal.db") as journal:
        pod = opened(slug, values, tmp_path, journal)
        pod.run(300)
        pass_bars(pod, BARS)
        assert replay(journal, strategy_of).identical
        found = parity(journal)
    assert found.same, [pair.differs for pair in found.pairs]
    assert len(found.pairs) == 1 + BARS
    assert sum(pair.orders for pair in found.pairs) > 2 * BARS
    # every book is another one, and begins from positions that were really traded
    assert len({tuple(sorted(pair.live.targets.items())) for pair in found.pairs}) == 1 + BARS
    assert all(pair.live.held for pair in found.pairs[1:]) and pod.fills
