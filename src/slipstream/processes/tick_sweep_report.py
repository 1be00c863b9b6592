"""What a sweep over ticks leaves behind: its report, and every trial as a line of a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from slipstream.core.stats.performance import sharpe
from slipstream.processes.backtest import show
from slipstream.processes.backtest_request import BacktestRequest
from slipstream.processes.gradient_report import when_text
from slipstream.processes.sweep_run import SweepTerms
from slipstream.processes.tick_sweep import TickSweep, Tried, name_of, points, run_tick_sweep
from slipstream.research.report.chapters import Chapter
from slipstream.research.report.page import amount, number
from slipstream.simulation.sweep.executor import Executor

SHOWN = 40  # trials of the table, the best first
YEAR_HOURS = 365.0 * 24.0


def sweep_ticks(request: BacktestRequest, terms: SweepTerms, folder: Path, executor: Executor) -> TickSweep:
    """Run with a progress bar, write, show. Raises ConfigError, ValueError, OSError."""
    try:
        count = 1 + len(points(terms.knobs, terms.search.trials, terms.search.seed))
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("runs over the ticks", total=count)
            found = run_tick_sweep(request, terms, executor, lambda: bar.advance(task))
    finally:
        executor.close()
    written = write_tick_sweep(found, folder, request.seed)
    show_choices(found)
    show(found.record)
    typer.echo(f"wrote {', '.join(str(path) for path in written)}")
    return found


def write_tick_sweep(found: TickSweep, folder: Path, seed: int) -> list[Path]:
    """``sweep.json``, ``trials.csv`` and the report."""
    from slipstream.research.report import Sweep, write_report

    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "trials": len(found.tried),
        "folds": [
            {
                "trained": [one.fold.train_from, one.fold.train_to],
                "tested": [when_text(stamp) for stamp in one.stamps],
                "chosen": found.tried[one.trial].values,
                "score in training": one.score,
                "profit in training, USD": one.trained,
                "profit after, USD": one.tested,
                "rank after": one.rank,
            }
            for one in found.choices
        ],
    }
    (folder / "sweep.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    with (folder / "trials.csv").open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        keys = sorted(found.tried[0].values)
        rows.writerow(["number", *keys, "fills", "traded", "fees", "profit", "why"])
        for one in found.tried:
            sums = [f"{float(part.sum()):.6f}" for part in (one.ran.turnover, one.ran.fees, one.ran.pnl)]
            rows.writerow([one.number, *(one.values[key] for key in keys), one.ran.fills, *sums, one.ran.why])
    sweep = None
    if len(found.names) > 1:
        sweep = Sweep(names=found.names, returns=found.matrix, ann=YEAR_HOURS / found.hours, chosen=found.chosen)
    paths = write_report(
        found.record, folder, others=[found.default], sweep=sweep, seed=seed, chapters=sweep_chapters(found)
    )
    return [folder / "sweep.json", folder / "trials.csv", paths.html]


def sweep_chapters(found: TickSweep) -> tuple[Chapter, ...]:
    """What every fold chose and what became of it; all trials over all of the time."""
    folds = tuple(
        {
            "test from": when_text(one.stamps[0]),
            "to": when_text(one.stamps[1]),
            "chosen": name_of(found.tried[one.trial].values),
            "in training, USD": amount(one.trained, 2),
            "after, USD": amount(one.tested, 2),
            "rank after": f"{one.rank} of {len(found.tried)}",
        }
        for one in found.choices
    )
    ranked = sorted(found.tried, key=lambda one: (-float(one.ran.pnl.sum()), one.number))
    lines = (
        "Profit after fees over the whole time. The upper rows are the best of many on this very time, and must not be "
        "read as what a choice would have earned: that is the table above.",
    )
    return (
        Chapter(title="What was chosen, and what it earned afterwards", tables=(folds,), words=("chosen",)),
        Chapter(title="Every set of parameters", lines=lines, tables=(trial_rows(ranked[:SHOWN], found.hours),)),
    )


def trial_rows(tried: Sequence[Tried], hours: float) -> tuple[dict[str, str], ...]:
    """A row a trial: parameters, fills, money, ratio."""
    out = []
    for one in tried:
        ran = one.ran
        ratio = sharpe(ran.pnl, YEAR_HOURS / hours) if ran.pnl.size > 1 else None
        out.append(
            {
                "parameters": name_of(one.values),
                "fills": f"{ran.fills:,}",
                "traded, USD": f"{float(ran.turnover.sum()):,.0f}",
                "fees, USD": amount(-float(ran.fees.sum()), 2),
                "profit, USD": amount(float(ran.pnl.sum()), 2),
                "Sharpe a year": number(ratio),
                "why not": ran.why,
            }
        )
    return tuple(out)


def show_choices(found: TickSweep) -> None:
    """What every fold chose, and what became of it."""
    table = Table("test from", "to", "chosen", "in training, USD", "after, USD", "rank")
    for one in found.choices:
        chosen, ends = found.tried[one.trial], [when_text(stamp) for stamp in one.stamps]
        rank = f"{one.rank} of {len(found.tried)}"
        table.add_row(*ends, name_of(chosen.values), amount(one.trained, 2), amount(one.tested, 2), rank)
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)


def as_plain(found: TickSweep) -> object:
    """A sweep's choices and accounts as plain values: equal for equal sweeps."""
    accounts = [[one.number, one.values, one.ran.fills, one.ran.pnl.tolist()] for one in found.tried]
    return [msgspec.to_builtins(found.choices), accounts, found.record.equity.tolist()]
