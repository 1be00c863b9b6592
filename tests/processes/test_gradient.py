"""A Gradient pod on the emulator: rebalances, passive and then across, restarts, and replays to the byte."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from slipstream.model.commands import Place
from slipstream.model.events import Fill
from slipstream.model.order import Tif
from slipstream.pods import strategy_of
from slipstream.processes.bar_pod import BarPodOptions, bar_pod_parts, plan_bar_pod
from slipstream.runtime.journal import open_journal
from slipstream.runtime.pod import Pod
from slipstream.runtime.replay import replay
from slipstream.strategies.registry import find
from slipstream.venues.emulator.serve import ServeOptions, running_venue

CONFIG = """
version: 1
coins: [BTC, ETH, SOL, DOGE]
signal: {bar_hours: 1, lookbacks: [2, 4, 8, 16], warm_up_bars: 30, vol_span: 24, max_share: 1.0}
book: {top_n: 2, beta_neutral: false, max_coin_weight: 1.0}
trade: {capital: 20000, rebalance_hours: 1, offset_minutes: 1, passive_minutes: 5, deadline_minutes: 10, band: 0.0}
"""
SPEED = 300.0


async def live(folder: Path, url: str, seconds: float) -> None:
    options = BarPodOptions(config=folder / "gradient.yml", slug="gradient", hl_url=url, state_dir=folder / "state")
    async with bar_pod_parts(plan_bar_pod(find("gradient"), options, {}, folder)) as parts:
        pod = Pod(replace(parts, handle_signals=False, say=lambda _: None))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(pod.run())
            await asyncio.sleep(seconds)  # wall time: the venue's clock runs by it
            pod.stop("enough")
            outcome = await running
        assert outcome.error is None, outcome.error


@pytest.mark.slow
async def test_rebalances_restarts_and_replays(tmp_path: Path) -> None:
    (tmp_path / "gradient.yml").write_text(CONFIG)
    options = ServeOptions(port=0, seed=3, speed=SPEED, coins=("BTC", "ETH", "SOL", "DOGE"))
    async with running_venue(options) as venue:
        async with asyncio.timeout(60):
            await live(tmp_path, venue.url, 5.0)
            await live(tmp_path, venue.url, 9.0)
        (account,) = [one for one in venue.exchange.accounts.values() if one.fills]
        theirs = {(fill.tid, fill.oid) for fill in account.fills}
    with open_journal(tmp_path / "state" / "journal.db") as journal:
        rows = list(journal.read(0))
        verdict = replay(journal, strategy_of)
    ours = {(event.tid, event.oid) for _, event, _ in rows if isinstance(event, Fill)}
    sent = [command for _, _, commands in rows for command in commands if isinstance(command, Place)]
    assert ours == theirs and theirs
    assert {place.tif for place in sent} == {Tif.ALO, Tif.IOC}
    assert len({place.cloid for place in sent}) == len(sent)
    assert verdict.sessions == 2 and verdict.identical, verdict.difference
