"""The whole pod over the wire: emulated venue and reference exchange on loopback, 20 times as fast as the wall."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from slipstream.model.errors import ConfigError, SecretError
from slipstream.pods import BrawlerOptions, brawler_parts, plan_brawler, strategy_of
from slipstream.runtime.journal import SqliteJournal
from slipstream.runtime.pod import Pod
from slipstream.runtime.replay import replay
from slipstream.venues.emulator.serve import RunningVenue, ServeOptions, running_venue

CONFIG = """version: 1
base_spread: 0.00035
k: 0.5
sigma_window: 60
basis_halflife_s: 10
kill_switch: {hl_max_lag_ms: 800, cex_max_lag_ms: 800, backoff_s: 5}
portfolio: {gross_cap: 20000}
state_snapshot_path: estimates.json
symbols:
  - {symbol: WLFI, order_size: 2000, max_inventory: 10000}
  - {symbol: LTC, order_size: 4, max_inventory: 20}
"""


class Run:
    """A pod on a venue, and what a scenario asks of both."""

    def __init__(self, pod: Pod, venue: RunningVenue) -> None:
        self.pod = pod
        self.venue = venue
        account = pod.parts.broker.address  # type: ignore[attr-defined]
        self.account = venue.exchange.accounts[account]

    def notes(self) -> list[str]:
        """Suspensions and resumptions so far."""
        texts = (str(note.get("text", "")) for note in self.pod.watch.notes)
        return [text for text in texts if text.startswith(("suspended", "resumed"))]

    async def until(self, what: str, found: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait for something to come true, looking often; fail when it does not."""
        try:
            async with asyncio.timeout(seconds):
                while not found():
                    assert self.pod.phase == "running", self.pod.watch.error
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"{what}: not within {seconds} s; notes {self.notes()}, error {self.pod.watch.error}")

    async def suspension(self, reason: str) -> None:
        """Wait for a new suspension, empty books of ours, and the resumption."""
        begun = len(self.notes())

        def new(word: str) -> bool:
            return f"{word}: {reason}" in self.notes()[begun:]

        await self.until(f"suspended: {reason}", lambda: new("suspended"))
        await self.until("orders cancelled", lambda: not self.account.open_orders)
        await self.until(f"resumed: {reason}", lambda: new("resumed"))
        await self.until("quoting again", lambda: bool(self.account.open_orders))

    async def fault(self, verb: str, **body: object) -> None:
        """Ask the venue for trouble."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.venue.url}/control/{verb}", json=body) as response,
        ):
            assert response.status == 200, await response.text()


@pytest.mark.slow
async def test_market_making_over_the_wire(tmp_path: Path) -> None:
    path = tmp_path / "brawler.yml"
    path.write_text(CONFIG)
    options = ServeOptions(port=0, speed=20.0, control=True, coins=("WLFI", "LTC"), seed=11)

    async def scenario(pod: Pod) -> None:
        run = Run(pod, venue)
        await run.until("both symbols quoted on both sides", lambda: len(run.account.open_orders) >= 4)
        await run.until("fills", lambda: len(run.account.fills) >= 20)
        await run.fault("freeze", channel="bookTicker", seconds=1.5)
        await run.suspension("binance feed")
        await run.fault("drop")
        await run.suspension("hl feed")
        await run.until("fills go on", lambda n=len(run.account.fills): len(run.account.fills) >= n + 10)  # type: ignore[misc]
        assert pod.status()["kernel"]["state"] == "active"
        pod.stop("the scenario is over")

    async with running_venue(options) as venue:
        plan = plan_brawler(BrawlerOptions(config=path, hl_url=venue.url, state_dir=tmp_path / "state"), {}, tmp_path)
        async with brawler_parts(plan) as parts:
            assert parts.clock.speed == 20.0  # type: ignore[attr-defined]
            pod = Pod(replace(parts, on_ready=scenario, handle_signals=False, say=lambda line: None))
            outcome = await asyncio.wait_for(pod.run(), 120.0)
        assert (outcome.error, outcome.left) == (None, ())
        account = venue.exchange.accounts[plan.keys.account]
        assert not account.open_orders
        ledger = pod.kernel.desk.ledger
        for coin, cap in (("WLFI", Decimal(10_000)), ("LTC", Decimal(20))):
            held = account.positions.get(coin)
            assert ledger.position(coin) == (held.szi if held is not None else 0)
            assert abs(ledger.position(coin)) <= cap
        assert sum(line.fees for line in ledger.lines.values()) == account.fees_paid
    assert json.loads((tmp_path / "state" / "estimates.json").read_text())["symbols"]["LTC"]["basis"]["value"]
    with SqliteJournal(tmp_path / "state" / "journal.db", read_only=True) as journal:
        verdict = replay(journal, strategy_of)
    assert verdict.identical, verdict.difference
    assert verdict.commands > 100


def test_a_plan_needs_no_key_only_on_a_local_venue(tmp_path: Path) -> None:
    path = tmp_path / "brawler.yml"
    path.write_text(CONFIG)
    local = plan_brawler(BrawlerOptions(config=path, state_dir=tmp_path), {}, tmp_path)
    assert (tmp_path / "test.key").exists()
    assert local.cex_url == local.config.hl_url
    away = BrawlerOptions(config=path, hl_url="https://venue.example", state_dir=tmp_path)
    with pytest.raises(SecretError, match="hyperliquid_api_secret is missing"):
        plan_brawler(away, {}, tmp_path)
    assert plan_brawler(away, {"HYPERLIQUID_API_SECRET": "0x" + "1" * 64}, tmp_path).cex_url is None


def test_log_level_from_flag_config_and_environment(tmp_path: Path) -> None:
    path = tmp_path / "brawler.yml"
    path.write_text(CONFIG)

    def level(flag: str | None, env: dict[str, str]) -> str | None:
        options = BrawlerOptions(config=path, state_dir=tmp_path, log_level=flag)
        return plan_brawler(options, env, tmp_path).config.log_level

    assert level(None, {}) == "info"
    assert level(None, {"BRAWLER_LOG_LEVEL": "debug"}) == "debug"
    (tmp_path / ".env.brawler").write_text("BRAWLER_LOG_LEVEL=warning\n")
    assert level(None, {}) == "warning"
    assert level("error", {"BRAWLER_LOG_LEVEL": "debug"}) == "error"


async def test_a_journal_belongs_to_one_account(tmp_path: Path) -> None:
    path = tmp_path / "brawler.yml"
    path.write_text(CONFIG)
    async with running_venue(ServeOptions(port=0, pace="stepped", coins=("WLFI", "LTC"))) as venue:
        options = BrawlerOptions(config=path, hl_url=venue.url, state_dir=tmp_path)
        plan = plan_brawler(options, {}, tmp_path)

        async def stop(pod: Pod) -> None:
            pod.stop("enough")

        async with brawler_parts(plan) as parts:
            pod = Pod(replace(parts, on_ready=stop, handle_signals=False, say=lambda line: None))
            await asyncio.wait_for(pod.run(), 30.0)
        other = plan_brawler(options, {"HYPERLIQUID_API_SECRET": "0x" + "2" * 64}, tmp_path)
        with pytest.raises(ConfigError, match="belongs to account"):
            async with brawler_parts(other):
                pytest.fail("another account's journal was opened")
