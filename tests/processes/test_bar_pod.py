"""A pod over bars on the emulator, by its registry entry: rebalances, restarts, and replays to the byte."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from slipstream.model.commands import Place
from slipstream.model.errors import ConfigError
from slipstream.model.events import Fill
from slipstream.pods import strategy_of
from slipstream.processes.bar_pod import BarPodOptions, bar_pod_parts, plan_bar_pod
from slipstream.processes.template import pod
from slipstream.runtime.journal import open_journal
from slipstream.runtime.pod import Pod
from slipstream.runtime.replay import replay
from slipstream.strategies.registry import find
from slipstream.venues.emulator.serve import ServeOptions, running_venue

CONFIG = """
version: 1
coins: [BTC, ETH, SOL, DOGE]
signal: {bar_hours: 1, lookback: 4, warm_up_bars: 30, vol_span: 24, max_share: 1.0}
book: {top_fraction: 0.5, max_coin_weight: 1.0}
trade: {capital: 20000, rebalance_hours: 1, offset_minutes: 1, passive_minutes: 5, deadline_minutes: 10, band: 0.0}
"""


async def live(folder: Path, url: str, seconds: float) -> None:
    options = BarPodOptions(config=folder / "template.yml", slug="template", hl_url=url, state_dir=folder / "state")
    async with bar_pod_parts(plan_bar_pod(find("template"), options, {}, folder)) as parts:
        running = Pod(replace(parts, handle_signals=False, say=lambda _: None))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(running.run())
            await asyncio.sleep(seconds)  # wall time: the venue's clock runs by it
            running.stop("enough")
            outcome = await task
        assert outcome.error is None, outcome.error


@pytest.mark.slow
async def test_rebalances_restarts_and_replays(tmp_path: Path) -> None:
    (tmp_path / "template.yml").write_text(CONFIG)
    options = ServeOptions(port=0, seed=3, speed=300.0, coins=("BTC", "ETH", "SOL", "DOGE"))
    async with running_venue(options) as venue:
        async with asyncio.timeout(80):
            await live(tmp_path, venue.url, 4.0)
            await live(tmp_path, venue.url, 9.0)
        (account,) = [one for one in venue.exchange.accounts.values() if one.fills]
        theirs = {(fill.tid, fill.oid) for fill in account.fills}
    with open_journal(tmp_path / "state" / "journal.db") as journal:
        rows = list(journal.read(0))
        verdict = replay(journal, strategy_of)
    ours = {(event.tid, event.oid) for _, event, _ in rows if isinstance(event, Fill)}
    sent = [command for _, _, commands in rows for command in commands if isinstance(command, Place)]
    assert ours == theirs and theirs
    assert len({place.cloid for place in sent}) == len(sent)
    assert verdict.sessions == 2 and verdict.identical, verdict.difference


async def test_a_coin_that_the_venue_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "template.yml").write_text(CONFIG)
    async with running_venue(ServeOptions(port=0, coins=("BTC", "ETH"), pace="stepped")) as venue:
        with pytest.raises(ConfigError, match="lists no perp 'SOL'"):
            await live(tmp_path, venue.url, 1.0)


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command("template")(pod)
    (tmp_path / "template.yml").write_text("version: 1\nsignal: {lookbak: 3}\n")
    done = CliRunner().invoke(app, ["--config", str(tmp_path / "template.yml")])
    assert done.exit_code == 2 and "pod template:" in done.output and "lookback" in done.output
