"""Volume gaps: by hand, and from both REST APIs of the emulated venue."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
import typer
from typer.testing import CliRunner

from slipstream.model.errors import ConfigError, VenueRejected
from slipstream.processes.volume_gap import _usd, find_gaps, volume_gap
from slipstream.venues.emulator.serve import ServeOptions, running_venue

RUNNER = CliRunner()
NAMES = {"BTC": "BTCUSDT", "ETH": "ETHUSDT", "kPEPE": "1000PEPEUSDT", "X": "XUSDT", "OWN": "OWNUSDT"}
HL = {"BTC": 200.0, "ETH": 100.0, "kPEPE": 1.0, "X": 0.0, "OWN": 9.0}
CEX = {"BTCUSDT": 1_000.0, "ETHUSDT": 1_000.0, "1000PEPEUSDT": 100.0, "XUSDT": 10.0}


def invoke(*words: str):  # type: ignore[no-untyped-def]
    app = typer.Typer()
    app.command()(volume_gap)
    return RUNNER.invoke(app, list(words))


def config(folder: Path, url: str) -> str:
    path = folder / "brawler.yml"
    path.write_text(f"version: 1\nhl_url: {url}\nsymbols: [{{symbol: BTC, order_size: 1, max_inventory: 1}}]\n")
    return str(path)


def test_gaps_by_hand() -> None:
    found = find_gaps(HL, CEX, NAMES, threshold=0.5)
    assert found.benchmarks == {"BTC": 0.2, "ETH": 0.1} and found.baseline == pytest.approx(0.15)
    assert [gap.symbol for gap in found.gaps] == ["X", "kPEPE", "ETH", "BTC"]
    assert [gap.relative for gap in found.gaps] == pytest.approx([0.0, 0.01 / 0.15, 0.1 / 0.15, 0.2 / 0.15])
    assert [gap.flagged for gap in found.gaps] == [True, True, False, False] and found.alone == ("OWN",)
    assert next(gap.symbol for gap in find_gaps(HL, CEX, NAMES, threshold=0.5, min_cex_usd=50.0).gaps) == "kPEPE"


@pytest.mark.parametrize(
    ("benchmarks", "said"), [(("X",), "on Hyperliquid"), (("OWN",), "Binance .OWNUSDT"), ((), "no bench")]
)
def test_benchmarks_that_say_nothing(benchmarks: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        find_gaps(HL, CEX, NAMES, threshold=0.5, benchmarks=benchmarks)


@pytest.mark.parametrize("text", ["", "much", "nan", "-1", "inf"])
def test_amounts_that_are_none(text: str) -> None:
    with pytest.raises(VenueRejected, match="not an amount"):
        _usd("Binance", "BTCUSDT", text)


async def test_both_apis_of_the_emulated_venue(tmp_path: Path) -> None:
    async with running_venue(ServeOptions(port=0, coins=("BTC", "ETH", "WLFI", "kPEPE"), seed=11)) as venue:
        path = config(tmp_path, venue.url)
        result = await asyncio.to_thread(invoke, "--config", path, "--ratio-threshold", "0.3", "--json")
        assert result.exit_code == 0, result.output
        shown = await asyncio.to_thread(invoke, "--config", path, "--ratio-threshold", "1000")
        assert shown.exit_code == 0 and "under-trafficked: " in shown.output and "(4 of 4)" in shown.output
        wrong = await asyncio.to_thread(invoke, "--config", path, "--symbols", "DOGE")
        assert wrong.exit_code == 2 and "DOGE is not listed" in wrong.stderr
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{venue.url}/info", json={"type": "metaAndAssetCtxs"}) as answer:
                meta, contexts = await answer.json()
            async with session.get(f"{venue.url}/fapi/v1/ticker/24hr?symbol=1000PEPEUSDT") as answer:
                pepe = float((await answer.json())["quoteVolume"])
    found = json.loads(result.stdout)
    assert {gap["symbol"] for gap in found["gaps"]} == {"BTC", "ETH", "WLFI", "kPEPE"}
    here = dict(zip([perp["name"] for perp in meta["universe"]], contexts, strict=True))
    gap = next(gap for gap in found["gaps"] if gap["symbol"] == "kPEPE")
    assert gap["cex_symbol"] == "1000PEPEUSDT"
    assert gap["hl_usd"] == pytest.approx(float(here["kPEPE"]["dayNtlVlm"]), rel=0.05)
    assert gap["cex_usd"] == pytest.approx(pepe, rel=0.05) and gap["hl_usd"] > 0.0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--ratio-threshold", "0"], 2, "must be above 0"),
        (["--ratio-threshold", "nan"], 2, "must be above 0"),
        ([], 1, "http://127.0.0.1:1"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    result = invoke("--config", config(tmp_path, "http://127.0.0.1:1"), *words)
    assert result.exit_code == code and said in result.stderr and result.stderr.count("\n") == 1
    missing = invoke("--config", str(tmp_path / "nowhere.yml"))
    assert missing.exit_code == 2 and "no such file" in missing.stderr
