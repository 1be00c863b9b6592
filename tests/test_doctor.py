"""The doctor against a real venue, and against things that are wrong."""

from pathlib import Path

import pytest

from slipstream.doctor import Finding, Grade, diagnose
from slipstream.pods import BrawlerOptions, plan_brawler
from slipstream.venues.emulator.serve import ServeOptions, running_venue

CONFIG = """
version: 1
symbols:
  - symbol: {coin}
    cex_symbol: {coin}USDT
    order_size: 0.005
    max_inventory: 0.03
"""


async def findings(
    folder: Path, url: str, coin: str = "BTC", environ: dict[str, str] | None = None
) -> dict[str, Finding]:
    (folder / "brawler.yml").write_text(CONFIG.format(coin=coin))
    options = BrawlerOptions(config=folder / "brawler.yml", hl_url=url, state_dir=folder / "state")
    found: list[Finding] = []
    well = await diagnose(plan_brawler(options, environ or {}, folder), found.append)
    assert well == all(f.grade is not Grade.FAIL for f in found)
    return {f.what: f for f in found}


async def test_a_healthy_set_up_passes_every_check(tmp_path: Path) -> None:
    async with running_venue(ServeOptions(port=0, coins=("BTC",))) as venue:
        found = await findings(tmp_path, venue.url)
    assert {f.grade for f in found.values()} == {Grade.OK}, found
    assert found.keys() >= {"disk", "journal", "clock", "key", "equity", "budget", "symbols", "venue", "anchor"}


async def test_a_coin_that_is_not_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipstream.doctor.PATIENCE", 1.5)
    async with running_venue(ServeOptions(port=0, coins=("BTC",))) as venue:
        found = await findings(tmp_path, venue.url, coin="ETH")
    assert found["symbols"].grade is Grade.FAIL and "ETH not listed" in found["symbols"].text
    assert found["anchor"].grade is Grade.FAIL and "no price of ETH" in found["anchor"].text


async def test_a_key_of_somebody_else_is_refused(tmp_path: Path) -> None:
    stranger = {
        "SLIPSTREAM_BRAWLER_API_SECRET": "0x" + "22" * 32,
        "SLIPSTREAM_BRAWLER_MAIN_WALLET": "0x" + "ab" * 20,
    }
    async with running_venue(ServeOptions(port=0, coins=("BTC",))) as venue:
        found = await findings(tmp_path, venue.url, environ=stranger)
    assert found["key"].grade is Grade.FAIL and "no agent of account" in found["key"].text


async def test_a_venue_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    found = await findings(tmp_path, "http://127.0.0.1:9")
    assert found["venue"].grade is Grade.FAIL and "is the venue running?" in found["venue"].text
