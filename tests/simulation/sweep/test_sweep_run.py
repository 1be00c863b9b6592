"""A sweep as a whole: the same wherever it runs and however often it is stopped, and blind to the future."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from msgspec.structs import replace
from small_sweep import KNOBS, Inline, market, request_of, same, swept, terms_of
from typer.testing import CliRunner

from slipstream.model.errors import ConfigError
from slipstream.processes.backtest import run_backtest
from slipstream.processes.sweep import sweep
from slipstream.processes.sweep_run import run_sweep
from slipstream.simulation.sweep.knobs import parse_knobs


def test_the_account_pays_what_the_choice_says(tmp_path: Path) -> None:
    found = swept(Inline(), tmp_path, market(tmp_path))
    assert found.trials == 8 and len(found.choices) == 2
    for choice in found.choices:
        assert choice.best.score == max(trial.score for trial in choice.trials if trial.score is not None)
    starts = [choice.tested_from for choice in found.choices]
    assert found.record.stamps[0] > starts[0] and found.record.stamps[-1] == found.choices[-1].tested_to
    assert found.matrix.shape == (found.choices[-1].fold.train_to, 8) and len(set(found.names)) == 8
    assert found.names[found.chosen] == f"fold 1 trial {found.choices[-1].best.number}"
    assert "walk-forward" in found.record.assumptions[0]
    profit = float(found.record.equity[-1]) - found.record.capital
    assert sum(found.record.coin_pnl.values()) == pytest.approx(profit)
    assert found.default is not None and found.default.stamps[-1] == found.record.stamps[-1]


def test_the_same_seed_gives_the_same_and_another_another(tmp_path: Path) -> None:
    path = market(tmp_path)
    first = swept(Inline(), tmp_path / "a", path)
    assert same(first, swept(Inline(backwards=True), tmp_path / "b", path)), "whoever finishes first"
    other = swept(Inline(), tmp_path / "c", path, seed=2)
    assert [t.values for t in other.choices[0].trials] != [t.values for t in first.choices[0].trials]


@pytest.mark.parametrize("stops", [0, 3, 6])
def test_a_sweep_that_was_stopped_continues(tmp_path: Path, stops: int) -> None:
    path = market(tmp_path)
    whole = swept(Inline(), tmp_path / "whole", path)
    with pytest.raises(KeyboardInterrupt):
        swept(Inline(stops), tmp_path / "halves", path)
    rest = Inline()
    assert same(swept(rest, tmp_path / "halves", path), whole)
    assert rest.done == 8 - stops + 8, "what was known is not judged again; returns are taken anew"


def test_more_trials_continue_fewer(tmp_path: Path) -> None:
    path = market(tmp_path)
    few = swept(Inline(), tmp_path / "one", path, trials=2)
    more = swept(Inline(), tmp_path / "one", path)
    assert more.choices[0].trials[:2] == few.choices[0].trials
    assert same(more, swept(Inline(), tmp_path / "two", path))


def test_the_future_changes_no_choice(tmp_path: Path) -> None:
    """Another world from the second test on: the first choice and what it earned stay, to the bit."""
    path = market(tmp_path)
    found = swept(Inline(), tmp_path / "a", path)
    second = found.choices[1].fold.test_from
    other = swept(Inline(), tmp_path / "b", market(tmp_path, scramble_from=second))
    assert other.choices[0].trials == found.choices[0].trials
    early = found.record.stamps <= found.choices[0].tested_to
    assert np.array_equal(found.record.equity[early], other.record.equity[: int(early.sum())])
    assert not np.array_equal(found.record.equity[~early], other.record.equity[int(early.sum()) :])


def test_in_sample_says_so_and_is_the_plain_backtest(tmp_path: Path) -> None:
    path = market(tmp_path)
    found = swept(Inline(), tmp_path, path, folds=0)
    assert "IN SAMPLE" in found.record.assumptions[0]
    request: Any = request_of(path)
    values = {**request.overrides, **found.choices[0].best.values}
    plain = run_backtest(replace(request, overrides=values))
    assert plain.equity[-1] == pytest.approx(found.record.equity[-1], rel=1e-12)


def test_what_cannot_be_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    path, hands = market(tmp_path), Inline()
    for knob, said in (
        ("signal.lokback=1:2", "lookback"),
        ("signal.lookback=0:12:int", "signal.lookback: 0 cannot be"),
        ("book.max_coin_weight=0.5:1", "is set and searched"),
    ):
        with pytest.raises(ConfigError, match=said):
            run_sweep(request_of(path), replace(terms_of(), knobs=parse_knobs([knob])), hands, tmp_path)
    assert hands.done == 0


def test_a_folder_of_another_sweep_is_refused(tmp_path: Path) -> None:
    swept(Inline(), tmp_path, market(tmp_path))
    with pytest.raises(ConfigError, match="holds a sweep of other data, parameters or terms"):
        swept(Inline(), tmp_path, market(tmp_path, scramble_from=100))


def test_a_trial_that_cannot_trade_is_not_chosen(tmp_path: Path) -> None:
    terms = replace(terms_of(), knobs=parse_knobs(["signal.warm_up_bars=20,100000"]))
    found = run_sweep(replace(request_of(market(tmp_path)), overrides={}), terms, Inline(), tmp_path / "out")
    whys = {trial.why for trial in found.choices[0].trials if trial.score is None}
    assert whys == {"nothing was held"}
    assert all(choice.best.values["signal.warm_up_bars"] == 20 for choice in found.choices)


def test_the_command_writes_a_sweep_and_its_report(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command("sweep")(sweep)
    sets = ("--set", "signal.warm_up_bars=20", "--config", str(request_of(tmp_path / "x.csv").config))
    words = ["template", "--returns-csv", str(market(tmp_path)), "--no-funding", "--trials", "3", "--folds", "1", *sets]
    out = tmp_path / "out"
    command: Any = [*words, "--param", KNOBS[0], "--output", str(out), "--workers", "1"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    told = json.loads((out / "sweep.json").read_text())
    assert told["trials"] == 3 and set(told["folds"][0]["chosen"]) == {"signal.lookback"}
    assert (out / "trials.csv").read_text().splitlines()[0] == "fold,number,signal.lookback,score,why"
    assert "walk-forward" in (out / "report.md").read_text() and (out / "report.html").stat().st_size > 10_000
    for wrong, said in (
        (["brawler", "--param", "a=1:2"], "brawler has no `decisions`"),
        ([*words, "--param", "a=1:2"], "--param a"),
        ([*words, "--objective", "luck"], "choose sharpe or growth"),
        ([*words], "nothing to search"),
    ):
        bad = CliRunner().invoke(app, wrong)
        assert bad.exit_code == 2 and said in bad.output and "Traceback" not in bad.output
