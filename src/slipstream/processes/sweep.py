"""`slipstream sweep <slug>`: search a strategy's parameters, walk-forward, on one machine or many."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from slipstream.core.portfolio.periods import periods
from slipstream.model.errors import ConfigError, SlipstreamError
from slipstream.processes.backtest import show, with_ticks
from slipstream.processes.backtest_request import SET_HELP, BacktestRequest, parse_overrides, said
from slipstream.processes.gradient_report import when_text
from slipstream.processes.sweep_run import STORAGE, Sweep, SweepTerms, run_sweep
from slipstream.processes.sweep_worker import Objective
from slipstream.simulation.sweep.executor import make_executor
from slipstream.simulation.sweep.knobs import parse_knobs
from slipstream.simulation.sweep.search import SearchTerms
from slipstream.strategies.registry import find


def sweep(
    slug: Annotated[str, typer.Argument(help="gradient, template, ...; on ticks: brawler.")],
    param: Annotated[
        list[str] | None, typer.Option(help="key=low:high[:int][:log] or key=a,b,c; keys as of --set.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Config file; default: the strategy's sample.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
    bars: Annotated[Path | None, typer.Option(help="Bars (coin, ts, open, close, volume): a file, a lake.")] = None,
    funding: Annotated[Path | None, typer.Option(help="Funding (coin, ts, rate): a file, a lake.")] = None,
    returns_csv: Annotated[Path | None, typer.Option(help="Time, then one column of simple returns a coin.")] = None,
    no_funding: Annotated[bool, typer.Option("--no-funding", help="Leave funding out, knowingly.")] = False,
    costs: Annotated[Path | None, typer.Option(help="By coin: a file of `slipstream costs calibrate`.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="A made-up market from the seed.")] = False,
    trials: Annotated[int, typer.Option(min=1, help="Of each fold.")] = 20,
    batch: Annotated[int, typer.Option(min=1, help="Asked for at once; part of the result.")] = 4,
    folds: Annotated[int, typer.Option(min=0, help="Tests that follow each other; 0: in sample.")] = 4,
    first_train: Annotated[float, typer.Option(help="Part of the history before the first test.")] = 0.4,
    gap_hours: Annotated[
        float | None, typer.Option(min=0.0, help="Between training and test; default 24, on ticks 0.")
    ] = None,
    train_days: Annotated[float | None, typer.Option(min=1.0, help="Train on so much; default: all past.")] = None,
    objective: Annotated[str, typer.Option(help="sharpe or growth.")] = "sharpe",
    capital: Annotated[float | None, typer.Option(min=1.0, help="USD.")] = None,
    seed: Annotated[int, typer.Option(help="Of the search and of made-up markets.")] = 1,
    executor: Annotated[str, typer.Option(help="local, dask or ray.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    address: Annotated[str | None, typer.Option(help="Of a running Dask or Ray cluster.")] = None,
    tape: Annotated[
        list[Path] | None, typer.Option(help="Folders of tapes: a sweep on ticks, where lists make a grid.")
    ] = None,
    simulate: Annotated[float | None, typer.Option(min=0.01, help="Hours of a market that reacts, instead.")] = None,
    anchor: Annotated[str | None, typer.Option(help="The reference exchange's tapes, or self:LEAD_MS.")] = None,
    latency: Annotated[str | None, typer.Option(help="As of `slipstream backtest`.")] = None,
    queue: Annotated[str | None, typer.Option(help="As of `slipstream backtest`.")] = None,
    fees: Annotated[str | None, typer.Option(help="As of `slipstream backtest`.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what an earlier run found.")] = False,
    output: Annotated[Path | None, typer.Option(help="Default: var/sweep/<slug>.")] = None,
) -> None:
    """Search parameters walk-forward; a run that was stopped continues where it was."""
    folder = output or Path("var") / "sweep" / slug
    from slipstream.research.report.write import check_folder

    try:
        check_folder(folder)
        aim = _objective(objective)
        request = BacktestRequest(
            entry=find(slug),
            config=config,
            overrides=parse_overrides(change or []),
            bars=bars,
            funding=funding,
            returns_csv=returns_csv,
            no_funding=no_funding,
            costs=costs,
            demo=demo,
            seed=seed,
            capital=capital,
        )
        words = {"anchor": anchor, "latency": latency, "queue": queue, "fees": fees}
        request = with_ticks(request, tape or [], simulate, words, (True, 0.0, False))
        if request.tick is None:
            request.entry.hook("decisions")
        usual_gap = 24.0 if request.tick is None else 0.0
        terms = SweepTerms(
            knobs=parse_knobs(param or []),
            search=SearchTerms(trials=trials, batch=batch, seed=seed),
            folds=folds,
            first_train=first_train,
            gap_hours=usual_gap if gap_hours is None else gap_hours,
            train_days=train_days,
            objective=aim,
        )
        if request.tick is not None:
            from slipstream.processes.tick_sweep_report import sweep_ticks

            sweep_ticks(request, terms, folder, make_executor(executor, workers, address))
            return
        if fresh:
            (folder / STORAGE).unlink(missing_ok=True)
        found = _watched(request, terms, folder, executor, workers, address)
        written = write_sweep(found, folder, seed)
    except (SlipstreamError, ValueError) as error:
        typer.echo(f"sweep {slug}: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"sweep {slug}: {said(error)}", err=True)
        raise typer.Exit(1) from None
    show_folds(found)
    show(found.record)
    typer.echo(f"wrote {', '.join(str(path) for path in written)}")


def _objective(text: str) -> Objective:
    known: dict[str, Objective] = {"sharpe": "sharpe", "growth": "growth"}
    if text not in known:
        raise ConfigError(f"--objective {text}: choose {' or '.join(known)}")
    return known[text]


def _watched(
    request: BacktestRequest, terms: SweepTerms, folder: Path, executor: str, workers: int, address: str | None
) -> Sweep:
    """Run with a progress bar, and let the workers go whatever happens."""
    hands = make_executor(executor, workers, address)
    try:
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("trials", total=max(1, terms.folds) * terms.search.trials)
            return run_sweep(request, terms, hands, folder, lambda: bar.advance(task))
    finally:
        hands.close()


def write_sweep(found: Sweep, folder: Path, seed: int) -> list[Path]:
    """``sweep.json``, ``trials.csv``, ``returns.csv`` (a column for each set that was tried), and the report."""
    import numpy as np

    from slipstream.research.report import Sweep as Tried
    from slipstream.research.report import write_report

    folder.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {
        "trials": found.trials,
        "folds": [
            {
                "trained to": when_text(choice.trained_to),
                "tested": [when_text(choice.tested_from), when_text(choice.tested_to)],
                "chosen": choice.best.values,
                "score in training": choice.best.score,
                "score after": choice.after,
            }
            for choice in found.choices
        ],
    }
    (folder / "sweep.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    with (folder / "trials.csv").open("w", encoding="utf-8", newline="") as out:
        keys = sorted(found.choices[0].best.values)
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(["fold", "number", *keys, "score", "why"])
        for choice in found.choices:
            for trial in choice.trials:
                values = [trial.values[key] for key in keys]
                rows.writerow([choice.fold.number, trial.number, *values, trial.score, trial.why])
    np.savetxt(
        folder / "returns.csv", found.matrix, delimiter=",", fmt="%.12g", header=",".join(found.names), comments=""
    )
    bars_a_year = periods(found.record, "period").ann
    tried = Tried(names=found.names, returns=found.matrix, ann=bars_a_year, chosen=found.chosen)
    others = () if found.default is None else (found.default,)
    paths = write_report(found.record, folder, others=others, sweep=tried if len(found.names) > 1 else None, seed=seed)
    return [folder / "sweep.json", folder / "trials.csv", paths.html]


def show_folds(found: Sweep) -> None:
    """What every fold chose, and what became of it."""
    table = Table("test from", "to", "chosen", "in training", "after")
    for choice in found.choices:
        values = ", ".join(f"{key}={_short(value)}" for key, value in sorted(choice.best.values.items()))
        after = "" if choice.after is None else f"{choice.after:.2f}"
        table.add_row(
            when_text(choice.tested_from), when_text(choice.tested_to), values, f"{choice.best.score:.2f}", after
        )
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def as_plain(found: Sweep) -> Any:
    """A sweep's choices as plain values: equal for equal sweeps."""
    return msgspec.to_builtins(found.choices)
