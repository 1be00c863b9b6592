"""`slipstream backtest <slug>`: any registered strategy's backtest, and the report of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from slipstream.core.portfolio.periods import periods
from slipstream.core.portfolio.record import BacktestRecord
from slipstream.core.stats.performance import drawdown, sharpe
from slipstream.model.errors import ConfigError, SlipstreamError
from slipstream.processes.backtest_request import BacktestRequest, parse_overrides, said
from slipstream.strategies.registry import find


def run_backtest(request: BacktestRequest) -> BacktestRecord:
    """Hand a request to its strategy's backtest. Raises ConfigError and ValueError (what the user can mend)."""
    record: BacktestRecord = request.entry.hook("backtest")(request)
    return record


def backtest(
    slug: Annotated[str, typer.Argument(help="The strategy: brawler, gradient, ...")],
    config: Annotated[Path | None, typer.Option(help="Config file; default: the strategy's sample.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="key=value instead of the config's.")] = None,
    bars: Annotated[
        Path | None, typer.Option(help="Bars (coin, ts, open, close, volume): Parquet, Feather, CSV, a lake.")
    ] = None,
    funding: Annotated[Path | None, typer.Option(help="Funding (coin, ts, rate): a file, a lake.")] = None,
    returns_csv: Annotated[Path | None, typer.Option(help="Time, then one column of simple returns a coin.")] = None,
    no_funding: Annotated[bool, typer.Option("--no-funding", help="Leave funding out, knowingly.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="A made-up market from the seed.")] = False,
    replay: Annotated[Path | None, typer.Option(help="A folder of recorded books (market makers).")] = None,
    hours: Annotated[float | None, typer.Option(min=0.01, help="Length of a simulated market.")] = None,
    seed: Annotated[int, typer.Option(help="Of made-up markets and of resamples.")] = 1,
    capital: Annotated[float | None, typer.Option(min=1.0, help="USD.")] = None,
    half_spread: Annotated[float | None, typer.Option(min=0.0, help="Fraction of the price.")] = None,
    impact: Annotated[float | None, typer.Option(min=0.0, help="Y of the square-root law.")] = None,
    maker_share: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Part filled passively.")] = None,
    costs: Annotated[
        Path | None, typer.Option(help="What trading costs by coin: a file of `slipstream costs calibrate`.")
    ] = None,
    kernel: Annotated[bool, typer.Option("--kernel", help="Run the pod's own kernel over the bars.")] = False,
    against: Annotated[
        list[str] | None, typer.Option(help="Another strategy on the same market, compared in the report.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Where the report goes; default: var/backtest/<slug>.")] = None,
) -> None:
    """Test a strategy on history, net of all costs, and write a report."""
    from slipstream.research.report import write_report

    try:
        request = BacktestRequest(
            entry=find(slug),
            config=config,
            overrides=parse_overrides(change or []),
            bars=bars,
            funding=funding,
            returns_csv=returns_csv,
            no_funding=no_funding,
            demo=demo,
            replay=replay,
            hours=hours,
            seed=seed,
            capital=capital,
            half_spread=half_spread,
            impact=impact,
            maker_share=maker_share,
            costs=costs,
            kernel=kernel,
        )
        rivals = [rival(request, name) for name in against or []]
        record = run_backtest(request)
        others = [run_backtest(one) for one in rivals]
        paths = write_report(record, output or Path("var") / "backtest" / slug, others=others, seed=seed)
    except (SlipstreamError, ValueError) as error:
        typer.echo(f"backtest {slug}: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"backtest {slug}: {said(error)}", err=True)
        raise typer.Exit(1) from None
    show(record)
    typer.echo(f"report: {paths.html}")


def rival(request: BacktestRequest, slug: str) -> BacktestRequest:
    """Another strategy on the market, the capital and the costs of a request, with its own config as it is.

    Raises ConfigError for a strategy that is not there, or the same one.
    """
    if slug == request.entry.slug:
        raise ConfigError(f"--against {slug}: that is the strategy itself; a sweep compares its parameters")
    return replace(request, entry=find(slug), config=None, overrides={})


def show(record: BacktestRecord, console: Console | None = None) -> None:
    """The figures of a run that fit a screen, money first."""
    table = Table("figure", "value", title=record.title)
    costs = sum(float(part.sum()) for part in record.costs.values())
    funding, profit = float(record.funding.sum()), float(record.equity[-1]) - record.capital
    table.add_row("profit after everything, USD", f"{profit:+,.2f}")
    table.add_row("of it price, USD", f"{profit - funding + costs:+,.2f}")
    table.add_row("of it funding, USD", f"{funding:+,.2f}")
    table.add_row("of it costs, USD", f"{-costs:+,.2f}")
    table.add_row("return", f"{profit / record.capital:+.2%}")
    kept = periods(record)  # the report's own calendar: both show one ratio
    ratio = sharpe(kept.returns, kept.ann) if kept.returns.size > 1 else None
    table.add_row(f"Sharpe ratio, a year, by the {kept.name}", "not defined" if ratio is None else f"{ratio:.2f}")
    table.add_row("deepest drawdown", f"{drawdown(record.returns).depth:.2%}")
    table.add_row("traded, USD", f"{float(record.turnover.sum()):,.0f}")
    console = console or Console()
    console.print(table)
    for line in record.assumptions:
        console.print(f"assumed: {line}", markup=False)
    for line in record.findings:
        console.print(f"found: {line}", markup=False)
