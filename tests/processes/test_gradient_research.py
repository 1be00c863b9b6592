"""Gradient's research commands, run as a user runs them, and the decisions that they rest on."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from slipstream.processes.bar_market import chosen
from slipstream.processes.gradient_plans import due, plan, study_plans
from slipstream.processes.gradient_research import app
from slipstream.research.synthetic_bars import synthetic_bars
from slipstream.strategies.gradient.config import GradientConfig, SignalBlock

QUICK = GradientConfig(signal=SignalBlock(lookbacks=(2, 4, 8, 16), warm_up_bars=20))
YAML = "version: 1\nsignal:\n  lookbacks: [2, 4, 8, 16]\n  warm_up_bars: 20\ntrade:\n  rebalance_hours: 24\n"
RUN = CliRunner()


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "gradient.yml"
    path.write_text(YAML)
    return str(path)


def as_csv(tmp_path: Path) -> tuple[str, str]:
    bars = synthetic_bars(np.random.default_rng(3), coins=12, days=40)
    with (tmp_path / "bars.csv").open("w") as file, (tmp_path / "funding.csv").open("w") as rates:
        file.write("coin,ts,open,close,volume\n")
        rates.write("coin,ts,rate\n")
        for j, coin in enumerate(bars.coins):
            for t in np.flatnonzero(np.isfinite(bars.close[:, j])):
                opened, close = bars.open[t, j], bars.close[t, j]
                file.write(f"{coin},{bars.opened[t]},{opened},{close},{bars.volume_usd[t, j] / close}\n")
                rates.writelines(f"{coin},{bars.opened[t] + h * 3_600_000 + 90},1e-5\n" for h in range(1, 5))
    return str(tmp_path / "bars.csv"), str(tmp_path / "funding.csv")


def test_decisions_do_not_see_the_future() -> None:
    bars = synthetic_bars(np.random.default_rng(5), coins=12, days=40)
    cut = 150
    close = bars.close.copy()
    close[cut:] = close[cut:] * np.random.default_rng(6).uniform(0.5, 2.0, close[cut:].shape)
    other = replace(bars, close=close, volume_usd=np.vstack([bars.volume_usd[:cut], bars.volume_usd[cut:] * 3]))
    one, two = plan(bars, QUICK), plan(other, QUICK)
    early = [t for t in one.targets if t < cut]
    assert early == [t for t in two.targets if t < cut]
    assert len(early) > 3
    for t in early:
        np.testing.assert_array_equal(one.targets[t], two.targets[t])
    np.testing.assert_array_equal(one.sigma_day[:cut], two.sigma_day[:cut])
    np.testing.assert_array_equal(one.daily_usd[:cut], two.daily_usd[:cut])
    late = [t for t in one.targets if t >= cut and t in two.targets]
    assert any(not np.array_equal(one.targets[t], two.targets[t]) for t in late)


def test_decisions_fall_on_the_hours_asked_for() -> None:
    bars = synthetic_bars(np.random.default_rng(5), coins=4, days=8)
    assert [t for t in range(14) if due(bars, t, 24.0)] == [5, 11]
    assert all(due(bars, t, 1.0) for t in range(10))


def test_study_plans_have_every_case_and_balanced_books() -> None:
    bars = synthetic_bars(np.random.default_rng(5), coins=26, days=30)
    found = study_plans(bars, QUICK, np.random.default_rng(1), fractions=(0.1, 0.3), hours=(24, 48))
    rules = [case.rule for case in found]
    assert {rule: rules.count(rule) for rule in rules} == {"gradient": 8, "random": 4, "long": 2, "past 30 d": 2}
    for case, decided in found.items():
        for target in decided.targets.values():
            if case.rule in ("gradient", "random"):
                assert target.sum() == pytest.approx(0.0, abs=1e-9)
            assert np.abs(target).sum() <= 1.0 + 1e-9


def test_bars_that_do_not_fit_the_config_are_refused() -> None:
    bars = synthetic_bars(np.random.default_rng(5), coins=4, days=8)
    with pytest.raises(ValueError, match="no DOGE"):
        chosen(bars, GradientConfig(coins=("DOGE",)))
    with pytest.raises(ValueError, match="bar_hours says 8"):
        chosen(bars, GradientConfig(signal=SignalBlock(bar_hours=8)))
    with pytest.raises(ValueError, match="1 coins are left"):
        chosen(bars, GradientConfig(exclude=bars.coins[1:]))


def test_signals_as_a_file_and_at_an_earlier_time(tmp_path: Path, config: str) -> None:
    bars, _ = as_csv(tmp_path)
    out = tmp_path / "s.csv"
    got = RUN.invoke(app, ["signals", "--bars", bars, "--config", config, "--out", str(out)])
    assert got.exit_code == 0, got.output
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == 12
    assert {row["side"] for row in rows} == {"long", "short", ""}
    assert sum(float(row["weight"]) for row in rows) == pytest.approx(0.0, abs=1e-9)
    strengths = [float(row["trend_strength"]) for row in rows if row["trend_strength"]]
    assert strengths == sorted(strengths, reverse=True)
    then = tmp_path / "s.json"
    args = ["signals", "--bars", bars, "--config", config, "--out", str(then), "--as-of", "2024-01-20T09:00"]
    assert RUN.invoke(app, args).exit_code == 0
    assert json.loads(then.read_text())["as_of"] == "2024-01-20 08:00"


def test_backtest_writes_what_it_says(tmp_path: Path, config: str) -> None:
    bars, funding = as_csv(tmp_path)
    args = ["backtest", "--bars", bars, "--funding", funding, "--config", config, "--out", str(tmp_path / "o")]
    got = RUN.invoke(app, args)
    assert got.exit_code == 0, got.output
    figures = json.loads((tmp_path / "o/backtest.json").read_text())
    assert figures["pnl"] == pytest.approx(figures["price_pnl"] + figures["funding"] + figures["costs"])
    assert sum(figures["coin_pnl"].values()) == pytest.approx(figures["pnl"])
    html = (tmp_path / "o/report.html").read_text()
    svg = html[html.index("<svg") : html.index("</svg>") + 6]
    paths = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}path")
    assert max(path.get("d", "").count("L") for path in paths) > 20  # the line of equity
    report = json.loads((tmp_path / "o/report.json").read_text())
    assert report["money"]["profit"] == pytest.approx(figures["pnl"])
    assert report["money"]["funding"] == pytest.approx(figures["funding"])
    assert (tmp_path / "o/report.md").read_text().startswith("# Trend book")


def test_study_writes_three_files(tmp_path: Path, config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "slipstream.processes.gradient_research.synthetic_bars",
        lambda rng, hours: synthetic_bars(rng, coins=24, days=40, hours=hours),
    )
    args = ["study", "--demo", "--config", config, "--periods", "3", "--period-days", "8", "--out", str(tmp_path / "o")]
    got = RUN.invoke(app, args)
    assert got.exit_code == 0, got.output
    rows = list(csv.DictReader((tmp_path / "o/study.csv").open()))
    assert len(rows) == 40 + 20 + 5 + 5
    assert all(float(row["usd_low"]) <= float(row["usd_high"]) for row in rows)
    assert "Best Sharpe ratio" in (tmp_path / "o/study.md").read_text()
    assert "<svg" in (tmp_path / "o/study.html").read_text()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["signals"], "--demo"),
        (["backtest"], "candleSnapshot"),
        (["signals", "--demo", "--as-of", "yesterday"], "write it like"),
        (["signals", "--demo", "--as-of", "2020-01-01"], "the first closes at"),
        (["signals", "--demo", "--out", "x.txt"], ".csv or .json"),
        (["signals", "--demo", "--bars", "x.csv"], "one of the two"),
        (["signals", "--bars", "none.csv"], "no such file"),
    ],
)
def test_mistakes_are_one_line_that_says_how_to_mend(args: list[str], says: str, config: str) -> None:
    got = RUN.invoke(app, [*args, "--config", config])
    assert got.exit_code == 2
    assert says in got.output
    assert got.output.startswith("error: ")


def test_no_funding_must_be_said(tmp_path: Path, config: str) -> None:
    bars, _ = as_csv(tmp_path)
    args = ["backtest", "--bars", bars, "--config", config]
    refused = RUN.invoke(app, args)
    assert refused.exit_code == 2
    assert "--no-funding" in refused.output
    taken = RUN.invoke(app, [*args, "--no-funding"])
    assert taken.exit_code == 0
    assert "FUNDING LEFT OUT" in taken.output
