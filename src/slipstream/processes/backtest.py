"""`slipstream backtest <slug>`: any registered strategy's backtest, and the report of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from slipstream.core.portfolio.periods import periods
from slipstream.core.portfolio.record import BacktestRecord
from slipstream.core.stats.performance import drawdown, sharpe
from slipstream.model.errors import ConfigError, SlipstreamError
from slipstream.processes.backtest_request import SET_HELP, BacktestRequest, parse_overrides, said
from slipstream.strategies.registry import find

if TYPE_CHECKING:
    from slipstream.research.report.chapters import Chapter

TICK_BY_TICK = ("brawler",)


def run_backtest(request: BacktestRequest) -> BacktestRecord:
    """Hand a request to its strategy's backtest. Raises ConfigError and ValueError (what the user can mend)."""
    record: BacktestRecord = request.entry.hook("backtest")(request)
    return record


def backtest(
    slug: Annotated[str, typer.Argument(help="The strategy: brawler, gradient, ...")],
    config: Annotated[Path | None, typer.Option(help="Config file; default: the strategy's sample.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
    bars: Annotated[
        Path | None, typer.Option(help="Bars (coin, ts, open, close, volume): Parquet, Feather, CSV, a lake.")
    ] = None,
    funding: Annotated[Path | None, typer.Option(help="Funding (coin, ts, rate): a file, a lake.")] = None,
    returns_csv: Annotated[Path | None, typer.Option(help="Time, then one column of simple returns a coin.")] = None,
    no_funding: Annotated[bool, typer.Option("--no-funding", help="Leave funding out, knowingly.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="A made-up market from the seed.")] = False,
    replay: Annotated[Path | None, typer.Option(help="A folder of recorded books (market makers).")] = None,
    hours: Annotated[float | None, typer.Option(min=0.01, help="Length of a simulated market.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of made-up markets and of resamples.")] = 1,
    capital: Annotated[float | None, typer.Option(min=1.0, help="USD.")] = None,
    half_spread: Annotated[float | None, typer.Option(min=0.0, help="Fraction of the price.")] = None,
    impact: Annotated[float | None, typer.Option(min=0.0, help="Y of the square-root law.")] = None,
    maker_share: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Part filled passively.")] = None,
    costs: Annotated[
        Path | None, typer.Option(help="What trading costs by coin: a file of `slipstream costs calibrate`.")
    ] = None,
    kernel: Annotated[bool, typer.Option("--kernel", help="Run the pod's own kernel over the bars.")] = False,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Another strategy on the same market, compared; with --tape also `symmetric`, the naive maker."
        ),
    ] = None,
    tape: Annotated[
        list[Path] | None, typer.Option(help="Folders of tapes to trade on, tick by tick (again for more).")
    ] = None,
    simulate: Annotated[float | None, typer.Option(min=0.01, help="Hours of a market that reacts, instead.")] = None,
    anchor: Annotated[
        str | None, typer.Option(help="The reference exchange's tapes, or self:LEAD_MS (self:0 sees no future).")
    ] = None,
    latency: Annotated[
        str | None, typer.Option(help="ms there and back (100, 80:40), lognormal:90:0.3, or a .csv; default 100.")
    ] = None,
    queue: Annotated[
        str | None, typer.Option(help="risk-averse, power:N, power2:N, power3:N, log, log2; default power3:3.")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial/--whole", help="What a trade reaches fills in part, or whole.")
    ] = True,
    block_ms: Annotated[float, typer.Option(min=0.0, help="Length of the venue's blocks; 0: none.")] = 0.0,
    fees: Annotated[str | None, typer.Option(help="venue, tier:USD or MAKER:TAKER; default venue.")] = None,
    clock: Annotated[
        str | None, typer.Option(help="Times of hearing: recorded, exchange or an offset such as -400ms.")
    ] = None,
    own_impact: Annotated[bool, typer.Option("--own-impact", help="What we take is gone until told again.")] = False,
    output: Annotated[Path | None, typer.Option(help="Where the report goes; default: var/backtest/<slug>.")] = None,
) -> None:
    """Test a strategy on history, net of all costs, and write a report."""
    from slipstream.research.report.write import check_folder, write_report

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
        words = {"anchor": anchor, "latency": latency, "queue": queue, "fees": fees, "clock": clock}
        request = with_ticks(request, tape or [], simulate, words, (partial, block_ms, own_impact))
        rivals = [rival(request, name) for name in against or []]
        folder = output or Path("var") / "backtest" / slug
        check_folder(folder)
        record = run_backtest(request)
        others = [one() for one in rivals]
        paths = write_report(record, folder, others=others, seed=seed, chapters=chapters_of(record, seed))
    except (SlipstreamError, ValueError) as error:
        typer.echo(f"backtest {slug}: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"backtest {slug}: {said(error)}", err=True)
        raise typer.Exit(1) from None
    show(record)
    typer.echo(f"report: {paths.html}")


def with_ticks(
    request: BacktestRequest,
    tapes: list[Path],
    simulate: float | None,
    words: dict[str, str | None],
    terms: tuple[bool, float, bool],
) -> BacktestRequest:
    """The request as one tick by tick, if tapes or a reactive market were asked for. Raises ConfigError."""
    from slipstream.processes.tick_terms import TickTerms

    given = {name: text for name, text in words.items() if text is not None}
    if not tapes and simulate is None:
        if given:
            flag = next(iter(given))
            raise ConfigError(f"--{flag} has no meaning without --tape FOLDER or --simulate HOURS")
        return request
    if request.entry.slug not in TICK_BY_TICK:
        raise ConfigError(
            f"--tape, --simulate: {request.entry.slug} trades on bars; only {', '.join(TICK_BY_TICK)} on ticks"
        )
    if tapes and simulate is not None:
        raise ConfigError("--tape and --simulate: give one market, not both")
    partial, block_ms, impact = terms
    funding = "none" if request.no_funding else "" if request.funding is None else str(request.funding)
    ticks = TickTerms(
        tapes=tuple(tapes), simulate=simulate, partial=partial, block_ms=block_ms, impact=impact, funding=funding
    )
    return replace(request, tick=replace(ticks, **given))


def chapters_of(record: BacktestRecord, seed: int) -> tuple[Chapter, ...]:
    """What a report of a run tick by tick has beside the others'."""
    from slipstream.simulation.tick.record import TickRecord

    if not isinstance(record, TickRecord):
        return ()
    import numpy as np

    from slipstream.processes.tick_chapters import tick_chapters

    return tick_chapters(record.told, np.random.Generator(np.random.PCG64(seed)))


def rival(request: BacktestRequest, slug: str) -> Callable[[], BacktestRecord]:
    """Runs another strategy on the market, the capital and the costs of a request, with its own config as it is.

    Raises ConfigError for a strategy that is not there, or the same one.
    """
    if request.tick is not None:
        from slipstream.processes.tick_backtest import NAIVE, backtest_naive

        if slug != NAIVE:
            raise ConfigError(f"--against {slug}: tick by tick there is only {NAIVE}, the naive maker, to compare with")
        return lambda: backtest_naive(request)
    if slug == request.entry.slug:
        raise ConfigError(f"--against {slug}: that is the strategy itself; a sweep compares its parameters")
    other = replace(request, entry=find(slug), config=None, overrides={})
    return lambda: run_backtest(other)


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
