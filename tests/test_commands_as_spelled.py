"""The commands of the research chain, word for word as the page of commands has them, one after the other.

They run in an empty folder with a small lake, so that every default path is used; what a test adds to a line is in
`ADDED`, with the reason. Commands that need a venue or an archive are run as spelled where the page says.
"""

from __future__ import annotations

import json
import runpy
import shlex
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from slipstream.late import add
from slipstream.research.synthetic_bars import synthetic_bars

ROOT = Path(__file__).resolve().parents[1]
HOUR_MS = 3_600_000
DAYS = 480  # five folds of holding periods of 48 h need as many
DEMO = "made-up bars: nothing here stands for a market"
NO_FUNDING = "without funding a backtest is refused, unless told"
ADDED = {
    "uv run gradient-signals": (["--demo"], DEMO),
    "uv run gradient-backtest": (["--demo"], DEMO),
    "run_backtest.py --strategy gradient": (["--no-funding"], NO_FUNDING),
    "run_backtest.py --strategy template": (["--no-funding"], NO_FUNDING),
}


def as_files(folder: Path) -> tuple[Path, Path]:
    """Bars of 4 h and their funding, and a CSV of returns of their last months."""
    bars = synthetic_bars(np.random.default_rng(3), coins=22, days=DAYS)
    candles, rates, returns = folder / "bars.parquet", folder / "funding.parquet", folder / "returns.csv"
    t, j = np.nonzero(np.isfinite(bars.close))
    first, close, coin = bars.open[t, j], bars.close[t, j], np.array(bars.coins)[j]
    prices = {"open": first, "high": np.maximum(first, close), "low": np.minimum(first, close), "close": close}
    volume = bars.volume_usd[t, j] / close
    pd.DataFrame({"coin": coin, "ts": bars.opened[t], **prices, "volume": volume}).to_parquet(candles)
    hours = np.arange(1, 5) * HOUR_MS
    paid = 1e-5 + 5e-6 * np.random.default_rng(4).normal(size=bars.close.shape)
    frame = {"coin": np.repeat(coin, 4), "ts": (bars.opened[t][:, None] + hours).ravel(), "rate": paid[t, j].repeat(4)}
    pd.DataFrame(frame).to_parquet(rates)
    rows = [
        ",".join([str(int(opened) + 4 * HOUR_MS), *("" if np.isnan(x) else f"{x:.9f}" for x in row)])
        for opened, row in zip(bars.opened, bars.close / bars.open - 1.0, strict=True)
    ]
    returns.write_text("\n".join([",".join(["time", *bars.coins]), *rows[-6 * 120 :]]) + "\n")
    return candles, rates


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake in `var/lake`, filled by `slipstream import`."""
    place = tmp_path_factory.mktemp("desk")
    candles, rates = as_files(place)
    app = typer.Typer()
    add(app, "slipstream.processes.import_data")
    for file, kind in ((candles, ("--interval", "4h")), (rates, ("--stream", "funding"))):
        done = CliRunner().invoke(app, ["import", str(file), *kind, "--lake", str(place / "var/lake")])
        assert done.exit_code == 0, done.output
    return place


def typed(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a line as a shell in a checkout would, in another folder; its exit code."""
    words = shlex.split(line)
    for part, (more, _) in ADDED.items():
        words += more if part in line else []
    if words[:2] == ["uv", "run"]:
        words = words[2:]
    monkeypatch.chdir(folder)
    try:
        if words[0] == "python":
            monkeypatch.setattr(sys, "argv", words[1:])
            runpy.run_path(str(ROOT / words[1]), run_name="__main__")
        else:
            scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
            monkeypatch.setattr(sys, "argv", words)
            module, _, name = scripts[words[0]].partition(":")
            getattr(import_module(module), name)()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


@pytest.mark.slow
def test_factors_and_joint_models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factors = "python scripts/build_pca_factor.py --H {} --K 30 --weight-method {}"
    for horizons, method in (("4 8 12 24 48", "sqrt"), ("8", "sqrt"), ("8", "log"), ("8", "sqrt_dollar")):
        assert typed(factors.format(horizons, method), folder, monkeypatch) == 0
    made = folder / "data/features"
    assert {path.name for path in made.glob("*.csv")} == {
        *(f"pca_factor_H{hours}_K30_sqrt.csv" for hours in (4, 8, 12, 24, 48)),
        "pca_factor_H8_K30_log.csv",
        "pca_factor_H8_K30_sqrt_dollar.csv",
    }
    for line, tested in (
        ("python legacy/scripts/find_optimal_H_joint.py --H 8 --n-bootstrap 1000", [8]),
        ("python legacy/scripts/find_optimal_H_joint.py --H 4 8 12 24 48 --n-bootstrap 1000", [4, 8, 12, 24, 48]),
    ):
        assert typed(line, folder, monkeypatch) == 0
        summary = json.loads((made / "joint_models/optimization_summary.json").read_text())
        assert summary["H_tested"] == tested and summary["H_optimal"] in tested
        assert summary["R2_combined_bp"] == round(summary["R2_combined_optimal"] * 1e4)
        assert (made / "joint_models/joint_model_H8.json").is_file()


@pytest.mark.slow
def test_signals_and_backtests(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for slug in ("gradient", "template"):
        line = f"uv run python scripts/strategies/run_backtest.py --strategy {slug} -- --returns-csv returns.csv"
        assert typed(line, folder, monkeypatch) == 0
        assert (folder / f"var/backtest/{slug}/report.html").is_file()
        assert "profit after everything" in capsys.readouterr().out
    assert typed("uv run gradient-signals", folder, monkeypatch) == 0
    assert "trend" in capsys.readouterr().out.lower()
    assert typed("uv run gradient-backtest", folder, monkeypatch) == 0
    assert "assumed: synthetic" in capsys.readouterr().out


def test_what_a_line_lacks_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines as they are, without what `ADDED` gives them: an error that says what to add."""
    monkeypatch.setattr(sys.modules[__name__], "ADDED", {})
    run = "uv run python scripts/strategies/run_backtest.py --strategy {} -- --returns-csv returns.csv"
    for line, said in (
        (run.format("gradient"), "--no-funding"),
        (run.format("carry"), "funding"),
        (run.format("brawler"), "returns"),
        ("uv run gradient-signals", "--bars"),
        ("uv run gradient-backtest", "--bars"),
    ):
        assert typed(line, folder, monkeypatch) == 2, line
        shown = capsys.readouterr().err
        assert said in shown and "Traceback" not in shown, line


def test_the_optimizers_own_file_runs_by_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("python tests/test_portfolio_optimizer.py", ROOT, monkeypatch) == 0
    assert capsys.readouterr().out.splitlines() == [
        "✓ Basic beta-neutral optimization",
        "✓ Cost-aware optimization",
        "✓ Beta neutrality enforced",
        "✓ Costs reduce turnover",
    ]
