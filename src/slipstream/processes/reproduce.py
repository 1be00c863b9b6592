"""`slipstream research reproduce`: from a panel's files to one page: factors, joint models, backtests.

A panel is a folder of ``hl_4h_ohlcv.parquet`` and ``hl_funding_hourly.parquet`` (other endings too). Every step states
its time and the peak of memory so far. A strategy whose backtest is not registered is named as missing, not skipped in
silence; one that refuses its input stops nothing else, and the page says why.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from slipstream.model.errors import SlipstreamError
from slipstream.processes.joint_study import HORIZONS, run_study, write, write_study
from slipstream.research.joint import tables
from slipstream.research.joint.panel import load_panel
from slipstream.research.joint.study import JointStudy, StudyTerms

BARS, FUNDING = "hl_4h_ohlcv", "hl_funding_hourly"
ENDINGS = (".parquet", ".feather", ".csv")
STRATEGIES = ("carry", "gradient")
T = TypeVar("T")


class Step(msgspec.Struct, frozen=True):
    """One step: what was done, its seconds, the process's peak memory at its end (MB), and what came of it."""

    name: str
    seconds: float
    peak_mb: float
    outcome: str


def file_of(folder: Path, stem: str) -> Path:
    """The one file of that name. Raises ValueError, saying what the folder should hold."""
    if not folder.is_dir():
        raise ValueError(f"--panel {folder}: there is no such folder")
    found = [folder / f"{stem}{ending}" for ending in ENDINGS if (folder / f"{stem}{ending}").is_file()]
    if len(found) != 1:
        what = "no" if not found else "more than one"
        raise ValueError(f"--panel {folder}: {what} {stem} with one of the endings {', '.join(ENDINGS)}")
    return found[0]


def peak_mb() -> float:
    """The most memory that this process has held."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def timed(steps: list[Step], name: str, act: Callable[[], tuple[T, str]]) -> T:
    """Do, and note time, memory and outcome."""
    typer.echo(f"{name} ...", err=True)
    begun = time.perf_counter()
    found, outcome = act()
    steps.append(Step(name, time.perf_counter() - begun, peak_mb(), outcome))
    return found


def build_factors(bars_file: Path, horizons: Sequence[int], folder: Path) -> str:
    """The factor CSVs of all horizons by USD volume; says where."""
    from slipstream.data.bars import read_bars
    from slipstream.processes.pca_factor import build

    bars = read_bars(bars_file)
    paths = [build(bars, horizon, 30, "sqrt_dollar", folder) for horizon in horizons]
    return f"{len(paths)} factors in {folder.name}/"


def run_backtests(slug: str, bars: Path, funding: Path, folder: Path, seed: int) -> tuple[dict[str, str] | None, str]:
    """A registered strategy's figures over the panel, its report written; None and why where there are none."""
    from slipstream.core.portfolio.periods import periods
    from slipstream.core.stats.performance import drawdown, sharpe
    from slipstream.processes.backtest import run_backtest
    from slipstream.processes.backtest_request import BacktestRequest
    from slipstream.research.report import write_report
    from slipstream.strategies.registry import STRATEGIES as REGISTERED

    if slug not in REGISTERED:
        return None, "NOT RUN: no such strategy is registered"
    try:
        record = run_backtest(BacktestRequest(entry=REGISTERED[slug], bars=bars, funding=funding, seed=seed))
        paths = write_report(record, folder / slug, seed=seed)
    except (SlipstreamError, ValueError) as error:
        return None, f"REFUSED: {error}"
    kept = periods(record)
    ratio = sharpe(kept.returns, kept.ann) if kept.returns.size > 1 else None
    profit = float(record.equity[-1]) - record.capital
    row = {
        "strategy": record.title,
        "from": tables.when(int(record.stamps[0])),
        "to": tables.when(int(record.stamps[-1])),
        "net, USD": f"{profit:+,.0f}",
        "of capital": f"{profit / record.capital:+.1%}",
        "of it funding": f"{float(record.funding.sum()):+,.0f}",
        "of it costs": f"{-sum(float(part.sum()) for part in record.costs.values()):+,.0f}",
        "Sharpe": "not defined" if ratio is None else f"{ratio:.2f}",
        "deepest fall": f"{drawdown(record.returns).depth:.1%}",
    }
    return row, f"report in {paths.html.parent.name}/{paths.html.name}"


def pages(
    found: JointStudy, notes: tuple[str, ...], runs: list[dict[str, str]], steps: list[Step]
) -> Mapping[str, str]:
    """The page as HTML and as Markdown."""
    from slipstream.research.report import sheet
    from slipstream.research.report.charts import whiskers

    total = sum(step.seconds for step in steps)
    lines = [
        *tables.words(found, notes),
        f"Whole run: {total:.0f} s, peak memory {max(step.peak_mb for step in steps):,.0f} MB.",
        *(f"{step.name}: {step.seconds:.1f} s, {step.peak_mb:,.0f} MB; {step.outcome}." for step in steps),
    ]
    shown = [("Holding periods", tables.shown_rows(found))]
    if runs:
        shown.append(("Backtests", runs))
    pictures = [
        whiskers(
            "How much of the funding to come is known, R² in money",
            "Out of sample; intervals over calendar weeks.",
            [
                (f"{one.hours} h, {said}", *one.money[name])
                for one in found.horizons
                for name, said in (("funding", "regression"), ("last_rate", "last rate"))
            ],
        ),
        whiskers(
            "Net profit over its deviation, a year",
            f"Best tenth against worst, after {found.terms.cost * 1e4:g} bp of turnover.",
            [(f"{one.hours} h, {name}", *book.ratio) for one in found.horizons for name, book in one.books.items()],
        ),
    ]
    title = "The research, reproduced"
    words = [
        *lines,
        *(f"{run['strategy']}: " + ", ".join(f"{k} {v}" for k, v in list(run.items())[1:]) for run in runs),
    ]
    return {
        "reproduction.html": sheet(title, pictures, lines=words, rows=tables.shown_rows(found)),
        "reproduction.md": tables.markdown(title, lines, shown),
    }


def reproduce_all(
    panel_folder: Path, output: Path, horizons: Sequence[int], terms: StudyTerms, seed: int, slugs: Sequence[str]
) -> list[Step]:
    """All steps. Raises ValueError for input that the user can mend."""
    bars, funding = file_of(panel_folder, BARS), file_of(panel_folder, FUNDING)
    steps: list[Step] = []

    def load() -> tuple[Any, str]:
        found = load_panel(bars, funding)
        return found, f"{len(found.stamps)} bars of {found.hours} h, {len(found.coins)} coins"

    panel = timed(steps, "load", load)
    timed(steps, "factors", lambda: (None, build_factors(bars, horizons, output / "factors")))

    def judge() -> tuple[JointStudy, str]:
        found = run_study(panel, horizons, terms, seed)
        write_study(found, panel.notes, output / "joint_models")
        return found, f"{len(found.horizons)} holding periods in joint_models/"

    found = timed(steps, "joint models", judge)
    runs = []
    for slug in slugs:

        def test(slug: str = slug) -> tuple[dict[str, str] | None, str]:
            return run_backtests(slug, bars, funding, output / "backtests", seed)

        row = timed(steps, f"backtest of {slug}", test)
        runs += [] if row is None else [row]
    for name, text in pages(found, panel.notes, runs, steps).items():
        write(output / name, text)
    return steps


def reproduce(
    panel: Annotated[Path, typer.Option(help=f"Folder of {BARS} and {FUNDING} (.parquet, .feather, .csv).")],
    output: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("var/reproduction"),
    h: Annotated[list[int] | None, typer.Option("--H", help="Holding period, hours; repeat for more.")] = None,
    n_bootstrap: Annotated[int, typer.Option(min=1, help="Resamples of calendar weeks.")] = 1000,
    strategy: Annotated[list[str] | None, typer.Option(help="Backtests to run; default: carry and gradient.")] = None,
    seed: Annotated[int, typer.Option(help="Of the resamples.")] = 1,
) -> None:
    """Reproduce the research from a panel's files: factors, joint models, backtests, one page."""
    try:
        terms = StudyTerms(draws=n_bootstrap)
        steps = reproduce_all(panel, output, tuple(h or HORIZONS), terms, seed, tuple(strategy or STRATEGIES))
    except (SlipstreamError, ValueError, OSError) as error:
        typer.echo(f"research reproduce: {error}", err=True)
        raise typer.Exit(2) from None
    for step in steps:
        typer.echo(f"{step.name}: {step.seconds:.1f} s, peak {step.peak_mb:,.0f} MB; {step.outcome}")
    typer.echo(f"report: {output / 'reproduction.html'}")
