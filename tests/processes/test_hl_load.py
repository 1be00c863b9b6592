from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import typer
from rich.progress import Progress
from typer.testing import CliRunner

from slipstream.data.bars import read_bars
from slipstream.data.catalogue import NAME
from slipstream.data.lake import Lake, Query
from slipstream.data.streams import DAY, HOUR
from slipstream.model.errors import ConfigError, Retry
from slipstream.processes import hl_load as command
from slipstream.processes.hl_load import LoadPlan, run_load
from slipstream.venues.emulator.serve import RunningVenue, ServeOptions, running_venue
from slipstream.venues.hyperliquid.rest import Rest

START = 1_741_683_600_000_000_000 + 17 * 60_000_000_000  # 2025-03-11 09:17
BARS = Query(venue="hl", stream="bars_1h")
FUNDING = Query(venue="hl", stream="funding")


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    options = ServeOptions(port=0, pace="stepped", coins=("BTC", "ETH", "SOL"), start_ns=START)
    async with running_venue(options) as running:
        yield running


async def load(plan: LoadPlan, **more: Any) -> command.Done:
    with Progress(disable=True) as progress:
        return await asyncio.wait_for(run_load(plan, progress, **more), 60)


async def truth(url: str, coin: str) -> list[dict[str, Any]]:
    body = {"coin": coin, "interval": "1h", "startTime": 0}
    request = {"type": "candleSnapshot", "req": body}
    async with aiohttp.ClientSession() as session, session.post(url + "/info", json=request) as answer:
        return list(await answer.json())


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*.parquet")}


async def test_bars_and_funding_are_the_venues_own(venue: RunningVenue, tmp_path: Path) -> None:
    plan = LoadPlan(lake=tmp_path, url=venue.url, days=30)
    done = await load(plan)
    assert not done.failed and not done.notes
    lake = Lake(tmp_path)
    assert lake.coins("hl", "bars_1h") == ("BTC", "ETH", "SOL")
    for coin in ("BTC", "SOL"):
        frame = lake.frame(Query(venue="hl", stream="bars_1h", coins=(coin,)))
        rows = [row for row in await truth(venue.url, coin) if row["t"] * 1_000_000 > START - 30 * DAY - HOUR]
        closed = [row for row in rows if row["T"] * 1_000_000 < START]
        assert len(closed) == 720
        assert frame["open_ns"].tolist() == [row["t"] * 1_000_000 for row in closed]
        assert frame["close"].tolist() == [float(row["c"]) for row in closed]
        assert frame["trades"].tolist() == [row["n"] for row in closed]
    rates = lake.frame(FUNDING)
    assert len(rates) == 3 * 720 and rates["settle_ns"].max() == START // HOUR * HOUR
    market = read_bars(tmp_path, tmp_path)
    assert market.close.shape == (720, 3) and market.funding_gaps is not None
    assert int(market.funding_gaps.sum()) == 0


async def test_only_what_is_missing_is_asked_for(venue: RunningVenue, tmp_path: Path) -> None:
    first = await load(LoadPlan(lake=tmp_path, url=venue.url, days=30))
    files = contents(tmp_path)
    again = await load(LoadPlan(lake=tmp_path, url=venue.url, days=30))
    # the venue's time, and its list of coins
    assert first.requests == 2 + 3 * (1 + 2) and again.requests == 2 and not again.loaded
    assert contents(tmp_path) == files
    more = await load(LoadPlan(lake=tmp_path, url=venue.url, days=40))
    assert more.requests == 2 + 3 * 2
    assert all(one.appended.new == 240 and not one.appended.same for one in more.loaded.values())
    for _ in range(2):
        await venue.step(1, 3_600_000)
    later = await load(LoadPlan(lake=tmp_path, url=venue.url, days=30, coins=("ETH",)))
    assert {series: one.appended.new for series, one in later.loaded.items()} == {
        ("ETH", "bars_1h"): 2,
        ("ETH", "funding"): 2,
    }


async def test_what_a_damaged_file_held_is_loaded_again(venue: RunningVenue, tmp_path: Path) -> None:
    plan = LoadPlan(lake=tmp_path, url=venue.url, days=100, coins=("BTC",))
    await load(plan)
    lake = Lake(tmp_path)
    before = lake.frame(BARS), lake.frame(FUNDING)
    for query in (BARS, FUNDING):
        (tmp_path / lake.entries(query)[-1].path).write_bytes(b"")
    damaged = [entry for entry, text in lake.verify() if text]
    for entry in damaged:
        lake.forget(entry)
    done = await load(plan)
    assert sum(one.appended.new for one in done.loaded.values()) == sum(entry.rows for entry in damaged)
    assert lake.frame(BARS).equals(before[0]) and lake.frame(FUNDING).equals(before[1])


class Clock:
    """Seconds that pass only while somebody sleeps, or asks."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept = 0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += 1


async def test_no_minute_holds_more_than_the_weight_allowed(
    venue: RunningVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, sent = Clock(), []
    real = Rest._post

    async def post(self: Rest, path: str, payload: bytes) -> tuple[int, bytes]:
        status, text = await real(self, path, payload)
        rows = text.count(b'"fundingRate"') // 20 + text.count(b'"T"') // 60
        sent.append((clock.now, rows + (2 if b"exchangeStatus" in payload else 20)))
        return status, text

    monkeypatch.setattr(Rest, "_post", post)
    await load(LoadPlan(lake=tmp_path, url=venue.url, days=100, weight=200), sleep=clock.sleep, now=clock)
    assert clock.slept > 2 and sum(weight for _, weight in sent) > 600
    for at, _ in sent:
        spent = sum(weight for when, weight in sent if at - 60.0 < when <= at)
        assert spent <= 200 + 66  # what the rows of the last answer weigh is known only after it


async def down(real: Any, rest: Rest, path: str, payload: bytes) -> tuple[int, bytes]:
    return (502, b"") if b"candleSnapshot" in payload else await real(rest, path, payload)


async def test_a_venue_that_stumbles_is_asked_again_and_one_that_falls_is_named(
    venue: RunningVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, real, asked = Clock(), Rest._post, 0
    broken = b"ETH"

    async def post(self: Rest, path: str, payload: bytes) -> tuple[int, bytes]:
        nonlocal asked
        asked += 1
        if broken in payload and b"fundingHistory" in payload:
            return 502, b"<html>"
        if asked % 3 == 0:
            return (429, b"null") if asked % 2 else (200, b'[{"t": "soon"}]')
        return await real(self, path, payload)

    monkeypatch.setattr(Rest, "_post", post)
    done = await load(LoadPlan(lake=tmp_path, url=venue.url, days=5), sleep=clock.sleep, now=clock)
    assert list(done.failed) == ["ETH"] and "502" in done.failed["ETH"]
    lake = Lake(tmp_path)
    assert len(lake.frame(BARS)) == 3 * 120 and lake.coins("hl", "funding") == ("BTC", "SOL")
    broken = b"none"
    done = await load(LoadPlan(lake=tmp_path, url=venue.url, days=5), sleep=clock.sleep, now=clock)
    assert list(done.loaded) == [("ETH", "funding")] and len(lake.frame(FUNDING)) == 3 * 120
    monkeypatch.setattr(Rest, "_post", lambda self, path, payload: down(real, self, path, payload))
    done = await load(LoadPlan(lake=tmp_path, url=venue.url, days=6), sleep=clock.sleep, now=clock)
    assert len(done.failed) == 3 and done.notes == ["stopped: 3 coins in a row failed"]


async def test_bad_rows_are_told_and_left_out(
    venue: RunningVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Rest._post

    async def post(self: Rest, path: str, payload: bytes) -> tuple[int, bytes]:
        status, text = await real(self, path, payload)
        return status, text.replace(b'"o":"', b'"o":"x', 1) if b"candleSnapshot" in payload else text

    monkeypatch.setattr(Rest, "_post", post)
    done = await load(LoadPlan(lake=tmp_path, url=venue.url, days=5, coins=("BTC",)))
    quality = done.loaded[("BTC", "bars_1h")].quality
    assert (quality.dropped, quality.findings[0].kind) == (1, "not a number")
    assert (tmp_path / "quality.jsonl").read_text().count("not a number") == 1


async def test_coins_and_venues_that_are_not_there(venue: RunningVenue, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lists no 'BTX'; did you mean BTC"):
        await load(LoadPlan(lake=tmp_path, url=venue.url, coins=("BTX",)))
    clock = Clock()
    with pytest.raises(Retry):
        await load(LoadPlan(lake=tmp_path, url="http://127.0.0.1:1"), sleep=clock.sleep, now=clock)
    assert clock.now > 10.0
    done = await load(LoadPlan(lake=tmp_path, url=venue.url, coins=("BTC",), interval="1m", days=4))
    assert done.notes and "keeps 5000 bars of 1m, 3 days" in done.notes[0]


async def test_a_kill_in_the_middle_loses_and_tears_nothing(venue: RunningVenue, tmp_path: Path) -> None:
    args = ["--all", "--days", "40", "--url", venue.url, "--lake", str(tmp_path), "--weight", "120"]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "slipstream.processes.hl_load", *args, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while not (tmp_path / NAME).exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.01)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
    lake = Lake(tmp_path)
    assert all(not text for _, text in lake.verify())
    before = len(lake.frame(BARS)) + (len(lake.frame(FUNDING)))
    assert 0 < before < 3 * 2 * 960
    clock = Clock()
    done = await load(LoadPlan(lake=tmp_path, url=venue.url, days=40), sleep=clock.sleep, now=clock)
    assert sum(one.appended.new for one in done.loaded.values()) + before == 3 * 2 * 960
    assert sum(one.appended.same for one in done.loaded.values()) == 0
    assert len(lake.frame(BARS)) == len(lake.frame(FUNDING)) == 3 * 960


async def test_the_command_as_it_is_typed(venue: RunningVenue, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(command.hl_load)

    def run(*words: str) -> Any:
        return CliRunner().invoke(app, list(words))

    done = await asyncio.to_thread(run, "--all", "--days", "3", "--url", venue.url, "--lake", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert "3 coins, 3 days, 1h: 3 with rows to come" in done.output and "432 rows new" in done.output
    for words, text in (
        ((), "say which coins: --all, or --coins BTC,ETH"),
        (("--all", "--coins", "BTC"), "say which coins"),
        (("--all", "--interval", "7h"), "interval '7h' is not kept; choose one of"),
        (("--coins", "NOPE", "--url", venue.url), "lists no 'NOPE'"),
    ):
        failed = await asyncio.to_thread(run, *words)
        assert failed.exit_code == 2 and text in failed.output
