"""`slipstream research brawler-ticks`: Brawler on every recorded coin and in a simulated market, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from slipstream.model.errors import SlipstreamError
from slipstream.processes.backtest import show
from slipstream.processes.backtest_request import SET_HELP, BacktestRequest, parse_overrides, said
from slipstream.processes.sweep_run import SweepTerms
from slipstream.processes.tick_terms import TickTerms
from slipstream.simulation.sweep.executor import make_executor
from slipstream.simulation.sweep.knobs import parse_knobs
from slipstream.simulation.sweep.search import SearchTerms
from slipstream.strategies.registry import find

SLUG = "brawler"
PARAMS = ("base_spread=0.0005,0.0008,0.0012", "lambda=0.0002,0.0006", "k=0.5,2")


def brawler_ticks(
    tapes: Annotated[Path, typer.Option(help="Folder of tapes of the traded venue.")],
    simulate: Annotated[float, typer.Option(min=0.0, help="Hours of the simulated market; 0: none.")] = 168.0,
    anchor: Annotated[str, typer.Option(help="The reference exchange's tapes, or self:LEAD_MS.")] = "self:0",
    funding: Annotated[str, typer.Option(help="Of the tapes: none, tape or a file.")] = "none",
    param: Annotated[list[str] | None, typer.Option(help="Of the sweep, as in `slipstream sweep`.")] = None,
    trials: Annotated[int, typer.Option(min=1, help="Of a sweep over ranges.")] = 20,
    folds: Annotated[int, typer.Option(min=0, help="Of the sweep.")] = 4,
    latency: Annotated[str, typer.Option(help="As of `slipstream backtest`.")] = "100",
    queue: Annotated[str, typer.Option(help="As of `slipstream backtest`.")] = "power3:3",
    fees: Annotated[str, typer.Option(help="As of `slipstream backtest`.")] = "venue",
    config: Annotated[Path | None, typer.Option(help="Config file; default: the sample.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
    growth: Annotated[Path | None, typer.Option(help="A .csv to show: how time and memory grow.")] = None,
    seed: Annotated[int, typer.Option(help="Of the market and of resamples.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes of the sweep.")] = 2,
    output: Annotated[Path, typer.Option(help="Where it goes.")] = Path("var/research/brawler_ticks"),
) -> None:
    """Put Brawler on recorded and simulated ticks beside naive makers, with a sweep."""
    from slipstream.processes.brawler_ticks_page import read_growth, write_page
    from slipstream.processes.tick_backtest import backtest, backtest_naive
    from slipstream.processes.tick_sweep_report import sweep_ticks
    from slipstream.research.report.write import check_folder

    try:
        ticks = TickTerms(tapes=(tapes,), anchor=anchor, latency=latency, queue=queue, fees=fees, funding=funding)
        request = BacktestRequest(
            entry=find(SLUG), config=config, overrides=parse_overrides(change or []), seed=seed, tick=ticks
        )
        terms = SweepTerms(
            knobs=parse_knobs(param or list(PARAMS)),
            search=SearchTerms(trials=trials, seed=seed),
            folds=folds,
            gap_hours=0.0,
        )
        check_folder(output)
        table = () if growth is None else read_growth(growth)
        runs = {"recorded": (backtest(request), backtest_naive(request))}
        if simulate > 0.0:
            made = replace(ticks, tapes=(), simulate=simulate, anchor="", funding="", queue=TickTerms().queue)
            there = replace(request, tick=made)
            runs["simulated"] = backtest(there), backtest_naive(there)
        found = sweep_ticks(request, terms, output / "sweep", make_executor("local", workers))
        page = write_page(runs, found, table, output, seed)
    except (SlipstreamError, ValueError) as error:
        typer.echo(f"research brawler-ticks: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"research brawler-ticks: {said(error)}", err=True)
        raise typer.Exit(1) from None
    for record, _ in runs.values():
        show(record)
    typer.echo(f"wrote {page}")
