"""The chapters of a run say what its statistics say, in the report of every backtest."""

import json
from pathlib import Path

import numpy as np
import pytest

from slipstream.processes.tick_chapters import tick_chapters
from slipstream.research.report import write_report
from slipstream.simulation.tick.record import tick_record
from slipstream.simulation.tick.split import split
from tests.simulation.tick.made import told


def rng() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(1))


def test_chapters_stand_in_the_page_the_text_and_the_figures(tmp_path: Path) -> None:
    run = told(2, 150, 2, seconds=1_200, edge=1.0)
    record = tick_record(run, slug="maker", title="Maker", capital=10_000.0, assumptions=("made up",), settings={})
    chapters = tick_chapters(run, rng())
    assert [one.title for one in chapters] == [
        "Where a market maker's profit came from",
        "Markouts",
        "Orders, queues and fills",
        "Quotes and inventory",
    ]
    paths = write_report(record, tmp_path, chapters=chapters)
    html, text = paths.html.read_text(), paths.markdown.read_text()
    for title in ("Markouts", "Orders, queues and fills", "Quotes and inventory"):
        assert f"<h2>{title}</h2>" in html and f"## {title}" in text
    assert html.index("<h2>Markouts</h2>") < html.index("What was assumed") and html.count("<svg") > 14
    told_json = json.loads(paths.json.read_text())["chapters"]
    profits = [row["profit"] for row in told_json["Where a market maker's profit came from"]["tables"][0]]
    parts = split(run, 2)
    assert profits == [f"{part.total:+,.2f}".replace("-", "−") for part in parts]
    assert record.equity[-1] - record.capital == pytest.approx(parts[-1].total, abs=1e-9)
    refused = told_json["Orders, queues and fills"]["tables"][2]
    assert {"coin": "C0", "request": "place: would cross", "times": "1"} in refused


def test_a_run_without_a_fill_says_so(tmp_path: Path) -> None:
    run = told(2, 0, 1)
    chapters = tick_chapters(run, rng())
    assert chapters[0].lines == ("No order was filled: there is nothing to take apart.",)
    record = tick_record(run, slug="maker", title="Maker", capital=10_000.0, assumptions=(), settings={})
    assert record.turnover.sum() == 0.0
    write_report(record, tmp_path, chapters=chapters)


def test_a_record_adds_up_period_by_period() -> None:
    run = told(9, 300, 3, seconds=300)
    record = tick_record(run, slug="maker", title="Maker", capital=5_000.0, assumptions=(), settings={})
    assert record.turnover.sum() == pytest.approx(run.fills.usd.sum())
    assert record.costs["fee"].sum() == pytest.approx(run.fills.fee.sum())
    assert sum(record.coin_pnl.values()) == pytest.approx(record.equity[-1] - 5_000.0)
    assert record.stamps.size == run.samples.ns.size - 1 and (np.abs(record.net) <= record.gross + 1e-9).all()
