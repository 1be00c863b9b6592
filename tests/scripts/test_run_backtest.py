"""The script that runs any strategy's backtest, as its words are typed."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "scripts/strategies/run_backtest.py"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_strategy_and_then_its_options(tmp_path: Path) -> None:
    rows = [f"{1_704_067_200_000 + k * 14_400_000},{(k % 7 - 3) / 300},{(k % 5 - 2) / 300},0.001" for k in range(300)]
    (tmp_path / "returns.csv").write_text("time,BTC,ETH,SOL\n" + "\n".join(rows) + "\n")
    words = ("--returns-csv", str(tmp_path / "returns.csv"), "--no-funding", "--output", str(tmp_path / "out"))
    done = run("--strategy", "template", "--", *words, "--set", "book.top_fraction=0.34")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.html").is_file() and "profit after everything" in done.stdout


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for words, code, said in (
        (["--list"], 0, "brawler"),
        ([], 2, "--strategy is missing"),
        (["--strategy", "gradent", "--", "--demo"], 2, "did you mean gradient"),
    ):
        monkeypatch.setattr(sys, "argv", [SCRIPT, *words])
        try:
            runpy.run_path(str(ROOT / SCRIPT), run_name="__main__")
            found = 0
        except SystemExit as left:
            found = left.code
        shown = capsys.readouterr()
        assert found == code and said in shown.out + shown.err, words
