"""Record, scan, watchlist, end to end on the emulated venue; and what each says to bad input."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import typer
from click.testing import Result
from ruamel.yaml import YAML
from typer.testing import CliRunner

from slipstream.data.recorder.samples import BBO, DEPTH, SampleFile, read_samples
from slipstream.model.errors import ConfigError
from slipstream.processes.candidates import Request, candidates, scan
from slipstream.processes.public_streams import wanted_of
from slipstream.processes.record_bbo import BboSamples, record_bbo
from slipstream.processes.watchlist import watchlist
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.venues.emulator.serve import ServeOptions, running_venue

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts" / "strategies" / "brawler"
RUNNER = CliRunner()
T0 = 1_741_683_600_000
CONFIG = """version: 1
hl_url: {url}
symbols:
  - {{symbol: WLFI, order_size: 200, max_inventory: 2000}}
  - {{symbol: LTC, order_size: 1, max_inventory: 20}}
candidate_screening: {{max_abs_basis_bps: 500, max_basis_drift_bps: 500, max_sigma_ratio: 50, max_sigma: 0.01,
  min_spread_edge_bps: -50}}
"""


def invoke(command: object, *words: str) -> Result:
    app = typer.Typer()
    app.command()(command)  # type: ignore[type-var]
    return RUNNER.invoke(app, list(words))


def patterns(folder: Path) -> list[str]:
    return [
        "--hl-pattern", f"{folder}/hl/{{symbol}}.csv", "--cex-pattern", f"{folder}/binance/{{cex_lower}}.csv",
    ]  # fmt: skip


def write_recording(folder: Path, symbol: str, *, seed: int = 1, minutes: int = 3, spread: float = 4e-4) -> None:
    rng = np.random.default_rng(seed)
    mid = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-4, minutes * 120)))
    for path, wide, shift in (
        (folder / "hl" / f"{symbol}.csv", spread, 1.0003),
        (folder / "binance" / f"{symbol.lower()}usdt.csv", 1e-4, 1.0),
    ):
        with SampleFile(path, BBO) as file:
            for at, px in enumerate((mid * shift).tolist()):
                file.write((T0 + at * 500, T0 + at * 500, px * (1 - wide / 2), 5.0, px * (1 + wide / 2), 5.0))
    with SampleFile(folder / "depth" / f"{symbol}.csv", DEPTH) as file:
        for at in range(10):
            file.write((T0 + at * 500, T0 + at * 500, 40_000.0 + at, 30_000.0))
    (folder / "funding").mkdir(exist_ok=True)
    (folder / "funding" / f"{symbol}.csv").write_text(f"ts,rate\n{T0},0.00001\n{T0 + 3_600_000},0.00002\n")


async def call(*words: str, kill_after: Path | None = None) -> tuple[int, str, str]:
    """Run a program; with ``kill_after``, kill -9 it once that file has rows."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(120):
        if kill_after is not None:
            while not (kill_after.exists() and kill_after.stat().st_size > 500):  # noqa: ASYNC110, ASYNC240
                await asyncio.sleep(0.05)
            os.kill(process.pid, signal.SIGKILL)
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.slow
async def test_record_then_scan_then_watchlist_as_the_crontab_spells_them(tmp_path: Path) -> None:
    config = tmp_path / "brawler.yml"
    depth = f"{tmp_path}/depth/{{symbol}}.csv"
    options = ServeOptions(port=0, speed=10.0, coins=("WLFI", "LTC"), seed=11)
    async with running_venue(options) as venue:
        config.write_text(CONFIG.format(url=venue.url))
        recorder = [
            str(SCRIPTS / "record_bbo.py"),
            "--config",
            str(config),
            "--depth-pattern",
            depth,
            *patterns(tmp_path),
        ]
        code, _, _ = await call(*recorder, "--duration", "3600", kill_after=tmp_path / "hl" / "LTC.csv")
        assert code == -signal.SIGKILL
        with (tmp_path / "hl" / "LTC.csv").open("ab") as file:
            file.write(b"174168360")  # a row that the kill caught half way
        code, out, err = await call(*recorder, "--duration", "90")
        assert (code, err) == (0, ""), out
    assert out.count("rows") == 6
    scanner = [
        "-m",
        "slipstream.strategies.brawler.tools.candidate_scan",
        *patterns(tmp_path),
        "--hl-depth-pattern",
        depth,
    ]
    code, out, err = await call(*scanner, "--config", str(config), "--symbols", "WLFI", "LTC")
    assert (code, err) == (0, ""), out + err
    assert "Candidates" in out
    found = BrawlerConfig.model_validate({"version": 1, **YAML(typ="safe").load(out[out.index("symbols:") :])})
    assert {entry.symbol for entry in found.symbols} == {"WLFI", "LTC"}
    folder = tmp_path / "logs" / "watch"
    code, out, err = await call(
        str(SCRIPTS / "watchlist_report.py"), *patterns(tmp_path), "--hl-depth-pattern", depth, "--config", str(config),
        "--output-dir", str(folder),
    )  # fmt: skip
    assert (code, err) == (0, ""), out + err
    rows = json.loads((folder / "watchlist_latest.json").read_text())["candidates"]
    assert [row["rank"] for row in rows] == [1, 2]
    for row in rows:  # what the venue's market is made like: a basis of some bp, spreads of some bp, returns alike
        assert row["samples"] >= 30 and 0.0 < row["coverage"] <= 1.0 and row["depth_multiple"] > 1.0
        assert abs(row["basis_bps"]) < 100.0 and 0.0 < row["spread_bps"] < 100.0 and 0.02 < row["sigma_ratio"] < 50.0
        assert row["order_usd"] == pytest.approx(row["mid"] * (200.0 if row["symbol"] == "WLFI" else 1.0))
    times = read_samples(tmp_path / "hl" / "LTC.csv", BBO)["event_ms"]
    assert len(times) > 20


def test_the_watchlist_is_written_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, symbol in enumerate(("AAA", "BBB")):
        write_recording(tmp_path, symbol, seed=seed, spread=4e-4 * (seed + 1))
    words = [*patterns(tmp_path), "--symbols", "AAA", "BBB", "--hl-depth-pattern", f"{tmp_path}/depth/{{symbol}}.csv",
             "--funding-pattern", f"{tmp_path}/funding/{{symbol}}.csv",
             "--output-dir", str(tmp_path / "out")]  # fmt: skip
    stamps = iter(["20250311T090000Z", "20250311T090000Z", "20250312T090000Z"])
    monkeypatch.setattr("slipstream.processes.watchlist.stamp_of", lambda _seconds: next(stamps))
    monkeypatch.chdir(tmp_path)
    texts = []
    for _ in range(3):
        result = invoke(watchlist, *words)
        assert result.exit_code == 0, result.output
        texts.append((tmp_path / "out" / "watchlist_latest.csv").read_text())
    assert texts[0] == texts[1] == texts[2]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == sorted(
        f"watchlist_{stamp}.{ending}" for stamp in ("20250311T090000Z", "20250312T090000Z", "latest")
        for ending in ("csv", "json", "md")
    )  # fmt: skip
    for ending in ("csv", "json", "md"):
        link = tmp_path / "out" / f"watchlist_latest.{ending}"
        assert link.is_symlink() and os.readlink(link) == f"watchlist_20250312T090000Z.{ending}"
    best, second = csv.DictReader(texts[0].splitlines())
    assert (best["symbol"], best["passed"], second["symbol"]) == ("BBB", "True", "AAA")
    assert float(best["spread_edge_bps"]) == pytest.approx(7.0) and float(best["depth_multiple"]) == 300.0
    assert float(best["funding_vol_bps"]) == pytest.approx(0.0707, abs=1e-4)
    markdown = (tmp_path / "out" / "watchlist_latest.md").read_text()
    assert "| 1 | BBB |" in markdown and "```yaml\nsymbols:\n  - symbol: BBB" in markdown


def test_one_bad_listing_is_told_and_the_others_are_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_recording(tmp_path, "AAA")
    write_recording(tmp_path, "CCC", minutes=1)
    (tmp_path / "hl" / "CCC.csv").write_text("recv_ms,bid_px\n1,2\n")
    result = invoke(candidates, *patterns(tmp_path), "--symbols", "AAA,BBB", "CCC")
    assert result.exit_code == 1
    assert "AAA" in result.stdout
    assert "candidates: BBB is left out" in result.stderr and "No such file" in result.stderr
    assert "CCC is left out" in result.stderr and "row 1: no column event_ms, bid_sz, ask_px, ask_sz" in result.stderr
    result = invoke(watchlist, *patterns(tmp_path), "--symbols", "BBB", "--output-dir", str(tmp_path / "out"))
    assert result.exit_code == 2 and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "no symbols"),
        (["--symbols", "A", "A"], "A is named twice"),
        (["--symbols", "A", "--order-usd", "0"], "must be above 0"),
        (["--symbols", "A", "--last-hours", "-1"], "must be above 0"),
        (["--symbols", "A", "--config", "nowhere.yml"], "no such file"),
        (["--symbols", "A", "--hl-pattern", "{coin}.csv"], "its tokens are"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (candidates, watchlist):
        result = invoke(command, *patterns(tmp_path), *more)
        assert result.exit_code == 2 and said in result.stderr and result.stderr.count("\n") == 1, result.output


def test_an_output_that_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_recording(tmp_path, "AAA")
    (tmp_path / "out").write_text("")
    result = invoke(watchlist, *patterns(tmp_path), "--symbols", "AAA", "--output-dir", str(tmp_path / "out"))
    assert result.exit_code == 2 and "a file is there" in result.stderr


def test_the_screening_block_is_what_judges(tmp_path: Path) -> None:
    write_recording(tmp_path, "AAA")
    config = tmp_path / "brawler.yml"
    text = "version: 1\nsymbols: [{symbol: AAA, order_size: 2, max_inventory: 20}]\n"
    config.write_text(text + "candidate_screening: {max_abs_basis_bps: 2.5}\n")
    request = Request(
        hl_pattern=f"{tmp_path}/hl/{{symbol}}.csv", cex_pattern=f"{tmp_path}/binance/{{cex_lower}}.csv", config=config
    )
    (one,) = scan(request).candidates
    assert one.failed == ("basis 3.0 bp is beyond 2.5",)
    assert one.measures.order_usd == pytest.approx(200.0, rel=0.05)
    config.write_text(text + "candidate_screening: {max_abs_basis_bps: 3.5, weights: {edge: 0}}\n")
    (one,) = scan(request).candidates
    assert one.passed
    config.write_text(text + "candidate_screening: {max_abs_basis: 3.5}\n")
    with pytest.raises(ConfigError, match=r"brawler.yml:3:23: unknown key .* did you mean `max_abs_basis_bps`"):
        scan(request)


def test_only_the_end_of_a_recording_is_looked_at(tmp_path: Path) -> None:
    write_recording(tmp_path, "AAA", minutes=10)
    request = Request(
        hl_pattern=f"{tmp_path}/hl/{{symbol}}.csv",
        cex_pattern=f"{tmp_path}/binance/{{cex_lower}}.csv",
        symbols=("AAA",),
    )
    whole, part = scan(request), scan(msgspec.structs.replace(request, last_hours=2.0 / 60.0))
    assert whole.candidates[0].measures.samples == 600 and 119 <= part.candidates[0].measures.samples <= 121


def test_patterns_that_give_one_file_to_two(tmp_path: Path) -> None:
    wanted = wanted_of(None, coins=("A", "B"), hl_url="http://127.0.0.1:1")
    with pytest.raises(ValueError, match="named for hl bbo of A and for hl bbo of B; use a token"):
        BboSamples(wanted, f"{tmp_path}/x.csv", f"{tmp_path}/{{symbol}}.csv", f"{tmp_path}/d/{{symbol}}.csv")
    result = invoke(record_bbo, "--config", str(tmp_path / "nowhere.yml"))
    assert result.exit_code == 2 and "no such file" in result.stderr


def test_scripts_are_programs() -> None:
    for name in ("record_bbo.py", "watchlist_report.py", "volume_gap_screener.py"):
        assert os.access(SCRIPTS / name, os.X_OK)
    shown = subprocess.run(
        [sys.executable, str(SCRIPTS / "watchlist_report.py"), "--help"], capture_output=True, text=True, timeout=60
    )
    assert shown.returncode == 0 and "--output-dir" in shown.stdout
